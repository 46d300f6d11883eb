"""GET /livez and /readyz for whoever restarts and routes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.errors import BlackboardError
from blackboard.presence import served
from controller.http.door import Api, answer, api_of
from controller.http.models import Health

router = APIRouter(tags=["health"])

PATIENCE_S = 2.0
NO_BLOB = "0" * 64


@router.get("/livez", operation_id="health.live", summary="Is the process alive?", responses={200: {"model": Health}})
async def live() -> Response:
    """Asks nothing of anybody."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="health.ready",
    summary="Can it serve?",
    responses={200: {"model": Health}, 503: {"model": Health}},
)
async def ready(request: Request) -> Response:
    """Each check by name; 503 when one of them fails."""
    api = api_of(request)
    checks: dict[str, Callable[[], Awaitable[Any]]] = {
        "storage": api.store.now,
        "blobs": lambda: api.blobs.has(NO_BLOB),
        "feed": lambda: _feed(api),
    }
    *rest, workers = await asyncio.gather(*map(_check, checks.values()), _workers(api))
    found = dict(zip(checks, rest, strict=True))
    well = all(check["ok"] for check in found.values())
    found["workers"] = workers
    return answer({"status": "ready" if well else "unavailable", "checks": found}, 200 if well else 503)


async def _workers(api: Api) -> dict[str, Any]:
    """Which sources nobody serves. Only said: documents are accepted all the same, and done once a worker comes."""
    unserved: list[str] = []

    async def look() -> None:
        presence = await api.store.presence()
        # Whoever asks: what one tenant registered is told to nobody else.
        words = ((source.name, source.version) for source in api.directory.active_of(""))
        unserved.extend(served(*word) for word in words if not presence.serving(*word))

    shown = {**await _check(look), "advisory": True}
    return {**shown, "ok": False, "error": "no worker serves some sources", "unserved": unserved} if unserved else shown


async def _feed(api: Api) -> None:
    if api.feed.finished:
        raise BlackboardError("this process is stopping")


async def _check(call: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    shown: dict[str, Any] = {"ok": True}
    try:
        async with asyncio.timeout(PATIENCE_S):
            await call()
    except TimeoutError:
        shown = {"ok": False, "error": f"no answer within {PATIENCE_S:g} s"}
    except BlackboardError as error:
        # The slug alone: messages may name addresses.
        shown = {"ok": False, "error": error.slug}
    return {**shown, "ms": round((loop.time() - began) * 1000, 2)}
