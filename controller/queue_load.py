"""How much waits in arq's queues: one script for all of them, at most once a second, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from blackboard.coalesce import Coalescer
from blackboard.doors import Call
from blackboard.errors import OutcomeUnknown, StorageError, StorageUnavailable
from blackboard.presence import Presence
from controller.load import QueueLoad, Standing
from controller.queue import CLASSES, DEPTHS, queue_name

EVERY_S = 1.0
PRESENCE_S = 10.0
"""How often is asked which other versions were served: their queues may still hold something."""
MOST = 4096
"""Queues looked at in one step; the server does nothing else meanwhile."""

Served = tuple[str, str]
"""A source and one of its versions."""


class QueueLoads:
    """A `Load`. `line`: to the server of the queues; `known`: the sources there are now; `presence`: who serves what."""

    def __init__(
        self,
        line: Coalescer,
        known: Callable[[], Iterable[Served]],
        presence: Callable[[], Awaitable[Presence]],
        *,
        limit: int,
    ) -> None:
        self._line, self._known, self._presence, self._limit = line, known, presence, limit
        self._others: frozenset[Served] = frozenset()
        self._others_at = float("-inf")
        self._seen = Standing(limit=limit)
        self._seen_at = float("-inf")
        self._looking: asyncio.Task[Standing] | None = None

    async def look(self) -> Standing:
        """See Load. Known sources are told of with nothing waiting, too; other versions only where something waits."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._seen_at + EVERY_S:
            return self._seen
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look())
            # Should everybody have given up by then, its failure is nobody's any more.
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: whoever gives up must not take the answer from the others who wait for it.
        return await asyncio.shield(self._looking)

    async def _look(self) -> Standing:
        loop = asyncio.get_running_loop()
        known = set(self._known())
        every = sorted(known | await self._heard_of())
        rows = [(*served, priority) for served in every for priority in CLASSES][:MOST]
        reply = await self._asked(Call(DEPTHS, [queue_name(*row) for row in rows], ())) if rows else []
        waiting = {reply[at] - 1: (reply[at + 1], reply[at + 2] / 1000) for at in range(0, len(reply), 3)}
        found = [
            QueueLoad(source, version, *waiting.get(at, (0, 0.0)), priority)
            for at, (source, version, priority) in enumerate(rows)
            if at in waiting or (source, version) in known
        ]
        self._seen, self._seen_at = Standing(found, self._limit), loop.time()
        return self._seen

    async def _heard_of(self) -> frozenset[Served]:
        now = asyncio.get_running_loop().time()
        if now >= self._others_at + PRESENCE_S:
            try:
                heard = (await self._presence()).heard
            except StorageError:
                # Boards and queues may lie on two servers: what waits is told all the same.
                return self._others
            self._others = frozenset((name, version) for name, _, version in (word.rpartition("@") for word in heard))
            self._others_at = now
        return self._others

    async def _asked(self, call: Call) -> list[int]:
        try:
            return await self._line.run(call)  # type: ignore[no-any-return]
        except OutcomeUnknown as error:
            # It only reads: there is no outcome to be unsure of.
            raise StorageUnavailable(str(error)) from error
