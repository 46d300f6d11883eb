"""What the routes that answer with streams share: parameters, descriptions, and how many there may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request

from controller.http.door import Parameter, api_of, caller_of
from controller.http.problems import Problem

MOST_STREAMS = 12_000
"""Open streams of one process."""
MOST_WORDS = 50
LAST_EVENT_ID = {
    "name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "The id of the last event you saw.",
}  # fmt: skip


def several(known: Callable[[str], Any], meaning: str) -> Callable[[str], frozenset[str]]:
    """A reader of words with commas between them."""

    def read(text: str) -> frozenset[str]:
        found = text.split(",")
        if len(found) > MOST_WORDS or not all(map(known, found)):
            raise ValueError(f"must be one or more of {meaning}, with commas between them")
        return frozenset(found)

    return read


def several_of(name: str, known: Callable[[str], Any], meaning: str, example: str, about: str) -> Parameter[Any]:
    """A parameter that is a list of words."""
    schema = {"type": "string", "examples": [example]}
    return Parameter(name, several(known, meaning), frozenset(), schema, about)


def message_schema(event: str) -> dict[str, Any]:
    """The `content` of a stream whose messages carry this schema."""
    data = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in (event, "StreamAside")]}
    id, name = {"type": "string"}, {"type": "string"}
    encoded = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return {
        "text/event-stream": {
            "itemSchema": {"type": "object", "properties": {"id": id, "event": name, "data": encoded}}
        },
        "application/x-ndjson": {
            "itemSchema": {
                "type": "object",
                "required": ["event"],
                "properties": {"id": id, "event": name, "data": data},
            }
        },
    }


async def admit_stream(request: Request) -> Callable[[], None]:
    """Count one more stream of this process and of the caller's key; what to call when it has ended.

    Raises Problem stopping or too-many-streams, StorageError.
    """
    api = api_of(request)
    if api.feed.finished:
        raise Problem("stopping", headers={"Retry-After": "1", "Connection": "close"})
    if api.streams.here >= MOST_STREAMS:
        raise Problem("too-many-streams", headers={"Retry-After": "5"})
    caller = caller_of(request)
    return await api.streams.open(caller.key or f"tenant:{caller.tenant}", caller.streams)


def last_event_id(request: Request) -> str:
    """The header, "" where there is none. Raises Problem invalid-last-event-id when there are several."""
    given = request.headers.getlist("last-event-id")
    if len(given) > 1:
        raise Problem("invalid-last-event-id")
    return given[0] if given else ""
