"""The same four stages on stock arq and saq: state and results in plain keys, a counter joins the two middle stages."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from arq import ArqRedis
from arq.worker import Worker as ArqWorker
from arq.worker import func
from redis.asyncio import Redis

from benchmarks.peers.workload import RESULT, STATE, Waiters

Enqueue = Callable[[str, str], Awaitable[Any]]
CONCURRENCY = 64


class Stages:
    """What a stage does, whichever queue calls it."""

    def __init__(self, redis: Any, enqueue: Enqueue, waiters: Waiters) -> None:
        self._redis, self._enqueue, self._waiters = redis, enqueue, waiters

    async def run(self, stage: str, document: str) -> None:
        """Read the state, write the result, start what comes next."""
        orjson.loads(await self._redis.get(f"bench:{document}:state"))
        await self._redis.set(f"bench:{document}:{stage}", orjson.dumps(RESULT))
        if stage == "ocr":
            await self._enqueue("entities", document)
            await self._enqueue("summary", document)
        elif stage in ("entities", "summary"):
            if await self._redis.incr(f"bench:{document}:joined") == 2:
                await self._enqueue("fact_check", document)
        else:
            await self._redis.set(f"bench:{document}:done", b"1")
            self._waiters.done(document)

    async def submit(self) -> None:
        """One document, from its state's first write to its last result."""
        document = secrets.token_hex(8)
        future = self._waiters.new(document)
        await self._redis.set(f"bench:{document}:state", STATE)
        await self._enqueue("ocr", document)
        await future


class Arq:
    """Stock arq; `poll_s` is its poll delay."""

    def __init__(self, poll_s: float, name: str) -> None:
        self._poll_s = poll_s
        self.name = name

    async def start(self, url: str) -> None:
        """See workload.System."""
        self._redis = ArqRedis.from_url(url)
        self._redis.default_queue_name = "arq:bench"
        self._redis.job_serializer, self._redis.job_deserializer = orjson.dumps, orjson.loads
        self._redis.expires_extra_ms = 86_400_000
        self._stages = Stages(self._redis, self._redis.enqueue_job, Waiters())

        def function(stage: str) -> Any:
            async def run(ctx: Any, document: str) -> None:
                await self._stages.run(stage, document)

            return func(run, name=stage, keep_result=0)

        self._worker = ArqWorker(
            functions=[function(stage) for stage in ("ocr", "entities", "summary", "fact_check")],
            queue_name="arq:bench", redis_pool=self._redis, poll_delay=self._poll_s, max_jobs=CONCURRENCY,
            handle_signals=False, job_serializer=orjson.dumps, job_deserializer=orjson.loads, keep_result=0,
        )  # fmt: skip
        self._task = asyncio.create_task(self._worker.async_run())

    def submit(self) -> Awaitable[Any]:
        """See workload.System."""
        return self._stages.submit()

    async def stop(self) -> None:
        """See workload.System."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._redis.aclose()


class Saq:
    """Stock saq."""

    name = "saq"

    async def start(self, url: str) -> None:
        """See workload.System."""
        from saq import Worker
        from saq.queue.redis import RedisQueue

        self._redis = Redis.from_url(url)
        queue = self._queue = RedisQueue(Redis.from_url(url), name="bench")
        await queue.connect()

        async def enqueue(stage: str, document: str) -> Any:
            return await queue.enqueue(stage, document=document, ttl=1)

        self._stages = Stages(self._redis, enqueue, Waiters())

        def function(stage: str) -> Any:
            async def run(ctx: Any, *, document: str) -> None:
                await self._stages.run(stage, document)

            return stage, run

        self._worker: Any = Worker(
            queue,
            functions=[function(stage) for stage in ("ocr", "entities", "summary", "fact_check")],
            concurrency=CONCURRENCY,
        )
        self._task = asyncio.create_task(self._worker.start())

    def submit(self) -> Awaitable[Any]:
        """See workload.System."""
        return self._stages.submit()

    async def stop(self) -> None:
        """See workload.System."""
        await self._worker.stop()
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._queue.disconnect()
        await self._redis.aclose()
