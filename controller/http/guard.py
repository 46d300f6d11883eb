"""The gate before each route: who asks is known before anything of the request is read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.access import Gate
from controller.access import Scope as Needed
from controller.http.access_log import bind
from controller.http.local import check_local


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
        more = admitted.headers
        if not more:
            await self._app(scope, receive, send)
            return

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self._app(scope, receive, passing)
