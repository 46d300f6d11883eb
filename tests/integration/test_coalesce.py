"""Batches: who gets which reply when callers leave, connections drop and servers refuse."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.coalesce import Coalescer, Command, PoolSender
from blackboard.connect import client_of
from blackboard.entries import Commit
from blackboard.errors import OutcomeUnknown, StorageFull, StorageUnavailable
from blackboard.keys import keys_of
from blackboard.store import RedisStore, open_store
from tests.making import consistent, new_board, person, put, until
from tests.proxy import Proxy


class Recorder:
    """A sender that answers each command with itself, once it is let."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.open = asyncio.Event()

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        self.batches.append(len(commands))
        await self.open.wait()
        return list(commands)


class TestBatches:
    async def test_one_turn_is_one_batch_and_two_are_under_way(self) -> None:
        sender = Recorder()
        line = Coalescer(sender, limit=100)
        calls = []
        for size in (10, 20, 250):
            calls += [line.issue((size, n)) for n in range(size)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert sender.batches == [10, 20]
        sender.open.set()
        replies = await asyncio.gather(*calls)
        assert replies == [(size, n) for size in (10, 20, 250) for n in range(size)]
        assert sender.batches == [10, 20, 100, 100, 50]
        assert (line.batches, line.commands) == (5, 280)
        await line.close()

    async def test_who_left_before_the_batch_is_not_sent(self) -> None:
        sender = Recorder()
        sender.open.set()
        line = Coalescer(sender)
        calls = [line.issue((n,)) for n in range(10)]
        for call in calls[::2]:
            call.cancel()
        assert await asyncio.gather(*calls[1::2]) == [(n,) for n in range(1, 10, 2)]
        assert sender.batches == [5]

    async def test_closing_lets_what_is_under_way_finish_and_refuses_the_rest(self) -> None:
        sender = Recorder()
        line = Coalescer(sender, depth=1)
        first = line.issue((1,))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = line.issue((2,))
        closing = asyncio.create_task(line.close())
        await asyncio.sleep(0)
        sender.open.set()
        await closing
        assert first.result() == (1,)
        with pytest.raises(StorageUnavailable):
            await second


class TestCancellation:
    async def test_random_cancellation_mismatches_no_reply(self, redis_url: str) -> None:
        client = client_of(redis_url, connections=4)
        line = Coalescer(PoolSender(client.connection_pool))
        chance = random.Random(7)
        answered = 0

        async def ask(n: int) -> bytes:
            reply: bytes = await line.issue(("ECHO", f"{n}"))
            return reply

        for turn in range(300):
            tasks = {n: asyncio.create_task(ask(turn * 100 + n)) for n in range(30)}
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            for task in tasks.values():
                if chance.random() < 0.4:
                    task.cancel()
            await asyncio.wait(tasks.values())
            for n, task in tasks.items():
                if not task.cancelled():
                    assert task.result() == str(turn * 100 + n).encode()
                    answered += 1
        assert answered > 3000
        await line.close()
        await client.aclose()


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        async with Proxy(redis_url, Path(directory) / "proxy.sock") as running:
            yield running


@pytest.fixture
async def shaky(proxy: Proxy) -> AsyncIterator[RedisStore]:
    """A store whose connections pass through the proxy."""
    store = await open_store(proxy.url, Blobs.at("memory://"))
    yield store
    await store.close()


class TestLostConnections:
    async def test_a_whole_batch_learns_that_the_outcome_is_unknown(
        self, shaky: RedisStore, redis_store: RedisStore, proxy: Proxy
    ) -> None:
        board = await new_board(shaky)
        proxy.swallow_replies()
        calls = [asyncio.create_task(person(shaky, board, put(f"page/{n}"))) for n in range(40)]
        read = asyncio.create_task(shaky.head(board))
        await until(lambda: _revision_is(redis_store, board, 41))
        await proxy.cut()
        proxy.heal()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OutcomeUnknown}
        (failed,) = await asyncio.gather(read, return_exceptions=True)
        assert type(failed) is StorageUnavailable
        # Made once each, although nobody heard of it.
        state, _ = await consistent(redis_store, board)
        assert {header.split("|", 1)[0] for header in state.entries.values()} == {"1"}

    async def test_sending_again_is_harmless(self, shaky: RedisStore, redis_store: RedisStore, proxy: Proxy) -> None:
        board = await new_board(shaky)
        told: list[int] = []
        shaky.listen(lambda _, record: told.append(record.revision))
        proxy.swallow_replies()
        calls = [asyncio.create_task(person(shaky, board, put(f"page/{n}"), id=f"n{n}")) for n in range(40)]
        await until(lambda: _revision_is(redis_store, board, 41))
        await proxy.cut()
        proxy.heal()
        answers = await asyncio.gather(*calls)
        assert all(answer.ok and answer.already for answer in answers)
        assert sorted(answer.revision for answer in answers) == list(range(2, 42))
        assert told == []
        state, _ = await consistent(redis_store, board)
        assert {header.split("|", 1)[0] for header in state.entries.values()} == {"1"}

    async def test_cuts_at_random_lose_and_double_nothing(
        self, shaky: RedisStore, redis_store: RedisStore, proxy: Proxy
    ) -> None:
        board = await new_board(shaky)
        chance = random.Random(3)
        done = asyncio.Event()

        async def disturb() -> None:
            while not done.is_set():
                await asyncio.sleep(chance.uniform(0.01, 0.05))
                await proxy.cut()

        async def write(n: int) -> list[int]:
            versions = []
            for turn in range(50):
                while True:
                    try:
                        answer = await person(shaky, board, put(f"page/{n}", turn), id=f"{n}:{turn}")
                        break
                    except StorageUnavailable:
                        continue
                versions.append(answer.wrote[0][2])
            return versions

        disturbing = asyncio.create_task(disturb())
        written = await asyncio.gather(*(write(n) for n in range(40)))
        done.set()
        await disturbing
        assert written == [list(range(1, 51))] * 40
        state, _ = await consistent(redis_store, board)
        assert state.revision == 2001
        assert proxy.connections > 3

    async def test_a_server_that_is_away_and_comes_back(
        self, shaky: RedisStore, redis_store: RedisStore, proxy: Proxy
    ) -> None:
        board = await new_board(shaky)
        await proxy.cut(refuse=True)
        with pytest.raises(StorageUnavailable):
            await shaky.head(board)
        with pytest.raises(StorageUnavailable):
            await shaky.activity({0: "0-0"}, block_ms=1000)
        late = asyncio.create_task(person(shaky, board, put("page/1"), id="n"))
        await asyncio.sleep(0.01)
        proxy.heal()
        assert (await late).ok
        assert (await consistent(redis_store, board))[0].revision == 2

    async def test_nobody_there(self, tmp_path: Path) -> None:
        with pytest.raises(StorageUnavailable, match="no server answers"):
            await open_store(f"unix://{tmp_path}/nothing.sock", Blobs.at("memory://"))


