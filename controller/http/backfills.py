"""POST /v1/boards/{id}/sources/{name}: run one more source on a board."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from blackboard.once import Once
from controller.http.again import HEADERS, PROBLEMS, goes_on
from controller.http.body import optional
from controller.http.door import BoardId, api_of, caller_of, documented, flag, query, with_headers
from controller.http.models import BoardModel, NoOptions
from controller.http.problems import described
from controller.http.shadows import SPACE

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
        **described("source-present", "validation-error", "source-unfit", "conflict", *PROBLEMS),
    },
    openapi_extra=with_headers(documented(DOWNSTREAM, SPACE, **optional(NoOptions)), *HEADERS),
)
async def backfill(request: Request, board: BoardId, source: SourceName) -> Response:
    """A board that has ended stays as it is: the source runs, alone, on a copy of it. An open one gets it added."""
    given = query(request, DOWNSTREAM, SPACE)
    shadow, downstream = given[SPACE] == "shadow", given[DOWNSTREAM]
    desk, caller = api_of(request).desk, caller_of(request)

    async def act(_: NoOptions, once: Once | None) -> str:
        return await desk.backfill(
            board, source, caller.person, shadow=shadow, downstream=downstream, tenant=caller.tenant, once=once
        )

    return await goes_on(request, board, NoOptions, act, b"%d%d" % (shadow, downstream))
