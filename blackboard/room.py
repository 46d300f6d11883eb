"""Those who watch one tenant's boards in this process."""

from __future__ import annotations

from blackboard.cursors import Sealer, Vector
from blackboard.messages import BOOKMARK, Lens, Message
from blackboard.overview import change_of
from blackboard.ports import Change
from blackboard.ring import Ring

ROOM_BYTES = 8 << 20
"""Bytes of messages that one room keeps."""


def passes(lens: Lens, change: Change) -> bool:
    """Whether a change is of the types that were asked for."""
    return not lens.types or change.type in lens.types


def bookmark(id: str) -> Message:
    """Where the stream is."""
    return Message(BOOKMARK, b"{}", id)


class Room:
    """Those who watch a tenant: a ring for each lens."""

    def __init__(self) -> None:
        self.rings: dict[Lens, Ring] = {}

    def take(self, changes: list[tuple[Change, str]]) -> None:
        """Changes and their ids, each encoded once."""
        messages = [(change, change_of(change, id)) for change, id in changes]
        for lens, ring in self.rings.items():
            shown = [message.form(lens.lines) for change, message in messages if passes(lens, change)]
            for each in shown:
                ring.append(each)
            if shown:
                ring.wake()

    def live(self, since: float, sealer: Sealer, tenant: str, vector: Vector) -> None:
        """A bookmark where nothing was said since; and no more memory than a room may have."""
        for lens, ring in self.rings.items():
            ring.trim(ROOM_BYTES // len(self.rings))
            if ring.touched <= since:
                ring.append(bookmark(sealer.seal(tenant, vector)).form(lens.lines))
                ring.wake()
