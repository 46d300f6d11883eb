"""Entries of a board: read at any version, and a person's contributions under version checks."""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.entries import LEVEL, NAME, SOURCE, Header
from blackboard.errors import BoardClosed
from blackboard.ports import Store
from controller.http.body import read_json
from controller.http.caching import caching, not_modified
from controller.http.contents import entries_of, resolved
from controller.http.door import (
    BoardId,
    EntryName,
    Given,
    LevelName,
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
from controller.http.etags import etag, expected
from controller.http.models import EntryList, EntryModel
from controller.http.problems import Problem, described
from controller.http.shadows import DIFF, OF_SOURCE, SPACE, shadow_entries, shadow_of
from controller.pinned import shadow_prefix
from controller.values import EntryConflict
from controller.views import BoardView, entry_view

router = APIRouter(prefix="/v1", tags=["entries"])

PAGE = 200
OF_LEVEL = Parameter(
    "level", words(LEVEL, "a level's name"), "", {"type": "string", "pattern": ecma(LEVEL)}, "Only this level."
)
VERSION = Parameter(
    "version", whole(1, 10**12), 0, {"type": "integer", "minimum": 1, "maximum": 10**12}, "An earlier version."
)
PIN = flag("pin", "Whether sources may only suggest beside it from now on.", default=True)
CONFIDENCE = Parameter(
    "confidence",
    lambda text: _fraction(text),
    1.0,
    {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
    "How sure you are.",
)
WRITES = described(
    "board-ended", "precondition-failed", "precondition-required", "invalid-header", "invalid-key", "validation-error",
    "content-too-large", "unsupported-media-type", "unsupported-content-encoding", "invalid-json", "invalid-encoding",
    "invalid-unicode", "duplicate-member", "json-too-deep",
)  # fmt: skip
CONDITIONS: list[dict[str, Any]] = [
    {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
    for name, text in (("If-Match", "The version you change."), ("If-None-Match", "`*`: only if there is none yet."))
]


@router.get(
    "/boards/{board}/entries",
    operation_id="entries.list",
    summary="What stands on a board",
    responses={
        200: {"model": EntryList, "description": "`ETag` is the board's revision."},
        304: {"description": "The board is still at that revision."},
        **described("invalid-header"),
    },
    openapi_extra=documented(OF_LEVEL, SPACE, OF_SOURCE, DIFF),
)
async def list_entries(request: Request, board: BoardId) -> Response:
    """Live entries and the rivals beside them, in key order; or what shadows would have contributed."""
    given = query(request, OF_LEVEL, SPACE, OF_SOURCE, DIFF)
    level = given[OF_LEVEL]
    _side_space_only(given, OF_SOURCE, DIFF)
    view = await board_of(request, board)
    if (same := not_modified(request, view, view.revision)) is not None:
        return same
    store = api_of(request).store
    found = await store.projection(board)
    if found is None:
        raise Problem("not-found")
    if given[SPACE]:
        content = await shadow_entries(store, found, level=level, source=given[OF_SOURCE], diff=given[DIFF])
    else:
        content = {"items": await entries_of(store, found, level or None)}
    return answer(
        {"board": board, "revision": found.revision, **content},
        200,
        caching(BoardView(board, found.head), found.revision),
    )


@router.get(
    "/boards/{board}/entries/{level}/{name}",
    operation_id="entries.get",
    summary="One entry",
    responses={
        200: {"model": EntryModel, "description": "`ETag` is the entry's version."},
        304: {"description": "It is still at that version."},
        **described("invalid-header"),
    },
    openapi_extra=documented(VERSION, SPACE, OF_SOURCE),
)
async def get_entry(request: Request, board: BoardId, level: LevelName, name: EntryName) -> Response:
    """Retracted entries are not found; their earlier versions are."""
    given = query(request, VERSION, SPACE, OF_SOURCE)
    version = given[VERSION]
    _side_space_only(given, OF_SOURCE)
    view = await board_of(request, board)
    key = place = _key(level, name)
    store = api_of(request).store
    more: dict[str, str] = {}
    if given[SPACE]:
        source = await shadow_of(store, board, key, given[OF_SOURCE])
        place, more = shadow_prefix(source) + key, {"space": "shadow", "source": source}
    found = await store.entry(board, place)
    if found is not None and version and Header.parse(found[0]).version != version:
        found = await _earlier(store, board, place, version)
    if found is None or found[1] is None:
        raise Problem("not-found")
    header = Header.parse(found[0])
    if (same := not_modified(request, view, header.version)) is not None:
        return same
    value = (await resolved(store, [found[1]]))[0]
    return answer({**entry_view(key, header, value), **more}, 200, caching(view, header.version))


def _side_space_only(given: Given, *parameters: Parameter[Any]) -> None:
    for parameter in parameters:
        if given[parameter] and not given[SPACE]:
            raise Problem(
                "invalid-parameter", f"`{parameter.name}` goes with `space=shadow`.", parameter=parameter.name
            )


@router.put(
    "/boards/{board}/entries/{level}/{name}",
    operation_id="entries.put",
    summary="Contribute or correct an entry",
    responses={
        200: {"model": EntryModel, "description": "Replaced."},
        201: {"model": EntryModel, "description": "It was not there."},
        **WRITES,
    },
    openapi_extra={
        "parameters": [*CONDITIONS, *documented(PIN, CONFIDENCE)["parameters"]],
        "requestBody": {
            "required": True,
            "description": "The value, in the shape of its level.",
            "content": {"application/json": {"schema": {}}},
        },
    },
)
async def put_entry(request: Request, board: BoardId, level: LevelName, name: EntryName) -> Response:
    """What a person puts is pinned: sources can only suggest beside it, until it is put with `?pin=false`."""
    given = query(request, PIN, CONFIDENCE)
    await _open_board(request, board)
    condition = expected(request)
    value = await read_json(request)
    api, caller, key = api_of(request), caller_of(request), f"{level}/{name}"
    written = await api.desk.put_entry(
        board,
        key,
        value,
        if_version=await _version(api.store, board, key, condition),
        by=caller.person,
        pin=given[PIN],
        confidence=given[CONFIDENCE],
        tenant=caller.tenant,
    )
    found = await api.store.entry(board, key)
    if found is None or Header.parse(found[0]).version != written.version:
        # Somebody was quicker to change it again: what is answered is what was written here.
        found = await _earlier(api.store, board, key, written.version)
    if found is None or found[1] is None:
        raise Problem("not-found")  # the board was removed meanwhile
    header = Header.parse(found[0])
    content = entry_view(key, header, (await resolved(api.store, [found[1]]))[0])
    headers = {"ETag": etag(header.version)}
    if written.created:
        headers["Location"] = f"/v1/boards/{board}/entries/{key}"
    return answer(content, 201 if written.created else 200, headers)


@router.delete(
    "/boards/{board}/entries/{level}/{name}",
    operation_id="entries.delete",
    status_code=204,
    summary="Retract an entry",
    responses={204: {"description": "It is gone, and pinned so: no source brings it back."}, **WRITES},
    openapi_extra={"parameters": [CONDITIONS[0]]},
)
async def delete_entry(request: Request, board: BoardId, level: LevelName, name: EntryName) -> Response:
    """A rival (`name~source`) is dismissed the same way."""
    query(request)
    await _open_board(request, board)
    key = _key(level, name)
    api, caller = api_of(request), caller_of(request)
    found = await api.store.entry(board, key)
    if found is None or found[1] is None:
        raise Problem("not-found")
    condition = expected(request)
    if condition == "new":
        raise Problem("precondition-failed", current_version=Header.parse(found[0]).version)
    version = await _version(api.store, board, key, condition)
    await api.desk.delete_entry(board, key, if_version=version, by=caller.person, tenant=caller.tenant)
    return Response(status_code=204)


async def _open_board(request: Request, board: str) -> None:
    """What is wrong with a write whatever its condition comes before the condition (RFC 9110, section 13.2.1)."""
    if (await board_of(request, board)).ended:
        raise BoardClosed("the board has ended")


def _key(level: str, name: str) -> str:
    """The key that a path names; what cannot be a key names nothing."""
    plain, mark, source = name.partition("~")
    if not LEVEL.match(level) or not NAME.match(plain) or (mark and not SOURCE.match(source)):
        raise Problem("not-found")
    return f"{level}/{name}"


async def _version(store: Store, board: str, key: str, condition: Literal["new", "any"] | list[int]) -> int:
    """The version that must hold when the write is made; a condition that fails already is left to fail there."""
    if condition == "new":
        return 0
    found = await store.entry(board, key) if LEVEL.match(key.partition("/")[0]) else None
    header = Header.parse(found[0]) if found else None
    current, live = (header.version, header.live) if header else (0, False)
    if not live or condition == [] or (condition == "any" and not current):
        raise EntryConflict(key, current, live=live)
    if condition == "any" or current in condition:
        return current
    return condition[0]


async def _earlier(store: Store, board: str, key: str, version: int) -> tuple[str, bytes | None] | None:
    """An entry as it was written at a version, from the log."""
    after = "0-0"
    while records := await store.log(board, after, count=PAGE):
        for record in records:
            text = record.entries.get(key)
            if text is not None and text.startswith(f"{version}|"):
                return text, record.values.get(key)
        after = records[-1].id
    return None


def _fraction(text: str) -> float:
    if not re.fullmatch(r"[01](\.[0-9]{1,20})?|[0-9](\.[0-9]{1,20})?e-[0-9]{1,3}", text) or float(text) > 1:
        raise ValueError("must be a number from 0 to 1")
    return float(text)
