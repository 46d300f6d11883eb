"""GET /v1/capabilities: what this service can do, and which language models stand behind it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard import __version__
from controller.http.capabilities_models import CapabilitiesModel
from controller.http.door import answer, api_of, caller_of, query
from controller.http.problems import described

router = APIRouter(prefix="/v1", tags=["capabilities"])


@router.get(
    "/capabilities",
    operation_id="capabilities.get",
    summary="What this service can do",
    responses={200: {"model": CapabilitiesModel}, **described()},
)
async def get_capabilities(request: Request) -> Response:
    """No call to a model is made for it: what a server can do is what was found when it was last asked."""
    query(request)
    api = api_of(request)
    tenant = caller_of(request).tenant
    models = await api.condition.look(tenant=tenant)
    return answer(
        {
            "version": __version__,
            "levels": sorted({kind.level for source in api.directory.active_of(tenant) for kind in source.outputs}),
            "max_upload_bytes": api.settings.max_upload_bytes,
            "models": {"default": api.settings.models, **models},
        }
    )
