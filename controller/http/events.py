"""GET /v1/boards/{id}/events: a board's log as it happens, as Server-Sent Events or JSON lines, encoded once for all."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.entries import LEVEL
from blackboard.errors import UsageError
from blackboard.events import TYPES
from blackboard.messages import PROGRESS, Lens, Position
from blackboard.ring import Lag
from controller.http.door import BoardId, Given, Parameter, api_of, board_of, documented, flag, query
from controller.http.problems import Problem, described
from controller.http.streaming import LiveStream, wants_lines
from controller.http.streams import LAST_EVENT_ID, admit_stream, last_event_id, message_schema, several_of
from controller.views import BoardView

router = APIRouter(prefix="/v1", tags=["boards"])

WHO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}\Z")


AFTER = Parameter(
    "after",
    str,
    "",
    {"type": "string", "examples": ["3f9a0c2b7d1e.12-0"]},
    "Begin behind this event; `Last-Event-ID` wins over it.",
)
SNAPSHOT = flag(
    "snapshot",
    "Begin with `board.snapshot`, the whole board as it is, and go on from there. Only for a first look: it is passed over "
    "where `Last-Event-ID` says where to go on.",
)
LEVEL_IS = several_of(
    "level", LEVEL.match, "the names of levels", "page,claim", "Records that touch an entry of these levels."
)
SOURCE_IS = several_of(
    "source",
    WHO.match,
    "the names of knowledge sources",
    "ocr,entities",
    "Records written by these sources, or that are about their activations.",
)
TYPE_IS = several_of(
    "type",
    {*TYPES, PROGRESS}.__contains__,
    f"{', '.join(sorted({*TYPES, PROGRESS}))}",
    "contribution.committed",
    "Records of these types.",
)


@router.get(
    "/boards/{board}/events",
    operation_id="boards.events",
    summary="Watch a board",
    responses={
        200: {
            "description": "Every record once, in order, from where you left off; with filters, those that pass all of them, "
            "and the last one in any case. `progress` events carry no id. `reset` carries the whole board: the place you "
            "named is not in its history. `stream.bookmark` moves the place to resume at past what was left out. "
            "`stream.closing` comes last: `finished`, or come back (`shutdown`).",
            "content": message_schema("BoardEvent"),
        },
        204: {"description": "The board has ended and you have seen it all."},
        **described("invalid-last-event-id", "too-many-streams", "stopping"),
    },
    openapi_extra={
        "parameters": [
            LAST_EVENT_ID,
            *documented(AFTER, SNAPSHOT, LEVEL_IS, SOURCE_IS, TYPE_IS)["parameters"],
        ]
    },
)
async def watch(request: Request, board: BoardId) -> Response:
    """Ends after the board's last record. `EventSource` reconnects by itself and misses nothing.

    With `Accept: application/x-ndjson` each message is one line: an object with the members `id`, `event` and `data`.
    """
    given = query(request, AFTER, SNAPSHOT, LEVEL_IS, SOURCE_IS, TYPE_IS)
    after = _position(request, given)
    lens = Lens(given[LEVEL_IS], given[SOURCE_IS], given[TYPE_IS], wants_lines(request))
    view = await board_of(request, board)
    if after is not None and _has_all(view, after):
        return Response(status_code=204)
    feed = api_of(request).feed
    left = await admit_stream(request)
    lag = Lag()
    chunks = feed.subscribe(board, after, lens=lens, snapshot=given[SNAPSHOT], head=dict(view.head), lag=lag)
    reason = lambda: "shutdown" if feed.finished else "finished"  # noqa: E731
    return LiveStream(chunks, reason, lines=lens.lines, lag=lag, left=left)


def _position(request: Request, given: Given) -> Position | None:
    last = last_event_id(request)
    text, problem = (last, Problem("invalid-last-event-id")) if last else (given[AFTER], None)
    if not text:
        return None
    if problem is None and given[SNAPSHOT]:
        raise Problem(
            "invalid-parameter", "`snapshot` begins at the present, `after` in the past.", parameter="snapshot"
        )
    try:
        return Position.parse(text)
    except UsageError:
        raise problem or Problem("invalid-parameter", "`after` is not an event id.", parameter="after") from None


def _has_all(view: BoardView, after: Position) -> bool:
    """No note follows the end, so its record is the last place there is."""
    return view.ended and after.incarnation == view.head["incarnation"] and after.place == (view.revision, 0)


def event_schema(kinds: list[str]) -> dict[str, Any]:
    """The union of events for OpenAPI, told apart by `type`."""
    names = {kind: "".join(word.capitalize() for word in kind.split(".")) + "Event" for kind in kinds}
    record = {
        "type": "object",
        "required": ["schema", "id", "revision", "type", "at", "by", "incarnation"],
        "properties": {
            "schema": {"type": "integer"},
            "id": {"type": "string", "description": "`<revision>-<n>`; a note has n >= 1 and changes nothing."},
            "revision": {"type": "integer"},
            "at": {"type": "integer", "description": "Milliseconds since 1970."},
            "by": {"type": "string"},
            "incarnation": {"type": "string"},
            "commit": {"type": "string"},
            "epoch": {"type": "integer"},
            "body": {"type": "object", "description": "What the record says besides the changes."},
            "head": {"type": "object", "additionalProperties": {"type": "string"}},
            "entries": {"type": "object", "description": "Key -> header."},
            "values": {"type": "object", "description": "Key -> value."},
            "agenda": {"type": "object", "description": "Activation -> record."},
        },
    }
    schemas: dict[str, Any] = {"LogRecord": record}
    for kind, name in names.items():
        own = {"type": "object", "required": ["type"], "properties": {"type": {"const": kind}}}
        schemas[name] = {"allOf": [{"$ref": "#/components/schemas/LogRecord"}, own]}
    asides: dict[str, dict[str, Any]] = {
        "Closing": {"reason": {"type": "string", "enum": ["finished", "shutdown", "behind"]}},
        "Bookmark": {"revision": {"type": "integer"}},
        "Progress": {"source": {"type": "string"}},
    }
    schemas["StreamAside"] = {
        "description": "What is said of the stream itself (`stream.closing`, `stream.bookmark`), or of work under way "
        "(`progress`): no record, and what it is stands beside it in `event`.",
        "anyOf": [
            {"title": title, "type": "object", "required": list(properties), "properties": properties}
            for title, properties in asides.items()
        ],
    }
    schemas["TenantEvent"] = {
        "type": "object",
        "description": "A change, or (`boards.snapshot`, `reset`) the boards that are open.",
        "properties": {
            "board": {"type": "string"},
            "revision": {"type": "integer"},
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["open", "completed", "failed", "cancelled"]},
            "at": {"type": "integer", "description": "Milliseconds since 1970."},
            "boards": {"type": "array", "items": {"type": "object"}},
            "complete": {"type": "boolean", "description": "Whether these are all that are open."},
        },
    }
    schemas["BoardEvent"] = {
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind: f"#/components/schemas/{name}" for kind, name in names.items()},
        },
    }
    return schemas
