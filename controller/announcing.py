"""What a board's beginning and end must set off, decided where they are committed.

The commit itself schedules it, in the same step, so that nothing is lost between the two; a sweeper does it and only then
takes it off the list. Whoever does it twice must find that it was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from blackboard.ports import Due

What = Literal["announce.created", "announce.ended"]
CREATED: Final = "announce.created"
ENDED: Final = "announce.ended"
ANNOUNCEMENTS: Final = frozenset({CREATED, ENDED})


class Interest(Protocol):
    """Who listens."""

    def due(self, what: What, head: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
        """Due times that the commit must set, by the board's head: none where nobody listens. No I/O."""

    def stamp(self, tenant: str) -> dict[str, str]:
        """Head fields that a new board of this tenant begins with."""


class Announcer(Protocol):
    """Tells those who listen."""

    async def announce(self, due: Due) -> None:
        """Once done, it must be as if it were done once, however often it is asked for. Raises StorageError."""


class Nobody:
    """Where nobody listens."""

    def due(self, what: What, head: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
        """Nothing."""
        return ()

    def stamp(self, tenant: str) -> dict[str, str]:
        """None."""
        return {}

    async def announce(self, due: Due) -> None:
        """Nobody hears it."""


def split(rows: Sequence[Due]) -> tuple[list[Due], list[Due]]:
    """What is to be announced, and the rest."""
    return [row for row in rows if row.name in ANNOUNCEMENTS], [row for row in rows if row.name not in ANNOUNCEMENTS]
