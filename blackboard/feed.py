"""Many watchers over few connections: one reader per process, one fetch and one encoding per record.

The reader follows the activity of all partitions and fetches what is new on the boards that somebody watches. A watcher
gets every record of a board that its lens lets through, once, in order, from where it left off; when the place it names is
not in the board's history it gets a `reset` with the whole board, and what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from blackboard.behind import Behind
from blackboard.channel import Channel
from blackboard.errors import BoardGone, StorageError
from blackboard.events import ENDED
from blackboard.following import BLOCK_MS, Follower
from blackboard.messages import PLAIN, START, Lens, Place, Position, position_of, progress_of, state_of
from blackboard.outage import Patience
from blackboard.ports import Change, Store
from blackboard.ring import MOST_BYTES, Lag
from blackboard.snapshots import Snapshots, holds
from blackboard.tap import Tap
from blackboard.tenants import TenantFeed

log = logging.getLogger(__name__)

NOTE = "contribution.refused"
PAGE = 128
"""Records fetched at a time."""
ALL_BYTES = 128 << 20
"""Bytes of messages that all channels of a process may keep."""
REFRESH_S = 10.0
"""How often a watched board is looked at though nothing was heard of it: activity is trimmed, and may be lost."""


class Feed:
    """Live streams of boards, as bytes. Starts by itself with the first watcher."""

    def __init__(self, store: Store, *, ping_s: float = 15.0) -> None:
        """`ping_s`: how often an idle stream says that it is alive."""
        self._store = store
        self._ping_s = ping_s
        self._taps: dict[str, Tap] = {}
        self._fetching: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.watchers = 0  # streams that are open
        self._progress: dict[Tap, asyncio.Task[None]] = {}
        self._snapshots = Snapshots(store)
        self._behind = Behind(store)
        self._follower = Follower(store, self._taps, self._changed)
        self._stop_listening: Callable[[], None] | None = None
        self._patiently = Patience()
        self.tenants = TenantFeed(store, ping_s=ping_s)

    @property
    def finished(self) -> bool:
        """Whether it was told to end."""
        return self._patiently.over

    async def start(self) -> None:
        """Begin to follow. Idempotent."""
        if self._stop_listening is None and not self.finished:
            self._stop_listening = self._store.listen(lambda board, _: self._changed(board, None))
            self._spawn(self._follower.run())
            self._spawn(self._tick())

    def finish(self) -> None:
        """End every stream now, where it stands; later ones are empty. Watchers resume elsewhere."""
        self._patiently.over = True
        self._follower.stop()
        self.tenants.finish()
        for channel in self._channels():
            channel.wake()

    async def close(self) -> None:
        """End every stream and stop following. Idempotent."""
        self.finish()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._taps.clear()
        self._behind.close()
        await self.tenants.close()
        while self._tasks:
            self._sweep()
            await asyncio.wait(self._tasks, timeout=0.1)

    async def subscribe(
        self,
        board: str,
        after: Position | None = None,
        *,
        lens: Lens = PLAIN,
        snapshot: bool = False,
        head: dict[str, str] | None = None,
        lag: Lag | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """Chunks of whole messages behind `after` (None: all), until the board's last record was sent.

        `snapshot`: with `after` None, begin with the whole board as it is. `head` spares a read where the caller has it;
        `lag` is kept up to date. Raises BoardGone, and without `head` StorageError.
        """
        await self.start()
        head = head or await self._head(board)
        if after is not None and after.place.revision > int(head["revision"]):
            # It may have been read a moment before the record that the watcher saw was written.
            head = await self._head(board)
        position = after or Position(head["incarnation"], START)
        ended = head.get("status") in ENDED and position.place.revision >= int(head["revision"])
        opens = snapshot and after is None
        if opens or not await self._patiently(holds, self._store, board, head, position):
            least = Position(head["incarnation"], Place(int(head["revision"]), 0))
            found = await self._patiently(self._snapshots.of, board, least)
            position, ended = found.position, found.board.ended
            yield (found.opening if opens else found.reset).form(lens.lines)
        if ended:
            return
        tap = self._join(board, position)
        channel = tap.channel(lens)
        channel.readers += 1
        try:
            async with aclosing(self._watch(tap, channel, position, lag or Lag())) as chunks:
                async for chunk in chunks:
                    yield chunk
        except StorageError:
            if not self.finished:
                raise
        finally:
            self._leave(tap, channel)

    async def _watch(self, tap: Tap, channel: Channel, position: Position, lag: Lag) -> AsyncGenerator[bytes, None]:
        place, generation = position.place, channel.generation
        index = channel.find(place)
        if position.incarnation != channel.incarnation:
            # One of the two is history: what the server has now decides.
            index = None
            await self._patiently(self._restart, tap)
        while not self.finished:
            if generation != channel.generation:
                generation, place = channel.generation, channel.start
                yield channel.opening
                index = channel.find(place)
                continue
            pulse = channel.pulse
            if place > channel.place:
                await pulse.wait()
                index = channel.find(place)
                continue
            found = channel.read(index) if index is not None else None
            if found is None:
                page = await self._patiently(self._behind.read, tap, channel, place)
                if page is not None and page.other:
                    least = Position(channel.incarnation, channel.place)
                    snapshot = await self._patiently(self._snapshots.of, tap.board, least)
                    place = snapshot.position.place
                    yield snapshot.reset.form(channel.lens.lines)
                elif page is not None:
                    place = page.place
                    yield page.chunk
                elif generation == channel.generation:
                    if channel.ended:
                        return  # what was not read in time is gone with the board
                    await pulse.wait()
                index = channel.find(place)
                continue
            chunk, index, place = found
            lag.none(channel)
            if chunk:
                yield chunk
            elif channel.ended:
                return
            else:
                await pulse.wait()

    async def _head(self, board: str) -> dict[str, str]:
        head = await self._store.head(board)
        if not head:
            raise BoardGone("there is no such board")
        return head

    # -- channels --------------------------------------------------------------------------------------------------

    def _join(self, board: str, position: Position) -> Tap:
        tap = self._taps.get(board)
        if tap is None:
            tap = self._taps[board] = Tap(board, position)
            self._progress[tap] = self._spawn(self._carry_progress(tap))
            self._follower.look()
            self._fetch(tap)
        self.watchers += 1
        return tap

    def _leave(self, tap: Tap, channel: Channel) -> None:
        self.watchers -= 1
        channel.readers -= 1
        if channel.readers == 0:
            tap.channels.pop(channel.lens, None)
        if not tap.channels and self._taps.get(tap.board) is tap:
            del self._taps[tap.board]
            self._progress[tap].cancel()

    def _channels(self) -> list[Channel]:
        return [channel for tap in self._taps.values() for channel in tap.channels.values()]

    def _sweep(self) -> None:
        # Again and again: a cancellation while redis-py connects may get lost.
        for tap, carrier in list(self._progress.items()):
            if carrier.done():
                del self._progress[tap]
            elif self._taps.get(tap.board) is not tap:
                carrier.cancel()

    def _fetch(self, tap: Tap) -> None:
        """Get what is new, at once or right after the fetch under way."""
        if tap.board in self._fetching:
            self._fetching[tap.board] = True
        elif not self.finished and not tap.ended:
            self._fetching[tap.board] = False
            self._spawn(self._bring(tap))

    async def _bring(self, tap: Tap) -> None:
        board, again = tap.board, True
        try:
            while again and self._taps.get(board) is tap and not self.finished:
                self._fetching[board] = False
                records = await self._patiently(self._store.log, board, str(tap.place), count=PAGE)
                if not tap.take(records):
                    await self._patiently(self._restart, tap)
                elif not records and not tap.ended and await self._is_gone(board):
                    tap.end()  # erased or retired before its last record was read
                again = not tap.ended and (len(records) == PAGE or self._fetching[board])
        except StorageError:
            return  # the feed was told to end during an outage
        finally:
            del self._fetching[board]
            successor = self._taps.get(board)
            if successor is not None and successor is not tap:
                self._fetch(successor)

    async def _is_gone(self, board: str) -> bool:
        return await self._patiently(self._store.head, board) is None

    async def _restart(self, tap: Tap) -> None:
        """From what the server has now, unless somebody else just did so."""
        generation = tap.generation
        found = await self._store.projection(tap.board)
        if found is None:
            tap.end()
            return
        at = await self._store.now()
        if generation == tap.generation:
            tap.restart(state_of(found, at), position_of(found), ended=found.ended)

    async def _carry_progress(self, tap: Tap) -> None:
        while not tap.ended:
            with contextlib.suppress(StorageError):
                messages: Any = self._store.progress(tap.board)
                async with aclosing(messages):
                    async for message in messages:
                        tap.say(*progress_of(message))
            await asyncio.sleep(random.uniform(0.1, 1.0))

    # -- following -------------------------------------------------------------------------------------------------

    def _changed(self, board: str, change: Change | None) -> None:
        tap = self._taps.get(board)
        if tap is not None and (change is None or change.revision > tap.place.revision or change.type == NOTE):
            self._fetch(tap)

    async def _tick(self) -> None:
        loop, pause = asyncio.get_running_loop(), min(self._ping_s / 5, BLOCK_MS / 1000)
        refreshed = loop.time()
        while not self.finished:
            await asyncio.sleep(pause)
            self._sweep()
            self._snapshots.sweep()
            now, channels = loop.time(), self._channels()
            share = min(MOST_BYTES, ALL_BYTES // max(1, len(channels)))
            for channel in channels:
                channel.trim(share)
                if now - channel.touched >= self._ping_s - pause:
                    channel.live()
            if now - refreshed >= REFRESH_S:
                refreshed = now
                for tap in self._taps.values():
                    self._fetch(tap)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of the feed failed", exc_info=error)
