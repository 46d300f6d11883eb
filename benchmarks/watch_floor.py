"""What watching costs at least: a bare asyncio server that writes the same bytes to the same number of connections.

python -m benchmarks.watch_floor BOARDS     prints its port
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import Any

import uvloop

from benchmarks.watch_machine import MESSAGE_BYTES, raise_limits

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
ASKED = re.compile(rb"GET /(\d+) ")
RESUMES = re.compile(rb"Last-Event-ID: \w+\.(\d+)-0")


class Room:
    """One board: what was said, and who listens."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.listeners: set[Any] = set()

    def say(self) -> None:
        """One event more, to everybody."""
        head = b'id: i.%d-0\nevent: board.changed\ndata: {"at":%d,"text":"' % (len(self.said) + 1, time.time() * 1000)
        message = head + b"x" * max(0, MESSAGE_BYTES - len(head) - 4) + b'"}\n\n'
        self.said.append(b"%x\r\n%b\r\n" % (len(message), message))
        for transport in self.listeners:
            transport.write(self.said[-1])


class Listener(asyncio.Protocol):
    """A connection."""

    def __init__(self, rooms: list[Room]) -> None:
        self._rooms = rooms
        self._room: Room | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """The request, in one piece as the crowd sends it."""
        asked, resumes = ASKED.match(data), RESUMES.search(data)
        assert asked is not None
        self._room = self._rooms[int(asked[1])]
        self._room.listeners.add(self._transport)
        self._transport.write(HEAD + b"".join(self._room.said[int(resumes[1]) if resumes else 0 :]))

    def connection_lost(self, error: Exception | None) -> None:
        """Gone."""
        if self._room is not None:
            self._room.listeners.discard(self._transport)


async def main() -> None:
    """Until killed: an event a second in every room, spread over the second."""
    raise_limits()
    rooms = [Room() for _ in range(int(sys.argv[1]))]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listener(rooms), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    began, turn = loop.time(), 0
    while True:
        rooms[turn % len(rooms)].say()
        turn += 1
        await asyncio.sleep(max(0.0, began + turn / len(rooms) - loop.time()))


if __name__ == "__main__":
    uvloop.run(main())
