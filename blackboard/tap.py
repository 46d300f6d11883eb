"""One watched board: where its log was read up to, and the channels that carry it on."""

from __future__ import annotations

from collections.abc import Iterable

from blackboard.channel import Channel
from blackboard.events import LogRecord
from blackboard.messages import Item, Lens, Mark, Message, Place, Position, place_of


class Tap:
    """A board's log as it comes, handed to a channel for each lens that somebody looks through."""

    def __init__(self, board: str, start: Position) -> None:
        self.board = board
        self.incarnation = start.incarnation
        self.place = start.place
        """The last record taken."""
        self.ended = False
        self.generation = 0
        """Counts how often it began again."""
        self.channels: dict[Lens, Channel] = {}

    def channel(self, lens: Lens) -> Channel:
        """The channel of a lens; a new one begins where the others are."""
        found = self.channels.get(lens)
        if found is None:
            found = self.channels[lens] = Channel(Position(self.incarnation, self.place), lens)
            found.ended = self.ended
        return found

    def take(self, records: Iterable[LogRecord]) -> bool:
        """The next records of the log. False when they do not follow: the server's history is another one."""
        items, follows = [], True
        for record in records:
            place = place_of(record)
            if place <= self.place:
                continue
            if not self._follows(record, place):
                follows = False
                break
            self.place, self.ended = place, record.is_terminal
            items.append(Item(record))
        if items:
            for channel in self.channels.values():
                channel.take(items)
        return follows

    def _follows(self, record: LogRecord, place: Place) -> bool:
        step = place.revision - self.place.revision
        return record.incarnation == self.incarnation and step <= 1 and not (step == 1 and place.n) and not self.ended

    def say(self, mark: Mark, message: Message) -> None:
        """A message without a place: progress."""
        for channel in self.channels.values():
            if channel.lens.passes(mark):
                channel.say(message.form(channel.lens.lines))

    def restart(self, opening: Message, start: Position, *, ended: bool) -> None:
        """Begin again from a snapshot, for every watcher."""
        self.incarnation, self.place, self.ended = start.incarnation, start.place, ended
        self.generation += 1
        for channel in self.channels.values():
            channel.restart(opening, start, ended=ended)

    def end(self) -> None:
        """Nothing follows: the board is no more."""
        self.ended = True
        for channel in self.channels.values():
            channel.finish()
