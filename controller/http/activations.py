"""GET /v1/boards/{id}/activations: the agenda with its times, and GET /v1/sources."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.contract import Source
from blackboard.presence import Presence
from controller.http.door import BoardId, answer, api_of, board_of, query
from controller.http.etags import etag, unchanged
from controller.http.models import ActivationList, SourceList
from controller.http.problems import described
from controller.views import Timeline, broken_view, source_view

router = APIRouter(prefix="/v1", tags=["activations"])

PAGE = 200


@router.get(
    "/boards/{board}/activations",
    operation_id="activations.list",
    summary="Who worked on what, and when",
    responses={
        200: {"model": ActivationList, "description": "`ETag` is the board's revision."},
        304: {"description": "The board is still at that revision."},
        **described("invalid-header"),
    },
)
async def list_activations(request: Request, board: BoardId) -> Response:
    """Every activation with its inputs, and when it was put on the agenda, claimed and finished."""
    query(request)
    view = await board_of(request, board)
    if unchanged(request, view.revision):
        return Response(status_code=304, headers={"ETag": etag(view.revision)})
    timeline, after, revision = Timeline(), "0-0", 0
    while records := await api_of(request).store.log(board, after, count=PAGE):
        timeline.add(records)
        after, revision = records[-1].id, records[-1].revision
    content = {"board": board, "revision": revision, "items": timeline.show()}
    return answer(content, 200, {"ETag": etag(revision)})


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
    presence = await api.store.presence()
    items = [{**source_view(source), **_served(presence, source)} for source in api.sources]
    return answer({"items": items, "broken": [broken_view(item) for item in api.broken]})


def _served(presence: Presence, source: Source) -> dict[str, Any]:
    """`workers`: those of this version by name; `other_versions`: how many serve which."""
    others = {version: count for version, count in presence.versions(source.name).items() if version != source.version}
    return {"workers": list(presence.serving(source.name, source.version)), "other_versions": others}
