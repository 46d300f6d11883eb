"""Streams for dashboards: what changes on all boards of a tenant, from one reader per process.

The reader follows the activity of all partitions and hands each change to those who watch its tenant. A place is a vector of
the partitions' cursors. Whoever resumes reads what it missed for itself, up to where the reader is, and joins there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from blackboard.cursors import ZERO, Cursor, Sealer, Vector, cursor_of
from blackboard.errors import StorageError
from blackboard.following import BLOCK_MS
from blackboard.messages import Lens
from blackboard.outage import Patience
from blackboard.overview import Overviews, change_of
from blackboard.ports import Change, Store
from blackboard.ring import Lag, Ring
from blackboard.room import Room, bookmark, passes

COUNT = 512
"""Changes of one partition that are read at a time."""
SEAL = "cursors"
SPREAD_S = 10.0
"""How often it is looked whether there are more partitions."""


class PlaceGone(Exception):
    """What followed a place is kept no longer."""


class TenantFeed:
    """Live streams of tenants, as bytes. Starts by itself with the first watcher."""

    def __init__(self, store: Store, *, ping_s: float = 15.0) -> None:
        """`ping_s`: how often an idle stream says that it is alive, and where it is."""
        self._store = store
        self._ping_s = ping_s
        self._patiently = Patience()
        self._overviews = Overviews(store)
        self._rooms: dict[str, Room] = {}
        self._sealer: Sealer | None = None
        self._cursors: dict[int, Cursor] = {}
        """Where the reader is; empty while it does not know."""
        self._moved = asyncio.Event()
        self._needed = asyncio.Event()
        self._generation = 0
        """Counts how often the server's history turned out to be another one."""
        self._since = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def finish(self) -> None:
        """End every stream now, where it stands."""
        self._patiently.over = True
        self._needed.set()
        self._wake()

    async def close(self) -> None:
        """End every stream and stop reading. Idempotent."""
        self.finish()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def subscribe(
        self, tenant: str, last: str = "", *, lens: Lens, snapshot: bool = False, lag: Lag | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Chunks of whole messages behind an id (none: from now on), until the feed ends or the watcher is too far behind.

        Of the lens only types and form matter. `snapshot`: begin with the open boards where there is no id.
        """
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]
        ring = self._join(tenant, lens)
        try:
            async with aclosing(self._watch(tenant, last, lens, ring, snapshot, lag or Lag())) as chunks:
                async for chunk in chunks:
                    yield chunk
        except StorageError:
            if not self._patiently.over:
                raise
        finally:
            self._leave(tenant, lens, ring)

    async def _watch(
        self, tenant: str, last: str, lens: Lens, ring: Ring, snapshot: bool, lag: Lag
    ) -> AsyncGenerator[bytes, None]:
        sealer = await self._known()
        place = await self._place(sealer.open(tenant, last)) if last else None
        resets = bool(last) and place is None
        if not last and not snapshot:
            place = dict(self._cursors)
            yield bookmark(sealer.seal(tenant, place)).form(lens.lines)
        while not self._patiently.over:
            generation = self._generation
            if place is None:
                # What made one place unknown may have happened to the reader's own.
                await self._check()
                generation = self._generation
                found = await self._patiently(self._overviews.of, tenant, self._cursors, since=self._since)
                place = dict(found.vector)
                yield found.message(sealer.seal(tenant, place), reset=resets).form(lens.lines)
            place, resets = await self._reached(place, generation), True
            if place is None:
                continue
            target, index = dict(self._cursors), ring.end
            try:
                async with aclosing(self._missed(tenant, place, target, lens)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except PlaceGone:
                place = None
                continue
            async with aclosing(self._live(ring, index, generation, lag)) as chunks:
                async for chunk in chunks:
                    yield chunk
            if generation == self._generation:
                return
            place = None
            await self._known()

    async def _missed(
        self, tenant: str, place: dict[int, Cursor], target: Vector, lens: Lens
    ) -> AsyncGenerator[bytes, None]:
        """What happened from one place to another. Raises PlaceGone when some of it was trimmed."""
        sealer = await self._known()
        while behind := {p: str(place.get(p, ZERO)) for p, at in target.items() if place.get(p, ZERO) < at}:
            found = await self._patiently(self._store.activity, behind, block_ms=0, count=COUNT)
            if not found or not await self._patiently(self._store.activity_holds, {p: behind[p] for p in found}):
                raise PlaceGone
            changes = []
            for partition, some in found.items():
                for change in some:
                    at = cursor_of(change.cursor)
                    if at <= target[partition]:
                        changes.append((at, partition, change))
            # Of each partition in its order; between them as they happened, so far as clocks tell.
            shown = []
            for at, partition, change in sorted(changes, key=lambda each: each[0]):
                place[partition] = at
                if change.tenant == tenant and passes(lens, change):
                    shown.append(change_of(change, sealer.seal(tenant, place)).form(lens.lines))
            if shown:
                yield b"".join(shown)

    async def _live(self, ring: Ring, index: int, generation: int, lag: Lag) -> AsyncGenerator[bytes, None]:
        """What comes from now on; ends when the history turns out to be another one, or what follows is kept no longer."""
        while generation == self._generation and not self._patiently.over:
            pulse, found = ring.pulse, ring.chunk(index)
            if found is None:
                return
            chunk, index = found
            lag.none(ring)
            if chunk:
                yield chunk
            else:
                await pulse.wait()

    # -- places ----------------------------------------------------------------------------------------------------

    async def _known(self) -> Sealer:
        """Once the reader knows where it is."""
        if self._sealer is None:
            self._sealer = Sealer(await self._patiently(self._store.secret, SEAL))
        while not self._cursors and not self._patiently.over:
            await self._moved.wait()
        return self._sealer

    async def _place(self, vector: dict[int, Cursor] | None) -> dict[int, Cursor] | None:
        """A vector if all that followed it is still there."""
        if vector is None or not vector.keys() <= self._cursors.keys():
            return None
        asked = {partition: str(vector.get(partition, ZERO)) for partition in self._cursors}
        return vector if await self._patiently(self._store.activity_holds, asked) else None

    async def _check(self) -> None:
        """Let the reader begin again where its own place is unknown; once it knows where it is."""
        mine = {partition: str(at) for partition, at in self._cursors.items()}
        generation = self._generation
        if not await self._patiently(self._store.activity_holds, mine) and generation == self._generation:
            self._restart()
        await self._known()

    async def _reached(self, place: dict[int, Cursor], generation: int) -> dict[int, Cursor] | None:
        """The place once the reader is there too: another process may have been quicker. None when history was changed."""
        while not self._patiently.over:
            if generation != self._generation:
                return None
            if self._cursors and all(self._cursors.get(partition, ZERO) >= at for partition, at in place.items()):
                return place
            await self._moved.wait()
        return None

    # -- reading ---------------------------------------------------------------------------------------------------

    def _join(self, tenant: str, lens: Lens) -> Ring:
        ring = self._rooms.setdefault(tenant, Room()).rings.setdefault(lens, Ring())
        ring.readers += 1
        self._needed.set()
        return ring

    def _leave(self, tenant: str, lens: Lens, ring: Ring) -> None:
        ring.readers -= 1
        room = self._rooms[tenant]
        if ring.readers == 0:
            del room.rings[lens]
        if not room.rings:
            del self._rooms[tenant]

    async def _read(self) -> None:
        """Until the feed ends. Outlives outages of the storage."""
        suspect = False
        while not self._patiently.over:
            if not self._rooms:
                self._cursors, suspect = {}, False
                self._needed.clear()
                await self._needed.wait()
                continue
            try:
                if not self._cursors:
                    await self._begin()
                asked = {partition: str(at) for partition, at in self._cursors.items()}
                generation = self._generation
                # Never cancelled: the reply would be left on its connection.
                found = await self._store.activity(asked, block_ms=0 if suspect else BLOCK_MS, count=COUNT)
                doubtful = asked if suspect else {p: asked[p] for p, some in found.items() if len(some) >= COUNT}
                if doubtful and not await self._store.activity_holds(doubtful) and generation == self._generation:
                    self._restart()
                suspect = False
            except StorageError:
                # It may come back without its tail.
                suspect = True
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            if generation == self._generation:
                self._take(found)

    async def _begin(self) -> None:
        partitions = range(await self._store.spread())
        tips = await asyncio.gather(*map(self._store.activity_tip, partitions))
        self._cursors = dict(zip(partitions, map(cursor_of, tips), strict=True))
        self._tell()

    def _restart(self) -> None:
        """The history is another one, or not all of it was seen: everybody begins again."""
        self._cursors = {}
        self._generation += 1
        self._since = asyncio.get_running_loop().time()
        self._wake()

    def _take(self, found: dict[int, list[Change]]) -> None:
        shown: dict[str, list[tuple[Change, str]]] = {}
        for partition, changes in found.items():
            for change in changes:
                self._cursors[partition] = cursor_of(change.cursor)
                # Nobody listens before there is a sealer.
                if change.tenant in self._rooms and self._sealer is not None:
                    id = self._sealer.seal(change.tenant, self._cursors)
                    shown.setdefault(change.tenant, []).append((change, id))
        for tenant, some in shown.items():
            self._rooms[tenant].take(some)
        self._tell()

    async def _tick(self) -> None:
        loop, pause = asyncio.get_running_loop(), min(self._ping_s / 5, BLOCK_MS / 1000)
        looked = loop.time()
        while not self._patiently.over:
            await asyncio.sleep(pause)
            now, sealer = loop.time(), self._sealer
            self._overviews.sweep()
            if sealer is not None and self._cursors:
                for tenant, room in self._rooms.items():
                    room.live(now - self._ping_s + pause, sealer, tenant, self._cursors)
            if now - looked >= SPREAD_S and self._cursors:
                looked = now
                with suppress(StorageError):
                    for partition in range(await self._store.spread()):
                        self._cursors.setdefault(partition, ZERO)

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _wake(self) -> None:
        self._tell()
        for room in self._rooms.values():
            for ring in room.rings.values():
                ring.wake()
