"""A response that fails as it is told to: slowly, midway, or by cutting the connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.models.faults import Fault

SLOW_PARTS = 20


class Protocol(HttpToolsProtocol):
    """uvicorn's, showing the app its connection, so that it can be cut."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["connection"] = self.transport  # type: ignore[typeddict-unknown-key]


@dataclass
class Plan:
    """What is sent: the pieces of a body, with the middle before `pieces[middle]`."""

    status: int
    headers: Mapping[str, str]
    pieces: Sequence[bytes]
    middle: int = 0
    fault: Fault = field(default_factory=Fault)
    finished: Callable[[], None] = lambda: None
    """Called when all of it was sent."""
    over: Callable[[], None] = lambda: None
    """Called when no more will be, whatever happened."""


class Scripted(Response):
    """Sends a plan. `closing`: set when the server ends, so that nothing hangs on."""

    def __init__(self, plan: Plan, closing: asyncio.Event) -> None:
        super().__init__()
        self.status_code = plan.status
        self._plan, self._closing = plan, closing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        try:
            await self._send(scope, receive, send)
        finally:
            self._plan.over()

    async def _send(self, scope: Any, receive: Any, send: Any) -> None:
        plan, fault = self._plan, self._plan.fault
        if await self._stopped("connected", scope, receive):
            return
        whole = not (fault.cut or fault.hang or fault.slow_s or len(plan.pieces) > 1)
        named = {**plan.headers, "content-length": str(len(b"".join(plan.pieces)))} if whole else plan.headers
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        await send({"type": "http.response.start", "status": plan.status, "headers": raw})
        if fault.cut == "headers" or fault.hang == "headers":
            # The server sends the head with the first piece of the body.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        if await self._stopped("headers", scope, receive):
            return
        for at, piece in enumerate(plan.pieces):
            if at == plan.middle and await self._stopped("middle", scope, receive):
                return
            for part in self._parts(piece):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        plan.finished()

    def _parts(self, piece: bytes) -> Sequence[bytes]:
        return (piece,)

    async def _stopped(self, where: str, scope: Any, receive: Any) -> bool:
        fault = self._plan.fault
        if fault.cut == where:
            scope["connection"].abort()
        elif fault.hang != where:
            return False
        await gone(receive, self._closing)
        scope["connection"].abort()
        return True


class Slowly(Scripted):
    """The same, a few bytes at a time."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""

        async def waiting(message: Any) -> None:
            await send(message)
            if message.get("body"):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._plan.fault.slow_s)

        await super().__call__(scope, receive, waiting)

    def _parts(self, piece: bytes) -> Sequence[bytes]:
        size = max(1, -(-len(piece) // SLOW_PARTS)) if len(self._plan.pieces) <= 2 else len(piece)
        return [piece[at : at + size] for at in range(0, len(piece), size)]


async def gone(receive: Any, closing: asyncio.Event) -> None:
    """Wait until the client is, or the server ends."""

    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waits = [asyncio.ensure_future(disconnected()), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
