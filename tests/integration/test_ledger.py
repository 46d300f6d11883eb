"""One line for each call, in the sums at once; what nobody ended stays unknown at what was reserved."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from blackboard import keys
from blackboard.doors import Call
from blackboard.errors import UsageError
from blackboard.pipe import Pipe
from knowledge_sources.llm.calls import NANO, Usage
from knowledge_sources.llm.ledger import SCRUB, Figures, RedisLedger, Sum, total
from knowledge_sources.llm.ports import Row
from tests.spending import BOARD, NOON, OTHER, caller, line_to, row, without_lifetime

DAY = "20261121"


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Pipe]:
    """To an empty server."""
    async with line_to(redis_url) as line:
        yield line


@pytest.fixture
def ledger(line: Pipe) -> RedisLedger:
    """On it."""
    return RedisLedger(line)


def by_outcome(sums: list[Sum]) -> dict[str, int]:
    """Lines of each, boards not told apart."""
    return {each.outcome: each.figures.calls for each in sums if not each.board}


async def test_a_call_is_unknown_until_it_is_ended(ledger: RedisLedger, line: Pipe) -> None:
    begun = row("c1", outcome="unknown", nano=NANO, usage=Usage())
    await ledger.begin(begun)
    assert await ledger.of_day(DAY) == ([begun], "")
    assert by_outcome(await ledger.sums(DAY)) == {"unknown": 1}
    ended = row("c1", saved_nano=55, failure="", request_id="req_1")
    for _ in range(2):
        await ledger.end(ended)
        assert await ledger.of_day(DAY) == ([ended], "")
        assert await ledger.of_board(BOARD) == ([ended], "")
        expected = Figures(1, 100, 20, 300, 40, NANO // 10, 55, 0, 7)
        assert await ledger.sums(DAY) == [
            Sum("acme", "answered", expected, source="claims_model", model="claude-sonnet-5-5"),
            Sum("acme", "answered", expected, board=BOARD),
        ]
        assert [each.figures for each in await ledger.sums_of_board(BOARD)] == [expected]
    # A beginning that was late on its way changes nothing any more.
    await ledger.begin(begun)
    assert (await ledger.of_day(DAY))[0] == [ended]
    assert await without_lifetime(line) == []


async def test_answers_that_needed_no_call_cost_nothing_and_say_what_they_saved(ledger: RedisLedger) -> None:
    await ledger.end(row("c1", nano=700))
    await ledger.end(row("c2", outcome="cache", nano=0, saved_nano=700))
    await ledger.end(row("c3", outcome="recording", nano=None, saved_nano=0))
    sums = {each.outcome: each.figures for each in await ledger.sums_of_board(BOARD)}
    assert sums["cache"] == Figures(calls=1, saved_nano=700, latency_ms=7)
    assert sums["recording"] == Figures(calls=1, latency_ms=7)
    assert total(await ledger.sums_of_board(BOARD)).nano == 700


async def test_a_cost_nobody_knows_is_counted_as_such(ledger: RedisLedger) -> None:
    await ledger.end(row("c1", nano=None))
    assert total(await ledger.sums_of_board(BOARD)) == Figures(1, 100, 20, 300, 40, 0, 0, 1, 7)
    assert (await ledger.of_board(BOARD))[0][0].nano is None


async def test_a_call_that_ends_after_midnight_is_of_the_day_it_began_on(ledger: RedisLedger) -> None:
    late = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC).timestamp()
    await ledger.begin(row("c1", outcome="unknown", at=late))
    await ledger.end(row("c1", at=late + 5))
    assert [each.at for each in (await ledger.of_day(DAY))[0]] == [int(late * 1000)]
    assert await ledger.of_day("20261122") == ([], "")
    assert by_outcome(await ledger.sums(DAY)) == {"answered": 1}


async def test_what_was_never_sent_can_be_struck(ledger: RedisLedger) -> None:
    kept = row("c1")
    await ledger.end(kept)
    before = await ledger.sums(DAY)
    gone = row("c2", outcome="unknown", whose=caller(OTHER))
    await ledger.begin(gone)
    for _ in range(2):
        await ledger.strike(gone)
    assert await ledger.of_day(DAY) == ([kept], "")
    assert await ledger.of_board(OTHER) == ([], "")
    assert await ledger.sums(DAY) == before


async def test_pages_are_whole_and_stable_while_calls_are_added(ledger: RedisLedger) -> None:
    rows = [row(f"c{n:03}", at=NOON + n // 3, whose=caller(BOARD if n % 2 else OTHER)) for n in range(50)]
    await asyncio.gather(*(ledger.end(each) for each in random.Random(1).sample(rows, len(rows))))
    found: list[Row] = []
    cursor = ""
    while True:
        page, cursor = await ledger.of_day(DAY, after=cursor, limit=7)
        found += page
        await ledger.end(row(f"later{len(found)}", at=NOON + 100, whose=caller("")))
        if not cursor or len(found) >= 50:
            break
    assert found[:50] == rows
    board, cursor = await ledger.of_board(BOARD, limit=24)
    assert board == rows[1:49:2]
    assert await ledger.of_board(BOARD, after=cursor) == ([rows[49]], "")
    with pytest.raises(UsageError):
        await ledger.of_board(BOARD, after="20261121|nobody")


async def test_a_board_that_lasts_over_midnight_has_all_its_lines(ledger: RedisLedger) -> None:
    rows = [row("c1"), row("c2", at=NOON + 86_400), row("c3", at=NOON + 2 * 86_400)]
    for each in rows:
        await ledger.end(each)
    assert (await ledger.of_board(BOARD))[0] == rows
    assert total(await ledger.sums_of_board(BOARD)).calls == 3


async def test_words_of_others_are_kept_as_they_are(ledger: RedisLedger) -> None:
    odd = caller("", tenant="a|b:c\x1fd\x1ee\x1df", source="säge")
    await ledger.end(row("c|1", whose=odd, failure="x" * 900 + "\ud800", outcome="failed"))
    found = (await ledger.of_day(DAY))[0][0]
    assert (found.id, found.caller, len(found.failure)) == ("c|1", odd, 500)
    assert {(each.tenant, each.source) for each in await ledger.sums(DAY)} == {("a|b:c d e f", "säge")}
    await ledger.end(row("c2", failure="broke \ud800"))
    assert (await ledger.of_board(BOARD))[0][0].failure == "broke ?"


@pytest.mark.parametrize("seed", range(10))
async def test_sums_are_always_those_of_the_lines(ledger: RedisLedger, line: Pipe, seed: int) -> None:
    rng = random.Random(seed)
    others = RedisLedger(line)
    outcomes = ("answered", "failed", "cache", "recording")

    async def one(n: int) -> None:
        whose = caller(rng.choice((BOARD, OTHER, "")), tenant=rng.choice(("acme", "umbrella")))
        at = NOON + rng.randrange(3)
        by = rng.choice((ledger, others))
        begun = row(f"c{n}", outcome="unknown", nano=rng.randrange(NANO), usage=Usage(), at=at, whose=whose)
        await by.begin(begun)
        if rng.random() < 0.2:
            return  # its process died
        ended = replace(begun, outcome=rng.choice(outcomes), nano=rng.choice((None, rng.randrange(NANO))),
                        usage=Usage(*(rng.randrange(10**6) for _ in range(4))),
                        saved_nano=rng.randrange(-NANO, NANO))  # fmt: skip
        for _ in range(rng.choice((1, 2))):
            await by.end(ended)

    await asyncio.gather(*(one(n) for n in range(60)))
    rows, _ = await ledger.of_day(DAY)
    assert len(rows) == 60
    sums = await ledger.sums(DAY)
    for tenant in ("acme", "umbrella"):
        expected = Figures()
        for each in rows:
            expected += Figures.of(each) if each.caller.tenant == tenant else Figures()
        assert total(each for each in sums if each.tenant == tenant and not each.board) == expected
    for board in (BOARD, OTHER):
        lines = (await ledger.of_board(board))[0]
        assert {each.id for each in lines} == {each.id for each in rows if each.caller.board == board}
        expected = Figures()
        for each in lines:
            expected += Figures.of(each)
        assert total(await ledger.sums_of_board(board)) == expected
        assert total(each for each in sums if each.board == board) == expected
    assert await without_lifetime(line) == []


async def test_a_call_that_ends_while_its_board_is_forgotten_is_kept_as_it_ended(line: Pipe) -> None:
    class Slow(RedisLedger):
        async def _run(self, call: Call) -> None:
            if call.script is SCRUB:
                await ledger.end(row("c1"))
            await super()._run(call)

    ledger = RedisLedger(line)
    await ledger.begin(row("c1", outcome="unknown", nano=NANO, usage=Usage()))
    await line.issue(("SET", keys.llm("board", BOARD), "erased", "EX", 60))
    await Slow(line).forget(BOARD)
    (kept,), _ = await ledger.of_day(DAY)
    assert (kept.outcome, kept.request, kept.caller.activation) == ("answered", "", "")
    assert by_outcome(await ledger.sums(DAY)) == {"answered": 1}
    assert await ledger.of_board(BOARD) == ([], "")
