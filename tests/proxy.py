"""A door in front of a server that can be made to misbehave: swallow replies, cut every connection, refuse new ones."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote


class Proxy:
    """`async with Proxy(server_url, socket) as proxy: proxy.url`."""

    def __init__(self, server_url: str, socket: Path) -> None:
        self.url = f"unix://{socket}"
        self.connections = 0
        self._server_path = unquote(server_url.removeprefix("unix://"))
        self._socket = socket
        self._replies = asyncio.Event()
        self._replies.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False

    async def __aenter__(self) -> Proxy:
        self._listener = await asyncio.start_unix_server(self._accept, str(self._socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        await self.cut()

    def swallow_replies(self) -> None:
        """Requests get through, replies do not."""
        self._replies.clear()

    def heal(self) -> None:
        """Everything gets through again."""
        self._replies.set()
        self._refusing = False

    async def cut(self, *, refuse: bool = False) -> None:
        """Drop every connection, with what is under way; with `refuse`, new ones too until healed."""
        self._refusing = refuse
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for writer in list(self._open):
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.connections += 1
        upstream, downstream = await asyncio.open_unix_connection(self._server_path)
        self._open |= {writer, downstream}
        for task in (self._copy(reader, downstream, None), self._copy(upstream, writer, self._replies)):
            running = asyncio.create_task(task)
            self._tasks.add(running)
            running.add_done_callback(self._tasks.discard)

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None
    ) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(1 << 16):
                    if gate is not None:
                        await gate.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            self._open.discard(writer)
            writer.transport.abort()
