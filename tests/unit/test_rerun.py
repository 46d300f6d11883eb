"""A source's code of today on what it read then: the same comes out, or it is told what does not."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal

from blackboard import (
    All,
    Child,
    Contribution,
    Deferred,
    Each,
    Group,
    Level,
    Lookup,
    Page,
    PermanentFailure,
    TransientFailure,
    knowledge_source,
)
from blackboard.board import Board
from blackboard.contract import Boards, Source
from blackboard.entries import Commit
from blackboard.events import LogRecord, from_json, to_json
from controller.bench import Bench, as_put, opening
from controller.rerun import Rerun, Verdict
from controller.rerun_diff import changes


class Word(Level):
    """A word of a page."""

    named_by = ("page", "text")
    page: int
    text: str


class Tally(Level):
    """How many words there are."""

    named_by = ("of",)
    of: str
    count: int


@knowledge_source()
def words(page: Each[Page]) -> list[Word]:
    """Every word of a page."""
    return [Word(page=page.number, text=text) for text in dict.fromkeys(page.text.split())]


@knowledge_source()
def tally(found: All[Word]) -> Tally:
    """All of them."""
    return Tally(of="all", count=len(found))


@knowledge_source()
async def looked(page: Each[Page], found: Lookup[Word]) -> Tally:
    """What is there by now, and one word by its name."""
    one = await found.get("0001.red")
    return Tally(of=f"p{page.number}", count=len([word async for word in found.all()]) + (one is not None))


async def bench_of(*sources: Source, texts: tuple[str, ...] = ("red green", "blue")) -> Bench:
    bench = Bench()
    await bench.start([as_put(f"page/{n:04d}", Page(number=n, text=text)) for n, text in enumerate(texts, 1)])
    await bench.run(sources)
    return bench


async def again(bench: Bench, source: Source) -> list[Verdict]:
    """From the log as a file keeps it."""
    records = [from_json(to_json(record)) for record in await bench.store.log(bench.id)]
    return await rerun(source, records)


async def rerun(source: Source, records: list[LogRecord]) -> list[Verdict]:
    async def whole(board: Board, key: str) -> bytes:
        return board.values[key]

    found = await Rerun(source, whole, None, {}).over("recorded", records)
    return sorted(found, key=lambda verdict: (verdict.binding, verdict.revision))


async def test_the_same_code_does_the_same() -> None:
    bench = await bench_of(words, tally, looked)
    for source, least in ((words, 2), (tally, 1), (looked, 2)):
        found = await again(bench, source)
        assert len(found) >= least
        assert {each.came for each in found} == {"same"}, found


async def test_what_differs_is_told_by_key_and_field() -> None:
    def better(page: Page) -> list[Contribution[Word]]:
        return [Contribution(Word(page=page.number, text=text), 0.5) for text in page.text.split() if text != "red"]

    bench = await bench_of(words, tally)
    first, second = await again(bench, replace(words, function=better))
    assert (first.binding, first.came, second.came) == ("page/0001", "differs", "differs")
    assert [(each.key, each.kind) for each in first.changes] == [
        ("word/0001.green", "changed"),
        ("word/0001.red", "lost"),
    ]
    assert first.changes[0].lines == ("confidence: 1 -> 0.5",)
    (changed,) = await again(bench, replace(tally, function=lambda found: Tally(of="all", count=7)))
    assert [each.lines for each in changed.changes] == [("count: 3 -> 7",)]


async def test_it_reads_what_was_there_then_and_not_what_came_later() -> None:
    bench = await bench_of(words, tally)
    await bench.put([as_put("page/0001", Page(number=1, text="red green yellow pink"))])
    await bench.run([words, tally])
    found = await again(bench, tally)
    assert [each.came for each in found] == ["same", "same"]
    found = await again(bench, replace(tally, function=lambda found: Tally(of="all", count=10 * len(found))))
    assert [each.changes[0].lines for each in found] == [("count: 3 -> 30",), ("count: 5 -> 50",)]


async def test_lookups_find_what_they_found_while_it_ran() -> None:
    bench = await bench_of(words)
    seen: list[int] = []

    async def late(page: Page, found: Lookup[Word]) -> Tally:
        if not seen:  # once it was claimed, and only while it is recorded
            seen.append(1)
            await bench.put([as_put("word/0009.late", Word(page=9, text="late"))])
        return await looked.function(page, found)  # type: ignore[no-any-return]

    source = replace(looked, function=late, concurrency=1)
    await bench.run([source])
    found = await again(bench, source)
    assert len(found) >= 2
    assert {each.came for each in found} == {"same"}, found


async def test_a_level_it_reads_only_today_is_handed_in_as_it_stood() -> None:
    @knowledge_source(name="tally")
    def both(found: All[Word], pages: All[Page]) -> Tally:
        return Tally(of="all", count=len(found) + 100 * len(pages))

    bench = await bench_of(words, tally)
    (found,) = await again(bench, both)
    assert found.changes[0].lines == ("count: 3 -> 203",)

    @knowledge_source(name="tally")
    def by_page(found: Group[Word, Literal["page"]]) -> Tally:
        return Tally(of="all", count=len(found))

    (found,) = await again(bench, by_page)
    assert (found.came, found.reason) == ("differs", "today it does not work on board")


async def test_a_precondition_that_is_false_today() -> None:
    bench = await bench_of(words)
    first, second = await again(bench, replace(words, when=lambda page: page.number == 1))
    assert first.came == "same"
    assert (second.came, second.reason) == ("differs", "its precondition is false today")
    assert [each.kind for each in second.changes] == ["lost"]
    broken = await again(bench, replace(words, when=lambda page: page.nothing))
    assert {each.came for each in broken} == {"differs"} and "AttributeError" in broken[0].reason


async def test_failures_are_compared_too() -> None:
    async def picky(page: Page) -> AsyncIterator[Word]:
        yield Word(page=page.number, text="first")
        if page.number == 2:
            raise PermanentFailure("page 2 is bad")

    source = replace(words, function=picky)
    bench = await bench_of(source)
    assert [each.came for each in await again(bench, source)] == ["same", "same"]
    first, second = await again(bench, words)
    assert (first.came, second.came) == ("differs", "differs")
    assert second.reason == "it failed then with PermanentFailure: page 2 is bad"

    def broken(page: Page) -> list[Word]:
        raise TransientFailure("not now")

    _, second = await again(bench, replace(words, function=broken))
    assert second.reason.endswith("today with TransientFailure: not now")
    bench = await bench_of(words)
    first, _ = await again(bench, replace(words, function=broken))
    assert first.reason == "it fails today with TransientFailure: not now"


async def test_rivals_are_held_against_rivals() -> None:
    @knowledge_source()
    def other(page: Each[Page]) -> Word:
        return Word(page=page.number, text=page.text.split()[0])

    bench = await bench_of(words)
    await bench.run([words, other])
    folded = await bench.board()
    assert sum("~" in key for key in folded.values) == 2
    assert [each.came for each in await again(bench, other)] == ["same", "same"]
    assert [each.came for each in await again(bench, words)] == ["same", "same"]


async def test_what_chance_or_the_clock_decides_differs() -> None:
    numbers = itertools.count()
    source = replace(tally, function=lambda found: Tally(of="all", count=next(numbers)))
    bench = await bench_of(words, source)
    (found,) = await again(bench, source)
    assert found.came == "differs"


async def test_child_boards_are_not_opened_again() -> None:
    @knowledge_source()
    async def parts(page: Each[Page], boards: Boards) -> AsyncIterator[Child]:
        yield await boards.open(page.text.encode(), filename=f"{page.number}.txt")

    bench = await bench_of(parts)
    assert [each.came for each in await again(bench, parts)] == ["same", "same"]


async def test_nothing_is_found_where_it_never_acted() -> None:
    bench = await bench_of(words)
    assert await again(bench, tally) == []


def test_differences_in_words() -> None:
    one = {"a": (b'{"x":1,"y":[1,2],"t":"the quick brown fox jumps over"}', 1.0), "b": (b"{}", 1.0)}
    two = {"a": (b'{"y":[1,3,4],"t":"the quick brown fox sleeps over","z":null}', 0.5), "b": (b"{ }", 1.0)}
    (found,) = changes(one, two)
    assert found.lines == (
        't: "the quick brown fox jumps over" -> "the quick brown fox sleeps over"',
        "x: lost: 1",
        "y: 2 items -> 3",
        "y[1]: 2 -> 3",
        "y[2]: new: 4",
        "z: new: null",
        "confidence: 1 -> 0.5",
    )


async def test_large_values_are_compared_whole() -> None:
    def long(page: Page) -> Word:
        return Word(page=page.number, text="long" + "x" * 300_000)

    bench = Bench()
    await bench.start([as_put("page/0001", Page(number=1, text="y" * 400_000))])
    source = replace(words, function=long)
    await bench.run([source])
    records = await bench.store.log(bench.id)

    async def whole(board: Board, key: str) -> bytes:
        return await bench.store.resolve(board.values[key])

    (same,) = await Rerun(source, whole, None, {}).over("recorded", records)
    assert same.came == "same", same

    def longer(page: Page) -> Word:
        return Word(page=page.number, text="long" + "x" * 300_000 + page.text[:3])

    (other,) = await Rerun(replace(words, function=longer), whole, None, {}).over("recorded", records)
    assert [(each.kind, len(each.lines)) for each in other.changes] == [("changed", 1)]
    assert len(other.changes[0].lines[0]) < 200


async def test_a_source_that_puts_itself_off_today() -> None:
    def later(page: Page) -> list[Word]:
        raise Deferred("no room", after_s=5)

    bench = await bench_of(words)
    first, _ = await again(bench, replace(words, function=later))
    assert first.came == "differs" and "Deferred: no room" in first.reason


async def test_what_a_shadow_did_is_run_again_in_its_own_space() -> None:
    bench = Bench()
    head = {**opening(), "sources": '{"tally":"1"}', "shadow": '{"words":"1"}'}
    writes = (as_put("page/0001", Page(number=1, text="red green")), as_put("word/0001.red", Word(page=1, text="red")))
    await bench.open(Commit("board.created", "t", id="c", mode="person", create=True, head=head, writes=writes))
    await bench.run([words, tally])
    assert "shadow.words.word/0001.green" in (await bench.board()).values
    (same,) = await again(bench, words)
    assert same.came == "same"
    (other,) = await again(bench, replace(words, function=lambda page: []))
    assert [each.key for each in other.changes] == ["shadow.words.word/0001.green", "shadow.words.word/0001.red"]
