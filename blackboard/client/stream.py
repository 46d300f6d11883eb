"""Server-Sent Events taken apart, whether they come over HTTP or from this process's own feed. No I/O."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from blackboard.errors import ServiceError
from blackboard.events import TERMINAL, TYPES, LogRecord, from_json
from blackboard.messages import RESET, SNAPSHOT

WHOLE: Final = frozenset({RESET, SNAPSHOT})
"""Events that carry the whole board, in the shape of a record."""
LONGEST: Final = 1 << 28
"""Bytes; a longer message is none of ours."""


@dataclass(frozen=True, slots=True)
class Event:
    """One message. `id` is empty for what does not move the place to resume at: progress, and a stream's last words."""

    id: str
    type: str
    raw: bytes = field(repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """What it says, decoded anew each time."""
        found = orjson.loads(self.raw)
        return found if isinstance(found, dict) else {}

    @property
    def revision(self) -> int:
        """The board's revision with it; 0 for what has no id."""
        number = self.id.rpartition(".")[2].partition("-")[0]
        return int(number) if number.isdigit() else 0

    @property
    def record(self) -> LogRecord | None:
        """The log record it carries; None for progress, for whole boards, and for types of a newer service."""
        return from_json(self.raw) if self.type in TYPES else None

    @property
    def ends(self) -> bool:
        """Whether the board ended with it, or had ended when the snapshot was taken."""
        if self.type in WHOLE:
            return self.data.get("head", {}).get("status") in TERMINAL.values()
        return self.type in TERMINAL


@dataclass(frozen=True, slots=True)
class Change(Event):
    """What changed on one of a tenant's boards; with `boards.snapshot` and `reset` the boards that are open instead."""

    @property
    def record(self) -> None:
        """It is about a record, and carries none."""
        return

    @property
    def board(self) -> str:
        """The board's id; empty for a snapshot or reset."""
        return str(self.data.get("board", ""))

    @property
    def status(self) -> str:
        """The board's status with it."""
        return str(self.data.get("status", ""))

    @property
    def revision(self) -> int:
        """The board's revision with it."""
        return int(self.data.get("revision", 0))

    @property
    def boards(self) -> list[dict[str, Any]]:
        """The boards that are open, with a snapshot or reset."""
        return list(self.data.get("boards", ()))


class Parser:
    """Whole events from chunks cut anywhere. Comments are dropped; what stands unfinished at the end is never given."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.retry_s: float | None = None
        """How long the service asks to wait before coming back."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole with this chunk. Raises ServiceError for a message without an end."""
        searched = max(0, len(self._rest) - 3)
        self._rest += chunk
        # What was left over has lost its `\r` already, but for one that stood last.
        if self._rest.find(b"\n\n", searched) < 0 and self._rest.find(b"\n\r\n", searched) < 0:
            if len(self._rest) > LONGEST:
                raise ServiceError("the stream holds a message without an end")
            return []
        *whole, rest = bytes(self._rest).replace(b"\r\n", b"\n").split(b"\n\n")
        self._rest = bytearray(rest)
        return [event for event in map(self._parse, whole) if event is not None]

    def _parse(self, text: bytes) -> Event | None:
        id = type = ""
        data: list[bytes] = []
        for line in text.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"id":
                id = value.decode()
            elif name == b"event":
                type = value.decode()
            elif name == b"retry" and value.isdigit():
                self.retry_s = int(value) / 1000
        return Event(id, type or "message", b"\n".join(data)) if data else None


async def events_in(chunks: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    """The events of a stream."""
    parser = Parser()
    async for chunk in chunks:
        for event in parser.feed(chunk):
            yield event
