"""kill -9 in mid-activation: every board ends once, its log dense, each activation effective at most once."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.store import RedisStore, open_store
from tests.fleet import PAGES, Process, ended, promises, submit, until

BOARDS = 3
AT_ONCE = 3


async def claimed(store: RedisStore, board: str) -> bool:
    """Whether a worker has begun with the board."""
    return any(record.type == "activation.claimed" for record in await store.log(board))


async def trial(victim: str, directory: Path, seed: int) -> None:
    """One kill at a random moment of a small fleet's work."""
    chance = random.Random(seed)
    server = await start_server(directory)
    store = await open_store(server.url, Blobs.at(str(directory / "blobs")))
    fleet = {role: Process(role, url=server.url, data=directory) for role in ("controller", "worker")}
    try:
        boards = [await submit(store) for _ in range(BOARDS)]
        await until(lambda: claimed(store, boards[0]))
        await asyncio.sleep(chance.uniform(0, 0.4))
        fleet[victim].kill()
        fleet[victim] = Process(victim, url=server.url, data=directory)
        for board in boards:
            head = await ended(store, board)
            assert head["status"] == "completed", head
            runs = await promises(store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
    finally:
        for process in fleet.values():
            process.kill()
        await store.close()
        await server.stop()


async def trials(victim: str, directory: Path, count: int) -> None:
    """Several at a time: a trial mostly waits for leases to run out."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await trial(victim, directory / str(number), number)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))


@pytest.mark.alone
@pytest.mark.parametrize("victim", ["worker"])
async def test_three_kills(victim: str, tmp_path: Path) -> None:
    await trials(victim, tmp_path, 3)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("victim", ["worker", "controller"])
async def test_fifty_kills(victim: str, tmp_path: Path) -> None:
    await trials(victim, tmp_path, int(os.environ.get("BLACKBOARD_KILLS", "50")))
