"""arq's worker, woken instead of polling, taking jobs of many queues in one script.

Overrides what arq 0.28 does in `main`, `_poll_iteration` and `run_job` (a test fails when those change): stock arq makes
nine round trips a job, claims one at a time, waits up to its poll delay, and ends the process on any Redis error.

The wake-up's order matters: the event is cleared *before* polling, so that a wake during the poll survives; a freed slot
wakes too; a worker without a free slot does not block on a queue's tokens, which are meant for others; a blocking pop is
never cancelled (its token would be lost): it ends by its own time-out, or by a token of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import orjson
import structlog
from arq import ArqRedis
from arq.jobs import DeserializationError, deserialize_job_raw
from arq.worker import Worker, func

from blackboard.errors import StorageError
from controller.queue import CLASSES, FUNCTION, Job, Queue, wake_name

log = structlog.get_logger(__name__)

Activate = Callable[[str, str], Awaitable[None]]
BLOCK_S = 2
"""Below the pool's socket timeout (5 s), or redis-py would call a quiet queue a dead connection."""


class PushWorker(Worker):
    """One process's arq worker. `queues`: queue -> (source, slots); queues of one source share the source's slots.

    `slots`: activations at a time over all queues. `activate(board, activation)` never raises for a source's failure.
    """

    def __init__(
        self,
        activate: Activate,
        *,
        queue: Queue,
        pool: ArqRedis,
        tokens: Any,
        queues: Mapping[str, tuple[str, int]],
        slots: int,
        poll_s: float,
        name: str,
    ) -> None:
        async def run(ctx: dict[Any, Any], board: str, activation: str) -> None:
            await activate(board, activation)

        super().__init__(
            functions=[func(run, name=FUNCTION, keep_result=0, timeout=86_400, max_tries=1000)],
            queue_name=next(iter(queues)),
            redis_pool=pool,
            handle_signals=False,
            max_jobs=slots,
            poll_delay=poll_s,
            max_tries=1000,
            keep_result=0,
            job_timeout=86_400,
            retry_jobs=True,
            allow_abort_jobs=False,
            job_serializer=orjson.dumps,
            job_deserializer=orjson.loads,
            log_results=False,
            health_check_interval=60,
            health_check_key=f"arq:worker:{name}:health-check",
        )
        self._queue = queue
        self._tokens = tokens
        self._queues = dict(queues)
        self._limits = dict(queues.values())
        self._order = [(queue, source) for queue, (source, _) in queues.items()]
        self._turn = 0
        self._busy: Counter[str] = Counter()
        self._woken = asyncio.Event()
        self._popping: Awaitable[list[Job]] | None = None
        self._polling = False
        self._hot: set[str] = set()
        """Queues to look at next."""
        self._own_list = f"arq:wake:worker:{name}"
        self._listener: asyncio.Task[None] | None = None
        self._stopping = False

    def begin(self, job: Job) -> bool:
        """See queue.LocalWorker."""
        if self._stopping or not self.allow_pick_jobs or job.queue not in self._queues:
            return False
        # Behind what may wait in the queue already, a job has to queue up as well.
        if job.queue in self._hot or self._free(self._queues[job.queue][0]) <= 0:
            return False
        self._start(job)
        return True

    def look(self, queues: AbstractSet[str]) -> None:
        """See queue.LocalWorker."""
        self._hot.update(queues & self._queues.keys())
        if self._hot and not self._stopping:
            if self._popping is None and not self._polling:
                self._popping = self._pop()
            self._woken.set()

    def _free(self, source: str) -> int:
        return min(self._limits[source] - self._busy[source], self.max_jobs - self.job_counter)

    async def main(self) -> None:
        """Pop what we are woken for, and every `poll_delay_s` from all queues. Raises what redis raises."""
        self._stopping = False  # whoever enters again after an error has made sure that nobody asked to stop
        self._listener = asyncio.create_task(self._listen())
        self._hot.update(self._queues)
        next_look = time.monotonic() + self.poll_delay_s
        try:
            while not self._stopping:
                self._woken.clear()
                await self._poll_iteration()
                if self._listener.done():
                    self._listener.result()
                left = next_look - time.monotonic()
                if left > 0:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await self._woken.wait()
                if time.monotonic() >= next_look:
                    self._hot.update(self._queues)
                    next_look = time.monotonic() + self.poll_delay_s
        finally:
            self._stopping = True
            popping, self._popping = self._popping, None
            if popping is not None:
                with suppress(StorageError):
                    for job in await popping:
                        self._start(job)
            await self._end_listener()

    async def _poll_iteration(self) -> None:
        popping, self._popping = self._popping or self._pop(), None
        if popping is not None:
            self._polling = True
            try:
                for job in await popping:
                    self._start(job)
            finally:
                self._polling = False
            if any(self._free(self._queues[queue][0]) > 0 for queue in self._hot):
                self._woken.set()
        await self.heart_beat()

    def _pop(self) -> Awaitable[list[Job]] | None:
        total = self.max_jobs - self.job_counter
        if total <= 0 or not self.allow_pick_jobs or self._stopping or not self._hot:
            return None
        wanted = self._wanted()
        # What has no free slot stays hot: its next free slot wakes us.
        self._hot.difference_update(queue for queue, _, _ in wanted)
        return self._popped(wanted, total) if wanted else None

    def _popped(self, wanted: list[tuple[str, str, int]], total: int) -> Awaitable[list[Job]]:
        popping = self._queue.pop(wanted, total)

        async def jobs() -> list[Job]:
            found = await popping
            taken = Counter(job.queue for job in found)
            # Where all that was asked for came, there may be more.
            self._hot.update(queue for queue, _, most in wanted if len(found) >= total or 0 < most <= taken[queue])
            return found

        return jobs()

    def _wanted(self) -> list[tuple[str, str, int]]:
        """Hot queues in order: the interactive ones first, sources in turn, so that no source always takes the last slots."""
        self._turn = (self._turn + 1) % len(self._order)
        order = self._order[self._turn :] + self._order[: self._turn] if len(self._hot) > 1 else self._order
        wanted = [(queue, source, self._free(source)) for queue, source in order if queue in self._hot]
        return sorted((item for item in wanted if item[2] > 0), key=lambda item: item[0].endswith(CLASSES[1]))

    def _start(self, job: Job) -> None:
        source = self._queues[job.queue][0]
        self.job_counter += 1
        self._busy[source] += 1
        task = self.loop.create_task(self.run_job(job.id, 0, job))

        def ended(_: asyncio.Task[None]) -> None:
            self.job_counter -= 1
            self._busy[source] -= 1
            self.tasks.pop(job.id, None)
            if self._hot:
                self._woken.set()

        task.add_done_callback(ended)
        self.tasks[job.id] = task

    async def run_job(self, job_id: str, score: int, job: Job | None = None) -> None:
        """Run one job that left its queue already. Nothing it does can end the worker."""
        if job is None or job.payload is None:
            log.warning("job.expired", job=job_id)
            return
        try:
            name, args, kwargs, _, _ = deserialize_job_raw(job.payload, deserializer=self.job_deserializer)
            coroutine = self.functions[name].coroutine
        except (DeserializationError, KeyError) as error:
            # A stranger's job, a pickle or an older release's: dropped, the sweeper wakes the activation again.
            log.warning("job.refused", job=job_id, error=type(error).__name__)
            self.jobs_failed += 1
            return
        try:
            await coroutine(self.ctx, *args, **kwargs)
            self.jobs_complete += 1
        except Exception:
            self.jobs_failed += 1
            log.exception("job.raised", job=job_id)

    async def _listen(self) -> None:
        """Block on the tokens of queues with a free slot, on a connection of its own."""
        pause = 0.1
        while not self._stopping:
            names = [wake_name(queue) for queue, (source, _) in self._queues.items() if self._free(source) > 0]
            # Queues that are left out now may have room before this returns.
            block = BLOCK_S if len(names) == len(self._queues) else min(BLOCK_S, self.poll_delay_s)
            began = time.monotonic()
            try:
                found = await self._tokens.execute_command(
                    "BLMPOP", block, len(names) + 1, self._own_list, *names, "LEFT", "COUNT", 32
                )
                pause = 0.1
            except Exception as error:
                # Without tokens the slow poll still finds every job.
                log.warning("wake.unheard", error=f"{type(error).__name__}: {error}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            if found:
                name = found[0].decode()
                queue = name.replace("arq:wake:", "arq:queue:", 1)
                if queue in self._queues:
                    self._hot.add(queue)
                    if self._stopping or self._free(self._queues[queue][0]) <= 0:
                        # There was room when this began to block: the token is for somebody who still has.
                        await self._pass_on(name)
                self._woken.set()
                # Let the poll take what woke us before asking which queues still have room.
                await asyncio.sleep(0 if time.monotonic() - began > 0.001 else 0.001)

    async def _pass_on(self, wake: str) -> None:
        try:
            await self.pool.lpush(wake, "1")  # type: ignore[misc]
            await self.pool.pexpire(wake, 10_000)
        except Exception as error:
            log.debug("wake.unsent", error=str(error))

    async def _end_listener(self) -> None:
        self._stopping = True
        if self._listener is None:
            return
        await self._pass_on(self._own_list)
        await asyncio.wait([self._listener], timeout=BLOCK_S + 4)
        self._listener.cancel()
        try:
            await self._tokens.delete(self._own_list)
        except Exception as error:
            log.debug("wake.uncleared", error=str(error))

    async def drain(self, seconds: float) -> None:
        """Take no more jobs; wait for those under way, at most so long. Ends `main`."""
        self._stopping = True
        self.allow_pick_jobs = False
        self._woken.set()
        running = list(self.tasks.values())
        if running:
            await asyncio.wait(running, timeout=seconds)

    async def forget(self) -> None:
        """Remove what is left on the server of this worker: its health-check key."""
        try:
            await self.pool.delete(self.health_check_key)
        except (StorageError, Exception) as error:
            log.debug("health.uncleared", error=str(error))
