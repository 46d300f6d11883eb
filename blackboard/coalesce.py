"""Commands issued in one turn of the event loop travel together.

Python's cost per command and per await, not the server's, limits a store. So calls pile up until the loop comes round,
leave as one batch on one connection, and what is asked meanwhile forms the next batch; at most two are under way.

A caller that is cancelled merely stops listening: its reply is read all the same, so no reply can reach the wrong caller.
When a connection is lost, everyone whose reply had not arrived learns that the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import hiredis
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from blackboard.doors import Call
from blackboard.errors import OutcomeUnknown, StorageError, StorageFull, StorageUnavailable

Command = Sequence[Any]

LOST = (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError)
T = TypeVar("T")

RESENDS = (0.02, 0.1, 0.4, 1.6)
"""Seconds; upper bounds of the random waits before a step is sent again."""
_FULL = ("OOM ", "MISCONF ")
_AWAY = ("BUSY ", "LOADING ", "READONLY ", "MASTERDOWN ", "CLUSTERDOWN ", "TRYAGAIN ", "NOREPLICAS ", "UNBLOCKED ")


class Sender(Protocol):
    """Sends a batch on one connection."""

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Replies in order; a refused command's reply is its exception, and so are those lost on the way (OutcomeUnknown).

        Raises StorageUnavailable when nothing can have been sent.
        """


def storage_error(error: BaseException) -> BaseException:
    """What an error of the client library means to callers of the store; others are returned as they are."""
    if isinstance(error, StorageError):
        return error
    text = str(error)
    if isinstance(error, OutOfMemoryError) or text.startswith(_FULL) or "OOM command not allowed" in text:
        return StorageFull(f"the server is out of room: {text}", hint="free memory or disk, or raise the limit")
    away = (BusyLoadingError, ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)
    if isinstance(error, away) or text.startswith(_AWAY):
        return StorageUnavailable(f"the server cannot serve just now: {text}")
    if isinstance(error, LOST):
        return OutcomeUnknown(f"the connection to the server was lost: {text or type(error).__name__}")
    return error


async def repeatable(reply: Awaitable[T]) -> T:
    """A reply to what may be asked twice, reads above all: where none came, there is no outcome to be unsure of."""
    try:
        return await reply
    except OutcomeUnknown as error:
        raise StorageUnavailable(str(error)) from error


async def resent(send: Callable[[], Awaitable[Any]]) -> Any:
    """A step that carries an id, sent again while its outcome is unknown: a step made before answers what it answered."""
    for most in RESENDS:
        try:
            return await send()
        except StorageUnavailable:
            await asyncio.sleep(random.uniform(0, most))
    return await send()


class Coalescer:
    """Gathers commands into batches.

    `depth`: batches under way at once; `limit`: commands per batch.
    """

    def __init__(self, sender: Sender, *, depth: int = 2, limit: int = 256) -> None:
        self._sender = sender
        self._depth = depth
        self._limit = limit
        self._waiting: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._armed = False
        self._closed = False
        self.batches = 0
        self.commands = 0

    def issue(self, command: Command) -> asyncio.Future[Any]:
        """The reply to one command, to be awaited.

        Raises OutcomeUnknown when the connection was lost, StorageUnavailable, StorageFull, or redis' ResponseError.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed:
            future.set_exception(StorageUnavailable("the store is closed"))
            return future
        self._waiting.append((command, future))
        if not self._armed and len(self._running) < self._depth:
            self._armed = True
            loop.call_soon(self._launch)
        return future

    async def run(self, call: Call) -> Any:
        """A script's reply; where the server does not know the script (restart, failover), its text is sent."""
        try:
            return await self.issue(call.by_sha())
        except NoScriptError:
            return await self.issue(call.by_text())

    def start(self, call: Call) -> Awaitable[Any]:
        """The same, issued at once: what follows in this turn of the loop leaves behind it."""
        first = self.issue(call.by_sha())

        async def reply() -> Any:
            try:
                return await first
            except NoScriptError:
                return await self.issue(call.by_text())

        return reply()

    def _launch(self) -> None:
        self._armed = False
        while self._waiting and len(self._running) < self._depth:
            batch: list[tuple[Command, asyncio.Future[Any]]] = []
            while self._waiting and len(batch) < self._limit:
                command, future = self._waiting.popleft()
                if not future.done():
                    batch.append((command, future))
            if not batch:
                return
            task = asyncio.get_running_loop().create_task(self._carry(batch))
            self._running.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and not self._armed:
            self._launch()

    async def _carry(self, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        self.batches += 1
        self.commands += len(batch)
        replies: Sequence[Any]
        try:
            replies = await self._sender.send([command for command, _ in batch])
        except asyncio.CancelledError:
            replies = [OutcomeUnknown("the store was closed while a step was under way")] * len(batch)
        except Exception as error:  # every caller of the batch must hear of it, whatever it is
            replies = [error] * len(batch)
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, BaseException):
                future.set_exception(storage_error(reply))
            else:
                future.set_result(reply)

    async def close(self) -> None:
        """Let what is under way finish; what waits or comes later is refused."""
        self._closed = True
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(StorageUnavailable("the store is closed"))
        if self._running:
            await asyncio.wait(self._running)


