"""Wake-ups between processes: woken at once, never a slot or a token lost to somebody who cannot use it, faults outlived."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from blackboard import Each, knowledge_source
from blackboard.embedded import start_server
from blackboard.store import RedisStore
from controller.bootstrap import Service, open_service
from controller.settings import Settings
from tests.fleet import PAGES, SOURCES, Paper, Process, Sheet, Total, Words, ended, promises, submit, until

NEVER = {"poll_s": 30, "wake_grace_s": 20, "check_s": 20}
"""Nothing but a wake-up brings work to a worker."""


@asynccontextmanager
async def service(url: str, data: Path, *sources: Any, roles: str, **more: Any) -> AsyncIterator[Service]:
    """Roles in this process, each service with connections and queues of its own."""
    words = {"lease_s": 3, "sweep_s": 0.3, "check_s": 0.5, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 5, **more}
    settings = Settings(redis_url=url, data_dir=data, **words)
    async with open_service(settings, roles=frozenset(roles.split()), sources=sources) as running:
        yield running


@knowledge_source(timeout=20)
async def sheets(paper: Each[Paper]) -> AsyncIterator[Sheet]:
    """All pages at once."""
    for number, text in enumerate(paper.pages, 1):
        yield Sheet(number=number, text=text)


class Gate:
    """Holds every run of a source until it is opened; counts those inside."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.open = asyncio.Event()

    async def __aenter__(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.open.wait()

    async def __aexit__(self, *_: object) -> None:
        self.inside -= 1


async def claims(store: RedisStore, board: str) -> dict[str, list[str]]:
    """Worker -> activations it claimed, in order."""
    found: dict[str, list[str]] = {}
    for record in await store.log(board):
        if record.type == "activation.claimed":
            found.setdefault(record.by, []).extend(record.agenda)
    return found


async def waits(store: RedisStore, board: str) -> list[int]:
    """Milliseconds from each decision to the claim of what it decided."""
    decided: dict[str, int] = {}
    found = []
    for record in await store.log(board):
        for id in record.agenda:
            if record.type == "controller.decided":
                decided[id] = record.at
            elif record.type == "activation.claimed":
                found.append(record.at - decided[id])
    return found


@pytest.mark.long
async def test_other_processes_are_woken_at_once(redis_url: str, redis_store: RedisStore, tmp_path: Path) -> None:
    quiet = {"BLACKBOARD_POLL_S": "30", "BLACKBOARD_WAKE_GRACE_S": "20", "BLACKBOARD_CHECK_S": "20", "TEST_PACE": "0.2"}
    fleet = [Process(role, url=redis_url, data=tmp_path, **quiet) for role in ("controller", "worker", "worker")]
    try:
        await ended(redis_store, await submit(redis_store))  # everybody is up
        board = await submit(redis_store)
        assert (await ended(redis_store, board))["status"] == "completed"
        found = await waits(redis_store, board)
        assert len(found) == PAGES + 3
        assert max(found) < 3000, found  # far from a poll, a sweep or a check
    finally:
        assert [process.end() for process in fleet] == [0, 0, 0]


async def test_a_worker_with_one_slot_leaves_the_rest_to_others(redis_url: str, tmp_path: Path) -> None:
    gate = Gate()

    @knowledge_source(timeout=20)
    async def count(sheet: Each[Sheet]) -> Words:
        async with gate:
            return Words(number=sheet.number, count=len(sheet.text.split()))

    both = (sheets, count)
    async with (
        service(redis_url, tmp_path, *both, roles="controller", **NEVER) as running,
        service(redis_url, tmp_path, count, roles="worker", slots=1, **NEVER) as small,
        service(redis_url, tmp_path, count, roles="worker", slots=8, **NEVER) as large,
        service(redis_url, tmp_path, sheets, roles="worker", **NEVER),
    ):
        board = await submit(running.store, sources=both, texts=("one word",) * 8)
        await until(lambda: _true(gate.inside == 8), 5)
        gate.open.set()
        assert (await ended(running.store, board))["status"] == "completed"
        found = await claims(running.store, board)
        assert small.worker and large.worker
        assert len(found[small.worker.name]) == 1
        assert len(found[large.worker.name]) == 7
        await promises(running.store, board)


async def test_a_full_worker_beside_the_controller_leaves_the_rest_to_others(redis_url: str, tmp_path: Path) -> None:
    gate = Gate()

    @knowledge_source(timeout=20)
    async def count(sheet: Each[Sheet]) -> Words:
        async with gate:
            return Words(number=sheet.number, count=len(sheet.text.split()))

    both = (sheets, count)
    async with (
        service(redis_url, tmp_path, *both, roles="controller worker", slots=1, **NEVER) as running,
        service(redis_url, tmp_path, *both, roles="worker", slots=8, **NEVER) as large,
    ):
        first = await submit(running.store, sources=both, texts=("one word",) * 4)
        await until(lambda: _true(gate.inside == 4), 5)
        # Its listener may still block on the queue whose slot it has just given away.
        second = await submit(running.store, sources=both, texts=("one word",) * 2)
        await until(lambda: _true(gate.inside == 6), 5)
        gate.open.set()
        for board in (first, second):
            assert (await ended(running.store, board))["status"] == "completed"
        assert large.worker
        assert len((await claims(running.store, first))[large.worker.name]) >= 3


@pytest.mark.long
async def test_a_slot_that_falls_free_is_used_at_once(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(timeout=20)
    async def count(sheet: Each[Sheet]) -> Words:
        await asyncio.sleep(0.02)
        return Words(number=sheet.number, count=1)

    both = (sheets, count)
    async with (
        service(redis_url, tmp_path, *both, roles="controller", **NEVER) as running,
        service(redis_url, tmp_path, *both, roles="worker", slots=1, **NEVER),
    ):
        began = time.monotonic()
        boards = [await submit(running.store, sources=both, texts=("a b",) * 5) for _ in range(4)]
        for board in boards:
            assert (await ended(running.store, board))["status"] == "completed"
        assert time.monotonic() - began < 10


async def test_a_draining_worker_keeps_its_leases(redis_url: str, tmp_path: Path) -> None:
    started = asyncio.Event()

    @knowledge_source(timeout=20)
    async def long(paper: Each[Paper]) -> Total:
        started.set()
        await asyncio.sleep(2.5)
        return Total(count=1)

    async with service(redis_url, tmp_path, long, roles="controller", lease_s=1) as running:
        async with service(redis_url, tmp_path, long, roles="worker", lease_s=1, drain_s=20):
            board = await submit(running.store, sources=[long])
            await started.wait()
            other = service(redis_url, tmp_path, long, roles="worker", lease_s=1)
            # Somebody stands ready to take over what the draining worker lets go.
            await other.__aenter__()
        assert (await ended(running.store, board))["status"] == "completed"
        assert [len(ids) for ids in (await claims(running.store, board)).values()] == [1]
        await other.__aexit__(None, None, None)


@pytest.mark.long
async def test_a_worker_goes_on_after_an_error_of_its_queue(redis_url: str, tmp_path: Path) -> None:
    gate = Gate()

    @knowledge_source(timeout=20)
    async def held(paper: Each[Paper]) -> Total:
        async with gate:
            return Total(count=1)

    async with Redis.from_url(redis_url) as client, service(redis_url, tmp_path, held, roles="controller") as running:
        async with service(redis_url, tmp_path, held, roles="worker", slots=2, drain_s=10):
            first = await submit(running.store, sources=[held])
            await until(lambda: _true(gate.inside == 1))
            await client.set("arq:queue:held@1:batch", "no queue")
            await asyncio.sleep(0.7)  # at least one poll meets it
            await client.delete("arq:queue:held@1:batch")
            boards = [first, *[await submit(running.store, sources=[held]) for _ in range(4)]]
            await until(lambda: _true(gate.inside == 2))
            asyncio.get_running_loop().call_later(0.5, gate.open.set)
            for board in boards[:1]:
                assert (await ended(running.store, board))["status"] == "completed"
        async with service(redis_url, tmp_path, held, roles="worker"):
            for board in boards:
                assert (await ended(running.store, board))["status"] == "completed"
                assert (await promises(running.store, board)) == {"held": 1}
        assert gate.most == 2, "slots hold across the restart"


@pytest.mark.long
async def test_what_runs_is_drained_though_the_loop_was_restarted(redis_url: str, tmp_path: Path) -> None:
    gate = Gate()

    @knowledge_source(timeout=20)
    async def held(paper: Each[Paper]) -> Total:
        async with gate:
            return Total(count=1)

    async with Redis.from_url(redis_url) as client, service(redis_url, tmp_path, held, roles="controller") as running:
        async with service(redis_url, tmp_path, held, roles="worker", drain_s=10):
            board = await submit(running.store, sources=[held])
            await until(lambda: _true(gate.inside == 1))
            await client.set("arq:queue:held@1:batch", "no queue")
            await asyncio.sleep(0.7)
            await client.delete("arq:queue:held@1:batch")
            await asyncio.sleep(0.7)
            asyncio.get_running_loop().call_later(0.3, gate.open.set)
        assert (await ended(running.store, board))["status"] == "completed"
        assert [record.type for record in await running.store.log(board)].count("activation.claimed") == 1


async def test_wake_ups_have_ids_of_their_own(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    options = {"wake_grace_s": 0.2, "sweep_s": 0.1}
    async with (
        Redis.from_url(redis_url) as client,
        service(redis_url, tmp_path, quick, roles="controller", **options) as running,
    ):
        await submit(running.store, sources=[quick])
        seen: set[bytes] = set()

        async def three() -> bool:
            found = await client.zrange("arq:queue:quick@1:interactive", 0, -1)
            assert len(found) <= 1, "an unanswered wake-up is replaced, not joined"
            seen.update(found)
            return len(seen) >= 3

        await until(three)


@pytest.mark.long
async def test_queues_on_a_server_of_their_own(redis_url: str, redis_store: RedisStore, tmp_path: Path) -> None:
    apart = await start_server(tmp_path / "queues")
    try:
        pace = {"BLACKBOARD_QUEUE_URL": apart.url, "BLACKBOARD_POLL_S": "30", "TEST_PACE": "0.2"}
        fleet = [Process(role, url=redis_url, data=tmp_path, **pace) for role in ("controller", "worker")]
        try:
            boards = [await submit(redis_store) for _ in range(5)]
            for board in boards:
                assert (await ended(redis_store, board))["status"] == "completed"
                await promises(redis_store, board)
        finally:
            assert [process.end() for process in fleet] == [0, 0]
        async with Redis.from_url(redis_url) as boards_client:
            assert await boards_client.keys("arq:*") == []
    finally:
        await apart.stop()


async def _true(value: bool) -> bool:
    return value


async def test_a_job_that_says_nothing_is_sent_again(redis_url: str, tmp_path: Path) -> None:
    """It expired in its queue, or comes from a release whose functions have other names."""

    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with (
        Redis.from_url(redis_url) as client,
        service(redis_url, tmp_path, quick, roles="controller", wake_grace_s=1.5) as running,
    ):
        boards = [await submit(running.store, sources=[quick]) for _ in range(2)]

        async def queued() -> list[bytes]:
            found: list[bytes] = await client.zrange("arq:queue:quick@1:interactive", 0, -1)
            return found if len(found) == 2 else []

        expired, foreign = await until(queued)
        await client.delete(b"arq:job:" + expired)
        await client.set(b"arq:job:" + foreign, b'{"t":1,"f":"renamed","a":[],"k":{},"et":1}')
        async with service(redis_url, tmp_path, quick, roles="worker"):
            for board in boards:
                assert (await ended(running.store, board))["status"] == "completed"
                assert await promises(running.store, board) == {"quick": 1}


@pytest.mark.long
async def test_a_worker_whose_loop_was_blocked_takes_no_more_until_it_is_well(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.worker.SICK_LAG_S", 0.8)
    async with service(redis_url, tmp_path, *SOURCES, roles="controller worker", lease_s=0.6) as running:
        await ended(running.store, await submit(running.store))
        assert running.worker is not None and running.worker._worker is not None
        arq = running.worker._worker
        time.sleep(1.2)  # a source that blocks the event loop
        await until(lambda: _true(not arq.allow_pick_jobs), 2)
        board = await submit(running.store)
        assert (await ended(running.store, board))["status"] == "completed"
        assert arq.allow_pick_jobs
