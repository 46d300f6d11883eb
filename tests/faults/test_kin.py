"""kill -9 while boards open boards: every one ends once, none is lost, none is doubled, parents end after their children."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.store import RedisStore, open_store
from controller.desk import Desk, Submission
from controller.settings import Settings
from tests.fleet import Process, ended, promises, until
from tests.kin_fleet import SOURCES

BOARDS = 2


def document(says: str, *parts: Any) -> Any:
    """A document that holds documents."""
    return {"says": says, "parts": parts}


GIVEN = document("top", document("a"), document("b", document("b1"), document("b2")), document("c"))
BELOW = 5


async def opened(store: RedisStore) -> bool:
    """Whether a child has been opened."""
    return len((await store.boards("acme", children=True))[0]) > BOARDS


async def trial(victim: str, directory: Path, seed: int) -> None:
    """One kill at a random moment."""
    chance = random.Random(seed)
    server = await start_server(directory)
    blobs = Blobs.at(str(directory / "blobs"))
    store = await open_store(server.url, blobs)
    desk = Desk(store, blobs, SOURCES, Settings(_env_file=None, check_s=2))  # type: ignore[call-arg]
    start = {"url": server.url, "data": directory, "module": "tests.kin_fleet"}
    fleet = {role: Process(role, **start) for role in ("controller", "worker")}  # type: ignore[arg-type]
    try:
        boards = [
            (await desk.submit(Submission(text=orjson.dumps({**GIVEN, "n": n}).decode(), tenant="acme"))).id
            for n in range(BOARDS)
        ]
        await until(lambda: opened(store))
        await asyncio.sleep(chance.uniform(0, 0.8))
        fleet[victim].kill()
        fleet[victim] = Process(victim, **start)  # type: ignore[arg-type]
        for board in boards:
            head = await ended(store, board)
            assert head["status"] == "completed", head
            account = orjson.loads(head["outcome"])["children"]
            assert (account["completed"], account["boards"], account["open"]) == (3, BELOW, 0)
        everyone, _ = await store.boards("acme", children=True, limit=100)
        assert len(everyone) == BOARDS * (1 + BELOW)
        heads = {row.id: row.head for row in everyone}
        for id, head in heads.items():
            assert head["status"] == "completed"
            await promises(store, id)
            if parent := head.get("opened_by"):
                assert int(head["ended"]) <= int(heads[parent]["ended"])
    finally:
        for process in fleet.values():
            process.kill()
        await store.close()
        await server.stop()


@pytest.mark.alone
@pytest.mark.parametrize("victim", ["controller"])
async def test_two_kills_among_kin(victim: str, tmp_path: Path) -> None:
    await asyncio.gather(*(trial(victim, tmp_path / str(number), number) for number in range(2)))


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", ["worker", "controller"])
async def test_many_kills_among_kin(victim: str, tmp_path: Path) -> None:
    for number in range(int(os.environ.get("BLACKBOARD_KILLS", "20"))):
        await trial(victim, tmp_path / str(number), number)
