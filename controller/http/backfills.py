"""POST /v1/boards/{id}/sources/{name}: run one more source on a board."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from controller.http.boards import shown
from controller.http.body import optional, read_options
from controller.http.door import BoardId, answer, api_of, board_of, caller_of, documented, flag, query, with_headers
from controller.http.idempotency import PARAMETER, SLUGS, in_turn, made_at
from controller.http.models import BoardModel, NoOptions
from controller.http.problems import described
from controller.http.room import AGAIN, check_again
from controller.http.shadows import SPACE
from controller.http.waiting import PREFER, waited

router = APIRouter(prefix="/v1", tags=["boards"])

SourceName = Annotated[str, Path(description="A knowledge source's name.", examples=["mentions"])]
DOWNSTREAM = flag("downstream", "On a board that has ended: let what reads its contributions run again, too.")


@router.post(
    "/boards/{board}/sources/{source}",
    operation_id="boards.backfill",
    status_code=202,
    summary="Run one more source, or a newer version of one",
    responses={
        202: {"model": BoardModel, "description": "`Location` names the board where it runs."},
        **described("source-present", "validation-error", "source-unfit", "conflict", *SLUGS, *AGAIN),
    },
    openapi_extra=with_headers(documented(DOWNSTREAM, SPACE, **optional(NoOptions)), PARAMETER, PREFER),
)
async def backfill(request: Request, board: BoardId, source: SourceName) -> Response:
    """A board that has ended stays as it is: the source runs, alone, on a copy of it. An open one gets it added."""
    given = query(request, DOWNSTREAM, SPACE)
    shadow, downstream = given[SPACE] == "shadow", given[DOWNSTREAM]
    before = await board_of(request, board)
    async with in_turn(request, board) as turn:
        await read_options(request, NoOptions)
        desk, caller, once = api_of(request).desk, caller_of(request), turn.once(b"%d%d" % (shadow, downstream))
        view = await turn.first()
        if view is None:
            await check_again(request, before)
            place = await desk.backfill(
                board, source, caller.person, shadow=shadow, downstream=downstream, tenant=caller.tenant, once=once
            )
            view = await turn.answered() or await board_of(request, place)
    view, more = await waited(request, view)
    return answer(shown(view), 202, made_at(view, turn) | more)
