"""Both clients in one test: the one that waits as it is, the other in a thread; and a door that cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Literal

from blackboard.client import AsyncBlackboard, Blackboard

Kind = Literal["async", "sync"]
KINDS: tuple[Kind, ...] = ("async", "sync")
END = object()


class Threaded:
    """A client or a handle that does not wait, with every method run in one thread."""

    def __init__(self, inner: Any, pool: ThreadPoolExecutor) -> None:
        self._inner, self._pool = inner, pool

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return Threaded(found, self._pool) if hasattr(found, "_connection") else found
        if name in ("events", "watch", "boards", "list", "deliveries"):
            return lambda *args, **more: self._each(found(*args, **more))

        async def call(*args: Any, **more: Any) -> Any:
            made = await self._run(lambda: found(*args, **more))
            return Threaded(made, self._pool) if name in ("submit", "handle") else made

        return call

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _each(self, items: Generator[Any, None, None]) -> AsyncIterator[Any]:
        while (item := await self._run(lambda: next(items, END))) is not END:
            yield item


@asynccontextmanager
async def speaking(kind: Kind, url: str, *args: Any, **more: Any) -> AsyncIterator[Any]:
    """A client of either kind, whose methods are awaited."""
    if kind == "async":
        async with AsyncBlackboard(url, *args, **more) as client:
            yield client
        return
    with ThreadPoolExecutor(1) as pool, Blackboard(url, *args, **more) as client:
        yield Threaded(client, pool)


class Cutter:
    """`async with Cutter(port, cuts) as cutter: cutter.url`. Each connection is dropped after so many bytes of answers.

    0 drops it before anything is passed on; None never. When `cuts` is at its end none is dropped any more.
    """

    def __init__(self, port: int, cuts: Iterator[int | None]) -> None:
        self._port, self._cuts = port, cuts
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Cutter:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        left = next(self._cuts, None)
        if left == 0:
            writer.transport.abort()
            return
        upstream, onward = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(self._copy(reader, onward))
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                while data := await upstream.read(1 << 14):
                    writer.write(data if left is None else data[:left])
                    await writer.drain()
                    if left is not None and (left := left - len(data)) <= 0:
                        break
        finally:
            asking.cancel()
            if left is not None and left <= 0:
                # What was passed on arrives first: an abort would drop it.
                writer.close()
            else:
                writer.transport.abort()
            onward.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
