"""GET /v1/boards/{id}/log and /bundle: the whole log as JSON Lines, and with every blob in one file."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from blackboard.bundle import pack
from blackboard.events import lines_of
from blackboard.log_pages import log_pages
from blackboard.ports import Store
from controller.http.caching import caching, not_modified
from controller.http.door import BoardId, api_of, board_of, query
from controller.http.problems import Problem, described

router = APIRouter(prefix="/v1", tags=["boards"])


@router.get(
    "/boards/{board}/log",
    operation_id="boards.log",
    summary="The whole log as JSON Lines",
    responses={
        200: {
            "content": {"application/jsonl": {"schema": {"$ref": "#/components/schemas/BoardEvent"}}},
            "description": "One record a line, oldest first. `ETag` is the last one's id.",
        },
        304: {"description": "There is no later record."},
        **described("invalid-header"),
    },
    response_class=StreamingResponse,
)
async def get_log(request: Request, board: BoardId) -> Response:
    """What `blackboard replay` reads. It ends with the last record there was when it was asked for."""
    query(request)
    view, store = await board_of(request, board), api_of(request).store
    tip = await store.tip(board)
    if tip == (0, 0):
        raise Problem("not-found")  # removed meanwhile
    tag = f"{tip[0]}-{tip[1]}"
    if (same := not_modified(request, view, tag)) is not None:
        return same
    headers = {**caching(view, tag), "Content-Disposition": f'attachment; filename="{board}.jsonl"'}
    return StreamingResponse(_lines(store, board, tip), 200, headers, "application/jsonl")


@router.get(
    "/boards/{board}/bundle",
    operation_id="boards.bundle",
    summary="All of a board in one file",
    responses={
        200: {
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A zip archive: `log.jsonl`, `blobs/<sha256>`, and `manifest.json`, written last, that says "
            "what is in it. `ETag` is the last record's id.",
        },
        304: {"description": "There is no later record."},
        **described("invalid-header"),
    },
    response_class=StreamingResponse,
)
async def get_bundle(request: Request, board: BoardId) -> Response:
    """The log and every blob it refers to: documents, large values, and what models answered. It replays offline. The boards
    below are bundles of their own."""
    query(request)
    view, api = await board_of(request, board), api_of(request)
    tip = await api.store.tip(board)
    if tip == (0, 0):
        raise Problem("not-found")  # removed meanwhile
    tag = f"{tip[0]}-{tip[1]}"
    if (same := not_modified(request, view, tag)) is not None:
        return same
    headers = {**caching(view, tag), "Content-Disposition": f'attachment; filename="{board}.zip"'}
    return StreamingResponse(pack(api.store, api.blobs, board, tip), 200, headers, "application/zip")


async def _lines(store: Store, board: str, tip: tuple[int, int]) -> AsyncIterator[bytes]:
    async for records in log_pages(store, board, tip):
        yield lines_of(records)
