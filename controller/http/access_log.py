"""One line of the log and one measurement for each request: its method, the template of its route, its status and its time.

Never what was in the path, the query or a header: those may hold what nobody else is to read.
"""

from __future__ import annotations

import random
import time
from typing import Final

import structlog
from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from controller.access import Caller
from controller.measures import Histogram
from controller.tracing import begin, follow, traceparent_of

log = structlog.get_logger(__name__)

QUIET: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: told at debug."""
STREAMS: Final = (b"text/event-stream", b"application/x-ndjson", b"application/jsonl")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class AccessLog:
    """The outermost part of an app. `requests`: measured by method, route and status."""

    def __init__(self, app: ASGIApp, requests: Histogram) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Named before all else, so that whatever is logged on the way can be found by it.
        id = scope["request_id"] = f"{random.getrandbits(96):024x}"
        begin(request_id=id)
        follow(traceparent_of(trace.get_current_span()) or _sent(scope))
        began = time.perf_counter()
        status, first = 0, 0.0

        async def passing(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status = message["status"]
                if _is_stream(message):
                    first = time.perf_counter() - began
            await send(message)

        try:
            await self._app(scope, receive, passing)
        finally:
            self._tell(scope, status, time.perf_counter() - began, first)

    def _tell(self, scope: Scope, status: int, seconds: float, first: float) -> None:
        route = str(getattr(scope.get("route"), "path", ""))
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        self._requests.observe(first or seconds, method, route, str(status or 499))
        if not structlog.is_configured():
            return  # whoever set up no log, a benchmark or a script, is not to find its own output filled
        tell = log.debug if route in QUIET else log.info
        tell("request", method=method, route=route, status=status or 499, ms=round(seconds * 1000, 2), **who(scope))


def _sent(scope: Scope) -> str:
    """The trace that the client says this belongs to."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), "")


def who(scope: Scope) -> dict[str, str]:
    """The tenant, and the id of the key, of a request that was let in."""
    caller: Caller | None = scope.get("caller")
    if caller is None:
        return {}
    return {"tenant": caller.tenant, **({"key": caller.key} if caller.key else {})}


def bind(scope: Scope) -> None:
    """Have everything that is logged from here on name whose request it is."""
    bind_contextvars(**who(scope))


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(STREAMS) for name, value in message.get("headers", ()))
