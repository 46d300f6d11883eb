"""What a caller is told is kept: with replicas asked for, nothing is acknowledged that they do not have."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.connect import connect
from blackboard.embedded import Server, start_server
from blackboard.errors import NotDurable, TooManyBoards, UsageError
from blackboard.quotas import BoardQuota
from blackboard.store import RedisStore
from controller.submission import Submission
from tests.conftest import free_port
from tests.fleet import until
from tests.integration.serving import Served, serving


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Server, Server]]:
    """A server and its replica, which has caught up."""
    port = free_port()
    first = await start_server(tmp_path / "first", port=port, options=("--repl-diskless-sync-delay", "0"))
    second = await start_server(tmp_path / "second", options=("--replicaof", "127.0.0.1", str(port)))
    try:
        async with Redis.from_url(second.url) as client:

            async def caught_up() -> bool:
                return bool((await client.info("replication"))["master_link_status"] == "up")

            await until(caught_up)
        yield first, second
    finally:
        os.kill(second.pid, signal.SIGCONT)
        await second.stop()
        await first.stop()


@pytest.fixture
async def served(pair: tuple[Server, Server]) -> AsyncIterator[Served]:
    commands, blocking = await connect(pair[0].url)
    store = RedisStore(commands, blocking=blocking, blobs=Blobs.at("memory://"), replicas=1, confirm_ms=150)
    async with serving(store) as found:
        yield found
    await store.close()


async def test_what_no_replica_has_is_not_acknowledged(served: Served, pair: tuple[Server, Server]) -> None:
    board = await served.submit()
    path = f"/v1/boards/{board}/entries/page/0001"
    put = {"json": {"number": 1, "text": "one"}, "headers": {"if-none-match": "*"}}
    asked = {"json": {"text": "Some more."}, "headers": {"idempotency-key": '"one"'}}
    os.kill(pair[1].pid, signal.SIGSTOP)
    for _ in range(2):
        refused = await served.client.post("/v1/documents", **asked)
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (503, "not-durable")
        assert int(refused.headers["retry-after"]) > 0
    assert (await served.client.put(path, **put)).status_code == 503
    # It reads and streams all the same.
    assert (await served.client.get(f"/v1/boards/{board}")).status_code == 200
    os.kill(pair[1].pid, signal.SIGCONT)

    async def taken() -> bool:
        return (await served.client.post("/v1/documents", **asked)).status_code == 202

    await until(taken)
    again = await served.client.post("/v1/documents", **asked)
    boards = [each["id"] for each in (await served.client.get("/v1/boards")).json()["items"]]
    assert sorted(boards) == sorted([board, again.json()["id"]]), "one effect, however often it was sent"


async def test_what_was_acknowledged_is_on_the_replica(served: Served, pair: tuple[Server, Server]) -> None:
    boards = [await served.submit(f"Text {number}.") for number in range(20)]
    pair[0].kill()
    async with Redis.from_url(pair[1].url) as client:
        for board in boards:
            assert await client.hget(f"bb:{{{board.partition('-')[0]}}}:b:{board}:head", "status") == b"open"


async def test_a_step_whose_script_the_server_forgot(served: Served, pair: tuple[Server, Server]) -> None:
    async with Redis.from_url(pair[0].url) as client:
        await client.script_flush()
    assert await served.submit()


async def test_a_cluster_is_refused() -> None:
    with pytest.raises(UsageError):
        RedisStore(None, blocking=None, blobs=Blobs.at("memory://"), cluster=True, replicas=1)


async def test_a_board_that_was_not_confirmed_counts(served: Served, pair: tuple[Server, Server]) -> None:
    store = served.service.store
    assert isinstance(store, RedisStore)
    desk = served.service.desk
    desk.quota = BoardQuota(store, 1)
    os.kill(pair[1].pid, signal.SIGSTOP)
    with pytest.raises(NotDurable):
        await desk.submit(Submission(text="One."))
    with pytest.raises(TooManyBoards):
        await desk.submit(Submission(text="Another."))
