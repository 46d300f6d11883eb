"""Outages of the server and ends of processes: workers and controllers come back by themselves, and every board ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.store import RedisStore, open_store
from tests.fleet import PAGES, SOURCES, Process, ended, promises, submit, until
from tests.integration.test_wakeups import claims, service


async def test_scripts_flushed_while_running(redis_url: str, tmp_path: Path) -> None:
    async with (
        Redis.from_url(redis_url) as client,
        service(redis_url, tmp_path, *SOURCES, roles="controller worker") as running,
    ):
        boards = []
        for _ in range(10):
            boards.append(await submit(running.store))
            await client.script_flush()
            await asyncio.sleep(0.05)
        for board in boards:
            assert (await ended(running.store, board))["status"] == "completed"
            runs = await promises(running.store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)


@pytest.mark.long
async def test_a_worker_ended_in_a_flood_loses_nothing(redis_url: str, redis_store: RedisStore, tmp_path: Path) -> None:
    pace = {"TEST_PACE": "0.2", "BLACKBOARD_DRAIN_S": "5"}
    fleet = [Process(role, url=redis_url, data=tmp_path, **pace) for role in ("controller", "worker", "worker")]
    try:
        await ended(redis_store, await submit(redis_store))
        boards = await asyncio.gather(*(submit(redis_store) for _ in range(200)))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert fleet.pop().end() == 0
        assert time.monotonic() - began < 12
        for board in boards:
            assert (await ended(redis_store, board))["status"] == "completed"
        for board in boards[::10]:
            runs = await promises(redis_store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
    finally:
        for process in fleet:
            process.kill()


@pytest.mark.long
async def test_a_second_controller_takes_over(redis_url: str, redis_store: RedisStore, tmp_path: Path) -> None:
    pace = {"TEST_PACE": "0.2"}
    first = Process("controller", url=redis_url, data=tmp_path, **pace)
    fleet = [first]
    try:
        fleet.append(Process("worker", url=redis_url, data=tmp_path, **pace))
        await ended(redis_store, await submit(redis_store))
        fleet.append(Process("controller", url=redis_url, data=tmp_path, **pace))
        boards = [await submit(redis_store) for _ in range(5)]
        first.kill()
        began = time.monotonic()
        boards += [await submit(redis_store) for _ in range(5)]
        for board in boards:
            assert (await ended(redis_store, board))["status"] == "completed"
            await promises(redis_store, board)
        # The lease, a look at it, a sweep, and the work itself.
        assert time.monotonic() - began < 3 + 1 + 1 + 5
    finally:
        for process in fleet:
            process.kill()


async def _restarted(tmp_path: Path, times: int) -> None:
    directory = tmp_path / "server"
    server = await start_server(directory)
    pace = {"TEST_PACE": "0.5", "BLACKBOARD_POLL_S": "5"}
    fleet = [Process(role, url=server.url, data=tmp_path, **pace) for role in ("controller", "worker")]
    try:
        for _ in range(times):
            store = await open_store(server.url, Blobs.at("memory://"))
            boards = [await submit(store) for _ in range(10)]
            await until(partial(_begun, store, boards[0]))
            await store.close()
            server.kill()
            server = await start_server(directory)
            store = await open_store(server.url, Blobs.at("memory://"))
            boards.append(await submit(store))
            for board in boards:
                assert (await ended(store, board))["status"] == "completed"
                runs = await promises(store, board)
                assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
            await store.close()
        assert [process.end() for process in fleet] == [0, 0]
    finally:
        for process in fleet:
            process.kill()
        await server.stop()


async def test_the_server_killed_and_started_again(tmp_path: Path) -> None:
    await _restarted(tmp_path, 1)


@pytest.mark.faults
@pytest.mark.timeout(900)
async def test_the_server_killed_many_times(tmp_path: Path) -> None:
    await _restarted(tmp_path, int(os.environ.get("BLACKBOARD_RESTARTS", "20")))


async def test_a_server_out_of_memory_for_a_while(redis_url: str, tmp_path: Path) -> None:
    async with (
        Redis.from_url(redis_url) as client,
        service(redis_url, tmp_path, *SOURCES, roles="controller worker") as running,
    ):
        boards = [await submit(running.store) for _ in range(10)]
        await until(lambda: _begun(running.store, boards[0]))
        try:
            await client.config_set("maxmemory", 1)
            await asyncio.sleep(2)
        finally:
            await client.config_set("maxmemory", 0)
        for board in boards:
            assert (await ended(running.store, board))["status"] == "completed"
            runs = await promises(running.store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
            types = [record.type for record in await running.store.log(board)]
            assert "activation.failed" not in types, "the server's trouble is not the source's failure"


async def _begun(store: RedisStore, board: str) -> bool:
    return any(record.type == "activation.claimed" for record in await store.log(board))


@pytest.mark.long
async def test_connections_killed_again_and_again(redis_url: str, redis_store: RedisStore, tmp_path: Path) -> None:
    pace = {"TEST_PACE": "0.3"}
    fleet = [Process(role, url=redis_url, data=tmp_path, **pace) for role in ("controller", "worker")]
    try:
        await ended(redis_store, await submit(redis_store))
        boards = [await submit(redis_store) for _ in range(10)]
        async with Redis.from_url(redis_url) as client:
            for _ in range(8):
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                await asyncio.sleep(0.25)
        for board in boards:
            assert (await ended(redis_store, board))["status"] == "completed"
            runs = await promises(redis_store, board)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
        assert [process.end() for process in fleet] == [0, 0]
    finally:
        for process in fleet:
            process.kill()


@pytest.mark.long
async def test_a_worker_that_slept_through_its_lease_changes_nothing(
    redis_url: str, redis_store: RedisStore, tmp_path: Path
) -> None:
    pace = {"TEST_PACE": "5"}
    fleet = [Process(role, url=redis_url, data=tmp_path, **pace) for role in ("controller", "worker")]
    try:
        board = await submit(redis_store)
        await until(partial(_begun, redis_store, board))
        fleet[1].pause()
        fleet.append(Process("worker", url=redis_url, data=tmp_path, TEST_PACE="0.1"))
        assert (await ended(redis_store, board))["status"] == "completed"
        second = await submit(redis_store)
        fleet[1].resume()
        assert (await ended(redis_store, second))["status"] == "completed"
        for one in (board, second):
            runs = await promises(redis_store, one)
            assert (runs["split"], runs["count"], runs["total"]) == (1, PAGES, 1)
        assert [process.end() for process in fleet] == [0, 0, 0]
    finally:
        for process in fleet:
            process.kill()


@pytest.mark.faults
async def test_a_server_that_hangs_for_longer_than_a_lease(tmp_path: Path) -> None:
    server = await start_server(tmp_path / "server")
    fleet = [Process(role, url=server.url, data=tmp_path, TEST_PACE="0.5") for role in ("controller", "worker")]
    store = await open_store(server.url, Blobs.at("memory://"))
    try:
        boards = [await submit(store) for _ in range(5)]
        await until(partial(_begun, store, boards[0]))
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(6)
        os.kill(server.pid, signal.SIGCONT)
        for board in boards:
            assert (await ended(store, board))["status"] == "completed"
            await promises(store, board)
        assert [process.end() for process in fleet] == [0, 0]
    finally:
        os.kill(server.pid, signal.SIGCONT)
        for process in fleet:
            process.kill()
        await store.close()
        await server.stop()


@pytest.mark.long
async def test_a_plain_function_that_hangs_does_not_keep_its_process(
    redis_url: str, redis_store: RedisStore, tmp_path: Path
) -> None:
    worker = Process("worker", url=redis_url, data=tmp_path, TEST_HANG="60", BLACKBOARD_DRAIN_S="0.5")
    controller = Process("controller", url=redis_url, data=tmp_path)
    try:
        board = await submit(redis_store)

        async def hanging() -> bool:
            return any(id.startswith("total.") for ids in (await claims(redis_store, board)).values() for id in ids)

        await until(hanging)
        assert worker.end(15) == 0
        assert controller.end() == 0
    finally:
        worker.kill()
        controller.kill()
