"""Many watchers over few connections: one reader per process, one fetch and one encoding per record.

The reader follows the activity of all partitions and fetches what is new on the boards that somebody watches. A watcher
gets every record of a board once, in order, from where it left off; when the place it names is not in the board's history
it gets a `reset` with the whole board, and what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from blackboard.channel import (
    MOST_BYTES,
    PING,
    START,
    Channel,
    Place,
    Position,
    encode,
    encode_progress,
    encode_reset,
    place_of,
)
from blackboard.errors import BoardGone, StorageError
from blackboard.events import ENDED, LogRecord
from blackboard.following import BLOCK_MS, Follower
from blackboard.ports import Change, Store

T = TypeVar("T")

log = logging.getLogger(__name__)

NOTE = "contribution.refused"
PAGE = 128
"""Records fetched at a time."""
ALL_BYTES = 128 << 20
"""Bytes of messages that all channels of a process may keep."""
REFRESH_S = 10.0
"""How often a watched board is looked at though nothing was heard of it: activity is trimmed, and may be lost."""


class Feed:
    """Live streams of boards, as bytes of Server-Sent Events. Starts by itself with the first watcher."""

    def __init__(self, store: Store, *, ping_s: float = 15.0) -> None:
        """`ping_s`: how often an idle stream says that it is alive."""
        self._store = store
        self._ping_s = ping_s
        self._channels: dict[str, Channel] = {}
        self._fetching: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.watchers = 0
        """How many streams are open."""
        self._progress: dict[Channel, asyncio.Task[None]] = {}
        self._follower = Follower(store, self._channels, self._changed)
        self._stop_listening: Callable[[], None] | None = None
        self.finished = False
        """Whether it was told to end."""

    async def start(self) -> None:
        """Begin to follow. Idempotent."""
        if self._stop_listening is None and not self.finished:
            self._stop_listening = self._store.listen(lambda board, _: self._changed(board, None))
            self._spawn(self._follower.run())
            self._spawn(self._tick())

    def finish(self) -> None:
        """End every stream now, where it stands; later ones are empty. Watchers resume elsewhere."""
        self.finished = True
        self._follower.stop()
        for channel in self._channels.values():
            channel.wake()

    async def close(self) -> None:
        """End every stream and stop following. Idempotent."""
        self.finish()
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._channels.clear()
        while self._tasks:
            self._sweep()
            await asyncio.wait(self._tasks, timeout=0.1)

    async def subscribe(
        self, board: str, after: Position | None = None, *, head: dict[str, str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Chunks of whole messages behind `after` (None: all), until the board's last record was sent.

        `head` spares a read where the caller has it. Raises BoardGone, and without `head` StorageError.
        """
        await self.start()
        head = head or await self._head(board)
        if after is not None and after.place.revision > int(head["revision"]):
            # It may have been read a moment before the record that the watcher saw was written.
            head = await self._head(board)
        position = after or Position(head["incarnation"], START)
        ended = head.get("status") in ENDED and position.place.revision >= int(head["revision"])
        if not await self._patiently(lambda: self._holds(board, head, position)):
            chunk, position, ended = await self._patiently(lambda: self._snapshot(board))
            yield chunk
        if ended:
            return
        channel = self._join(board, position)
        try:
            async with aclosing(self._watch(channel, position)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._leave(channel)

    async def _watch(self, channel: Channel, position: Position) -> AsyncGenerator[bytes, None]:
        place, generation = position.place, channel.generation
        if position.incarnation != channel.incarnation:
            generation -= 1
        index = channel.find(place)
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
                records = await self._behind(channel, place)
                if records:
                    place = place_of(records[-1])
                    yield b"".join(map(encode, records))
                elif generation == channel.generation:
                    if channel.ended:
                        return  # what was not read in time is gone with the board
                    await pulse.wait()
                index = channel.find(place)
                continue
            chunk, index, place = found
            if chunk:
                yield chunk
            elif channel.ended:
                return
            else:
                await pulse.wait()

    async def _behind(self, channel: Channel, place: Place) -> list[LogRecord]:
        """Records that the channel keeps no longer; none that it has yet to bring."""
        with contextlib.suppress(StorageError):
            found = await self._patiently(lambda: self._store.log(channel.board, str(place), count=PAGE))
            if found and found[0].incarnation == channel.incarnation:
                return [record for record in found if place_of(record) <= channel.place]
        return []

    async def _head(self, board: str) -> dict[str, str]:
        head = await self._store.head(board)
        if not head:
            raise BoardGone("there is no such board")
        return head

    async def _holds(self, board: str, head: dict[str, str], position: Position) -> bool:
        """Whether the place is in the board's history."""
        revision, n = position.place
        if position.incarnation != head["incarnation"]:
            return False
        if n == 0:
            return revision <= int(head["revision"])
        found = await self._store.log(board, str(Place(revision, n - 1)), count=1)
        return bool(found) and place_of(found[0]) == position.place

    async def _snapshot(self, board: str) -> tuple[bytes, Position, bool]:
        found = await self._store.projection(board)
        if found is None:
            raise BoardGone("the board was removed")
        return *encode_reset(found, await self._store.now()), found.ended

    # -- channels --------------------------------------------------------------------------------------------------

    def _join(self, board: str, position: Position) -> Channel:
        channel = self._channels.get(board)
        if channel is None:
            channel = self._channels[board] = Channel(board, position)
            channel.touched = asyncio.get_running_loop().time()
            self._progress[channel] = self._spawn(self._carry_progress(channel))
            self._follower.look()
            self._fetch(channel)
        channel.watchers += 1
        self.watchers += 1
        return channel

    def _leave(self, channel: Channel) -> None:
        channel.watchers -= 1
        self.watchers -= 1
        if channel.watchers == 0 and self._channels.get(channel.board) is channel:
            del self._channels[channel.board]
            self._progress[channel].cancel()

    def _sweep(self) -> None:
        """Stop carrying progress nobody watches. Again and again: a cancellation while redis-py connects may get lost."""
        for channel, carrier in list(self._progress.items()):
            if carrier.done():
                del self._progress[channel]
            elif self._channels.get(channel.board) is not channel:
                carrier.cancel()

    def _fetch(self, channel: Channel) -> None:
        """Get what is new, at once or right after the fetch under way."""
        if channel.board in self._fetching:
            self._fetching[channel.board] = True
        elif not self.finished and not channel.ended:
            self._fetching[channel.board] = False
            self._spawn(self._bring(channel))

    async def _bring(self, channel: Channel) -> None:
        board, again = channel.board, True
        try:
            while again and self._channels.get(board) is channel and not self.finished:
                self._fetching[board] = False
                records = await self._patiently(lambda: self._store.log(board, str(channel.place), count=PAGE))
                if not channel.take(records):
                    await self._restart(channel)
                elif not records and not channel.ended and await self._is_gone(board):
                    channel.end()  # erased or retired before its last record was read
                again = not channel.ended and (len(records) == PAGE or self._fetching[board])
        except StorageError:
            return  # the feed was told to end during an outage
        finally:
            del self._fetching[board]
            successor = self._channels.get(board)
            if successor is not None and successor is not channel:
                self._fetch(successor)

    async def _is_gone(self, board: str) -> bool:
        return await self._patiently(lambda: self._store.head(board)) is None

    async def _restart(self, channel: Channel) -> None:
        found = await self._patiently(lambda: self._store.projection(channel.board))
        if found is None:
            channel.end()
            return
        opening, start = encode_reset(found, await self._patiently(self._store.now))
        channel.restart(opening, start, ended=found.ended)

    async def _carry_progress(self, channel: Channel) -> None:
        while not channel.ended:
            with contextlib.suppress(StorageError):
                messages: Any = self._store.progress(channel.board)
                async with aclosing(messages):
                    async for message in messages:
                        channel.say(encode_progress(message))
            await asyncio.sleep(random.uniform(0.1, 1.0))

    # -- following -------------------------------------------------------------------------------------------------

    def _changed(self, board: str, change: Change | None) -> None:
        channel = self._channels.get(board)
        if channel is not None and (change is None or change.revision > channel.place.revision or change.type == NOTE):
            self._fetch(channel)

    async def _tick(self) -> None:
        loop, pause = asyncio.get_running_loop(), min(self._ping_s / 5, BLOCK_MS / 1000)
        refreshed = loop.time()
        while not self.finished:
            await asyncio.sleep(pause)
            self._sweep()
            now = loop.time()
            share = min(MOST_BYTES, ALL_BYTES // max(1, len(self._channels)))
            for channel in self._channels.values():
                channel.trim(share)
                if now - channel.touched >= self._ping_s - pause:
                    channel.say(PING)
            if now - refreshed >= REFRESH_S:
                refreshed = now
                for channel in self._channels.values():
                    self._fetch(channel)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Again until the storage answers: a stream that has begun outlives an outage."""
        pause = 0.05
        while True:
            try:
                return await call()
            except StorageError:
                if self.finished:
                    raise
                await asyncio.sleep(random.uniform(0, pause))
                pause = min(pause * 2, 2.0)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of the feed failed", exc_info=error)
