"""GET /v1/spending: what models cost on a day, and what is left; GET /v1/boards/{id}/calls: a board's calls, one by one."""

from __future__ import annotations

from datetime import date
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.errors import UsageError
from controller.http.door import (
    BoardId,
    Parameter,
    answer,
    api_of,
    board_of,
    caller_of,
    documented,
    query,
    whole,
)
from controller.http.problems import Problem, described
from controller.http.spending_models import CallList, SpendingModel

router = APIRouter(prefix="/v1", tags=["spending"])


def _day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or text != day.isoformat() or day.year < 1970:
        raise ValueError("must be a day, like 2026-11-21")
    return f"{day:%Y%m%d}"


SINCE_1970 = "^(19[7-9]|[2-9][0-9]{2})[0-9]-"
DAY = Parameter(
    "day",
    _day,
    "",
    {"type": "string", "format": "date", "pattern": SINCE_1970, "examples": ["2026-11-21"]},
    "A day, UTC; today if left out.",
)
LIMIT = Parameter(
    "limit", whole(1, 200), 50, {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Calls a page."
)
CURSOR = Parameter("cursor", str, "", {"type": "string"}, "Where to go on: `next_cursor` of the page before.")


@router.get(
    "/spending",
    operation_id="spending.get",
    summary="What models cost on a day, and what is left",
    responses={200: {"model": SpendingModel}, **described()},
    openapi_extra=documented(DAY),
)
async def get_spending(request: Request) -> Response:
    """The caller's own. Sums are kept for 90 days, what stands against caps for a week."""
    day = query(request, DAY)[DAY]
    return answer(await api_of(request).accounts.day(day, tenant=caller_of(request).tenant))


@router.get(
    "/boards/{board}/calls",
    operation_id="boards.calls",
    summary="A board's calls of models",
    responses={200: {"model": CallList, "description": "A page, oldest first; `Link` names the next."}, **described()},
    openapi_extra=documented(LIMIT, CURSOR),
)
async def get_calls(request: Request, board: BoardId) -> Response:
    """Answers that needed no call are among them. Child boards have their own."""
    given, tenant = query(request, LIMIT, CURSOR), caller_of(request).tenant
    await board_of(request, board)
    try:
        page = await api_of(request).accounts.board(board, tenant=tenant, after=given[CURSOR], limit=given[LIMIT])
    except UsageError:
        message = "`cursor` is not one that this listing gave."
        raise Problem("invalid-parameter", message, parameter="cursor") from None
    onward = page["next_cursor"]
    path = f"/v1/boards/{board}/calls?limit={given[LIMIT]}"
    headers = {"Link": f'<{path}&cursor={quote(onward, safe="")}>; rel="next"'} if onward else {}
    return answer(page, 200, headers)
