"""GET /v1/blobs/{sha256}?board=: the bytes of a document, for sources that run elsewhere."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.blobs import SHA256, BlobCorrupt, BlobMissing
from controller.http.caching import caching
from controller.http.door import Parameter, api_of, board_of, caller_of, documented, query, words
from controller.http.etags import unchanged_tag
from controller.http.problems import Problem, described
from controller.views import BoardView

router = APIRouter(prefix="/v1", tags=["blobs"])

BOARD = Parameter(
    "board",
    words(re.compile(r"[a-z0-9-]{1,64}\Z"), "a board's id"),
    "",
    {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},
    "A board that refers to the blob.",
)


@router.get(
    "/blobs/{sha256}",
    operation_id="blobs.get",
    summary="Bytes that a board refers to",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The bytes, whatever they are."},
        304: {"description": "They never change."},
        **described("invalid-header"),
    },
    openapi_extra=documented(BOARD, required=BOARD.name),
)
async def get_blob(
    request: Request, sha256: Annotated[str, Path(description="SHA-256 in lower-case hexadecimal.")]
) -> Response:
    """Only through a board of yours that refers to them, or one that a shared source of yours works for: nobody learns
    what else is kept here.
    """
    board = query(request, BOARD)[BOARD]
    if not board:
        raise Problem("invalid-parameter", "`board` must name a board that refers to the blob.", parameter="board")
    api = api_of(request)
    if await api.work.may_read(board, caller_of(request)):
        view = BoardView(board, await api.store.head(board) or {})
    else:
        view = await board_of(request, board)
    if not SHA256.match(sha256) or not await api.work.refers(board, sha256):
        raise Problem("not-found")
    headers = {
        **caching(view, sha256),
        "Content-Disposition": f'attachment; filename="{sha256}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if unchanged_tag(request, sha256):
        return Response(status_code=304, headers=headers)
    try:
        data = await api.blobs.get(sha256)
    except (BlobMissing, BlobCorrupt):
        raise Problem("not-found") from None
    return Response(data, headers=headers, media_type="application/octet-stream")
