"""The gate before each route: who asks is known before anything of the request is read."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.access import Admitted, Gate
from controller.access import Scope as Needed
from controller.http.access_log import bind
from controller.http.local import check_local

EVERY_S = 15.0
"""How often it is asked, while an answer goes on, whether its key is good yet. Idle streams send a sign of life as often."""


class Guard:
    """Asks the gate, then lets the route answer. What the gate raises is answered as a problem, like any route's error."""

    def __init__(self, app: ASGIApp, gate: Gate, needs: Needed) -> None:
        self._app, self._gate, self._needs = app, gate, needs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        admitted = await self._gate.admit(Headers(scope=scope).getlist("authorization"), self._needs)
        if admitted.local:
            check_local(scope)
        scope["caller"] = admitted.caller
        bind(scope)
        passing = Passing(send, admitted) if admitted.headers or admitted.still else send
        await self._app(scope, receive, passing)


class Passing:
    """Adds the gate's headers to an answer, and ends one without an end whose key is no longer good."""

    def __init__(self, send: Send, admitted: Admitted) -> None:
        self._send = send
        self._headers = admitted.headers
        self._still = admitted.still
        self._look_at = time.monotonic() + EVERY_S
        self._ended = False

    async def __call__(self, message: Message) -> None:
        """ASGI's `send`."""
        if self._ended:
            return
        if message["type"] == "http.response.start":
            headers = message["headers"] = [*message.get("headers", ()), *self._headers]
            if any(name.lower() == b"content-length" for name, _ in headers):
                self._still = None  # it ends by itself, and must not end short of its length
        elif self._still is not None and time.monotonic() >= self._look_at and message.get("more_body"):
            self._look_at = time.monotonic() + EVERY_S
            if not await self._still():
                self._ended = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
