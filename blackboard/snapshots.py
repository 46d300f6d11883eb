"""Whole boards for those who begin to watch, made once for all who come at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from blackboard.board import Board
from blackboard.errors import BoardGone
from blackboard.messages import RESET, SNAPSHOT, Message, Place, Position, place_of, position_of, state_of
from blackboard.ports import Store

KEPT_S = 5.0
"""How long a snapshot is used again; it is one of a moment, and what followed it is sent behind it."""
KEPT_BYTES = 32 << 20
"""Of all snapshots together."""


@dataclass(frozen=True)
class Snapshot:
    """A board at one moment. `at`: by the server's clock, ms; `made`: loop time."""

    board: Board
    at: int
    made: float

    @cached_property
    def reset(self) -> Message:
        """For whoever named a place that is not in the board's history."""
        return state_of(self.board, self.at, RESET)

    @cached_property
    def opening(self) -> Message:
        """For whoever asked to begin with it."""
        return state_of(self.board, self.at, SNAPSHOT)

    @property
    def position(self) -> Position:
        """Where to go on from."""
        return position_of(self.board)

    @cached_property
    def size(self) -> int:
        """Bytes, about."""
        return sum(map(len, self.board.values.values()))


class Snapshots:
    """Of one process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, Snapshot] = {}
        self._making: dict[str, asyncio.Event] = {}

    async def of(self, board: str, least: Position) -> Snapshot:
        """The board at or behind a place known to exist. Raises BoardGone, StorageError."""
        while True:
            kept = self._kept.get(board)
            if kept is not None and self._serves(kept, least):
                return kept
            making = self._making.get(board)
            if making is None:
                return await self._make(board)
            # Begun before this was asked for, so it may turn out too old.
            await making.wait()

    def _serves(self, kept: Snapshot, least: Position) -> bool:
        young = asyncio.get_running_loop().time() - kept.made < KEPT_S
        position = kept.position
        return young and position.incarnation == least.incarnation and position.place.revision >= least.place.revision

    async def _make(self, board: str) -> Snapshot:
        made = self._making[board] = asyncio.Event()
        try:
            found = await self._store.projection(board)
            if found is None:
                raise BoardGone("the board was removed")
            at = await self._store.now()
            snapshot = Snapshot(found, at, asyncio.get_running_loop().time())
            self._keep(board, snapshot)
            return snapshot
        finally:
            del self._making[board]
            made.set()

    def _keep(self, board: str, snapshot: Snapshot) -> None:
        self.sweep()
        self._kept[board] = snapshot
        while sum(each.size for each in self._kept.values()) > KEPT_BYTES:
            del self._kept[next(iter(self._kept))]

    def sweep(self) -> None:
        """Let go of what is old."""
        now = asyncio.get_running_loop().time()
        for board in [board for board, kept in self._kept.items() if now - kept.made >= KEPT_S]:
            del self._kept[board]


async def holds(store: Store, board: str, head: Mapping[str, str], position: Position) -> bool:
    """Whether a place is in the board's history. Raises StorageError."""
    revision, n = position.place
    if position.incarnation != head["incarnation"]:
        return False
    if n == 0:
        return revision <= int(head["revision"])
    found = await store.log(board, str(Place(revision, n - 1)), count=1)
    return bool(found) and place_of(found[0]) == position.place
