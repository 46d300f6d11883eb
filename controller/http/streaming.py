"""Answers without an end: how chunks reach a client, when one that no longer reads is dropped, and how to say goodbye."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from blackboard.messages import closing
from blackboard.ring import Lag

RETRY_MS = (2000, 6000)
"""How soon clients come back, drawn for each so that they do not all come at once."""
STALLED_S = 60.0
"""How long a client may take to read one piece before it is dropped."""
STALLED_SOON_S = 10.0
"""The same while more than MOST_WAITING bytes wait for it."""
MOST_WAITING = 1 << 18
PIECE = 1 << 16
"""Bytes written at a time, so that a connection's buffer never holds more than about two pieces."""
LINES = frozenset({"application/x-ndjson", "application/ndjson"})
EVENTS = frozenset({"text/event-stream", "text/*", "*/*"})


def wants_lines(request: Request) -> bool:
    """Whether the header Accept prefers JSON lines to Server-Sent Events; what it does not say leaves it at those."""
    best = {True: 0.0, False: 0.0}
    for part in ",".join(request.headers.getlist("accept")).split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        if kind not in LINES and kind not in EVENTS:
            continue
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            best[kind in LINES] = max(best[kind in LINES], float(weight))
        except ValueError:
            continue
    # A wildcard is what clients add that read anything: a name wins over it.
    return best[True] > 0 and best[True] >= best[False]


class LiveStream(Response):
    """Sends chunks as they come; ends with them, when the client leaves, or when it no longer reads."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        reason: Callable[[], str],
        *,
        lines: bool,
        lag: Lag,
        left: Callable[[], None],
    ) -> None:
        """`reason`: why the chunks have ended, asked when they have; `left`: called once, however it ends."""
        super().__init__()
        self._chunks = chunks
        self._reason = reason
        self._lines = lines
        self._lag = lag
        self._left = left
        self._since: float | None = None
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            done: set[asyncio.Task[None]] = set()
            while not done and not self._stalled():
                done, _ = await asyncio.wait(
                    {sending, leaving}, timeout=STALLED_SOON_S / 2, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            leaving.cancel()
            sending.cancel()
            self._left()
            await asyncio.wait({sending, leaving})
        if not sending.cancelled():
            sending.result()

    def _stalled(self) -> bool:
        # A look now and then: a timer for every write would cost more than the write.
        if self._since is None:
            return False
        stalled = asyncio.get_running_loop().time() - self._since
        return stalled > STALLED_S or (stalled > STALLED_SOON_S and self._waiting + self._lag.waiting > MOST_WAITING)

    def _fields(self) -> list[tuple[bytes, bytes]]:
        kind = b"application/x-ndjson" if self._lines else b"text/event-stream; charset=utf-8"
        return [
            (b"content-type", kind),
            (b"cache-control", b"no-cache"),
            (b"vary", b"Accept"),
            (b"x-accel-buffering", b"no"),
        ]

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._fields()})
        if not self._lines:
            opening = b"retry: %d\n\n" % random.randint(*RETRY_MS)
            await send({"type": "http.response.body", "body": opening, "more_body": True})
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                await self._write(chunk, send)
        await self._write(closing(self._reason()).form(self._lines), send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, chunk: bytes, send: Send) -> None:
        loop = asyncio.get_running_loop()
        if len(chunk) <= PIECE:
            self._since, self._waiting = loop.time(), len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        else:
            for start in range(0, len(chunk), PIECE):
                self._since, self._waiting = loop.time(), len(chunk) - start
                await send({"type": "http.response.body", "body": chunk[start : start + PIECE], "more_body": True})
        self._since = None


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
