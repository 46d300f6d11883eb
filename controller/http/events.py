"""GET /v1/boards/{id}/events: a board's log as Server-Sent Events, each record encoded once for all who watch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from blackboard.channel import Position
from blackboard.errors import UsageError
from controller.http.door import BoardId, Parameter, api_of, board_of, documented, query
from controller.http.problems import Problem, described
from controller.views import BoardView

router = APIRouter(prefix="/v1", tags=["boards"])

AFTER = Parameter(
    "after",
    str,
    "",
    {"type": "string", "examples": ["3f9a0c2b7d1e.12-0"]},
    "Begin behind this event; `Last-Event-ID` wins over it.",
)
RETRY_MS = (2000, 6000)
"""How soon clients come back, drawn for each so that they do not all come at once."""
STALLED_S = 60.0
"""How long a client may take to read one write before it is dropped."""
MOST_STREAMS = 12_000
"""Open streams of one process."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """Sends chunks as they come; ends with them, when the client leaves, or when it no longer reads."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        super().__init__()
        self._chunks = chunks
        self._since: float | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            done: set[asyncio.Task[None]] = set()
            while not done and not self._stalled():
                done, _ = await asyncio.wait(
                    {sending, leaving}, timeout=STALLED_S / 2, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            leaving.cancel()
            sending.cancel()
            await asyncio.wait({sending, leaving})
        if not sending.cancelled():
            sending.result()

    def _stalled(self) -> bool:
        # A look now and then: a timer for every write would cost more than the write.
        return self._since is not None and asyncio.get_running_loop().time() - self._since > STALLED_S

    async def _send(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        opening = b"retry: %d\n\n" % random.randint(*RETRY_MS)
        await send({"type": "http.response.body", "body": opening, "more_body": True})
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                self._since = loop.time()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._since = None
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get(
    "/boards/{board}/events",
    operation_id="boards.events",
    summary="Watch a board",
    responses={
        200: {
            "description": "Every record once, in order, from where you left off. `progress` events carry no id. "
            "`reset` carries the whole board: the place you named is not in its history.",
            "content": {
                "text/event-stream": {
                    "itemSchema": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string"},
                            "event": {"type": "string"},
                            "data": {
                                "type": "string",
                                "contentMediaType": "application/json",
                                "contentSchema": {"$ref": "#/components/schemas/BoardEvent"},
                            },
                        },
                    }
                }
            },
        },
        204: {"description": "The board has ended and you have seen it all."},
        **described("invalid-last-event-id", "too-many-streams", "stopping"),
    },
    openapi_extra={
        "parameters": [
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"},
             "description": "The id of the last event you saw."},
            *documented(AFTER)["parameters"],
        ]
    },
)  # fmt: skip
async def watch(request: Request, board: BoardId) -> Response:
    """Ends after the board's last record. `EventSource` reconnects by itself and misses nothing."""
    after = _position(request)
    view = await board_of(request, board)
    if after is not None and _has_all(view, after):
        return Response(status_code=204)
    feed = api_of(request).feed
    if feed.finished:
        raise Problem("stopping", headers={"Retry-After": "1", "Connection": "close"})
    if feed.watchers >= MOST_STREAMS:
        raise Problem("too-many-streams", headers={"Retry-After": "5"})
    return EventStream(feed.subscribe(board, after, head=dict(view.head)))


def _position(request: Request) -> Position | None:
    asked = query(request, AFTER)[AFTER]
    given = request.headers.getlist("last-event-id")
    if len(given) > 1:
        raise Problem("invalid-last-event-id")
    text, problem = (given[0], Problem("invalid-last-event-id")) if given and given[0] else (asked, None)
    if not text:
        return None
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
    schemas["BoardEvent"] = {
        "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {kind: f"#/components/schemas/{name}" for kind, name in names.items()},
        },
    }
    return schemas
