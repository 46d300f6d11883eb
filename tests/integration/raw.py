"""Requests as bytes, for what no HTTP client would send, and what comes back on the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

HOST = b"Host: 127.0.0.1\r\n"
JSON = b"Content-Type: application/json\r\n"


@dataclass(frozen=True)
class Reply:
    """One answer. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int, slug: str) -> dict[str, Any]:
        """The problem it is, after checking what all have in common."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        found: dict[str, Any] = orjson.loads(self.body)
        assert found["type"].endswith(f"/problems/{slug}"), found
        assert found["status"] == status
        assert found["title"] and found["detail"]
        assert found["request_id"] == self.headers["x-request-id"]
        return found


@dataclass
class Line:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """All of it."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def trickle(self, parts: Iterable[bytes], every_s: float) -> bool:
        """Slowly; False when the other side had enough before it was all sent."""
        for part in parts:
            try:
                await self.send(part)
            except ConnectionError:
                return False
            if self.reader.at_eof():
                return False
            await asyncio.sleep(every_s)
        return True

    async def reply(self) -> Reply:
        """The next answer, with a body of known length or in chunks, or none."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        status = int(first.split(" ")[1])
        assert first.startswith("HTTP/1.1 ")
        if headers.get("transfer-encoding") == "chunked":
            return Reply(status, headers, await self._chunks())
        return Reply(status, headers, await self.reader.readexactly(int(headers.get("content-length", "0"))))

    async def _chunks(self) -> bytes:
        found = b""
        while size := int(await self.reader.readline(), 16):
            found += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return found

    async def last(self) -> Reply:
        """The answer after which the connection is closed, in good order."""
        reply = await self.reply()
        assert await self.reader.read() == b""
        assert reply.headers["connection"] == "close"
        return reply


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    """A connection to a server on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def exchange(port: int, *parts: bytes) -> Reply:
    """One request and its answer, after which the server closes the connection."""
    async with connected(port) as line:
        await line.send(*parts)
        return await line.last()


def get(path: bytes = b"/livez", *headers: bytes) -> bytes:
    """A whole request without a body."""
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, HOST + b"".join(header + b"\r\n" for header in headers))


def post(body: bytes, *headers: bytes, path: bytes = b"/v1/documents", media: bytes = JSON) -> bytes:
    """A whole request with a body of known length."""
    more = b"".join(header + b"\r\n" for header in headers)
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, HOST + media + more, len(body), body)
