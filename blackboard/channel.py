"""One board's live stream, encoded once: what all its watchers share.

A channel keeps the newest messages as bytes. A watcher is an index into them: nothing is queued for anybody, so a watcher
that is slow, or stuck, costs nothing. One that falls behind the oldest kept message reads the log for itself until it has
caught up again.
"""

from __future__ import annotations

import asyncio
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from blackboard.board import Board
from blackboard.errors import UsageError
from blackboard.events import LogRecord, to_json

ID = re.compile(r"([0-9a-z]{1,32})\.(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,5})\Z")
MOST_BYTES = 4 << 20
"""Bytes of messages one channel keeps."""
MOST_MESSAGES = 4096
CHUNK = 1 << 18
"""Bytes; where a watcher's backlog is cut into writes."""

PING = b": ping\n\n"


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


def encode(record: LogRecord) -> bytes:
    """One log record as one message of an event stream."""
    position = f"{record.incarnation}.{record.id}"
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (position.encode(), record.type.encode(), to_json(record))


def encode_progress(message: bytes) -> bytes:
    """Progress has no id: it does not move the place a watcher resumes at."""
    return b"event: progress\ndata: " + b"\ndata: ".join(message.splitlines()) + b"\n\n"


def encode_reset(board: Board, at: int) -> tuple[bytes, Position]:
    """What replaces all a watcher knows: the board as it is, in the shape of a record. And where to go on from."""
    head = dict(board.head)
    position = Position(head.get("incarnation", ""), Place(board.revision, 0))
    record = LogRecord(
        board.revision, 0, at, "reset", "", position.incarnation,
        head=head, entries=board.entries, values=board.values, agenda=board.agenda,
    )  # fmt: skip
    return encode(record), position


class Channel:
    """The newest messages of a board, from `floor` (exclusive) on. Not for several threads."""

    def __init__(self, board: str, start: Position) -> None:
        self.board = board
        self.incarnation = start.incarnation
        self.floor = start.place
        self.place = start.place
        """The last record taken."""
        self.ended = False
        self.watchers = 0
        self.start = start.place
        """Where it began, or began again."""
        self.generation = 0
        """Counts resets: each makes every watcher begin again with `opening`."""
        self.opening = b""
        self.touched = 0.0
        """Loop time of the last message."""
        self.pulse = asyncio.Event()
        self._messages: list[bytes] = []
        self._places: list[Place] = []
        self._base = 0
        self._size = 0
        self._joined: tuple[int, bytes, int] = (-1, b"", -1)

    def take(self, records: Iterable[LogRecord]) -> bool:
        """The next records of the log. False when they do not follow: the server's history is another one."""
        fresh = False
        for record in records:
            place = place_of(record)
            if place <= self.place:
                continue
            step = place.revision - self.place.revision
            if record.incarnation != self.incarnation or step > 1 or (step == 1 and place.n) or self.ended:
                return False
            self.place = place
            self.ended = record.is_terminal
            self._append(encode(record))
            fresh = True
        if fresh:
            self.wake()
        return True

    def say(self, message: bytes) -> None:
        """A message without a place: progress, or a sign of life."""
        self._append(message)
        self.wake()

    def restart(self, opening: bytes, start: Position, *, ended: bool) -> None:
        """Begin again from a snapshot, for every watcher."""
        self._drop(len(self._messages))
        self.incarnation, self.ended = start.incarnation, ended
        self.start = self.floor = self.place = start.place
        self.opening = opening
        self.generation += 1
        self.wake()

    def end(self) -> None:
        """Nothing follows: the board is no more."""
        self.ended = True
        self.wake()

    def wake(self) -> None:
        """Let every waiting watcher look."""
        pulse, self.pulse = self.pulse, asyncio.Event()
        pulse.set()

    def find(self, place: Place) -> int | None:
        """The index behind the messages up to a place; None when it lies before what is kept."""
        if place < self.floor:
            return None
        return self._base + bisect_right(self._places, place)

    def read(self, index: int) -> tuple[bytes, int, Place] | None:
        """Messages from an index on as one chunk (empty at the end), the next index, and the place they reach.

        None when the index lies before what is kept.
        """
        at = index - self._base
        if at < 0:
            return None
        if at >= len(self._messages):
            return b"", index, self.place
        if self._joined[0] != index or self._joined[2] != len(self._messages) + self._base:
            end, size = at, 0
            while end < len(self._messages) and (size == 0 or size + len(self._messages[end]) <= CHUNK):
                size += len(self._messages[end])
                end += 1
            whole = self._messages[at] if end == at + 1 else b"".join(self._messages[at:end])
            if end < len(self._messages):
                return whole, self._base + end, self._places[end - 1]
            self._joined = (index, whole, self._base + end)
        return self._joined[1], self._joined[2], self._places[self._joined[2] - self._base - 1]

    def _append(self, message: bytes) -> None:
        self._messages.append(message)
        self._places.append(self.place)
        self._size += len(message)
        self.touched = asyncio.get_running_loop().time()
        self.trim(MOST_BYTES)

    def trim(self, most: int) -> None:
        """Keep at most so many bytes, but always the newest message."""
        while len(self._messages) > 1 and (self._size > most or len(self._messages) > MOST_MESSAGES):
            self._drop(max(1, len(self._messages) // 8))

    def _drop(self, count: int) -> None:
        if count:
            self.floor = max(self.floor, self._places[count - 1])
            self._size -= sum(map(len, self._messages[:count]))
            del self._messages[:count], self._places[:count]
            self._base += count
