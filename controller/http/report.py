"""GET /v1/boards/{id}/report: the analysis, or on request the best there is by now."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.board import Board
from blackboard.entries import is_rival, is_shadow, level_of
from blackboard.levels import Report, Upload
from controller.http.caching import caching, not_modified
from controller.http.contents import entries_of, resolved
from controller.http.door import BoardId, answer, api_of, board_of, documented, flag, query
from controller.http.models import ReportModel
from controller.http.problems import Problem, described
from controller.views import BoardView

router = APIRouter(prefix="/v1", tags=["boards"])

PARTIAL = flag("partial", "Answer what there is, though the board is open or ended without a report.")
LEFT_OUT = frozenset({Upload.level, Report.level, "layer", "reading", "passages"})
"""Levels that a partial answer leaves out: material that others were made of."""


@router.get(
    "/boards/{board}/report",
    operation_id="boards.report",
    summary="The report",
    responses={
        200: {"model": ReportModel, "description": "`partial` says whether it is less than the whole."},
        304: {"description": "The board is still at that revision."},
        **described("report-not-ready", "no-report", "invalid-header"),
    },
    openapi_extra=documented(PARTIAL),
)
async def get_report(request: Request, board: BoardId) -> Response:
    """Ready when the board has completed. Until then, `?partial=true`."""
    partial = query(request, PARTIAL)[PARTIAL]
    view = await board_of(request, board)
    if not view.ended and not partial:
        raise Problem("report-not-ready", headers={"Retry-After": "1"}, links=view.show()["links"])
    if (same := not_modified(request, view, view.revision)) is not None:
        return same
    store = api_of(request).store
    found = await store.projection(board)
    if found is None:
        raise Problem("not-found")
    view = BoardView(board, found.head)
    key = report_key(found)
    report = (await resolved(store, [found.values[key]]))[0] if key else None
    short = bool((view.outcome or {}).get("partial"))
    content: dict[str, Any] = {
        "board": board,
        "status": view.status,
        "revision": view.revision,
        "partial": view.status != "completed" or short or report is None,
        "outcome": view.outcome,
        "report": None if report is None else orjson.Fragment(report),
    }
    if report is None or not view.ended:
        if view.ended and not partial and not short:
            outcome = view.outcome or {}
            raise Problem("no-report", reason=outcome.get("slug"), links=view.show()["links"])
        content["contributions"] = await _contributions(request, found)
    return answer(content, 200, caching(view, view.revision))


def report_key(board: Board) -> str | None:
    """The key of the report that stands on the board, rivals aside."""
    return min((key for key in board.values if level_of(key) == Report.level and not is_rival(key)), default=None)


async def _contributions(request: Request, board: Board) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    levels = sorted({level_of(key) for key in board.values if not is_shadow(key)} - LEFT_OUT)
    for level in levels:
        found[level] = await entries_of(api_of(request).store, board, level)
    return found
