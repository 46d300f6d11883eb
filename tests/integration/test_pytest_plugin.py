"""The fixtures that authors get, used as an author uses them; and what the plug-in costs a suite that does not."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import structlog

from blackboard import (
    All,
    Blobs,
    Boards,
    Child,
    Contribution,
    Each,
    Level,
    Lookup,
    Page,
    Progress,
    SourceError,
    SourceSettings,
    TransientFailure,
    knowledge_source,
)
from blackboard.testing import Board, LiveBoard
from controller.testing.plugin import board, live_board

__all__ = ["board", "live_board"]


class DateMention(Level):
    """A date on a page."""

    iso: str
    page: int


class Dates(Level):
    """How many there are."""

    count: int


class DateSettings(SourceSettings):
    """What an operator may change."""

    most: int = 10


@knowledge_source(version="1", timeout=10, when=lambda page: page.number != 13)
async def dates(page: Each[Page], settings: DateSettings) -> AsyncIterator[DateMention]:
    """ISO dates."""
    for hit in re.findall(r"\d{4}-\d\d-\d\d", page.text)[: settings.most]:
        yield DateMention(iso=hit, page=page.number)


@knowledge_source()
def count(found: All[DateMention], pages: Lookup[Page]) -> Dates:
    """A plain function."""
    return Dates(count=len(found))


async def test_a_source_runs_for_each_entry(board: Board) -> None:
    await board.seed(Page(number=1, text="2024-01-02 and 2024-02-03"), Page(number=2, text="none"))
    await board.run(dates)
    found = board.values(DateMention)
    assert [value.iso for value in found] == ["2024-01-02", "2024-02-03"]
    entry = found[0].entry
    assert entry is not None and (entry.key, entry.owner, entry.version) == ("date_mention/0001-1", "dates", 1)


async def test_settings_come_from_the_environment(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOARD_SOURCE_DATES__MOST", "1")
    await board.seed(Page(number=1, text="2024-01-02 and 2024-02-03"))
    await board.run(dates)
    assert len(board.values(DateMention)) == 1


async def test_a_change_of_settings_runs_it_again(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    await board.seed(Page(number=1, text="2024-01-02 and 2024-02-03"))
    await board.run(dates)
    monkeypatch.setenv("BLACKBOARD_SOURCE_DATES__MOST", "1")
    await board.run(dates)
    assert [value.iso for value in board.values(DateMention)] == ["2024-01-02"]
    assert board.why(dates)["page/0001"].startswith("done: ")


async def test_an_untrusted_source_runs_in_the_test_too(board: Board) -> None:
    seen: list[int] = []

    @knowledge_source()
    async def sees(page: Each[Page]) -> Dates:
        seen.append(page.number)
        return Dates(count=1)

    await board.seed(Page(number=7, text=""))
    await board.run(replace(sees, trusted=False, origin="installed", where="nowhere:sees"))
    assert seen == [7]


async def test_a_changed_entry_runs_its_cone_again(board: Board) -> None:
    await board.seed(Page(number=1, text="2024-01-02"), Page(number=2, text="2025-05-05"))
    await board.run(dates, count)
    assert board.values(Dates) == [Dates(count=2)]
    second = board.values(DateMention)[1].entry
    await board.seed(Page(number=1, text="nothing any more"))
    await board.run(dates, count)
    assert [value.iso for value in board.values(DateMention)] == ["2025-05-05"]
    assert board.values(DateMention)[0].entry == second, "the other page was not run again"
    assert board.values(Dates) == [Dates(count=1)]


async def test_why_says_what_was_skipped(board: Board) -> None:
    await board.seed(Page(number=13, text="2024-01-02"))
    await board.run(dates)
    assert board.values(DateMention) == []
    assert board.why(dates)["page/0013"].startswith("skipped: ")


async def test_what_an_author_raises_is_raised(board: Board) -> None:
    @knowledge_source(attempts=1)
    async def broken(page: Each[Page]) -> DateMention:
        raise ZeroDivisionError("no such luck")

    await board.seed(Page(number=1, text=""))
    with pytest.raises(ZeroDivisionError, match="no such luck") as raised:
        await board.run(broken)
    assert "raised by the source broken on page/0001" in raised.value.__notes__
    await board.seed(Page(number=1, text="again"))
    await board.run(broken, raises=False)
    assert len(board.errors) == 2


async def test_what_is_undeclared_is_refused(board: Board) -> None:
    @knowledge_source(attempts=1)
    async def liar(page: Each[Page]) -> DateMention:
        return Dates(count=1)  # type: ignore[return-value]

    await board.seed(Page(number=1, text=""))
    with pytest.raises(Exception, match="contributed Dates, but declares DateMention"):
        await board.run(liar)


async def test_a_hiccup_is_tried_again_without_waiting(board: Board) -> None:
    tries: list[int] = []

    @knowledge_source(attempts=3)
    async def shaky(page: Each[Page]) -> Dates:
        tries.append(page.number)
        if len(tries) < 3:
            raise TransientFailure("not yet")
        return Dates(count=len(tries))

    await board.seed(Page(number=1, text=""))
    await board.run(shaky)
    assert board.values(Dates) == [Dates(count=3)]
    assert len(board.errors) == 2


async def test_rivals_stand_beside(board: Board) -> None:
    @knowledge_source()
    async def second(page: Each[Page]) -> Contribution[DateMention]:
        return Contribution(DateMention(iso="2000-01-01", page=1), confidence=0.5, name="0001-1")

    await board.seed(Page(number=1, text="2024-01-02"))
    await board.run(dates)
    await board.run(dates, second)
    assert [value.iso for value in board.values(DateMention)] == ["2024-01-02"]
    (rival,) = board.rivals(DateMention)
    assert rival.entry is not None and rival.entry.confidence == 0.5


async def test_what_is_handed_in(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    @knowledge_source()
    async def asks(
        page: Each[Page], blobs: Blobs, progress: Progress, log: logging.Logger, bound: structlog.stdlib.BoundLogger
    ) -> Dates:
        progress(1, 2, "half")
        log.warning("looked at page %d", page.number)
        bound.warning("seen", page=page.number)
        return Dates(count=len(await blobs.get(page.text)))

    await board.seed(Page(number=1, text=await board.blob(b"12345")))
    await board.run(asks)
    assert board.values(Dates) == [Dates(count=5)]
    assert list(board.progress) == [(1, 2, "half")]
    (record,) = [record for record in caplog.records if record.getMessage() == "looked at page 1"]
    said = vars(record)
    assert (record.name, said["source"], said["binding"]) == ("blackboard.source.asks", "asks", "page/0001")
    assert re.fullmatch(r"\d+-[a-z2-7]{26}", said["board"])


async def test_boards_that_it_opens_count_as_read(board: Board) -> None:
    @knowledge_source()
    async def opens(page: Each[Page], boards: Boards) -> Child:
        return await boards.open(page.text.encode(), filename="part.txt")

    await board.seed(Page(number=1, text="a part"))
    await board.run(opens)
    (child,) = board.values(Child)
    assert (child.filename, child.size, child.status) == ("part.txt", 6, "completed")


async def test_live_boards_end(live_board: LiveBoard) -> None:
    await live_board.seed(Page(number=1, text="2024-01-02"))
    await live_board.run(dates, count)
    assert live_board.status == "completed"
    assert live_board.values(Dates) == [Dates(count=1)]
    first = live_board.id
    await live_board.analyze("Signed on 2025-03-12.", dates)
    assert live_board.id != first
    assert [value.iso for value in live_board.values(DateMention)] == ["2025-03-12"]
    assert live_board.outcome["slug"] == "complete"


async def test_live_boards_say_what_failed(live_board: LiveBoard) -> None:
    @knowledge_source(attempts=1)
    async def broken(page: Each[Page]) -> DateMention:
        raise ZeroDivisionError("no such luck")

    await live_board.seed(Page(number=1, text=""))
    with pytest.raises(SourceError, match="broken failed on page/0001: no such luck"):
        await live_board.run(broken)
    await live_board.run(broken, raises=False)
    assert live_board.outcome["degraded"][0]["source"] == "broken"


def test_the_plug_in_imports_nothing_heavy() -> None:
    probe = (
        "import sys, time, pytest; before = set(sys.modules); began = time.process_time(); "
        "import controller.testing.plugin; print(time.process_time() - began); "
        "print(sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    seconds, names = done.stdout.splitlines()
    assert float(seconds) < 0.05
    assert names == "['controller']"
