"""A source that says "not now" is tried again, however often, and nothing fails because of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson

from blackboard import All, Bid, Blobs, Contribution, Each, Level, Upload, knowledge_source
from blackboard.errors import Deferred, PermanentFailure
from tests.fleet import promises, until
from tests.integration.guests import found as plugins
from tests.integration.guests import opened
from tests.whole import Whole, whole


class Sheet(Level):
    """A line."""

    named_by = ("number",)
    number: int
    text: str


class Opinion(Level):
    """What somebody makes of it."""

    named_by = ("number", "by")
    number: int
    by: str


class Digest(Level):
    """All of them."""

    opinions: int


class Away:
    """A server that may be away, and how often it was asked meanwhile."""

    def __init__(self, *, away: bool = True, after_s: float = 0.05) -> None:
        self.away, self.after_s = away, after_s
        self.refused = 0

    def ask(self) -> None:
        if self.away:
            self.refused += 1
            raise Deferred(f"the model's server is away for {self.refused} s", after_s=self.after_s)


AWAY = Away()


@knowledge_source(required=True)
async def sheets(upload: Each[Upload], blobs: Blobs) -> AsyncIterator[Sheet]:
    """One for each line."""
    for number, line in enumerate((await blobs.get(upload.sha256)).decode().split("\n"), 1):
        yield Sheet(number=number, text=line)


@knowledge_source(attempts=1, required=True, bid=lambda sheet: Bid(0.9))
async def thoughtful(sheet: Each[Sheet]) -> Opinion:
    """Has one attempt, and the board needs it: whatever counted against it would be the board's end."""
    AWAY.ask()
    return Opinion(number=sheet.number, by="thoughtful")


@knowledge_source(attempts=1)
async def together(sheets: All[Sheet]) -> Opinion:
    """Asks twice at a time: its refusals come in a group."""
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(asyncio.to_thread(AWAY.ask))
    return Opinion(number=0, by="together")


@knowledge_source(bid=lambda sheet: Bid(0.4))
async def hasty(sheet: Each[Sheet]) -> Contribution[Opinion]:
    """Would do it at any time."""
    return Contribution(Opinion(number=sheet.number, by="hasty"), 0.9)


@knowledge_source()
async def digest(opinions: All[Opinion]) -> Digest:
    """The whole."""
    return Digest(opinions=len(opinions))


SOURCES = (sheets, thoughtful, together, digest)


async def log_of(service: Whole, board: str) -> list[dict[str, Any]]:
    text = (await service.client.get(f"/v1/boards/{board}/log")).text
    return [orjson.loads(line) for line in text.splitlines()]


async def test_boards_finish_once_the_server_is_back(redis_url: str, tmp_path: Path) -> None:
    AWAY.__init__()  # type: ignore[misc]
    async with whole(redis_url, tmp_path, SOURCES) as service:
        boards = [await service.submit("one\ntwo\nthree") for _ in range(3)]

        async def many() -> bool:
            return AWAY.refused >= 40

        await until(many)
        why = (await service.get(f"/v1/boards/{boards[0]}/why"))["reasons"]
        waits = [each["reason"] for each in why if each["source"] == "thoughtful"]
        assert len(waits) == 3
        told = [words for words in waits if words.startswith("waits: the model's server is away for ")]
        assert all("next try" in words for words in told)
        assert {(await service.get(f"/v1/boards/{board}"))["status"] for board in boards} == {"open"}
        AWAY.away = False
        for board in boards:
            ended = await service.ended(board)
            assert (ended["status"], ended["outcome"]["slug"]) == ("completed", "complete")
            assert ended["outcome"]["degraded"] == []
            runs = {run["id"]: run for run in await service.activations(board)}
            assert {run["status"] for run in runs.values()} == {"done"}
            assert not any("attempts" in run or "deferred" in run for run in runs.values())
            assert sum(run.get("deferrals", 0) for run in runs.values()) >= 3
            await promises(service.service.store, board)
            types = [record["type"] for record in await log_of(service, board)]
            assert "activation.failed" not in types and "activation.retried" in types


