"""Long polls: wake-ups of sources that run elsewhere, handed to whoever waits for one.

One blocking connection for a process, however many wait, and none while nobody does. What was said of wake-ups in
`controller.queue` holds: one that is lost costs time alone, because the sweeper sends it again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from arq.jobs import DeserializationError, deserialize_job_raw

from blackboard.errors import StorageError
from controller.queue import CLASSES, Job, Queue, Wake, queue_name, wake_name

log = structlog.get_logger(__name__)

BLOCK_S = 2
"""Below the pool's socket timeout (5 s), or redis-py would call a quiet queue a dead connection."""

Served = tuple[str, str]
"""A source and one of its versions."""


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Look at this activation."""

    board: str
    activation: str
    queue: str

    @property
    def served(self) -> Served:
        """The source and the version whose queue it came from."""
        source, _, version = self.queue.removeprefix("arq:queue:").rpartition(":")[0].partition("@")
        return source, version


@dataclass(slots=True, eq=False)
class _Waiter:
    queues: frozenset[str]
    found: asyncio.Future[WakeUp]


class WakeUps:
    """`tokens` makes the client of one connection on which this process blocks."""

    def __init__(self, queue: Queue, tokens: Callable[[], Any]) -> None:
        self._queue = queue
        self._tokens = tokens
        self._client: Any = None
        self._waiters: list[_Waiter] = []
        self._blocked: frozenset[str] = frozenset()
        self._serving: asyncio.Task[None] | None = None
        self._own_list = f"arq:wake:claims:{secrets.token_hex(6)}"

    async def next(self, sources: Sequence[Served], seconds: float) -> WakeUp | None:
        """The next wake-up of one of these sources; None when none came in time. Raises StorageError."""
        wanted = [(queue_name(*each, priority), "@".join(each), 1) for priority in CLASSES for each in sources]
        for job in await self._queue.pop(wanted, 1):
            if (found := _read(job)) is not None:
                return found
        if seconds <= 0:
            return None
        waiter = _Waiter(frozenset(queue for queue, _, _ in wanted), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await self._attend(waiter)
            await asyncio.wait([waiter.found], timeout=seconds)
        except BaseException:
            if waiter.found.done():
                await self.again(waiter.found.result())
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return waiter.found.result() if waiter.found.done() else None

    async def again(self, found: WakeUp) -> None:
        """Nobody took it up: wake another."""
        await self.wake(found.served, found.board, found.activation, found.queue.rpartition(":")[2])

    async def wake(self, source: Served, board: str, activation: str, priority: str = CLASSES[0]) -> None:
        """Have somebody look at an activation; the sweeper would, later."""
        # A number that the controller's own wake-ups will hardly meet.
        with suppress(StorageError):
            await self._queue.enqueue([Wake(*source, priority, board, activation, secrets.randbits(48))])

    async def clear(self, source: Served) -> None:
        """Drop what waits for a source."""
        await self._queue.clear(*source)

    async def close(self) -> None:
        """Wait for nothing any more."""
        self._waiters.clear()
        if self._serving is not None and not self._serving.done():
            with suppress(StorageError):
                await self._queue.poke(self._own_list)
            await asyncio.wait([self._serving], timeout=BLOCK_S + 4)
            self._serving.cancel()
        if self._client is not None:
            with suppress(Exception):
                await self._client.delete(self._own_list)
            await self._client.aclose()

    async def _attend(self, waiter: _Waiter) -> None:
        if self._serving is None or self._serving.done():
            # Of no request in particular: it outlives the one that needed it first.
            self._serving = asyncio.create_task(self._serve(), context=Context())
        elif self._blocked and not waiter.queues <= self._blocked:
            # The blocking pop is never cancelled (its token would be lost): a token of its own ends it.
            await self._queue.poke(self._own_list)

    async def _serve(self) -> None:
        pause = 0.1
        while self._waiters:
            try:
                if not await self._hand_out():
                    await self._block()
                pause = 0.1
            except Exception as error:  # whatever it is: those who wait look again by themselves
                log.warning("claims.unheard", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def _hand_out(self) -> bool:
        """Whether there was anything."""
        waiting = [waiter for waiter in self._waiters if not waiter.found.done()]
        if not waiting:
            self._waiters.clear()
            return True
        counts: dict[str, int] = {}
        for waiter in waiting:
            for queue in waiter.queues:
                counts[queue] = counts.get(queue, 0) + 1
        # The interactive ones first.
        order = sorted(counts, key=lambda queue: (queue.endswith(CLASSES[1]), queue))
        jobs = await self._queue.pop([(queue, queue, counts[queue]) for queue in order], len(waiting))
        for job in jobs:
            found = _read(job)
            if found is None:
                continue
            taker = next((each for each in self._waiters if job.queue in each.queues and not each.found.done()), None)
            if taker is None:
                await self.again(found)
            else:
                self._waiters.remove(taker)
                taker.found.set_result(found)
        return bool(jobs)

    async def _block(self) -> None:
        if self._client is None:
            self._client = self._tokens()
        self._blocked = frozenset(queue for waiter in self._waiters for queue in waiter.queues)
        if not self._blocked:
            return
        names = [wake_name(queue) for queue in sorted(self._blocked)]
        try:
            await self._client.execute_command("BLMPOP", BLOCK_S, len(names) + 1, self._own_list, *names, "LEFT")
        finally:
            self._blocked = frozenset()


def _read(job: Job) -> WakeUp | None:
    """What a job says; None for one that expired, a stranger's or an older release's."""
    if job.payload is None:
        return None
    try:
        _, (board, activation), _, _, _ = deserialize_job_raw(job.payload, deserializer=orjson.loads)
        return WakeUp(str(board), str(activation), job.queue)
    except (DeserializationError, ValueError, TypeError) as error:
        log.warning("job.refused", job=job.id, error=type(error).__name__)
        return None
