"""Boards: list, look at (also as of a revision), the log, why, and what people may ask of one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.entries import Activation, level_of
from blackboard.errors import UsageError
from blackboard.keys import BOARD_ID
from blackboard.levels import Child
from blackboard.ports import BoardRow
from blackboard.replay import folded_at
from controller.http.body import optional, read_options
from controller.http.caching import caching, not_modified
from controller.http.contents import entries_of
from controller.http.door import (
    BoardId,
    Parameter,
    answer,
    api_of,
    board_of,
    caller_of,
    documented,
    ecma,
    flag,
    query,
    whole,
    words,
)
from controller.http.etags import etag
from controller.http.models import BoardList, BoardModel, NoOptions
from controller.http.problems import CATALOGUE, Problem, described
from controller.http.reasons import WhyModel
from controller.kin import children_of
from controller.views import BoardView, activation_view

router = APIRouter(prefix="/v1", tags=["boards"])

PAGE = 200
LIMIT = Parameter(
    "limit", whole(1, 200), 50, {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Boards a page."
)
CURSOR = Parameter("cursor", str, "", {"type": "string"}, "Where to go on: `next_cursor` of the page before.")
CHILDREN = flag("children", "With the boards that sources opened for parts of documents.")
PARENT = Parameter(
    "parent",
    words(BOARD_ID, "a board's id"),
    "",
    {"type": "string", "pattern": ecma(BOARD_ID)},
    "The child boards of this board alone, in order of their names.",
)
AT = Parameter(
    "at",
    whole(1, 10**12),
    0,
    {"type": "integer", "minimum": 1, "maximum": 10**12},
    "The board as it was at this revision, with contents.",
)


@router.get(
    "/boards",
    operation_id="boards.list",
    summary="List boards, newest first",
    responses={200: {"model": BoardList, "description": "A page; `Link` names the next."}, **described()},
    openapi_extra=documented(LIMIT, CURSOR, CHILDREN, PARENT),
)
async def list_boards(request: Request) -> Response:
    """Top-level boards. Pages are stable while boards are added: the cursor says behind which board to go on."""
    given, tenant = query(request, LIMIT, CURSOR, CHILDREN, PARENT), caller_of(request).tenant
    limit, before = given[LIMIT], _open_cursor(given[CURSOR], tenant)
    try:
        if given[PARENT]:
            rows, cursor = await _below(request, given[PARENT], before, limit)
        else:
            store = api_of(request).store
            rows, cursor = await store.boards(tenant, before=before, limit=limit, children=given[CHILDREN])
    except UsageError:
        raise _bad_cursor() from None
    onward = _seal_cursor(cursor, tenant) if cursor else None
    more = f"&parent={given[PARENT]}" if given[PARENT] else "&children=true" if given[CHILDREN] else ""
    headers = {"Link": f'</v1/boards?limit={limit}{more}&cursor={onward}>; rel="next"'} if onward else {}
    return answer({"items": [shown(BoardView(row.id, row.head)) for row in rows], "next_cursor": onward}, 200, headers)


@router.get(
    "/boards/{board}",
    operation_id="boards.get",
    summary="Look at a board",
    responses={
        200: {"model": BoardModel, "description": "The board; `ETag` is its revision."},
        304: {"description": "It is still at that revision."},
        **described("invalid-header"),
    },
    openapi_extra=documented(AT),
)
async def get_board(request: Request, board: BoardId) -> Response:
    """With `?at=` the log is folded up to that revision: no code runs, and the entries and the agenda come with it."""
    at = query(request, AT)[AT]
    view = await board_of(request, board)
    if at > view.revision:
        raise Problem("invalid-parameter", "`at` lies beyond the board's last revision.", parameter="at")
    tag = at or view.revision
    if (same := not_modified(request, view, tag)) is not None:
        return same
    if not at:
        content = shown(view)
        if "children" in view.head:
            content["children"] = await _children(request, board)
        return answer(content, 200, caching(view, tag))
    store = api_of(request).store
    folded = await folded_at(store, board, at)
    content = shown(BoardView(board, folded.head))
    content["entries"] = await entries_of(store, folded)
    content["activations"] = [activation_view(Activation.parse(id, stored)) for id, stored in folded.agenda.items()]
    return answer(content, 200, caching(view, tag))


@router.get(
    "/boards/{board}/why",
    operation_id="boards.why",
    summary="Why each source acted, or did not",
    responses={200: {"model": WhyModel}, **described()},
)
async def get_why(request: Request, board: BoardId) -> Response:
    """Exactly what decides: the same function that puts sources to work gives these reasons."""
    query(request)
    await board_of(request, board)
    reasons = await api_of(request).why(board)
    if reasons is None:
        raise Problem("not-found")
    return answer({"board": board, "reasons": list(reasons)})


@router.post(
    "/boards/{board}/cancel",
    operation_id="boards.cancel",
    status_code=202,
    summary="End a board early",
    responses={
        202: {"model": BoardModel},
        200: {"model": BoardModel, "description": "It had ended already."},
        **described(),
    },
    openapi_extra=optional(NoOptions),
)
async def cancel(request: Request, board: BoardId) -> Response:
    """What runs is stopped; what was contributed stays."""
    return await _ask(request, board, "cancel")


@router.post(
    "/boards/{board}/approve",
    operation_id="boards.approve",
    status_code=202,
    summary="Let a board held for review end",
    responses={202: {"model": BoardModel}, **described("board-ended")},
    openapi_extra=optional(NoOptions),
)
async def approve(request: Request, board: BoardId) -> Response:
    """A board submitted with `hold: review` stays open when everything is settled, until this."""
    return await _ask(request, board, "approve")


async def _ask(request: Request, board: str, what: str) -> Response:
    query(request)
    await read_options(request, NoOptions)
    desk, caller = api_of(request).desk, caller_of(request)
    method = desk.cancel if what == "cancel" else desk.approve
    view = await method(board, caller.person, tenant=caller.tenant)
    return answer(shown(view), 200 if view.ended else 202, {"ETag": etag(view.revision)})


def shown(view: BoardView) -> dict[str, Any]:
    """A board; a failed one with the problem that says why."""
    content = view.show()
    if view.status == "failed" and view.outcome is not None:
        slug = str(view.outcome.get("slug", ""))
        title = CATALOGUE[slug].title if slug in CATALOGUE else slug.replace("-", " ").capitalize()
        content["problem"] = {
            "type": f"/problems/{slug}",
            "title": title,
            "status": 422,
            "detail": view.outcome.get("reason", ""),
        }
    return content


async def _children(request: Request, board: str) -> list[dict[str, Any]]:
    folded = await api_of(request).store.projection(board)
    found = children_of(folded).items() if folded is not None else ()
    return [
        {"key": key, **child.model_dump(), "links": {"self": f"/v1/boards/{child.board}"}} for key, (_, child) in found
    ]


async def _below(request: Request, parent: str, before: str, limit: int) -> tuple[list[BoardRow], str]:
    """The child boards of a board, by name; the cursor is the key of the last one's entry. Raises UsageError, Problem."""
    await board_of(request, parent)
    if before and level_of(before) != Child.level:
        raise UsageError("the cursor is another listing's")
    store = api_of(request).store
    folded = await store.projection(parent)
    known = children_of(folded) if folded is not None else {}
    keys = [key for key in known if key > before]
    page = [board for key in keys[:limit] if BOARD_ID.match(board := known[key][1].board)]
    heads = await asyncio.gather(*map(store.head, page))
    tenant = caller_of(request).tenant
    rows = [
        BoardRow(board, int(head["created"]), head)
        for board, head in zip(page, heads, strict=True)
        if head and head.get("tenant") == tenant and "opened_by" in head
    ]
    return rows, keys[limit - 1] if len(keys) > limit else ""


def _seal_cursor(cursor: str, tenant: str) -> str:
    return base64.urlsafe_b64encode(_seal(cursor, tenant) + cursor.encode()).decode().rstrip("=")


def _open_cursor(text: str, tenant: str) -> str:
    if not text:
        return ""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = raw[6:].decode("ascii")
    except ValueError:
        raise _bad_cursor() from None
    # Base64 may spell the same bytes in several ways: only the one that was given is good.
    if _seal_cursor(cursor, tenant) != text:
        raise _bad_cursor()
    return cursor


def _seal(cursor: str, tenant: str) -> bytes:
    """A checksum, so that a cursor changed by accident or play is refused; it keeps nothing secret."""
    return hashlib.blake2b(cursor.encode(), digest_size=6, key=tenant.encode()[:64]).digest()


def _bad_cursor() -> Problem:
    return Problem("invalid-parameter", "`cursor` is not one that this listing gave.", parameter="cursor")
