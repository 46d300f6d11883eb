"""GET /v1/sources: who can contribute; PUT, DELETE /v1/sources/{name}: sources that run elsewhere register here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.contract import Source
from blackboard.presence import Presence, served
from controller.http.body import read_json, validated
from controller.http.door import Api, answer, api_of, caller_of, query
from controller.http.problems import Problem, described
from controller.http.source_models import SourceList, SourceModel
from controller.remote.declaration import Declaration
from controller.remote.registration import Registration
from controller.views import broken_view, source_view

router = APIRouter(prefix="/v1", tags=["sources"])

SourceName = Annotated[str, Path(description="A source's name.", examples=["dates"])]
MOST_DECLARATION = 1 << 18
"""Bytes of a declaration."""


@router.get(
    "/sources",
    operation_id="sources.list",
    summary="Knowledge sources",
    responses={200: {"model": SourceList}, **described()},
)
async def list_sources(request: Request) -> Response:
    """What each reads, contributes and costs, and the workers that serve it; and plug-ins that could not be loaded."""
    query(request)
    api = api_of(request)
    await api.directory.refresh()
    presence = await api.store.presence()
    tenant = caller_of(request).tenant
    items = [_shown(api, source, presence, tenant) for source in api.directory.active_of(tenant)]
    told = api.directory.broken_of(tenant)
    broken = [broken_view(item) for item in api.broken if item.origin != "remote" or item.name in told]
    return answer({"items": items, "broken": broken})


@router.get(
    "/sources/{name}",
    operation_id="sources.get",
    summary="One knowledge source",
    responses={200: {"model": SourceModel}, **described()},
)
async def get_source(request: Request, name: SourceName) -> Response:
    """As declared; of one that runs elsewhere also when somebody last claimed for it."""
    query(request)
    api = api_of(request)
    await api.directory.refresh()
    tenant = caller_of(request).tenant
    for source in api.directory.active_of(tenant):
        if source.name == name:
            return answer(_shown(api, source, await api.store.presence(), tenant))
    raise Problem("not-found")


@router.put(
    "/sources/{name}",
    operation_id="sources.put",
    summary="Register a source that runs elsewhere",
    responses={
        200: {"model": SourceModel, "description": "Changed, or as it was."},
        201: {"model": SourceModel, "description": "It was not there; `Location` names it."},
        **described(
            "source-taken", "version-taken", "too-many-sources", "validation-error", "content-too-large",
            "unsupported-media-type", "unsupported-content-encoding", "invalid-json", "invalid-encoding",
            "invalid-unicode", "duplicate-member", "json-too-deep",
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Declaration"}}},
        }
    },
)  # fmt: skip
async def put_source(request: Request, name: SourceName) -> Response:
    """New boards include it from now on. Repeating the request changes nothing."""
    query(request)
    api = api_of(request)
    declared = validated(Declaration, await read_json(request, limit=MOST_DECLARATION))
    now, caller = await api.store.now(), caller_of(request)
    registration, came = await api.directory.register(name, declared, caller=caller, now=now)
    content = _shown(api, registration.source, await api.store.presence(), caller.tenant)
    if came == "new":
        return answer(content, 201, {"Location": f"/v1/sources/{name}"})
    return answer(content)


@router.delete(
    "/sources/{name}",
    operation_id="sources.delete",
    status_code=204,
    summary="Unregister a source that runs elsewhere",
    responses={
        204: {"description": "New boards do without it; boards under way that began with it wait for it."},
        **described("source-taken"),
    },
)
async def delete_source(request: Request, name: SourceName) -> Response:
    """An installed source cannot be removed here: uninstall it."""
    query(request)
    api = api_of(request)
    if any(source.name == name for source in api.directory.local):
        raise Problem("source-taken")
    if not await api.directory.unregister(name, caller=caller_of(request), now=await api.store.now()):
        raise Problem("not-found")
    await api.work.clear(name)
    return Response(status_code=204)


def _shown(api: Api, source: Source, presence: Presence, tenant: str) -> dict[str, Any]:
    """`workers`: those of this version by name; `other_versions`: how many serve which."""
    others = {version: count for version, count in presence.versions(source.name).items() if version != source.version}
    shown = source_view(source) | {
        "workers": list(presence.serving(source.name, source.version)),
        "other_versions": others,
    }
    registration = api.directory.registration(source.name, tenant)
    if registration is not None:
        shown["registration"] = _registration(registration, presence)
    return shown


def _registration(found: Registration, presence: Presence) -> dict[str, Any]:
    return {
        "registrant": found.registrant,
        "shared": found.declared.shared,
        "registered": found.registered,
        "changed": found.changed,
        "last_heard": presence.heard.get(served(found.source.name, found.source.version)),
        "versions": list(found.versions),
        "levels": {level: {"schema": shape, "named_by": by} for level, (shape, by) in found.schemas.items()},
    }