class TestRefusals:
    async def test_scripts_the_server_forgot_are_sent_again(self, redis_store: RedisStore, redis_url: str) -> None:
        board = await new_board(redis_store)
        async with Redis.from_url(redis_url) as client:
            for n in range(5):
                await client.script_flush()
                answers = await asyncio.gather(*(person(redis_store, board, put(f"page/{n}-{m}")) for m in range(8)))
                assert all(answer.ok for answer in answers)
        await consistent(redis_store, board)

    async def test_a_full_server_refuses_writes_whole_and_still_answers(
        self, redis_store: RedisStore, redis_url: str
    ) -> None:
        board = await new_board(redis_store)
        before = await consistent(redis_store, board)
        async with Redis.from_url(redis_url) as client:
            await client.config_set("maxmemory", 1)
            try:
                with pytest.raises(StorageFull):
                    await redis_store.commit(board, Commit("board.changed", "x", id="n", writes=(put("page/1"),)))
                with pytest.raises(StorageFull):
                    await person(redis_store, board, checks=(("page/1", 1),), note=True, id="m")
                assert await redis_store.head(board) == before[0].head
            finally:
                await client.config_set("maxmemory", 0)
        assert await consistent(redis_store, board) == before
        assert (await person(redis_store, board, put("page/1"), id="n")).ok

    async def test_one_refused_command_spoils_no_other(self, redis_store: RedisStore, redis_url: str) -> None:
        good, bad = await new_board(redis_store), redis_store.new_id("acme")
        async with Redis.from_url(redis_url) as client:
            await client.set(keys_of(bad).head, "not a hash")
        answers = await asyncio.gather(
            *(person(redis_store, board, put("page/1")) for board in (good, bad)), return_exceptions=True
        )
        assert not isinstance(answers[0], BaseException)
        assert answers[0].ok
        assert "WRONGTYPE" in str(answers[1])


async def _revision_is(store: RedisStore, board: str, revision: int) -> bool:
    head = await store.head(board)
    return head is not None and head["revision"] == str(revision)
