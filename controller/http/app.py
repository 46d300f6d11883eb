"""The HTTP service: resources, problems, and what holds for every request."""

from __future__ import annotations

import copy
import html
from collections.abc import Iterable

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blackboard import __version__
from controller.access import Gate
from controller.http import (
    activations,
    again,
    backfills,
    blobs,
    boards,
    capabilities,
    commits,
    dashboards,
    documents,
    entries,
    erasure,
    events,
    health,
    history,
    keys,
    logs,
    remote,
    report,
    sources,
    spending,
    webhooks,
)
from controller.http.access_log import QUIET, AccessLog
from controller.http.door import Api
from controller.http.guard import Guard
from controller.http.limits import Limits
from controller.http.openapi import completed
from controller.http.problems import CATALOGUE, install, render
from controller.http.problems import Problem as ProblemError
from controller.http.scopes import NEEDS, OPEN

ABOUT = """\
Submit a document; several knowledge sources read it together on one shared board, and everything that happens there can be
watched and replayed.

Errors are problems (RFC 9457): `type` leads to a page that explains them. Bodies are strict JSON: UTF-8, no member twice,
no unknown members. What can be changed has an `ETag`; writes say with `If-Match` which version they change."""
FRAMINGS = frozenset({b"transfer-encoding", b"content-length"})


class Threshold:
    """Gives every answer a few headers, and turns away what is too large to look at."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = scope["request_id"]
        own = ((b"x-request-id", id.encode()), (b"x-content-type-options", b"nosniff"))

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        problem = _too_much(scope, self._limits)
        if problem is not None:
            await render(Request(scope), problem)(scope, receive, passing)
            return
        await self._app(scope, receive, passing)


def _too_much(scope: Scope, limits: Limits) -> ProblemError | None:
    close = {"Connection": "close"}
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > limits.target_bytes:
        return ProblemError("uri-too-long", headers=close)
    size, framings = 0, set()
    for name, value in scope["headers"]:
        size += len(name) + len(value) + 4
        if name in FRAMINGS:
            framings.add(name)
    if size > limits.header_bytes:
        return ProblemError("header-fields-too-large", headers=close)
    if len(framings) > 1:
        # Two framings of one body are how requests are smuggled past a proxy.
        return ProblemError("bad-request", headers=close)
    return None


def create_app(service: Api) -> FastAPI:
    """The app over a running service. Closing the service is up to whoever opened it."""
    app = FastAPI(
        title="Blackboard",
        version=__version__,
        summary="Specialists read a document together on one shared, versioned board.",
        description=ABOUT,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        redirect_slashes=False,
        telemetry=_telemetry(service),
    )
    app.state.api = service
    resources = (
        documents, boards, again, backfills, report, entries, commits, logs, history, erasure, events, dashboards,
        activations, remote, sources, blobs, spending, capabilities, health, keys, webhooks,
    )  # fmt: skip
    for resource in resources:
        # Flat, not included: a request then meets one list of routes, and what a path allows can be read off it.
        app.router.routes.extend(_guarded(resource.router.routes, service.gate))
    app.add_api_route("/problems/{slug}", explain, operation_id="problems.explain", include_in_schema=False)
    install(app)
    app.add_middleware(Threshold, limits=Limits.of(service.settings))
    service.metrics.start()
    app.add_middleware(AccessLog, requests=service.metrics.measures.requests)
    describe = app.openapi
    app.openapi = lambda: completed(describe())  # type: ignore[method-assign]
    return app


def _telemetry(service: Api) -> TelemetryConfig:
    """FastAPI's own spans where there is somebody to take them; what it would count is counted at a tenth of the cost."""
    return {
        "tracing": service.traces is not None,
        "tracer_provider": service.traces,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope.get("path") in QUIET,
    }


def _guarded(routes: Iterable[BaseRoute], gate: Gate) -> Iterable[BaseRoute]:
    """Copies: an app has a gate of its own. Raises KeyError for an operation of which nobody said what it needs."""
    for route in map(copy.copy, routes):
        if isinstance(route, APIRoute) and route.operation_id not in OPEN:
            route.app = Guard(route.app, gate, NEEDS[route.operation_id or ""])
        yield route


async def explain(request: Request, slug: str) -> Response:
    """What a problem means: the page its `type` leads to."""
    kind = CATALOGUE.get(slug)
    if kind is None:
        raise ProblemError("not-found")
    title, about = html.escape(kind.title), html.escape(kind.about)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{about}</p><p>Status {kind.status}, type <code>/problems/{slug}</code>.</p></html>"
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'"})
