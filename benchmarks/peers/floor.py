"""The floor: one create and four version-checked commits with a log record each, straight on the store, coalesced."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import orjson

from benchmarks.peers.workload import RESULT, STAGES, STATE
from blackboard.blobs import Blobs
from blackboard.connect import connect
from blackboard.entries import Commit, Put
from blackboard.store import RedisStore

IN_FLIGHT = 64


class Floor:
    """See workload.System: no controller, no queue, nobody woken."""

    name = "floor"

    async def start(self, url: str) -> None:
        """See workload.System."""
        commands, blocking = await connect(url)
        self.store = RedisStore(commands, blocking=blocking, blobs=Blobs.at(tempfile.mkdtemp()))
        self._gate = asyncio.Semaphore(IN_FLIGHT)

    async def submit(self) -> Any:
        """See workload.System."""
        async with self._gate:
            board = self.store.new_id("bench")
            head = {"status": "open", "tenant": "bench", "incarnation": "1"}
            put = Put("state/original", STATE)
            created = Commit("board.created", "submitter", mode="person", create=True, writes=(put,), head=head)
            await self.store.commit(board, created)
            for stage in STAGES:
                key = f"{stage}/board"
                write = Put(key, orjson.dumps(RESULT))
                answer = await self.store.commit(
                    board, Commit("contribution.committed", stage, mode="source", writes=(write,), checks=((key, 0),))
                )
                assert answer.ok

    async def stop(self) -> None:
        """See workload.System."""
        await self.store.close()
