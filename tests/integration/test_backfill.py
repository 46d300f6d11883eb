"""One more source on a board that has ended, or on an open one: it runs, and nothing else does."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.end_to_end.command import Cli
from tests.fleet import promises
from tests.integration.doors import V1, V2, Door, count, door, failing_years, lines, slow, worker, years

ALL = "controller worker"


async def new_runs(here: Door, copy: str) -> Counter[tuple[str, str]]:
    """(source, version) -> runs that took effect on the copy itself."""
    found: Counter[tuple[str, str]] = Counter()
    for record in (await here.service.store.log(copy))[1:]:
        for stored in record.agenda.values():
            status, _, _, data = stored.split(b"|", 3)
            if status == b"done" and record.type == "contribution.committed":
                words = orjson.loads(data)
                found[words["source"], words["version"]] += 1
    return found


async def backfilled(here: Door, board: str, source: str, **params: Any) -> dict[str, Any]:
    """The board on which the source was run, at its end."""
    answer = await here.client.post(f"/v1/boards/{board}/sources/{source}", params=params)
    assert answer.status_code == 202, answer.text
    id = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/boards/{id}"
    return await here.ended(id)


async def test_a_new_source_runs_alone_on_a_copy(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        board = await here.submit(sources=["lines"])
        before = await here.ended(board)
        log, entries = await here.log(board), await here.get(f"/v1/boards/{board}/entries")
        copy = await backfilled(here, board, "years")
        assert copy["id"] != board and copy["parent"] == f"{board}@{before['revision']}"
        assert await new_runs(here, copy["id"]) == {("years", "1"): 3}
        assert len(await here.runs(copy["id"])) == 4, "what was done before came along, and nothing else was started"
        outcome = copy["outcome"]
        assert copy["status"] == "completed"
        assert outcome["backfill"] == {"source": "years", "version": "1", "shadow": False, "ran": {"years": 3}}
        assert outcome["reason"] == f"years@1 was run on a copy of {board}: 3 activations in all"
        assert outcome["coverage"] == {"lines": {"board": "done"}, "years": {"1": "done", "2": "done", "3": "done"}}
        assert copy["sources"] == {"lines": "1", "years": "1"}
        assert {value["by"] for value in (await here.values(copy["id"], "year")).values()} == {"1"}
        first = (await here.service.store.log(copy["id"]))[0]
        assert (first.type, len(first.entries), len(first.agenda)) == ("board.created", 4, 1)
        await promises(here.service.store, copy["id"])
        assert await here.log(board) == log, "the board itself did not change by a byte"
        assert await here.get(f"/v1/boards/{board}/entries") == entries


async def test_a_newer_version_replaces_what_the_older_wrote(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        board = await here.submit()
        assert (await here.ended(board))["status"] == "completed"
    async with door(redis_url, tmp_path, *V2, roles=ALL) as here:
        copy = await backfilled(here, board, "years")
        assert await new_runs(here, copy["id"]) == {("years", "2"): 3}
        assert copy["outcome"]["backfill"]["ran"] == {"years": 3}
        assert copy["sources"] == {"lines": "1", "years": "2", "count": "1"}
        found = await here.values(copy["id"], "year")
        assert {key: value["text"] for key, value in found.items()} == {"year/0001": "AD 2024", "year/0003": "AD 2026"}
        assert await here.values(copy["id"], "sum") == {"sum/board-1": {"years": 3, "by": "1"}}, "nothing else ran"
        await promises(here.service.store, copy["id"])
        wide = await backfilled(here, board, "years", downstream="true")
        assert await new_runs(here, wide["id"]) == {("years", "2"): 3, ("count", "1"): 1}
        assert await here.values(wide["id"], "sum") == {"sum/board-1": {"years": 2, "by": "2"}}
        again = await here.client.post(f"/v1/boards/{wide['id']}/sources/years")
        assert (again.status_code, again.json()["type"].rpartition("/")[2]) == (409, "source-present")


async def test_what_cannot_be_backfilled(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        board = await here.submit()
        await here.ended(board)
        for path, params, status, slug in (
            ("years", {}, 409, "source-present"),
            ("nonsense", {}, 422, "validation-error"),
            ("a%2Fb", {}, 404, "not-found"),
            ("years", {"space": "other"}, 400, "invalid-parameter"),
            ("years", {"space": "shadow", "downstream": "true"}, 422, "validation-error"),
        ):
            answer = await here.client.post(f"/v1/boards/{board}/sources/{path}", params=params)
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, slug), path
        nobody = await here.client.post(f"/v1/boards/7-{'a' * 26}/sources/years")
        assert nobody.status_code == 404


async def test_a_source_added_to_an_open_board(redis_url: str, tmp_path: Path) -> None:
    """It runs there, and what reads its level waits for it as for any other."""
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, slow(lines, gate), years, count):
        # Held: without the source that is to come, its goal is settled before the lines are.
        board = await here.submit(sources=["lines", "count"], goal=["sum"], hold="review")
        while not await here.values(board, "sum"):
            await asyncio.sleep(0.01)
        answer = await here.client.post(f"/v1/boards/{board}/sources/years")
        assert (answer.status_code, answer.json()["id"]) == (202, board)
        assert answer.json()["goal"] == ["sum", "year"]
        gate.set()
        await here.client.post(f"/v1/boards/{board}/approve")
        shown = await here.ended(board)
        assert shown["sources"] == {"lines": "1", "count": "1", "years": "1"}
        assert await here.values(board, "sum") == {"sum/board-1": {"years": 3, "by": "1"}}
        (change, _approved) = [r for r in await here.service.store.log(board) if r.type == "board.changed"]
        assert change.say() == {"added": {"source": "years", "version": "1", "space": ""}}
        runs = await promises(here.service.store, board)
        # There was nothing to count at first; that was settled before the source came.
        assert (runs["lines"], runs["years"], runs["count"]) == (1, 3, 2)


async def test_a_newer_version_on_an_open_board_stops_the_older(redis_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, door(*place, *V2, roles="api") as new, worker(*place, *V2):
        async with worker(*place, slow(years, gate)):
            board = await here.submit()
            await here.reason(board, "it is running")
            answer = await new.client.post(f"/v1/boards/{board}/sources/years")
            assert answer.status_code == 202
            shown = await here.ended(board)
        assert (shown["status"], shown["sources"]["years"]) == ("completed", "2")
        runs = {run[:2]: run[3] for run in await here.runs(board)}
        assert (runs["years", "1"], runs["years", "2"]) == ("cancelled", "done")
        assert await here.values(board, "sum") == {"sum/board-1": {"years": 2, "by": "2"}}
        await promises(here.service.store, board)


async def test_a_backfill_that_fails_degrades_the_copy_and_can_be_retried(redis_url: str, tmp_path: Path) -> None:
    failing = (lines, failing_years, count)
    async with door(redis_url, tmp_path, *failing, roles=ALL) as here:
        board = await here.submit(sources=["lines"])
        await here.ended(board)
        copy = await backfilled(here, board, "years")
        assert copy["status"] == "completed"
        assert [row["source"] for row in copy["outcome"]["degraded"]] == ["years"] * 3
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        answer = await here.client.post(f"/v1/boards/{copy['id']}/retry")
        again = await here.ended(answer.json()["id"])
        assert again["outcome"]["degraded"] == []
        assert await new_runs(here, again["id"]) == {("years", "1"): 3}


async def test_a_copy_of_a_board_that_failed_says_so(redis_url: str, tmp_path: Path) -> None:
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, lines):
        board = await here.submit(sources=["lines", "count"], deadline_s=1.0)
        assert (await here.ended(board))["outcome"]["slug"] == "deadline"
        async with worker(*place, years):
            copy = await backfilled(here, board, "years")
        assert copy["outcome"]["partial"] and "the deadline passed" in copy["outcome"]["reason"]


async def test_the_command(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        board = await here.submit(sources=["lines"])
        await here.ended(board)
        cli = Cli(tmp_path, {"BLACKBOARD_URL": here.base})
        ran = await asyncio.to_thread(cli, "backfill", board, "years")
        assert ran.code == 0, ran
        assert (await here.ended(ran.out.strip()))["outcome"]["backfill"]["ran"] == {"years": 3}
        wrong = await asyncio.to_thread(cli, "backfill", board, "nonsense")
        assert (wrong.code, wrong.out) == (2, "")
        assert "no such source" in wrong.err
