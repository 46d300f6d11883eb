"""GET /v1/boards/{id}/diff: what moved between two revisions."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from blackboard.board import Board
from blackboard.entries import is_shadow
from blackboard.ports import Store
from blackboard.replay import Diff, EntryChange, copied, diff, folded_at
from controller.http.caching import caching, not_modified
from controller.http.contents import resolved
from controller.http.door import (
    BoardId,
    Parameter,
    answer,
    api_of,
    board_of,
    documented,
    query,
    whole,
)
from controller.http.problems import Problem, described

router = APIRouter(prefix="/v1", tags=["boards"])

LARGEST = 10**12
FROM = Parameter(
    "from",
    whole(0, LARGEST),
    0,
    {"type": "integer", "minimum": 0, "default": 0},
    "The earlier revision; 0: before there was anything.",
)
TO = Parameter(
    "to", whole(1, LARGEST), 0, {"type": "integer", "minimum": 1}, "The later one; by default the last one there is."
)


class ChangeModel(BaseModel):
    """One entry that moved. `before` and `value`: what it held then and holds later; null where it was not there."""

    key: str
    kind: Literal["added", "changed", "retracted", "restored"]
    from_version: int
    to_version: int
    owner: str
    before: Any
    value: Any


class DiffModel(BaseModel):
    """What moved between two revisions. `head` and `activations`: name -> before and after; null where there was none."""

    model_config = ConfigDict(populate_by_name=True)

    board: str
    start: int = Field(alias="from")
    end: int = Field(alias="to")
    head: dict[str, tuple[str | None, str | None]]
    entries: list[ChangeModel]
    activations: dict[str, tuple[str | None, str | None]]


@router.get(
    "/boards/{board}/diff",
    operation_id="boards.diff",
    summary="What moved between two revisions",
    responses={
        200: {"model": DiffModel, "description": "Entries in key order. `ETag` is both revisions."},
        304: {"description": "It is what it was."},
        **described("invalid-header"),
    },
    openapi_extra=documented(FROM, TO),
)
async def get_diff(request: Request, board: BoardId) -> Response:
    """Both are folded from the log: no code runs. The side space of shadows is left out."""
    given = query(request, FROM, TO)
    view = await board_of(request, board)
    start, end = given[FROM], given[TO] or view.revision
    if end > view.revision:
        raise Problem("invalid-parameter", "`to` lies beyond the board's last revision.", parameter="to")
    if start > end:
        raise Problem("invalid-parameter", "`from` must not be later than `to`.", parameter="from")
    tag = f"{start}-{end}"
    if (same := not_modified(request, view, tag)) is not None:
        return same
    store = api_of(request).store
    before = await folded_at(store, board, start)
    after = await folded_at(store, board, end, copied(before))
    moved = diff(before, after)
    plain = moved.to_json()
    content = {"board": board, **plain, "entries": await _changes(store, moved, before)}
    return answer(content, 200, caching(view, tag))


async def _changes(store: Store, moved: Diff, before: Board) -> list[dict[str, Any]]:
    changes = [change for change in moved.entries if not is_shadow(change.key)]
    stored = [before.values.get(change.key) for change in changes] + [change.value for change in changes]
    values = await resolved(store, [b"null" if each is None else each for each in stored])
    return [_change(*row) for row in zip(changes, values[: len(changes)], values[len(changes) :], strict=True)]


def _change(change: EntryChange, before: bytes, after: bytes) -> dict[str, Any]:
    return {
        "key": change.key,
        "kind": change.kind,
        "from_version": change.before.version if change.before else 0,
        "to_version": change.after.version if change.after else 0,
        "owner": change.after.owner if change.after else "",
        "before": orjson.Fragment(before),
        "value": orjson.Fragment(after),
    }
