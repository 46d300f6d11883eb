"""A small shared cache between a client and a service: as much of RFC 9111 as GET and DELETE need.

It may keep what was asked for with a key only where the answer allows it (section 3.5), tells variants apart (4.1), counts
ages (4.2.3), asks again with the validator it has (4.3), and drops what an unsafe method that succeeded has changed (4.4).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


@dataclass
class Kept:
    """A stored answer; `selecting`: the values of the request's header fields that `Vary` names."""

    selecting: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float
    age: float


@dataclass
class Cache:
    """The proxy. `now`: its clock, in seconds, which tests turn on."""

    origin: str
    now: float = 0.0
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """What the service was asked: method, target, status."""
    kept: dict[str, list[Kept]] = field(default_factory=dict)

    async def answer(
        self, client: httpx2.AsyncClient, method: str, target: str, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields and body."""
        if method != "GET":
            found = await self._ask(client, method, target, headers)
            if found[0] < 400:
                self.kept.pop(target, None)
            return found
        stored = next((each for each in self.kept.get(target, ()) if _selects(each, headers)), None)
        if stored is not None and self._is_fresh(stored):
            return self._from(stored, headers)
        asking = dict(headers)
        if stored is not None:
            asking["if-none-match"] = stored.headers["etag"]
        status, said, body = await self._ask(client, "GET", target, asking)
        if status == 304 and stored is not None:
            stored.headers |= said
            stored.at, stored.age = self.now, 0.0
            return self._from(stored, headers)
        if stored is not None:
            self.kept[target].remove(stored)
        if status == 200 and _may_keep(headers, said):
            fields = [name.strip().lower() for name in said.get("vary", "").split(",") if name.strip()]
            selecting = {name: headers.get(name, "") for name in fields}
            age = float(said.get("age", 0))
            self.kept.setdefault(target, []).append(Kept(selecting, said, body, self.now, age))
        return status, said, body

    async def _ask(
        self, client: httpx2.AsyncClient, method: str, target: str, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        found = await client.request(method, self.origin + target, headers=dict(headers))
        self.asked.append((method, target, found.status_code))
        return found.status_code, {n: v for n, v in found.headers.items() if n not in HOP}, found.content

    def _age(self, stored: Kept) -> float:
        return stored.age + self.now - stored.at

    def _is_fresh(self, stored: Kept) -> bool:
        said = _directives(stored.headers)
        if "no-cache" in said:
            return False
        return self._age(stored) < float(said.get("s-maxage") or said.get("max-age") or 0)

    def _from(self, stored: Kept, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        said = {**stored.headers, "age": f"{self._age(stored):.0f}"}
        if headers.get("if-none-match") == stored.headers.get("etag"):
            return 304, said, b""
        return 200, said, stored.body


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    words = (word.strip().partition("=") for word in headers.get("cache-control", "").split(","))
    return {name.lower(): value for name, _, value in words}


def _may_keep(asked: Mapping[str, str], said: Mapping[str, str]) -> bool:
    directives = _directives(said)
    if directives.keys() & {"no-store", "private"} or said.get("vary") == "*" or "etag" not in said:
        return False
    return "authorization" not in asked or bool(directives.keys() & {"public", "s-maxage", "must-revalidate"})


def _selects(stored: Kept, headers: Mapping[str, str]) -> bool:
    return all(headers.get(name, "") == value for name, value in stored.selecting.items())


@asynccontextmanager
async def caching_proxy(origin: str) -> AsyncIterator[tuple[Cache, httpx2.AsyncClient]]:
    """A running cache in front of a service, and a client of it."""
    cache = Cache(origin)
    async with httpx2.AsyncClient() as upstream:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs if name.lower() not in (*HOP, "host")}
            status, said, body = await cache.answer(upstream, method, target, headers)
            lines = [f"HTTP/1.1 {status} x", *(f"{name}: {value}" for name, value in said.items())]
            lines += [f"content-length: {len(body)}"] if status not in (204, 304) else []
            writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1") + body)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield cache, client
