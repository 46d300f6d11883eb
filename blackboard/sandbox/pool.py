"""Untrusted bytes are parsed in processes with limits: a pool of them for each engine.

A sandbox runs one function, named `package.module:function`, in children of its own: scrubbed environment, own session, no
network and no files but code where the system lets a process give them up, and limits on memory, processor time, wall time
and output. The function is called as `function(method, payload, **params)` and answers with JSON, bytes, or (for `stream`)
an iterator of these.

    sandbox = Sandbox("knowledge_sources.formats.serving:serve", limits=Limits(memory_bytes=512 << 20))
    found = await sandbox.call("inspect", data, filename="a.pdf")
    async for page in sandbox.stream("layers", data): ...

A child that dies or goes over a limit is killed and replaced; the caller gets DocumentTooComplex, other calls go on. An
error of `blackboard.errors` raised in the child is raised here as the same class. A child never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from blackboard import errors
from blackboard.sandbox.answers import answers
from blackboard.sandbox.process import MIB, Charter, Child, Limits

__all__ = ["MIB", "Limits", "Pool", "Sandbox", "Sandboxes", "Seat"]


@dataclass(slots=True)
class Seat:
    """A child that is yours for a while. It is used again only if you set `clean`."""

    child: Child
    clean: bool = False


class Pool:
    """At most `processes` children of one charter; started as they are needed, used from one event loop.

    A child is replaced after `recycle_after` calls, above `limits.resident_bytes`, and whenever its user leaves it unclean.
    """

    def __init__(self, charter: Charter, *, processes: int = 1, recycle_after: int = 500) -> None:
        self.charter = charter
        self._recycle_after = recycle_after
        self._processes = processes
        self._free = asyncio.Semaphore(processes)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[Seat]:
        """A child of your own, once one is free. Raises TransientFailure and PermanentFailure as `Child.start` does."""
        async with self._free:
            seat = Seat(await self._take())
            try:
                yield seat
            finally:
                self._give_back(seat.child, clean=seat.clean)

    async def _take(self) -> Child:
        if self._closed:
            raise errors.TransientFailure("the sandbox is closed: this worker is stopping")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                break
            self._end(child)
        else:
            child = await self._start()
        self._busy.add(child)
        return child

    async def _start(self) -> Child:
        return await Child.start(self.charter)

    def _give_back(self, child: Child, *, clean: bool) -> None:
        self._busy.discard(child)
        limit = self.charter.limits.resident_bytes
        above = limit is not None and child.resident > limit
        if clean and not above and not self._closed and child.alive and child.calls < self._recycle_after:
            self._idle.append(child)
        else:
            self._end(child)

    def _end(self, child: Child) -> None:
        child.kill()
        task = asyncio.get_running_loop().create_task(self._ended(child))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _ended(self, child: Child) -> None:
        await child.ended()

    async def start(self) -> None:
        """Start all processes ahead of the first call."""
        while len(self._idle) + len(self._busy) < self._processes:
            self._idle.append(await self._start())

    async def close(self) -> None:
        """End every child, those at work too, and wait until they are gone. Idempotent."""
        self._closed = True
        for child in (*self._idle, *self._busy):
            self._end(child)
        self._idle.clear()
        while self._ending:
            await asyncio.gather(*self._ending)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Sandbox(Pool):
    """A pool of children that answer requests to one target.

    A child is also replaced after any failure or cancellation: an answer that nobody waited for can never be taken for
    another's. Do not call a sandbox while you hold an unfinished stream of the same one: with one process the call would
    wait for your own stream.
    """

    def __init__(self, target: str, *, limits: Limits, processes: int = 1, recycle_after: int = 500) -> None:
        super().__init__(Charter(target, limits), processes=processes, recycle_after=recycle_after)

    async def call(self, method: str, payload: bytes = b"", **params: Any) -> Any:
        """One answer: JSON or bytes. Raises what the target raises (errors of `blackboard.errors`), DocumentTooComplex over
        a limit, PermanentFailure for any other exception of the target."""
        given = self._run(method, payload, params, stream=False)
        async with contextlib.aclosing(given):
            result = None
            async for answer in given:
                result = answer
            return result

    def stream(self, method: str, payload: bytes = b"", **params: Any) -> AsyncGenerator[Any, None]:
        """Many answers, one by one as they are made; the child waits while nobody reads. Raises as `call`.

        Close the iterator (`contextlib.aclosing`) if you leave it early: its child is then ended.
        """
        return self._run(method, payload, params, stream=True)

    async def _run(
        self, method: str, payload: bytes, params: dict[str, Any], *, stream: bool
    ) -> AsyncGenerator[Any, None]:
        async with self.seat() as seat:
            try:
                async with contextlib.aclosing(answers(seat.child, method, payload, params, stream=stream)) as given:
                    async for answer in given:
                        yield answer
                seat.clean = True
            except (errors.DocumentUnreadable, errors.DocumentUnsafe):
                # The target looked at the document and said no: nothing is broken.
                seat.clean = True
                raise


class Sandboxes:
    """The sandboxes of one worker, one per target and limits; a source declares a parameter of this type to get it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, Limits], Sandbox] = {}

    def get(self, target: str, limits: Limits, *, processes: int = 1) -> Sandbox:
        """The sandbox for this target and these limits, made when first asked for (then with this many processes)."""
        key = (target, limits)
        if key not in self._open:
            self._open[key] = Sandbox(target, limits=limits, processes=processes)
        return self._open[key]

    async def close(self) -> None:
        """End all of them. Idempotent; a sandbox asked for later is a new one."""
        closing = [sandbox.close() for sandbox in self._open.values()]
        self._open.clear()
        await asyncio.gather(*closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
