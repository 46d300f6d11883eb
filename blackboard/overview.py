"""A tenant's open boards, for dashboards that begin, or that missed something; and the events they get from then on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

import orjson

from blackboard.cursors import Vector, cursor_of
from blackboard.events import ENDED, TERMINAL
from blackboard.messages import RESET, Message
from blackboard.ports import BoardRow, Change, Store

SNAPSHOT = "boards.snapshot"
MOST_OPEN = 1000
MOST_LOOKED_AT = 10_000
PAGE = 200
KEPT_S = 2.0


@dataclass(frozen=True)
class Overview:
    """A tenant's open boards, listed behind a place in the activity: some of what followed it may be seen in it already."""

    vector: Vector
    boards: list[dict[str, object]]
    complete: bool
    made: float

    @cached_property
    def data(self) -> bytes:
        """As JSON."""
        return orjson.dumps({"boards": self.boards, "complete": self.complete})

    def message(self, id: str, *, reset: bool) -> Message:
        """For whoever named a place that is gone, or asked to begin with it."""
        return Message(RESET if reset else SNAPSHOT, self.data, id)


class Overviews:
    """Made once for all dashboards of a tenant that come at the same time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, Overview] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, tenant: str, vector: Vector, *, since: float) -> Overview:
        """One made later than a loop time, else a new one at this place. Raises StorageError."""
        async with self._locks.setdefault(tenant, asyncio.Lock()):
            kept, now = self._kept.get(tenant), asyncio.get_running_loop().time()
            if kept is None or kept.made < since or now - kept.made > KEPT_S:
                kept = self._kept[tenant] = await self._look(tenant, dict(vector), now)
            return kept

    def sweep(self) -> None:
        """Let go of what is old."""
        now = asyncio.get_running_loop().time()
        for tenant in [tenant for tenant, kept in self._kept.items() if now - kept.made > KEPT_S]:
            del self._kept[tenant]
        for tenant in [
            tenant for tenant, lock in self._locks.items() if not lock.locked() and tenant not in self._kept
        ]:
            del self._locks[tenant]

    async def _look(self, tenant: str, vector: Vector, now: float) -> Overview:
        found: list[dict[str, object]] = []
        looked, cursor = 0, ""
        while True:
            page, cursor = await self._store.boards(tenant, before=cursor, limit=PAGE, children=True)
            looked += len(page)
            found += [_shown(row) for row in page if row.head.get("status") not in ENDED]
            if not cursor or len(found) >= MOST_OPEN or looked >= MOST_LOOKED_AT:
                return Overview(vector, found[:MOST_OPEN], not cursor and len(found) <= MOST_OPEN, now)


def _shown(row: BoardRow) -> dict[str, object]:
    head = row.head
    shown: dict[str, object] = {
        "board": row.id,
        "revision": int(head.get("revision", 0)),
        "status": head.get("status", "open"),
        "created": row.created,
    }
    if "opened_by" in head:
        shown["opened_by"] = head["opened_by"]
    return shown


def change_of(change: Change, id: str) -> Message:
    """One change of a board as a message; `status` is the one it left the board with."""
    data = {
        "board": change.board,
        "revision": change.revision,
        "type": change.type,
        "status": TERMINAL.get(change.type, "open"),
        "at": cursor_of(change.cursor).ms,
    }
    return Message(change.type, orjson.dumps(data), id)
