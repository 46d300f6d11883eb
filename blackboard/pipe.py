"""One pipelined connection: what is issued in a turn of the loop leaves in one write, replies are matched as they come.

redis-py connects, authenticates and selects; from then on the transport is ours, because its streams cost more per reply
than the reply: a task per batch, a time-out and three coroutines for each. Order on the wire is the order of issue, so a
command may count on those issued before it. Nothing is ever sent twice here: when the connection is lost, everyone whose
reply had not arrived learns that the outcome is unknown.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import Any

import hiredis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from blackboard.coalesce import Coalescer, Command, storage_error
from blackboard.errors import OutcomeUnknown, StorageUnavailable

Waiting = tuple[Command, asyncio.Future[Any]]
_MORE = object()

AWAKE_S = 0.0005 if (os.cpu_count() or 1) > 1 else 0.0
"""How long the loop polls instead of sleeping after a write: a reply takes less, and waking a sleeping processor longer."""


def _error(text: str) -> ResponseError:
    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)


class _Replies(asyncio.Protocol):
    """Parses what arrives and hands each reply to the future that waits for it longest."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._reader = hiredis.Reader(replyError=_error, notEnoughData=_MORE)
        self.due: deque[tuple[asyncio.Future[Any], float]] = deque()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        due = self.due
        try:
            while (reply := self._reader.gets()) is not _MORE:
                future, _ = due.popleft()
                if future.done():
                    continue  # the caller left; its reply is read all the same
                if isinstance(reply, ResponseError):
                    future.set_exception(storage_error(reply))
                else:
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self._pipe.cut(self, "the server sent what nobody asked for")

    def connection_lost(self, error: Exception | None) -> None:
        self._pipe.cut(self, str(error or "closed by the server"))

    def pause_writing(self) -> None:
        self._pipe.hold(True)

    def resume_writing(self) -> None:
        self._pipe.hold(False)


class Pipe(Coalescer):
    """A coalescer on one connection of a redis-py pool. `timeout`: seconds a reply may take."""

    def __init__(self, pool: Any, *, timeout: float = 5.0) -> None:
        super().__init__(sender=_NoSender())
        self._pool = pool
        self._timeout = timeout
        self._connection: Any = None
        self._transport: Any = None
        self._protocol: _Replies | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._full = False
        self._awake = False
        self._awake_until = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def issue(self, command: Command) -> asyncio.Future[Any]:
        """See Coalescer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._closed:
            future.set_exception(StorageUnavailable("the store is closed"))
            return future
        self._waiting.append((command, future))
        if not self._armed:
            self._armed = True
            # Two turns: what a task started in this one issues in the next still leaves in the same write.
            loop.call_soon(loop.call_soon, self._launch)
        return future

    def hold(self, full: bool) -> None:
        """Stop writing while the socket takes no more."""
        self._full = full
        if not full and self._waiting:
            self._launch()

    def cut(self, protocol: _Replies, why: str) -> None:
        """The connection is lost: say so to everyone it owed a reply. What was not sent yet takes the next one."""
        if protocol is not self._protocol:
            return
        connection, self._connection = self._connection, None
        self._protocol = self._transport = None
        self._full = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        lost = OutcomeUnknown(f"the connection to the server was lost: {why}")
        while protocol.due:
            future, _ = protocol.due.popleft()
            if not future.done():
                future.set_exception(lost)
        self._background(self._give_back(connection))
        if self._waiting and not self._closed:
            self._launch()

    def _launch(self) -> None:
        self._armed = False
        protocol = self._protocol
        if protocol is None:
            if self._connecting is None and self._waiting:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        if self._full or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        packed = []
        while self._waiting:
            command, future = self._waiting.popleft()
            if not future.done():
                packed.append(hiredis.pack_command(tuple(command)))
                protocol.due.append((future, now))
        if packed:
            self.batches += 1
            self.commands += len(packed)
            self._transport.write(packed[0] if len(packed) == 1 else b"".join(packed))
            if self._watch is None:
                self._watch = loop.call_later(self._timeout, self._look)
            self._awake_until = now + AWAKE_S
            if not self._awake:
                self._awake = True
                loop.call_soon(self._stay_awake)

    def _stay_awake(self) -> None:
        loop = asyncio.get_running_loop()
        if self._protocol is not None and self._protocol.due and loop.time() < self._awake_until:
            loop.call_soon(self._stay_awake)
        else:
            self._awake = False

    def _look(self) -> None:
        """Give up on a connection whose oldest reply is overdue: half-open links never say so themselves."""
        self._watch = None
        protocol, loop = self._protocol, asyncio.get_running_loop()
        if protocol is None or not protocol.due:
            return
        left = protocol.due[0][1] + self._timeout - loop.time()
        if left > 0:
            self._watch = loop.call_later(left, self._look)
        else:
            transport = self._transport
            self.cut(protocol, f"no reply within {self._timeout:g} s")
            transport.abort()

    async def _connect(self) -> None:
        try:
            connection = await self._pool.get_connection()
            transport = connection._writer.transport
            protocol = _Replies(self)
            transport.set_protocol(protocol)
            self._connection, self._transport, self._protocol = connection, transport, protocol
            # Nothing wakes a transport whose end was read before it changed hands.
            if transport.is_closing():
                self.cut(protocol, "closed by the server")
        except (RedisError, OSError, TimeoutError) as error:
            refused = StorageUnavailable(f"the server cannot be reached: {error}")
            while self._waiting:
                _, future = self._waiting.popleft()
                if not future.done():
                    future.set_exception(refused)
        finally:
            self._connecting = None
        if self._waiting:
            self._launch()

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _give_back(self, connection: Any) -> None:
        if connection is not None:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)

    async def close(self) -> None:
        """Let what is under way finish; what waits is refused."""
        self._closed = True
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        protocol = self._protocol
        if protocol is not None:
            owed = [future for future, _ in protocol.due if not future.done()]
            if owed:
                await asyncio.wait(owed, timeout=self._timeout)
            self.cut(protocol, "the store was closed")
        await super().close()


class _NoSender:
    """A pipe sends by itself."""

    async def send(self, commands: Any) -> list[Any]:
        """Never called."""
        raise AssertionError("a pipe sends by itself")
