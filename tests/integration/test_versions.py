"""A deploy changes no board under way: pinned versions, who serves them, and what happens when nobody does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from blackboard import keys
from controller.queue import Wake
from tests.fleet import promises, until
from tests.integration.doors import V1, V2, Door, door, slow, without, worker, years, years_2


async def claimed(here: Door, board: str) -> dict[str, set[str]]:
    """Worker -> the versions of `years` that it claimed on a board."""
    found: dict[str, set[str]] = {}
    for record in await here.service.store.log(board):
        for stored in record.agenda.values() if record.type == "activation.claimed" else ():
            data = orjson.loads(stored.split(b"|", 3)[3])
            if data["source"] == "years":
                found.setdefault(record.by, set()).add(data["version"])
    return found


async def test_each_worker_runs_the_boards_of_its_version(redis_url: str, tmp_path: Path) -> None:
    """A rolling deploy: both workers there, boards of both kinds under way."""
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with (
        door(*place, *V1) as old,
        door(*place, *V2, roles="api") as new,
        worker(*place, *without("years"), slow(years, gate)) as first,
        worker(*place, *without("years"), slow(years_2, gate)) as second,
    ):
        boards = {await side.submit(): version for side, version in ((old, "1"), (new, "2")) for _ in range(4)}

        async def under_way() -> bool:
            runs = [run for board in boards for run in await old.runs(board) if run[0] == "years"]
            return len(runs) == 3 * len(boards) and all(run[3] == "running" for run in runs)

        await until(under_way)
        gate.set()
        for board, version in boards.items():
            shown = await old.ended(board)
            assert (shown["status"], shown["sources"]["years"]) == ("completed", version)
            assert {value["by"] for value in (await old.values(board, "year")).values()} == {version}
            assert first.worker and second.worker
            name = first.worker.name if version == "1" else second.worker.name
            assert await claimed(old, board) == {name: {version}}
            assert await promises(old.service.store, board) == {"lines": 1, "years": 3, "count": 1}


async def test_a_board_waits_for_its_version_and_says_so(redis_url: str, tmp_path: Path) -> None:
    """The worker of version 1 is gone, one of version 2 is there: nothing changes until `adopt_s`, and 1 may come back."""
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, *V2), worker(*place, *without("years")):
        board = await here.submit()
        reason = await here.reason(board, "no worker serves years@1")
        assert (
            reason["reason"].endswith("s") and "a worker serves years@2, which the board adopts in" in reason["reason"]
        )
        assert reason["status"] == "pending" and reason["unserved_since"] > 0
        await asyncio.sleep(0)
        assert {run[3] for run in await here.runs(board) if run[0] == "years"} == {"pending"}
        async with worker(*place, years):
            assert (await here.ended(board))["status"] == "completed"
        assert {value["by"] for value in (await here.values(board, "year")).values()} == {"1"}


async def test_a_board_adopts_the_version_that_is_served(redis_url: str, tmp_path: Path) -> None:
    """Halfway through, the last worker of version 1 goes: what 1 had done is done again by 2, once each, and logged."""
    place = (redis_url, tmp_path)
    gate, passed = asyncio.Event(), asyncio.Event()
    first = years.function

    async def halfway(line: Any) -> Any:
        if line.number > 1:
            await gate.wait()
        passed.set()
        return await first(line)

    stuck = replace(years, function=halfway)
    async with door(*place, *V1, adopt_s=2.0) as here, worker(*place, *without("years")):
        async with worker(*place, stuck, drain_s=0.1):
            board = await here.submit()
            await passed.wait()

            async def one_done() -> bool:
                return "done" in {run[3] for run in await here.runs(board) if run[0] == "years"}

            await until(one_done)
        async with worker(*place, *V2):
            assert (await here.ended(board))["status"] == "completed"
        shown = await here.board(board)
        assert shown["sources"] == {"lines": "1", "years": "2", "count": "1"}
        (change,) = [r for r in await here.service.store.log(board) if r.type == "board.changed"]
        assert change.by == "controller"
        assert change.say()["adopted"] == [{"source": "years", "from": "1", "to": "2"}]
        assert "no worker has served years@1 for" in change.say()["reason"]
        assert orjson.loads(change.head["sources"])["years"] == "2"
        found = await here.values(board, "year")
        assert {key: value["by"] for key, value in found.items()} == {"year/0001": "2", "year/0003": "2"}
        runs = await here.runs(board)
        assert sorted(run[2] for run in runs if run[:2] == ("years", "2")) == ["line/0001", "line/0002", "line/0003"]
        assert {run[3] for run in runs if run[:2] == ("years", "2")} == {"done"}
        assert sorted(run[3] for run in runs if run[:2] == ("years", "1")) == ["cancelled", "cancelled", "done"]
        await promises(here.service.store, board)
        async with Redis.from_url(redis_url) as client:
            assert await client.exists("arq:queue:years@1:interactive") == 0, "no wake-up is left that nobody comes for"


async def test_nothing_is_adopted_where_nobody_serves_anything(redis_url: str, tmp_path: Path) -> None:
    """Workers may come back: the board waits, and says so, until one does."""
    place = (redis_url, tmp_path)
    async with door(*place, *V1, adopt_s=0.5) as here:
        board = await here.submit()
        reason = await here.reason(board, "no worker serves lines@1")
        assert "nor any other version: it waits for one to come" in reason["reason"]
        # Past every time after which something might be adopted.
        now = await here.service.store.now()

        async def later() -> bool:
            return await here.service.store.now() > now + 2500

        await until(later)
        assert (await here.board(board))["status"] == "open"
        async with worker(*place, *V1):
            assert (await here.ended(board))["status"] == "completed"
        assert not [r for r in await here.service.store.log(board) if r.type == "board.changed"]


async def test_with_a_deadline_the_wait_ends(redis_url: str, tmp_path: Path) -> None:
    place = (redis_url, tmp_path)
    async with door(*place, *V1, adopt_s=0.5) as here, worker(*place, *without("years", "count")):
        board = await here.submit(deadline_s=1.5)
        assert "until the board's deadline" in (await here.reason(board, "no worker serves years@1"))["reason"]
        shown = await here.ended(board)
        assert (shown["status"], shown["outcome"]["slug"], shown["outcome"]["partial"]) == (
            "completed",
            "deadline",
            True,
        )


async def test_workers_are_seen_while_they_are_there(redis_url: str, tmp_path: Path) -> None:
    place = (redis_url, tmp_path)
    async with door(*place, *V2) as here:
        ready = (await here.get("/readyz"))["checks"]["workers"]
        assert (ready["ok"], ready["unserved"]) == (False, ["lines@1", "years@2", "count@1"])
        async with worker(*place, *V1) as first, worker(*place, years_2) as second:
            assert first.worker and second.worker
            found = {item["name"]: item for item in (await here.get("/v1/sources"))["items"]}
            assert found["lines"]["workers"] == [first.worker.name]
            assert found["years"]["workers"] == [second.worker.name]
            assert found["years"]["other_versions"] == {"1": 1}
            assert (await here.get("/readyz"))["checks"]["workers"]["ok"]
        assert not any(item["workers"] for item in (await here.get("/v1/sources"))["items"])
        async with Redis.from_url(redis_url, decode_responses=True) as client:
            assert await client.exists(keys.PRESENT) == 0
            assert await client.pttl(keys.SERVED) > 0


async def test_a_worker_that_dies_is_gone_after_its_lease(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1) as here:
        store = here.service.store
        await store.attend("dead", ("years@1",), 300)

        async def gone() -> bool:
            return not (await store.presence()).serving("years", "1")

        assert not await gone()
        await until(gone, 5)
        since = (await store.presence()).since("years", "1", 0)
        assert since is not None and since <= await store.now() - 300


async def test_why_says_who_holds_a_lease_and_for_how_long(redis_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, *without("years"), slow(years, gate)) as working:
        board = await here.submit()
        reason = await here.reason(board, "it is running")
        assert working.worker
        assert f"held by {working.worker.name} for" in reason["reason"]
        assert (reason["lease_by"], reason["source"]) == (working.worker.name, "years")
        assert reason["lease_since"] <= await here.service.store.now()
        gate.set()
        await here.ended(board)


async def test_a_worker_hands_on_what_is_of_another_version(redis_url: str, tmp_path: Path) -> None:
    """However a wake-up got to it: it does not run what it does not have, and whoever has it is woken."""
    place = (redis_url, tmp_path)
    async with door(*place, *V1, wake_grace_s=30, sweep_s=30) as here, worker(*place, *V2):
        board = await here.submit()
        reason = await here.reason(board, "no worker serves years@1")
        await here.service.queue.enqueue([Wake("years", "2", "interactive", board, reason["activation"], 7)])

        async def handed_on() -> bool:
            folded = await here.service.store.projection(board)
            found = folded.activation(reason["activation"]) if folded else None
            return found is not None and (found.status, found.epoch) == ("pending", 1)

        await until(handed_on)
        assert await here.service.queue.depth("years", "2") == 0
        async with worker(*place, years):
            assert (await here.ended(board))["status"] == "completed"
        assert {value["by"] for value in (await here.values(board, "year")).values()} == {"1"}
        assert (await promises(here.service.store, board))["years"] == 3


async def test_a_controller_of_the_next_release_decides_for_older_boards(redis_url: str, tmp_path: Path) -> None:
    place = (redis_url, tmp_path)
    async with door(*place, *V2) as here, door(*place, *V1, roles="api") as old:
        async with worker(*place, *V1), worker(*place, years_2):
            board = await old.submit()
            assert (await here.ended(board))["sources"]["years"] == "1"
        assert {run[:2] for run in await here.runs(board)} == {("lines", "1"), ("years", "1"), ("count", "1")}
        assert {reason["state"] for reason in (await here.get(f"/v1/boards/{board}/why"))["reasons"]} >= {"completed"}
