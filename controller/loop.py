"""The controller: hears what happened to boards, decides, commits, wakes workers; sweeps up what got lost.

It holds leases on partitions and keeps plans of their boards in memory, fed with log deltas. Each board is served by one
turn at a time; what many turns ask of the server in one pass of the event loop travels together. Two controllers on one
partition during a hand-over are harmless: every step checks the agenda records it changes, and the end the revision.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

import structlog

from blackboard import keys
from blackboard.contract import Source
from blackboard.errors import StorageError
from blackboard.events import LogRecord
from blackboard.ports import Change, Due, Store
from controller.announcing import CREATED, ENDED, Announcer, Interest, Nobody, What, split
from controller.family import Erasing, Family, has_kin
from controller.queue import Queue
from controller.settings import Settings
from controller.tracing import begin
from controller.turns import Desk, Meet, Turns

log = structlog.get_logger(__name__)

NO_DECISION = frozenset({"activation.claimed", "contribution.refused", "llm.called"})
"""Records that cannot change what to do next."""


COLLECT_S = 300.0
"""How often blobs that nothing refers to any more are looked for."""


class Controller:
    """Decides for the boards of the partitions it holds."""

    def __init__(
        self,
        *,
        store: Store,
        queue: Queue,
        sources: Sequence[Source],
        settings: Settings,
        with_store: bool,
        most_boards: int = 4096,
        meet: Meet | None = None,
        eraser: Erasing | None = None,
        interest: Interest | None = None,
        announcer: Announcer | None = None,
    ) -> None:
        """`with_store`: the queue's commands travel on the store's own connection, in the order they are issued."""
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._store = store
        self._queue = queue
        self._settings = settings
        self._turns = Turns(
            store=store, queue=queue, sources=sources, settings=settings, with_store=with_store, meet=meet,
            interest=interest,
        )  # fmt: skip
        self._interest = interest or Nobody()
        self._announcer = announcer or Nobody()
        self._family = Family(store, settings, eraser)
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._most = most_boards
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Boards that need no look any more, as far back as their last changes may still be read."""
        self._cursors: dict[int, str] = {}
        self._turning: set[asyncio.Task[object]] = set()
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once partitions are held."""
        self._clock: tuple[float, int] = (0.0, 0)
        self._following: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], None] | None = None

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions held now."""
        return frozenset(self._cursors)

    @property
    def boards(self) -> int:
        """Boards it has in mind: open ones of its partitions."""
        return len(self._desks)

    def know(self, sources: Sequence[Source], changed: AbstractSet[str]) -> None:
        """The sources there are now, and the names of those that changed. Boards they concern are looked at."""
        self._turns.know(sources, changed)
        for board, desk in list(self._desks.items()):
            if desk.plan is not None and any(f'"{name}"' in desk.plan.head.get("sources", "") for name in changed):
                self._mark(board, desk)

    async def serve(self) -> None:
        """Decide until `stop`. Errors of the server are waited out."""
        self._stop_listening = self._store.listen(self._heard)
        pause, interrupted = 0.2, False
        try:
            while not self._stopping.is_set():
                began = asyncio.get_running_loop().time()
                try:
                    await self._hold()
                    if interrupted:
                        # What failed meanwhile need not wait for its `check`; a server restarted may know less than we.
                        interrupted = False
                        for board, desk in list(self._desks.items()):
                            self._mark(board, desk, fresh=True)
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._keep_holding())
                        self._following = group.create_task(self._follow())
                        group.create_task(self._sweep())
                except* Exception as errors:  # whatever it is: boards without a controller would wait for ever
                    interrupted = True
                    error = errors.exceptions[0]
                    log.warning("controller.interrupted", error=f"{type(error).__name__}: {error}")
                    if asyncio.get_running_loop().time() - began > 30:
                        pause = 0.2
                    await self._pause(random.uniform(pause / 2, pause))
                    pause = min(pause * 2, 5.0)
        finally:
            self._stop_listening()
            if self._turning:
                await asyncio.wait(self._turning, timeout=5)
            with suppress(StorageError):
                for partition in list(self._cursors):
                    await self._store.release(f"controller:{partition}", self.name)

    async def stop(self) -> None:
        """Let turns under way end; give the partitions back."""
        self._stopping.set()
        if self._following is not None:
            # A read has nothing to lose: the connection is dropped with it.
            self._following.cancel()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # -- partitions ----------------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        ttl = self._settings.lease_ms
        wanted = range(self._store.partitions)
        held = await asyncio.gather(*(self._store.hold(f"controller:{p}", self.name, ttl) for p in wanted))
        presence = self._turns.presence = await self._store.presence()
        self._turns.watching_since = self._turns.watching_since or presence.at
        self._clock = (asyncio.get_running_loop().time(), presence.at)
        for partition, ours in zip(wanted, held, strict=True):
            if not ours and self._cursors.pop(partition, None) is not None:
                self._forget(partition)
            elif ours and partition not in self._cursors:
                # Hear again what happened while nobody may have listened; what is older comes back by its `check`.
                ago = self._clock[1] - int((self._settings.check_s + 2 * self._settings.sweep_s) * 1000)
                self._cursors[partition] = f"{max(0, ago)}-0"
        self.ready.set()

    def _forget(self, partition: int) -> None:
        for board in [board for board in self._desks if keys.partition_of(board) == partition]:
            del self._desks[board]

    async def _keep_holding(self) -> None:
        while not self._stopping.is_set():
            await self._pause(self._settings.lease_s / 3)
            if not self._stopping.is_set():
                await self._hold()

    def _now(self) -> int:
        then, server = self._clock
        return server + int((asyncio.get_running_loop().time() - then) * 1000)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _heard(self, board: str, record: LogRecord) -> None:
        """A commit of our own process: no need to ask the server for it."""
        if keys.partition_of(board) not in self._cursors:
            return
        desk = self._desk(board)
        desk.heard.append(record)
        desk.known = max(desk.known, record.revision)
        if record.type == "board.created":
            self._hurry(board, record.head, CREATED)
        if record.type not in NO_DECISION:
            self._mark(board, desk, own=record.by == "controller")

    async def _follow(self) -> None:
        pause = 0.0
        while not self._stopping.is_set():
            cursors = dict(self._cursors)
            if not cursors:
                await self._pause(0.2)
                continue
            found = await self._store.activity(cursors, block_ms=1000)
            news = False
            for partition, changes in found.items():
                if partition in self._cursors:
                    self._cursors[partition] = changes[-1].cursor
                for change in changes:
                    news |= self._note(change)
            # While all that comes is what this process did itself, look less often: each look costs a round trip.
            pause = 0.0 if news or not found else min(0.02, pause + 0.002)
            if pause:
                await asyncio.sleep(pause)

    def _note(self, change: Change) -> bool:
        """Whether a line of the activity is news: a change that another process made."""
        desk = self._desks.get(change.board)
        if change.board in self._ended or (desk is not None and change.revision <= desk.known):
            return False
        desk = self._desk(change.board)
        desk.known = max(desk.known, change.revision)
        if change.type not in NO_DECISION:
            self._mark(change.board, desk)
        return True

    async def _sweep(self) -> None:
        collected = 0.0
        while not self._stopping.is_set():
            await asyncio.gather(*(self._sweep_partition(partition) for partition in sorted(self._cursors)))
            if (now := asyncio.get_running_loop().time()) >= collected + COLLECT_S:
                collected = now
                for partition in sorted(self._cursors):
                    await self._store.collect(partition)
            await self._pause(self._settings.sweep_s)

    async def _sweep_partition(self, partition: int) -> None:
        _, rows = await self._store.due(partition)
        told, rows = split(rows)
        made = await asyncio.gather(*map(self._announce, told))
        unheard = {row.board for row, done in zip(told, made, strict=True) if not done}
        kept = [row for row in rows if row.name == "retention" and row.board in unheard]
        await self._store.snooze(kept, self._settings.check_ms)
        checks: list[Due] = []
        wakes: list[Due] = []
        for row in rows:
            if row in kept:
                continue
            if row.name == "retention":
                await self._family.retire(row)
            elif row.name in ("check", "deadline"):
                checks.append(row)
                self._mark(row.board, self._desk(row.board), fresh=True)
            else:
                wakes.append(row)
        await self._store.snooze(checks, self._settings.check_ms)
        await self._store.snooze(wakes, self._settings.wake_grace_ms)
        desks = {row.board: self._desk(row.board) for row in wakes}
        for board, desk in desks.items():
            self._mark(board, desk)
        if again := await self._turns.wakes_for(wakes, desks):
            try:
                await self._queue.enqueue(again)
            except StorageError as error:
                # Queues may live on a server of their own; the boards' own one still has work for us.
                log.warning("wakes.unsent", error=str(error))

    async def _announce(self, due: Due) -> bool:
        """Whether the board needs to be kept for it no longer."""
        try:
            await self._announcer.announce(due)
            return True
        except Exception as error:  # whatever it is: other boards' announcements must not wait for this one
            log.warning("announcement.interrupted", board=due.board, error=f"{type(error).__name__}: {error}")
            with suppress(StorageError):
                # Not at the head of the list, where it would be in the way of what can be done.
                await self._store.snooze([due], self._settings.check_ms)
            return not isinstance(error, StorageError)

    def _hurry(self, board: str, head: Mapping[str, str], what: What) -> None:
        """Announce without waiting for the sweeper, who does it again where this is lost."""
        if self._interest.due(what, head):
            task = asyncio.get_running_loop().create_task(self._announce(Due(board, what, 0)))
            self._turning.add(task)
            task.add_done_callback(self._turning.discard)

    def _desk(self, board: str) -> Desk:
        desk = self._desks.get(board)
        if desk is None:
            desk = self._desks[board] = Desk()
            if len(self._desks) > self._most:
                for old, other in self._desks.items():
                    if not other.busy and other is not desk:
                        del self._desks[old]
                        break
        else:
            self._desks.move_to_end(board)
        return desk

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _mark(self, board: str, desk: Desk, *, fresh: bool = False, own: bool = False) -> None:
        """Have the board looked at, now or when the turn under way ends. `fresh`: ask the server for news first."""
        if fresh:
            desk.known = max(desk.known, (desk.plan.revision if desk.plan else 0) + 1)
        if desk.busy:
            desk.again = True
            desk.news |= not own
            return
        desk.busy = True
        task = asyncio.get_running_loop().create_task(self._turn(board, desk, fresh))
        self._turning.add(task)
        task.add_done_callback(self._turning.discard)

    async def _turn(self, board: str, desk: Desk, fresh: bool) -> None:
        begin(board=board)
        try:
            ended = await self._turns.take(board, desk, fresh=fresh, now=self._now)
            if desk.plan is not None and has_kin(desk.plan):
                await self._family.tend(desk.plan, desk.kin, ended=ended, fresh=fresh)
            if ended:
                if desk.plan is not None:
                    self._hurry(board, desk.plan.head, ENDED)
                self._desks.pop(board, None)
                self._ended[board] = None
                if len(self._ended) > self._most:
                    self._ended.popitem(last=False)
        except StorageError as error:
            # Soon again; after a longer outage whoever is back first, its `check` or ours.
            desk.plan = None
            asyncio.get_running_loop().call_later(random.uniform(0.2, 2.0), self._retry, board)
            log.warning("turn.interrupted", board=board, error=str(error))
        except Exception:
            # One board's trouble must not be another's; the `check` tries again, and says so again.
            desk.plan = None
            log.exception("turn.failed", board=board)
        finally:
            desk.busy = False
            if desk.next_at is not None:
                delay, desk.next_at = max(0, desk.next_at - self._now()) / 1000, None
                asyncio.get_running_loop().call_later(delay + 0.002, self._retry, board)
            if desk.news and not self._stopping.is_set() and board in self._desks:
                self._mark(board, desk)

    def _retry(self, board: str) -> None:
        """A retry is due: the sweeper would find it too, later."""
        desk = self._desks.get(board)
        if desk is not None and not self._stopping.is_set():
            self._mark(board, desk)
