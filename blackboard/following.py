"""Which of the boards that matter have changed: one reader of all partitions' activity for a whole process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection

from blackboard import keys
from blackboard.errors import StorageError
from blackboard.ports import Change, Store

BLOCK_MS = 500
"""How long one look at the activity waits; also how long stopping may take."""


class Follower:
    """Tells of changes of `boards`, a collection that its owner keeps up to date. At rest while it is empty."""

    def __init__(self, store: Store, boards: Collection[str], changed: Callable[[str, Change | None], None]) -> None:
        """`changed` gets a board and its change, or None when changes may have been missed. It must not raise."""
        self._store = store
        self._boards = boards
        self._changed = changed
        self._needed = asyncio.Event()
        self._stopped = False
        self._cursors: dict[int, str] = {}

    def look(self) -> None:
        """There are boards now."""
        self._needed.set()

    def stop(self) -> None:
        """End `run` after the look under way."""
        self._stopped = True
        self._needed.set()

    async def run(self) -> None:
        """Until stopped. Outlives outages of the storage."""
        while not self._stopped:
            if not self._boards:
                self._cursors = {}
                self._needed.clear()
                await self._needed.wait()
                continue
            try:
                await self._cover()
                # Never cancelled: the reply would be left on its connection.
                found = await self._store.activity(self._cursors, block_ms=BLOCK_MS)
            except StorageError:
                self._cursors = {}
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            for partition, changes in found.items():
                self._cursors[partition] = changes[-1].cursor
                for change in changes:
                    if change.board in self._boards:
                        self._changed(change.board, change)

    async def _cover(self) -> None:
        """Follow every partition that may matter; of what happened before its cursor was known nothing was heard."""
        wanted = sorted({*range(self._store.partitions), *map(keys.partition_of, self._boards)} - self._cursors.keys())
        if wanted:
            tips = await asyncio.gather(*map(self._store.activity_tip, wanted))
            self._cursors.update(zip(wanted, tips, strict=True))
            for board in list(self._boards):
                if keys.partition_of(board) in wanted:
                    self._changed(board, None)
