"""A proxy before the server that cuts a connection at one command: before it arrives, or after it ran, its reply lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Literal

Mode = Literal["before", "after"]


class Proxy:
    """Listens on a unix socket, forwards to another. `cut(needle, mode, times)` arms it."""

    def __init__(self, listen: Path, server: Path) -> None:
        self._listen, self._server = listen, server
        self._needle: bytes | None = None
        self._mode: Mode = "before"
        self._left = 0
        self.cuts = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"unix://{self._listen}"

    def cut(self, needle: bytes, mode: Mode, times: int = 1) -> None:
        """Cut the next `times` connections over which these bytes pass."""
        self._needle, self._mode, self._left = needle, mode, times

    async def __aenter__(self) -> Proxy:
        self._running = await asyncio.start_unix_server(self._accept, str(self._listen))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends, back = [writer], None
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(str(self._server))
            ends.append(server_writer)
            back = asyncio.create_task(self._forward(server_reader, writer))
            await self._watch(reader, server_writer, server_reader, back)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if back is not None:
                back.cancel()
            for end in ends:  # all of them before the first wait: a cancellation may interrupt that
                end.close()
            for end in ends:
                with suppress(ConnectionError):
                    await end.wait_closed()

    async def _watch(
        self,
        reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        back: asyncio.Task[None],
    ) -> None:
        while data := await reader.read(1 << 20):
            if self._left and self._needle is not None and self._needle in data:
                self._left -= 1
                self.cuts += 1
                if self._mode == "after":
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    server_writer.write(data)
                    await server_writer.drain()
                    await server_reader.read(1)
                return
            server_writer.write(data)
            await server_writer.drain()

    @staticmethod
    async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 20):
                writer.write(data)
                await writer.drain()
