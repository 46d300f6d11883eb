"""What all watchers of a board share who asked alike: its newest messages, encoded once.

A watcher is an index into a channel: nothing is queued for anybody, so a watcher that is slow, or stuck, costs nothing. One
that falls behind the oldest kept message reads the log for itself until it has caught up again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right

from blackboard.messages import PLAIN, Item, Lens, Message, Place, Position, bookmark, place_of

MOST_BYTES = 4 << 20
"""Bytes of messages one channel keeps."""
MOST_MESSAGES = 4096
CHUNK = 1 << 18
"""Bytes; where a watcher's backlog is cut into writes."""
BOOKMARK_EVERY = 256
"""Records left out behind one another before those who filter learn how far the board is."""


class Lag:
    """How far one watcher is behind its channel."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._read = 0

    @property
    def waiting(self) -> int:
        """Bytes of messages that came since it last took some."""
        return 0 if self._channel is None else self._channel.written - self._read

    def none(self, channel: Channel) -> None:
        """It has just taken all there is, or as much as fits one chunk."""
        self._channel, self._read = channel, channel.written


class Channel:
    """The newest messages of a board through one lens, from `floor` (exclusive) on. Not for several threads."""

    def __init__(self, start: Position, lens: Lens = PLAIN) -> None:
        self.lens = lens
        self.incarnation = start.incarnation
        self.floor = self.place = self.start = start.place
        """`place`: the last record taken; `start`: where it began, or began again."""
        self.ended = False
        self.watchers = 0
        self.generation = 0
        """Counts resets: each makes every watcher begin again with `opening`."""
        self.opening = b""
        self.touched = asyncio.get_running_loop().time()
        """Loop time of the last message."""
        self.written = 0
        """Bytes of all messages there ever were."""
        self.pulse = asyncio.Event()
        self._told = start.place
        self._left_out = 0
        self._messages: list[bytes] = []
        self._places: list[Place] = []
        self._base = 0
        self._size = 0
        self._joined: tuple[int, bytes, int] = (-1, b"", -1)

    def take(self, items: list[Item]) -> None:
        """The next records of the log."""
        fresh = False
        for item in items:
            shown = item.seen_by(self.lens)
            self.place = place_of(item.record)
            if shown is not None:
                self._append(shown)
                self._tell()
                fresh = True
            else:
                self._left_out += 1
                if self._left_out >= BOOKMARK_EVERY:
                    self._mark()
                    fresh = True
            if item.record.is_terminal:
                self.ended = fresh = True
        if fresh:
            self.wake()

    def say(self, message: bytes) -> None:
        """A message without a place."""
        self._append(message)
        self.wake()

    def live(self) -> None:
        """A sign of life; where records were left out it says up to where."""
        if self.place > self._told and self.lens.filters:
            self._mark()
        else:
            self._append(self.lens.ping)
        self.wake()

    def restart(self, opening: Message, start: Position, *, ended: bool) -> None:
        """Begin again from a snapshot, for every watcher."""
        self._drop(len(self._messages))
        self.incarnation, self.ended = start.incarnation, ended
        self.start = self.floor = self.place = start.place
        self._tell()
        self.opening = opening.form(self.lens.lines)
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

    def trim(self, most: int) -> None:
        """Keep at most so many bytes, but always the newest message."""
        while len(self._messages) > 1 and (self._size > most or len(self._messages) > MOST_MESSAGES):
            self._drop(max(1, len(self._messages) // 8))

    def _tell(self) -> None:
        self._told, self._left_out = self.place, 0

    def _mark(self) -> None:
        self._append(bookmark(Position(self.incarnation, self.place)).form(self.lens.lines))
        self._tell()

    def _append(self, message: bytes) -> None:
        self._messages.append(message)
        self._places.append(self.place)
        self._size += len(message)
        self.written += len(message)
        self.touched = asyncio.get_running_loop().time()
        self.trim(MOST_BYTES)

    def _drop(self, count: int) -> None:
        if count:
            self.floor = max(self.floor, self._places[count - 1])
            self._size -= sum(map(len, self._messages[:count]))
            del self._messages[:count], self._places[:count]
            self._base += count
