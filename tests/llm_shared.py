"""What tests of the fleet's shared state about models need: a clock they move, and many doors to one server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from blackboard.coalesce import Coalescer, Command, PoolSender
from blackboard.errors import OutcomeUnknown, StorageUnavailable


class Clock:
    """Milliseconds, moved by hand."""

    def __init__(self, now: int = 1_790_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        """Let so much time go by."""
        self.now += int(seconds * 1000)


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Coalescer]:
    """A line of commands to a server, as each process of a fleet has one."""
    async with Redis.from_url(url) as client:
        line = Coalescer(PoolSender(client.connection_pool))
        try:
            yield line
        finally:
            await line.close()


class Away(Coalescer):
    """A line to a server that can be taken away; `lost`: what is sent arrives, and its answer does not."""

    away = False
    lost = False

    @classmethod
    def before(cls, line: Coalescer) -> Away:
        """Over the connections of another line."""
        return cls(line._sender)

    def issue(self, command: Command) -> asyncio.Future[Any]:
        """See Coalescer."""
        if not self.away and not self.lost:
            return super().issue(command)
        if self.lost:
            super().issue(command).add_done_callback(lambda done: done.exception())
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(OutcomeUnknown("lost") if self.lost else StorageUnavailable("away"))
        return refused


async def lifetimes(url: str) -> dict[str, int]:
    """Every key of the server with its time to live, seconds; -1 where it has none."""
    async with Redis.from_url(url, decode_responses=True) as client:
        return {key: await client.ttl(key) for key in await client.keys("*")}
