"""What watchers are sent: places in a log, messages in two forms, and what a watcher lets through.

A message is the fields `id`, `event` and `data`, as Server-Sent Events or as one JSON object on a line with members of the
same names. Whatever has no id leaves the place to resume at where it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from blackboard.board import Board
from blackboard.entries import level_of
from blackboard.errors import UsageError
from blackboard.events import LogRecord, to_json

ID = re.compile(r"([0-9a-z]{1,32})\.(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,5})\Z")

PROGRESS = "progress"
RESET = "reset"
SNAPSHOT = "board.snapshot"
BOOKMARK = "stream.bookmark"
CLOSING = "stream.closing"


class Place(NamedTuple):
    """Where in a log: a revision, and the number of the note behind it."""

    revision: int
    n: int

    def __str__(self) -> str:
        return f"{self.revision}-{self.n}"


START = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Position:
    """The last message a watcher has seen: `<incarnation>.<revision>-<n>`."""

    incarnation: str
    place: Place

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises UsageError for what no stream ever gave as an id."""
        found = ID.match(text)
        if found is None:
            raise UsageError("that is not an event id", hint="ids look like 3f9a0c2b7d1e.12-0")
        return cls(found[1], Place(int(found[2]), int(found[3])))

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.place}"


def place_of(record: LogRecord) -> Place:
    """Where a record stands."""
    return Place(record.revision, record.n)


@dataclass(frozen=True)
class Message:
    """One message; each form is made once, for all watchers. `data` is JSON without line feeds."""

    event: str
    data: bytes
    id: str = ""

    @cached_property
    def sse(self) -> bytes:
        """As Server-Sent Event."""
        if self.id:
            return b"id: %b\nevent: %b\ndata: %b\n\n" % (self.id.encode(), self.event.encode(), self.data)
        return b"event: %b\ndata: %b\n\n" % (self.event.encode(), self.data)

    @cached_property
    def line(self) -> bytes:
        """As a line of JSON."""
        if self.id:
            return b'{"id":"%b","event":"%b","data":%b}\n' % (self.id.encode(), self.event.encode(), self.data)
        return b'{"event":"%b","data":%b}\n' % (self.event.encode(), self.data)

    def form(self, lines: bool) -> bytes:
        """In the form asked for."""
        return self.line if lines else self.sse


PING = b": ping\n\n"
PING_LINE = b'{"event":"ping"}\n'


@dataclass(frozen=True, slots=True)
class Lens:
    """What a watcher asked to see, each of them empty for all, and in which form. Watchers who asked alike share one.

    A record passes that touches one of the levels, is of one of the sources and of one of the types; the last one always.
    """

    levels: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    lines: bool = False

    @property
    def filters(self) -> bool:
        """Whether there is anything it does not let through."""
        return bool(self.levels or self.sources or self.types)

    @property
    def ping(self) -> bytes:
        """A sign of life."""
        return PING_LINE if self.lines else PING

    def passes(self, mark: Mark) -> bool:
        """Whether a record is shown."""
        return mark.terminal or (
            (not self.types or mark.type in self.types)
            and (not self.sources or not mark.sources.isdisjoint(self.sources))
            and (not self.levels or not mark.levels.isdisjoint(self.levels))
        )


PLAIN = Lens()


@dataclass(frozen=True, slots=True)
class Mark:
    """What lenses go by: a record's type, the sources it is of or about, and the levels it touches."""

    type: str
    sources: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    terminal: bool = False


@dataclass(frozen=True)
class Item:
    """A record on its way to watchers: described and encoded when somebody first needs it."""

    record: LogRecord

    @cached_property
    def mark(self) -> Mark:
        """What lenses go by."""
        return mark_of(self.record)

    @cached_property
    def message(self) -> Message:
        """The record as a message."""
        return message_of(self.record)

    def seen_by(self, lens: Lens) -> bytes | None:
        """The record in the lens's form; None when it does not let it through."""
        if lens.filters and not lens.passes(self.mark):
            return None
        return self.message.form(lens.lines)


def mark_of(record: LogRecord) -> Mark:
    """A record's description."""
    sources, levels = {record.by}, {level_of(key) for key in record.entries}
    for stored in record.agenda.values():
        source = orjson.loads(stored.split(b"|", 3)[3]).get("source")
        if source:
            sources.add(source)
    if record.is_note:
        levels |= {level_of(mismatch["key"]) for mismatch in record.say().get("mismatches", ())}
    return Mark(record.type, frozenset(sources), frozenset(levels), record.is_terminal)


def message_of(record: LogRecord) -> Message:
    """One log record as a message."""
    return Message(record.type, to_json(record), f"{record.incarnation}.{record.id}")


def progress_of(published: bytes) -> tuple[Mark, Message]:
    """Progress has no id. It touches no level, and its type is `progress`."""
    data = b" ".join(published.splitlines())
    try:
        said: Any = orjson.loads(data)
        source = said.get("source", "") if isinstance(said, dict) else ""
    except orjson.JSONDecodeError:
        # Whatever else a process publishes must not end the stream of those who read JSON.
        source, data = "", orjson.dumps(published.decode(errors="replace"))
    return Mark(PROGRESS, frozenset({str(source)})), Message(PROGRESS, data)


def position_of(board: Board) -> Position:
    """The place of a board's last record."""
    return Position(board.head.get("incarnation", ""), Place(board.revision, 0))


def state_of(board: Board, at: int, event: str = RESET) -> Message:
    """The whole board in the shape of a record: it replaces all that a watcher knows."""
    record = LogRecord(
        board.revision, 0, at, event, "", position_of(board).incarnation,
        head=dict(board.head), entries=board.entries, values=board.values, agenda=board.agenda,
    )  # fmt: skip
    return message_of(record)


def bookmark(position: Position) -> Message:
    """Nothing that the watcher asked for happened up to here."""
    return Message(BOOKMARK, b'{"revision":%d}' % position.place.revision, str(position))


def closing(reason: str) -> Message:
    """The last message of a stream that ends in good order: `finished`, `shutdown` (come back) or `behind` (come back)."""
    return Message(CLOSING, orjson.dumps({"reason": reason}))
