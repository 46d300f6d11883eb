"""Thousands of watchers in one process: bare protocols that check every id and note how late each event is.

python -m benchmarks.watch_crowd PORT       commands as lines of JSON on stdin, an answer for each on stdout
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from array import array
from typing import Any

import orjson
import uvloop

from benchmarks.watch_machine import raise_limits

MESSAGE = re.compile(rb'id: ([0-9a-z]+)\.(\d+)-0\nevent: [^\n]+\ndata: [^\n]*?"at":(\d+)')
AT_ONCE = 500
"""Connections under way at a time."""


class Crowd:
    """All watchers, and what they have seen."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.late = array("d")
        """Milliseconds between an event's time and its arrival, of every delivery."""
        self.gaps = self.doubles = self.refused = self.lost = 0
        self.head = 0
        """How many have been answered since they last connected."""
        self.watchers: list[Watcher] = []

    async def connect(self, watchers: list[Watcher]) -> None:
        """Connect them all, some at a time, and wait until each has its answer."""
        self.head = 0
        loop, turn = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

        async def one(watcher: Watcher) -> None:
            async with turn:
                watcher.answered = loop.create_future()
                await loop.create_connection(lambda: watcher, "127.0.0.1", self.port)
                await watcher.answered

        await asyncio.gather(*map(one, watchers))


class Watcher(asyncio.Protocol):
    """One client of one board."""

    __slots__ = ("answered", "crowd", "incarnation", "path", "rest", "revision", "transport")

    def __init__(self, crowd: Crowd, path: str) -> None:
        self.crowd, self.path = crowd, path
        self.incarnation = b""
        self.revision = 0
        self.rest = b""
        self.transport: Any = None
        self.answered: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask at once."""
        self.transport, self.rest = transport, b""
        resume = ""
        if self.revision:
            resume = f"Last-Event-ID: {self.incarnation.decode()}.{self.revision}-0\r\n"
        self.transport.write(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{resume}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take in whole messages."""
        now = time.time() * 1000
        crowd = self.crowd
        if not self.answered.done():
            self.answered.set_result(None)
            crowd.head += 1
            if not data.startswith(b"HTTP/1.1 200"):
                crowd.refused += 1
        data = self.rest + data
        end = data.rfind(b"\n\n")
        self.rest = data[end + 2 :] if end >= 0 else data
        for found in MESSAGE.finditer(data, 0, max(0, end)):
            revision = int(found[2])
            if revision > self.revision + 1:
                crowd.gaps += 1
            elif revision <= self.revision:
                crowd.doubles += 1
            self.incarnation, self.revision = found[1], revision
            crowd.late.append(now - int(found[3]))

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody should be sent away."""
        if self.transport is not None:
            self.crowd.lost += 1
        if not self.answered.done():
            self.answered.set_result(None)


def _report(crowd: Crowd) -> dict[str, Any]:
    late = sorted(crowd.late)

    def at(share: float) -> float:
        return late[min(len(late) - 1, int(share * len(late)))] if late else 0.0

    return {
        "deliveries": len(late), "p50": at(0.5), "p99": at(0.99), "max": late[-1] if late else 0.0,
        "gaps": crowd.gaps, "doubles": crowd.doubles, "refused": crowd.refused, "lost": crowd.lost,
        "least": min((watcher.revision for watcher in crowd.watchers), default=0),
    }  # fmt: skip


async def _storm(crowd: Crowd) -> dict[str, Any]:
    """Everybody leaves at once and comes back."""
    for watcher in crowd.watchers:
        transport, watcher.transport = watcher.transport, None
        transport.abort()
    await asyncio.sleep(0)
    began = time.perf_counter()
    await crowd.connect(crowd.watchers)
    return {"back_s": time.perf_counter() - began}


async def main() -> None:
    """Do as told until stdin ends."""
    raise_limits()
    loop = asyncio.get_running_loop()
    crowd = Crowd(int(sys.argv[1]))
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        order = orjson.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "connect":
            fresh = [Watcher(crowd, path) for path in order["paths"]]
            crowd.watchers += fresh
            await crowd.connect(fresh)
        elif order["do"] == "storm":
            answer = await _storm(crowd)
        elif order["do"] == "forget":
            crowd.late = array("d")
        elif order["do"] == "report":
            answer = _report(crowd)
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
