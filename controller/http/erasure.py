"""DELETE /v1/boards/{id}: erasure."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.errors import BoardGone
from controller.http.door import BoardId, api_of, caller_of, query
from controller.http.problems import Problem, described

router = APIRouter(prefix="/v1", tags=["boards"])


@router.delete(
    "/boards/{board}",
    operation_id="boards.erase",
    status_code=204,
    summary="Erase a board",
    responses={204: {"description": "Nothing of it is left but figures."}, **described()},
)
async def erase(request: Request, board: BoardId) -> Response:
    """With the boards below it, the answers models gave for it, and the bytes that no other board refers to. An open board
    ends first. Forks of it are boards of their own. Should this fail half way, the board is still there: ask again."""
    query(request)
    caller = caller_of(request)
    try:
        await api_of(request).eraser.erase(board, caller.person, tenant=caller.tenant)
    except BoardGone:
        raise Problem("not-found") from None
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
