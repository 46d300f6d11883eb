"""What waits for workers, as the queues have it: how much, for how long, and asked of the server once a second."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.errors import StorageUnavailable
from blackboard.presence import Presence
from blackboard.store import RedisStore, open_store
from controller.bootstrap import open_service
from controller.load import QueueLoad
from controller.queue import Queue, Wake, queue_name
from controller.queue_load import QueueLoads
from controller.settings import Settings
from tests.fleet import SOURCES, submit, until

KNOWN = [("ocr", "1"), ("pages", "3")]


async def nobody() -> Presence:
    """Nobody was ever there."""
    return Presence(0, {}, {})


def wake(source: str, version: str, page: int, priority: Any = "interactive", **more: Any) -> Wake:
    """A wake-up of some board."""
    return Wake(source, version, priority, "3-board", f"{source}.{page}", **more)


async def test_each_queue_is_told_of_with_its_oldest(redis_store: RedisStore, redis_url: str) -> None:
    line = redis_store.line(0)
    queue = Queue(line)
    await queue.enqueue([wake("ocr", "1", 1), wake("ocr", "1", 2), wake("ocr", "1", 3, "batch"), wake("pages", "2", 4)])
    async with Redis.from_url(redis_url) as client:
        await client.zincrby(queue_name("ocr", "1", "interactive"), -90_000, b"3-board:ocr.1:wake-0")

    async def heard() -> Presence:
        return Presence(0, {}, {"pages@2": 1, "gone@1": 1})

    standing = await QueueLoads(line, lambda: KNOWN, heard, limit=3).look()
    rows = {(row.source, row.version, row.priority): row for row in standing.queues}
    assert {name: row.waiting for name, row in rows.items()} == {
        ("ocr", "1", "interactive"): 2,
        ("ocr", "1", "batch"): 1,
        ("pages", "3", "interactive"): 0,
        ("pages", "3", "batch"): 0,
        ("pages", "2", "interactive"): 1,
    }
    assert 90 <= rows["ocr", "1", "interactive"].oldest_s < 120
    assert rows["pages", "3", "batch"] == QueueLoad("pages", "3", 0, 0.0, "batch")
    assert standing.waiting == 4
    assert standing.overloaded


async def test_a_wake_up_sent_again_while_it_waits_keeps_its_place(redis_store: RedisStore, redis_url: str) -> None:
    line = redis_store.line(0)
    queue, name = Queue(line), queue_name("ocr", "1", "interactive")
    await queue.enqueue([wake("ocr", "1", 1)])
    async with Redis.from_url(redis_url) as client:
        await client.zincrby(name, -60_000, b"3-board:ocr.1:wake-0")
        await queue.enqueue([wake("ocr", "1", 2), wake("ocr", "1", 1, number=1, replaces=0)])
        assert await client.zrange(name, 0, -1) == [b"3-board:ocr.1:wake-1", b"3-board:ocr.2:wake-0"]
        # One that somebody took meanwhile begins anew.
        await queue.enqueue([wake("ocr", "1", 3, number=5, replaces=4)])
        assert (await client.zrange(name, 0, -1))[-1] == b"3-board:ocr.3:wake-5"
    standing = await QueueLoads(line, lambda: KNOWN, nobody, limit=0).look()
    assert max(row.oldest_s for row in standing.queues) >= 60
    assert not standing.overloaded


async def test_however_many_ask_the_server_is_asked_once(redis_store: RedisStore) -> None:
    line = redis_store.line(0)
    await QueueLoads(line, lambda: KNOWN, nobody, limit=0).look()  # the server knows the script from now on
    load = QueueLoads(line, lambda: KNOWN, nobody, limit=0)
    before = line.commands
    given_up = asyncio.create_task(load.look())
    await asyncio.sleep(0)
    given_up.cancel()
    seen = await asyncio.gather(*(load.look() for _ in range(50)))
    assert all(one is seen[0] for one in seen)
    await load.look()
    assert line.commands == before + 1


async def test_queues_on_a_server_of_their_own(redis_url: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        other = await start_server(Path(directory))
        try:
            settings = Settings(redis_url=redis_url, queue_url=other.url, data_dir=tmp_path, queue_limit=1)
            async with open_service(settings, roles=frozenset({"controller"}), sources=SOURCES) as service:
                await submit(service.store)
                await submit(service.store)

                async def waiting() -> bool:
                    return (await service.load.look()).waiting == 2

                await until(waiting)
                standing = await service.load.look()
                assert {row.source for row in standing.queues if row.waiting} == {"split"}
                assert standing.overloaded
        finally:
            await other.stop()


async def test_a_server_that_is_away_is_said_to_be(redis_url: str) -> None:
    store = await open_store(redis_url, Blobs.at("memory://"))
    load = QueueLoads(store.line(0), lambda: KNOWN, nobody, limit=0)
    await store.close()
    with pytest.raises(StorageUnavailable):
        await load.look()
