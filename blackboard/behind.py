"""What a channel keeps no longer, read from the log for those who are behind; those at the same place share the reading."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from blackboard.channel import Channel
from blackboard.messages import Item, Lens, Place, Position, bookmark, place_of
from blackboard.ports import Store
from blackboard.ring import CHUNK
from blackboard.tap import Tap

MOST_RECORDS = 128


@dataclass(frozen=True, slots=True)
class Page:
    """Whole messages as one chunk, and the place they reach. `other`: the log is of another history there."""

    chunk: bytes
    place: Place
    other: bool = False


class Behind:
    """Of one process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._under_way: dict[tuple[Channel, Place], asyncio.Future[Page | None]] = {}

    async def read(self, tap: Tap, channel: Channel, place: Place) -> Page | None:
        """What follows a place, up to where the channel is; None when that is nothing. Raises StorageError."""
        key = channel, place
        reading = self._under_way.get(key)
        if reading is None:
            reading = self._under_way[key] = asyncio.ensure_future(self._read(tap, channel, place))
            reading.add_done_callback(lambda done: self._done(key, done))
        # Whoever leaves must not end it for the others.
        return await asyncio.shield(reading)

    def _done(self, key: tuple[Channel, Place], done: asyncio.Future[Page | None]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            # Everybody who asked may have left.
            done.exception()

    def close(self) -> None:
        """Stop reading."""
        for reading in self._under_way.values():
            reading.cancel()

    async def _read(self, tap: Tap, channel: Channel, place: Place) -> Page | None:
        count = 8
        while True:
            found = await self._store.log(tap.board, str(place), count=count)
            if not found:
                return None
            if found[0].incarnation != channel.incarnation:
                return Page(b"", place, other=True)
            records = [record for record in found if place_of(record) <= channel.place]
            if not records:
                return None
            items = [Item(record) for record in records]
            page = _page(items, channel.lens, channel.incarnation)
            # Few at first: records may be large, and what many are behind with is kept in memory for each of them.
            if count == MOST_RECORDS or len(page.chunk) > CHUNK // 8 or len(found) < count:
                return page
            count = MOST_RECORDS


def _page(items: list[Item], lens: Lens, incarnation: str) -> Page:
    """As many records as make a chunk; a bookmark behind the last where it was left out."""
    chunks: list[bytes] = []
    size, place, told = 0, Place(0, 0), True
    for item in items:
        shown = item.seen_by(lens)
        if chunks and shown is not None and size + len(shown) > CHUNK:
            break
        place, told = place_of(item.record), shown is not None
        if shown is not None:
            chunks.append(shown)
            size += len(shown)
    if not told:
        chunks.append(bookmark(Position(incarnation, place)).form(lens.lines))
    return Page(b"".join(chunks), place)
