"""A thousand writers on one key: each gets its own version, and the log has no gap."""

from __future__ import annotations

import asyncio
import random

from blackboard.entries import Header
from blackboard.store import RedisStore
from tests.making import consistent, new_board, person, put

WRITERS = 1000


async def test_a_thousand_writers_on_one_key(redis_store: RedisStore) -> None:
    board = await new_board(redis_store)
    attempts = 0

    async def write(n: int) -> int:
        nonlocal attempts
        for turn in range(60):
            attempts += 1
            found = await redis_store.entry(board, "page/1")
            version = Header.parse(found[0]).version if found else 0
            answer = await person(redis_store, board, put("page/1", n), checks=(("page/1", version),))
            if answer.ok:
                return answer.wrote[0][2]
            await asyncio.sleep(random.uniform(0, min(3.0, 0.1 * 2**turn)))
        raise AssertionError("sixty attempts were not enough")

    versions = await asyncio.gather(*(write(n) for n in range(WRITERS)))
    assert sorted(versions) == list(range(1, WRITERS + 1))
    state, log = await consistent(redis_store, board)
    assert state.revision == WRITERS + 1
    written = [Header.parse(record.entries["page/1"]).version for record in log[1:]]
    assert written == list(range(1, WRITERS + 1))
    assert attempts / WRITERS <= 15
