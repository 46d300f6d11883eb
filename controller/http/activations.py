"""GET /v1/boards/{id}/activations: the agenda with its times."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from controller.http.door import BoardId, answer, api_of, board_of, query
from controller.http.etags import etag, unchanged
from controller.http.models import ActivationList
from controller.http.problems import described
from controller.views import Timeline

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
