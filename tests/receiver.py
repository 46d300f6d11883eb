"""A receiver of webhooks on a real socket, which answers as it is told and keeps what it got."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from standardwebhooks import Webhook


@dataclass(frozen=True)
class Reply:
    """One answer. `hang`: none at all; `body`: bytes, sent in pieces, however many there are."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    body: int = 0


@dataclass(frozen=True)
class Got:
    """One message."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its webhook-id."""
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        """The body, unverified."""
        return orjson.loads(self.body)

    def verified(self, secret: str) -> Any:
        """The body, once the library finds its signature good."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """`replies`: path -> what to answer next; without any, 204."""

    base: str = ""
    got: list[Got] = field(default_factory=list)
    replies: defaultdict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Reply] = field(default_factory=dict)
    connects: int = 0

    def url(self, path: str = "/hook") -> str:
        """Where it listens."""
        return f"{self.base}{path}"

    def at(self, path: str = "/hook", type: str = "") -> list[Got]:
        """What came there, of this type alone."""
        return [one for one in self.got if one.path == path and (not type or one.json["type"] == type)]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self.connects += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = head[0].split()[1]
            self.got.append(Got(path, headers, body))
            waiting = self.replies[path]
            reply = waiting.popleft() if waiting else self.always.get(path, Reply())
            if reply.hang:
                await reader.read()  # until the other side gives up
            else:
                lines = [f"HTTP/1.1 {reply.status} Whatever", f"content-length: {reply.body}", "connection: close"]
                lines += [f"{name}: {value}" for name, value in reply.headers]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + b"x" * reply.body)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, host, port)
    receiver.base = f"http://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield receiver
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None
