"""GET /v1/events: what changes on all boards of a tenant, for dashboards."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from blackboard.cursors import ID as CURSOR
from blackboard.events import TYPES
from blackboard.messages import Lens
from blackboard.ring import Lag
from controller.http.door import Parameter, api_of, caller_of, documented, flag, query, words
from controller.http.problems import Problem, described
from controller.http.streaming import LiveStream, wants_lines
from controller.http.streams import LAST_EVENT_ID, admit_stream, last_event_id, message_schema, several_of

router = APIRouter(prefix="/v1", tags=["events"])

ALL_AFTER = Parameter(
    "after",
    words(CURSOR, "an event id"),
    "",
    {"type": "string"},
    "Begin behind this event; `Last-Event-ID` wins over it.",
)
ALL_SNAPSHOT = flag(
    "snapshot", "Begin with `boards.snapshot`, the boards that are open; passed over with `Last-Event-ID`."
)
CHANGE_IS = several_of(
    "type",
    TYPES.__contains__,
    ", ".join(sorted(TYPES)),
    "board.created,board.completed,board.failed,board.cancelled",
    "Changes of these types.",
)


@router.get(
    "/events",
    operation_id="events.watch",
    summary="Watch all boards",
    responses={
        200: {
            "description": "A thin event for every change of the tenant's boards, once, in each board's order, from where "
            "you left off. The first is a `stream.bookmark` with an id to resume at, or, with `snapshot`, `boards.snapshot` "
            "with the open boards; `reset` carries the same where what you missed is kept no longer. What both list may "
            "be told once more behind them: `revision` says what is newer. `stream.closing` comes last: come back.",
            "content": message_schema("TenantEvent"),
        },
        **described("invalid-last-event-id", "too-many-streams", "stopping"),
    },
    openapi_extra={"parameters": [LAST_EVENT_ID, *documented(ALL_AFTER, ALL_SNAPSHOT, CHANGE_IS)["parameters"]]},
)
async def watch_all(request: Request) -> Response:
    """For dashboards. Never ends by itself. Ids are opaque, and good for this tenant alone."""
    given = query(request, ALL_AFTER, ALL_SNAPSHOT, CHANGE_IS)
    last = last_event_id(request)
    if last and not CURSOR.match(last):
        raise Problem("invalid-last-event-id")
    if not last and given[ALL_AFTER] and given[ALL_SNAPSHOT]:
        raise Problem(
            "invalid-parameter", "`snapshot` begins at the present, `after` in the past.", parameter="snapshot"
        )
    feed = api_of(request).feed
    left = await admit_stream(request)
    lens, lag = Lens(types=given[CHANGE_IS], lines=wants_lines(request)), Lag()
    chunks = feed.tenants.subscribe(
        caller_of(request).tenant, last or given[ALL_AFTER], lens=lens, snapshot=given[ALL_SNAPSHOT], lag=lag
    )
    reason = lambda: "shutdown" if feed.finished else "behind"  # noqa: E731
    return LiveStream(chunks, reason, lines=lens.lines, lag=lag, left=left)
