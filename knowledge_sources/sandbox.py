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
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Self

from blackboard import errors
from knowledge_sources._sandbox_process import MIB, Child, Limits

__all__ = ["MIB", "Limits", "Sandbox", "Sandboxes"]


class Sandbox:
    """A pool of at most `processes` children that run one target; started as they are needed, used from one event loop.

    A child is replaced after `recycle_after` calls, above `limits.resident_bytes`, and after any failure or cancellation:
    an answer that nobody waited for can never be taken for another's. Do not call a sandbox while you hold an unfinished
    stream of the same one: with one process the call would wait for your own stream.
    """

    def __init__(self, target: str, *, limits: Limits, processes: int = 1, recycle_after: int = 500) -> None:
        self.target = target
        self.limits = limits
        self._recycle_after = recycle_after
        self._processes = processes
        self._free = asyncio.Semaphore(processes)
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def call(self, method: str, payload: bytes = b"", **params: Any) -> Any:
        """One answer: JSON or bytes. Raises what the target raises (errors of `blackboard.errors`), DocumentTooComplex over
        a limit, PermanentFailure for any other exception of the target."""
        answers = self._run(method, payload, params, stream=False)
        async with contextlib.aclosing(answers):
            result = None
            async for answer in answers:
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
        async with self._free:
            child = await self._take()
            clean = False
            try:
                async with contextlib.aclosing(child.answers(method, payload, params, stream=stream)) as answers:
                    async for answer in answers:
                        yield answer
                clean = True
            except (errors.DocumentUnreadable, errors.DocumentUnsafe):
                # The target looked at the document and said no: nothing is broken.
                clean = True
                raise
            finally:
                self._give_back(child, clean=clean)

    async def _take(self) -> Child:
        if self._closed:
            raise errors.TransientFailure("the sandbox is closed: this worker is stopping")
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                break
            self._end(child)
        else:
            child = await Child.start(self.target, self.limits)
        self._busy.add(child)
        return child

    def _give_back(self, child: Child, *, clean: bool) -> None:
        self._busy.discard(child)
        above = self.limits.resident_bytes is not None and child.resident > self.limits.resident_bytes
        if clean and not above and not self._closed and child.alive and child.calls < self._recycle_after:
            self._idle.append(child)
        else:
            self._end(child)

    def _end(self, child: Child) -> None:
        child.kill()
        task = asyncio.get_running_loop().create_task(child.ended())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def start(self) -> None:
        """Start all processes ahead of the first call."""
        while len(self._idle) + len(self._busy) < self._processes:
            self._idle.append(await Child.start(self.target, self.limits))

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