async def test_the_deadline_ends_a_board_that_waits_with_what_there_is(redis_url: str, tmp_path: Path) -> None:
    AWAY.__init__(after_s=600.0)  # type: ignore[misc]
    async with whole(redis_url, tmp_path, SOURCES) as service:
        board = await service.submit("one\ntwo", deadline_s=1.5)
        ended = await service.ended(board)
        outcome = ended["outcome"]
        assert (ended["status"], outcome["slug"], outcome["partial"]) == ("completed", "deadline", True)
        put_off = {(row["source"], row["reason"].partition(" for ")[0]) for row in outcome["degraded"]}
        said = "it waited until the end: the model's server is away"
        assert put_off == {("thoughtful", said), ("together", said)}
        await promises(service.service.store, board)


async def test_nobody_takes_the_place_of_one_that_is_put_off(redis_url: str, tmp_path: Path) -> None:
    AWAY.__init__()  # type: ignore[misc]
    sources = (sheets, thoughtful, hasty, digest)
    async with whole(redis_url, tmp_path, sources) as service:
        board = await service.submit("one\ntwo", strategy={"opinion": ["thoughtful", "hasty"]})

        async def many() -> bool:
            return AWAY.refused >= 8

        await until(many)
        AWAY.away = False
        ended = await service.ended(board)
        assert ended["status"] == "completed"
        runs = [run for run in await service.activations(board) if run["source"] in ("thoughtful", "hasty")]
        assert {run["source"] for run in runs} == {"thoughtful"}


async def test_deferrals_do_not_count_against_a_bidder(redis_url: str, tmp_path: Path) -> None:
    """Three results in a row below the bid bar a bidder; to be put off is no result."""
    AWAY.__init__()  # type: ignore[misc]
    async with whole(redis_url, tmp_path, (sheets, thoughtful, hasty, digest)) as service:
        board = await service.submit("\n".join("abcdef"), strategy={"opinion": "market"})

        async def many() -> bool:
            return AWAY.refused >= 8

        await until(many)
        AWAY.away = False
        await service.ended(board)
        runs = [run for run in await service.activations(board) if run["source"] in ("thoughtful", "hasty")]
        assert {run["source"] for run in runs} == {"thoughtful"}


async def test_a_guest_may_put_itself_off(redis_url: str, tmp_path: Path) -> None:
    source = plugins()["patient"]
    assert not source.trusted
    async with opened(redis_url, tmp_path, source) as service:
        board = await service.submit("a.txt")
        end = await service.end(board)
        assert (end["status"], end["slug"]) == ("completed", "complete")
        # It goes on in the same process: to be put off harms none.
        assert await service.values(board, "waited") == [{"epoch": 4}]
        folded = await service.service.store.projection(board)
        assert folded is not None
        (run,) = [each for id in folded.agenda if (each := folded.activation(id)) is not None]
        assert (run.status, run.epoch, run.data["deferrals"], run.data.get("attempts", 0)) == ("done", 4, 3, 0)


@knowledge_source(attempts=2)
async def mixed(upload: Each[Upload]) -> Opinion:
    """Of what it asked one part was put off, another failed for good."""
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(AWAY.ask))
        group.create_task(asyncio.to_thread(_refuse))
    return Opinion(number=0, by="mixed")


def _refuse() -> None:
    raise PermanentFailure("it will never do")


async def test_what_failed_for_good_is_not_put_off(redis_url: str, tmp_path: Path) -> None:
    AWAY.__init__()  # type: ignore[misc]
    async with whole(redis_url, tmp_path, (mixed, hasty, sheets)) as service:
        board = await service.submit("one")
        ended = await service.ended(board)
        assert [row["reason"] for row in ended["outcome"]["degraded"]] == ["it will never do"]
