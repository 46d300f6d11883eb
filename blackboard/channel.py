"""What all watchers of a board share who asked alike: its newest messages, encoded once.

A watcher is an index into a channel. One that falls behind the oldest kept message reads the log for itself until it has
caught up again.
"""

from __future__ import annotations

from bisect import bisect_right

from blackboard.messages import PLAIN, Item, Lens, Message, Place, Position, bookmark, place_of
from blackboard.ring import Ring

BOOKMARK_EVERY = 256
"""Records left out behind one another before those who filter learn how far the board is."""


class Channel(Ring):
    """The newest messages of a board through one lens, from `floor` (exclusive) on."""

    def __init__(self, start: Position, lens: Lens = PLAIN) -> None:
        self._places: list[Place] = []
        super().__init__()
        self.lens = lens
        self.incarnation = start.incarnation
        self.floor = self.place = self.start = start.place
        """`place`: the last record taken; `start`: where it began, or began again."""
        self.ended = False
        self.generation = 0
        """Counts resets: each makes every watcher begin again with `opening`."""
        self.opening = b""
        self._told = start.place
        self._left_out = 0

    def take(self, items: list[Item]) -> None:
        """The next records of the log."""
        fresh = False
        for item in items:
            shown = item.seen_by(self.lens)
            self.place = place_of(item.record)
            if shown is not None:
                self.append(shown)
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
        self.append(message)
        self.wake()

    def live(self) -> None:
        """A sign of life; where records were left out it says up to where."""
        if self.place > self._told and self.lens.filters:
            self._mark()
        else:
            self.append(self.lens.ping)
        self.wake()

    def restart(self, opening: Message, start: Position, *, ended: bool) -> None:
        """Begin again from a snapshot, for every watcher."""
        self.clear()
        self.incarnation, self.ended = start.incarnation, ended
        self.start = self.floor = self.place = start.place
        self._tell()
        self.opening = opening.form(self.lens.lines)
        self.generation += 1
        self.wake()

    def finish(self) -> None:
        """Nothing follows: the board is no more."""
        self.ended = True
        self.wake()

    def find(self, place: Place) -> int | None:
        """The index behind the messages up to a place; None when it lies before what is kept."""
        if place < self.floor:
            return None
        return self._base + bisect_right(self._places, place)

    def read(self, index: int) -> tuple[bytes, int, Place] | None:
        """Messages from an index on as one chunk (empty at the end), the next index, and the place they reach.

        None when the index lies before what is kept.
        """
        found = self.chunk(index)
        if found is None:
            return None
        chunk, then = found
        return chunk, then, self._places[then - self._base - 1] if chunk else self.place

    def append(self, message: bytes) -> None:
        """See Ring."""
        self._places.append(self.place)
        super().append(message)

    def _tell(self) -> None:
        self._told, self._left_out = self.place, 0

    def _mark(self) -> None:
        self.append(bookmark(Position(self.incarnation, self.place)).form(self.lens.lines))
        self._tell()

    def _drop(self, count: int) -> None:
        if count:
            self.floor = max(self.floor, self._places[count - 1])
            del self._places[:count]
            super()._drop(count)
