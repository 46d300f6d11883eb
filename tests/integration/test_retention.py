"""What goes with a board, what stays, and that no key lies about without a lifetime or an owner."""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from blackboard import keys
from blackboard.blobs import Blobs
from blackboard.entries import Commit, Fork, Put
from blackboard.memory import MemoryStore
from blackboard.ports import Store
from blackboard.store import RedisStore, open_store
from tests.making import activation, agenda, consistent, end, new_board, person, put, source

DOCUMENT = b"%PDF " * 1000
LARGE = b'"' + b"x" * 300_000 + b'"'


@pytest.fixture
async def raw(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[Store]:
    """A store whose blobs have no grace."""
    blobs = Blobs.at("memory://")
    if request.param == "memory":
        yield MemoryStore(blobs, grace=0)
        return
    plain = await open_store(redis_url, blobs)
    store = RedisStore(plain._commands, blocking=plain._blocking, blobs=blobs, grace=0)
    yield store
    await store.close()


async def board_with(store: Store, blobs: Blobs, *, partition: int | None = None) -> tuple[str, str]:
    """A board that refers to a document, and the document's digest."""
    sha256 = await blobs.put(DOCUMENT)
    board = store.new_id("acme") if partition is None else keys.new_board_id(partition)
    head = {"status": "open", "tenant": "acme", "incarnation": "i"}
    await store.commit(board, Commit("board.created", "x", id="c", create=True, head=head, blobs=(sha256,)))
    return board, sha256


class TestBlobs:
    async def test_go_with_the_last_board_that_refers_to_them(self, store: MemoryStore | RedisStore) -> None:
        boards = [(await board_with(store, store.blobs, partition=p))[0] for p in (0, 0, 9)]
        large = await person(store, boards[0], Put("page/1", LARGE))
        assert large.ok
        _, sha256 = await board_with(store, store.blobs)
        boards.append(_)
        state, _log = await consistent(store, boards[0])
        copy = await new_board(store, fork=Fork(state.entries, state.values, state.agenda))
        for board in boards:
            assert await store.blobs.has(sha256)
            await end(store, board)
            assert await store.retire(board)
        assert not await store.blobs.has(sha256)
        forked = await store.entry(copy, "page/1")
        assert forked is not None
        assert await store.resolve(forked[1] or b"") == LARGE
        await end(store, copy)
        assert await store.retire(copy)
        assert await store.blobs.age(forked[1].split(b'"')[3].decode()) is None  # type: ignore[union-attr]

    async def test_stay_for_a_grace_after_they_were_put(
        self, redis_store: RedisStore, store: Store, raw: Redis
    ) -> None:
        """A blob that was just put may belong to a commit that is on its way."""
        board, sha256 = await board_with(redis_store, redis_store.blobs, partition=3)
        await end(redis_store, board)
        assert await redis_store.retire(board)
        assert await redis_store.blobs.has(sha256)
        assert await raw.zrange(keys.orphans(3), 0, -1) == [sha256]
        patient = RedisStore(redis_store._commands, blocking=redis_store._blocking, blobs=redis_store.blobs, grace=0)
        assert await patient.collect(3) == 1
        await patient.line(3).close()
        assert not await redis_store.blobs.has(sha256)
        assert await raw.exists(keys.orphans(3)) == 0

    async def test_wanted_again_in_time_they_stay(self, redis_store: RedisStore, raw: Redis) -> None:
        board, sha256 = await board_with(redis_store, redis_store.blobs, partition=3)
        await end(redis_store, board)
        await redis_store.retire(board)
        again, _ = await board_with(redis_store, redis_store.blobs, partition=5)
        assert again
        patient = RedisStore(redis_store._commands, blocking=redis_store._blocking, blobs=redis_store.blobs, grace=0)
        assert await patient.collect(3) == 0
        await patient.line(3).close()
        assert await redis_store.blobs.has(sha256)
        assert await raw.exists(keys.orphans(3)) == 0

    async def test_boards_of_a_wider_time_still_count(self, redis_store: RedisStore) -> None:
        """Fewer partitions than before: boards in the others keep what they refer to."""
        board, sha256 = await board_with(redis_store, redis_store.blobs, partition=1)
        await board_with(redis_store, redis_store.blobs, partition=15)
        narrow = RedisStore(
            redis_store._commands, blocking=redis_store._blocking, blobs=redis_store.blobs, partitions=2, grace=0
        )
        await end(narrow, board)
        assert await narrow.retire(board)
        await narrow.line(1).close()
        assert await redis_store.blobs.has(sha256)

    async def test_a_put_makes_an_old_blob_young(self, tmp_path: Path) -> None:
        blobs = Blobs.at(tmp_path)
        sha256 = await blobs.put(DOCUMENT)
        path = tmp_path / sha256[:2] / sha256
        old = time.time() - 7200
        os.utime(path, (old, old))
        assert (await blobs.age(sha256) or 0) > 7000
        await blobs.put(DOCUMENT)
        assert (await blobs.age(sha256) or 0) < 60


class TestKeys:
    async def test_retiring_removes_every_key_in_one_step(self, redis_store: RedisStore, raw: Redis) -> None:
        board = await busy_board(redis_store)
        mine = {key async for key in raw.scan_iter(match=f"*{board}*")}
        assert len(mine) >= 7
        await end(redis_store, board, due=(("retention", 0),))
        assert await redis_store.retire(board)
        p = keys.partition_of(board)
        left = {key async for key in raw.scan_iter()}
        assert left <= {f"bb:{{{p}}}:activity", f"bb:{{{p}}}:orphans", "bb:partitions"}

    async def test_no_key_without_a_lifetime_or_an_owner(self, redis_store: RedisStore, raw: Redis) -> None:
        boards = [await busy_board(redis_store) for _ in range(3)]
        await end(redis_store, boards[0], due=(("retention", 60_000),))
        await redis_store.hold("controller:3", "me", 60_000)
        seen = set()
        async for key in raw.scan_iter():
            match = next((match for pattern in keys.PATTERNS if (match := pattern.match(key))), None)
            assert match is not None, f"{key} is not in keys.py"
            shape = re.sub(r"\{\d+\}|\d+-[a-z2-7]{26}", "*", key)
            seen.add(shape)
            if key.startswith("bb:lease:"):
                assert await raw.pttl(key) > 0
            elif owner := re.match(r"bb:\{(\d+)\}:b:(.+):\w+$", key):
                assert owner[2].startswith(f"{owner[1]}-")
                assert await raw.exists(keys.keys_of(owner[2]).head), f"{key} outlived its board"
            elif key.endswith(":due"):
                for member in await raw.zrange(key, 0, -1):
                    board, _, name = member.partition("|")
                    state = await redis_store.projection(board)
                    assert state is not None
                    assert name == "retention" if state.ended else name == "deadline" or name in state.agenda
            elif key.endswith(":activity"):
                assert await raw.xlen(key) <= 11_000
        kept = [f"bb:*:b:*:{part}" for part in keys.BOARD_PARTS]
        assert {*kept, "bb:*:due", "bb:*:activity", "bb:*:boards:acme", "bb:*:blobs", "bb:partitions"} <= seen
        ended = keys.keys_of(boards[0])
        assert await raw.exists(ended.leases) == 0

    async def test_the_activity_stream_is_bounded(self, redis_store: RedisStore, raw: Redis) -> None:
        board = await new_board(redis_store)
        await raw.eval(
            "for n = 1, 10500 do redis.call('XADD', KEYS[1], '*', 'b', 'x', 'r', n, 't', 'x') end",
            1,
            keys.keys_of(board).activity,
        )  # type: ignore[misc]
        await person(redis_store, board, put("page/1"))
        assert await raw.xlen(keys.keys_of(board).activity) < 10_200


async def busy_board(store: RedisStore) -> str:
    """A board with something under each of its keys."""
    board, _ = await board_with(store, store.blobs)
    await store.commit(board, Commit("board.changed", "x", due=(("deadline", 60_000),)))
    await person(store, board, put("page/1", pin=True), Put("page/2", LARGE), id="n1")
    await agenda(store, board, activation("a1", inputs="=page/1@1"), activation("a2"), due_ms=5000)
    await store.claim(board, "a1", nonce="n", lease_ms=60_000, worker="w")
    await source(store, board, "ocr", put("page/1"), fence=("a1", 1), note=True)
    await source(store, board, "ocr", put("page/1"), fence=("a1", 7), note=True)
    await store.adopt(board, keys.new_board_id(0), board, most_children=1, most_below=1)
    return board
