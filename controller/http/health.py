"""GET /livez, /readyz and /metrics: for whoever restarts, routes, scales and wakes somebody at night."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from controller.http.door import answer, api_of, query
from controller.http.models import Health
from controller.http.problems import described
from controller.readiness import examine

router = APIRouter(tags=["health"])


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
    """Each check by name; 503 when one of them fails that is not `advisory`."""
    well, checks = await examine(api_of(request), serves=getattr(request.app.state, "serves", True))
    return answer({"status": "ready" if well else "unavailable", "checks": checks}, 200 if well else 503)


@router.get(
    "/metrics",
    operation_id="metrics.get",
    summary="Counts and gauges for Prometheus",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **described()},
)
async def metrics(request: Request) -> Response:
    """Counts are this process's own: sum them. What the whole service shares every process tells: take the largest."""
    query(request)
    text, media_type = await api_of(request).metrics.render(request.headers.get("accept", ""))
    return Response(text, headers={"Cache-Control": "no-cache", "Content-Type": media_type})
