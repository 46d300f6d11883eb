"""Live progress: published messages of many boards over one connection. Nothing is kept; a slow reader loses the oldest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from blackboard.coalesce import LOST
from blackboard.errors import StorageUnavailable

BACKLOG = 256
"""Messages that one reader may leave waiting."""


class ProgressHub:
    """Shares one subscribed connection between all readers of this process."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._readers: dict[str, set[asyncio.Queue[bytes | None]]] = {}
        self._pubsub: Any = None
        self._pump: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def messages(self, channel: str) -> AsyncIterator[bytes]:
        """What is published from now on, until it is closed. Raises StorageUnavailable when the connection is lost."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        await self._join(channel, queue)
        try:
            while True:
                message = await queue.get()
                if message is None:
                    raise StorageUnavailable("the connection that carries progress was lost")
                yield message
        finally:
            await self._leave(channel, queue)

    async def _join(self, channel: str, queue: asyncio.Queue[bytes | None]) -> None:
        async with self._lock:
            try:
                if self._pump is None or self._pump.done():
                    await self._drop()
                    self._pubsub = self._client.pubsub(ignore_subscribe_messages=True)
                    await self._pubsub.subscribe(channel)
                    self._pump = asyncio.create_task(self._carry(self._pubsub))
                elif channel not in self._readers:
                    await self._pubsub.subscribe(channel)
            except LOST as error:
                raise StorageUnavailable(f"the server cannot be reached: {error}") from error
            self._readers.setdefault(channel, set()).add(queue)

    async def _leave(self, channel: str, queue: asyncio.Queue[bytes | None]) -> None:
        async with self._lock:
            queues = self._readers.get(channel, set())
            queues.discard(queue)
            if not queues and self._readers.pop(channel, None) is not None and self._pubsub is not None:
                with contextlib.suppress(*LOST):
                    await self._pubsub.unsubscribe(channel)
            if not self._readers:
                await self._drop()

    async def _carry(self, pubsub: Any) -> None:
        try:
            while True:
                # A health check is sent while it waits, so a silent cut ends in an error.
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                if message is not None:
                    for queue in self._readers.get(message["channel"].decode(), ()):
                        _offer(queue, message["data"])
        except LOST:
            for queues in self._readers.values():
                for queue in queues:
                    _offer(queue, None)
            self._readers.clear()

    async def _drop(self) -> None:
        pump, self._pump = self._pump, None
        if pump is not None:
            pump.cancel()
            await asyncio.wait([pump])
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            await pubsub.aclose()

    async def close(self) -> None:
        """Give the connection back."""
        async with self._lock:
            await self._drop()


def _offer(queue: asyncio.Queue[bytes | None], message: bytes | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(message)