def _pack(commands: Sequence[Command]) -> list[bytes]:
    return [hiredis.pack_command(tuple(command)) for command in commands]


class PoolSender:
    """Sends batches to one server through a pool of redis-py connections.

    A connection is kept from one batch to the next, and one time limit holds for a batch: asking the pool each time and
    guarding every reply by itself cost more than the commands. One that lay idle goes through the pool, which finds out
    whether it still lives.
    """

    IDLE_S = 0.5

    def __init__(self, pool: Any, *, timeout: float = 5.0) -> None:
        """`timeout`: seconds for a batch, blocking commands in it included."""
        self._pool = pool
        self._timeout = timeout
        self._kept: list[tuple[Any, float, Any]] = []

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Sender."""
        try:
            connection, patience = await self._take()
        except (RedisError, OSError, TimeoutError) as error:
            raise StorageUnavailable(f"the server cannot be reached: {error}") from error
        replies: list[Any] = []
        try:
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command(_pack(commands))
                for _ in commands:
                    try:
                        replies.append(await connection.read_response(disable_decoding=True))
                    except ResponseError as error:
                        replies.append(error)
        except LOST as error:
            await self._drop(connection, patience)
            unknown = storage_error(error)
            replies.extend([unknown] * (len(commands) - len(replies)))
        except BaseException:
            # Replies that nobody read must not meet the next batch.
            await self._drop(connection, patience)
            raise
        else:
            self._kept.append((connection, asyncio.get_running_loop().time(), patience))
        return replies

    async def _take(self) -> tuple[Any, Any]:
        now = asyncio.get_running_loop().time()
        while self._kept:
            connection, since, patience = self._kept.pop()
            if now - since < self.IDLE_S and connection.is_connected:
                return connection, patience
            connection.socket_timeout = patience
            await self._pool.release(connection)
        connection = await self._pool.get_connection()
        patience, connection.socket_timeout = connection.socket_timeout, None
        return connection, patience

    async def _drop(self, connection: Any, patience: Any) -> None:
        connection.socket_timeout = patience
        try:
            await connection.disconnect(nowait=True)
        finally:
            await self._pool.release(connection)


class ClusterSender:
    """Sends batches to a cluster: redis-py splits them by node. It refuses EVALSHA there, so scripts go as text."""

    PLAIN = ("HGETALL", "HGET", "XRANGE", "XREVRANGE", "XREAD", "ZRANGE", "TIME")

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        for name in self.PLAIN:
            # The stores read raw replies; redis-py would decode these on Cluster.
            cluster.response_callbacks.pop(name, None)

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See Sender."""
        pipeline = self._cluster.pipeline()
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return list(await pipeline.execute(raise_on_error=False))
        except LOST as error:
            return [storage_error(error)] * len(commands)
        except RedisClusterException as error:
            raise StorageUnavailable(f"the cluster cannot be reached: {error}") from error


class ClusterCoalescer(Coalescer):
    """A coalescer whose scripts always travel as text."""

    async def run(self, call: Call) -> Any:
        """A script's reply."""
        return await self.issue(call.by_text())
