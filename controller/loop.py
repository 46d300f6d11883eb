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
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import orjson
import structlog

from blackboard import keys
from blackboard.contract import Source
from blackboard.entries import AgendaWrite, Commit
from blackboard.errors import BlackboardError, StorageError
from blackboard.events import LogRecord
from blackboard.ports import Change, Due, Store
from controller.decide import Decision, Step, decide_plan
from controller.graph import Graph, compile_graph
from controller.plan import Plan
from controller.queue import Queue, Wake
from controller.settings import Settings

log = structlog.get_logger(__name__)

NO_DECISION = frozenset({"activation.claimed", "contribution.refused"})
"""Records that cannot change what to do next."""


@dataclass(slots=True)
class _Desk:
    """One board under this controller's eyes."""

    plan: Plan | None = None
    heard: deque[LogRecord] = field(default_factory=deque)
    """Records of our own process, in the order they were committed."""
    known: int = 0
    """The highest revision anybody told us of."""
    busy: bool = False
    again: bool = False
    news: bool = False
    """Something was heard, while a turn was under way, that is not this controller's own decision."""
    wakes: dict[str, int] = field(default_factory=dict)
    """Activation -> number of its last wake-up."""


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
    ) -> None:
        """`with_store`: the queue's commands travel on the store's own connection, in the order they are issued."""
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._store = store
        self._queue = queue
        self._sources = {source.name: source for source in sources}
        self._settings = settings
        self._with_store = with_store
        self._desks: OrderedDict[str, _Desk] = OrderedDict()
        self._most = most_boards
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Boards that need no look any more, as far back as their last changes may still be read."""
        self._graphs: dict[tuple[str, str], Graph] = {}
        self._cursors: dict[int, str] = {}
        self._turns: set[asyncio.Task[None]] = set()
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

    async def serve(self) -> None:
        """Decide until `stop`. Errors of the server are waited out."""
        self._stop_listening = self._store.listen(self._heard)
        pause = 0.2
        try:
            while not self._stopping.is_set():
                try:
                    await self._hold()
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._keep_holding())
                        self._following = group.create_task(self._follow())
                        group.create_task(self._sweep())
                except* StorageError as errors:
                    log.warning("controller.interrupted", error=str(errors.exceptions[0]))
                    await self._pause(random.uniform(pause / 2, pause))
                    pause = min(pause * 2, 5.0)
        finally:
            self._stop_listening()
            if self._turns:
                await asyncio.wait(self._turns, timeout=5)
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
        self._clock = (asyncio.get_running_loop().time(), await self._store.now())
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
        while not self._stopping.is_set():
            await asyncio.gather(*(self._sweep_partition(partition) for partition in sorted(self._cursors)))
            await self._pause(self._settings.sweep_s)

    async def _sweep_partition(self, partition: int) -> None:
        _, rows = await self._store.due(partition)
        checks: list[Due] = []
        wakes: list[Due] = []
        for row in rows:
            if row.name == "retention":
                await self._store.retire(row.board)
            elif row.name in ("check", "deadline"):
                checks.append(row)
                self._mark(row.board, self._desk(row.board), fresh=True)
            else:
                wakes.append(row)
        await self._store.snooze(checks, self._settings.check_ms)
        await self._store.snooze(wakes, self._settings.wake_grace_ms)
        again = []
        for row in wakes:
            desk = self._desk(row.board)
            self._mark(row.board, desk)
            again.append(self._wake(row.board, desk, row.name))
        if again:
            await self._queue.enqueue(again)

    def _desk(self, board: str) -> _Desk:
        desk = self._desks.get(board)
        if desk is None:
            desk = self._desks[board] = _Desk()
            if len(self._desks) > self._most:
                for old, other in self._desks.items():
                    if not other.busy and other is not desk:
                        del self._desks[old]
                        break
        else:
            self._desks.move_to_end(board)
        return desk

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _mark(self, board: str, desk: _Desk, *, fresh: bool = False, own: bool = False) -> None:
        """Have the board looked at, now or when the turn under way ends. `fresh`: ask the server for news first."""
        if fresh:
            desk.known = max(desk.known, (desk.plan.revision if desk.plan else 0) + 1)
        if desk.busy:
            desk.again = True
            desk.news |= not own
            return
        desk.busy = True
        task = asyncio.get_running_loop().create_task(self._turn(board, desk, fresh))
        self._turns.add(task)
        task.add_done_callback(self._turns.discard)

    async def _check_age(self, board: str, desk: _Desk, plan: Plan) -> None:
        """Give the board a new incarnation when the server knows less of it than it had acknowledged.

        A restart without the tail or a failover would hand out the same revisions again, with other content.
        """
        head = await self._store.head(board)
        if head is not None and int(head["revision"]) < plan.revision:
            log.error("server.older", board=board, known=plan.revision, found=head["revision"])
            desk.plan = None
            desk.heard.clear()
            again = {"incarnation": secrets.token_hex(6)}
            said = {"reason": f"the server lost revisions {int(head['revision']) + 1} to {plan.revision}"}
            found = int(head["revision"])
            await self._store.commit(
                board, Commit("board.changed", "controller", revision=found, head=again, body=said)
            )

    async def _turn(self, board: str, desk: _Desk, fresh: bool) -> None:
        try:
            if fresh and desk.plan is not None:
                await self._check_age(board, desk, desk.plan)
            while True:
                desk.again = desk.news = False
                await self._catch_up(board, desk)
                plan = desk.plan
                if plan is None or plan.ended:
                    self._desks.pop(board, None)
                    self._ended[board] = None
                    if len(self._ended) > self._most:
                        self._ended.popitem(last=False)
                    return
                decision = decide_plan(plan, self._now())
                if decision:
                    await self._act(board, desk, plan, decision)
                    if decision.activate and plan is desk.plan and not desk.news:
                        return  # whoever was woken will be heard of
                elif not desk.again:
                    return
        except StorageError as error:
            # The board's `check` brings it back.
            desk.plan = None
            log.warning("turn.interrupted", board=board, error=str(error))
        except BlackboardError as error:
            desk.plan = None
            log.error("turn.failed", board=board, error=str(error), hint=error.hint)
        finally:
            desk.busy = False
            if desk.news and not self._stopping.is_set() and board in self._desks:
                self._mark(board, desk)

    async def _catch_up(self, board: str, desk: _Desk) -> None:
        plan = desk.plan
        if plan is None and desk.heard and desk.heard[0].revision == 1:
            plan = desk.plan = Plan(board, self._graph(desk.heard[0].head))
        if plan is not None:
            while desk.heard and desk.heard[0].revision <= plan.revision + 1:
                record = desk.heard.popleft()
                if record.revision == plan.revision + 1:
                    plan.apply(await self._whole(plan, record))
            if desk.known <= plan.revision:
                return
            for record in await self._store.log(board, f"{plan.revision}-{2**32}"):
                if record.revision == plan.revision + 1 and not record.is_note:
                    plan.apply(await self._whole(plan, record))
            desk.known = plan.revision
            return
        folded = await self._store.projection(board)
        if folded is None:
            return
        graph = self._graph(folded.head)
        empty = Plan(board, graph)
        for key, value in folded.values.items():
            if key.partition("/")[0] in empty.valued:
                folded.values[key] = await self._store.resolve(value)
        desk.plan = Plan.of(folded, graph)
        desk.known = max(desk.known, folded.revision)

    async def _whole(self, plan: Plan, record: LogRecord) -> LogRecord:
        """The record with the values that deciding needs fetched from the blob store."""
        referring = [
            key
            for key, value in record.values.items()
            if value.startswith(b'{"$blob"') and key.partition("/")[0] in plan.valued
        ]
        if not referring:
            return record
        values = dict(record.values)
        for key in referring:
            values[key] = await self._store.resolve(values[key])
        return replace(record, values=values)

    def _graph(self, head: Mapping[str, str]) -> Graph:
        words = (head.get("sources", ""), head.get("goal", ""))
        graph = self._graphs.get(words)
        if graph is None:
            names = orjson.loads(words[0]) if words[0] else list(self._sources)
            chosen = [self._sources[name] for name in names if name in self._sources]
            graph = compile_graph(chosen, tuple(goal for goal in words[1].split(",") if goal))
            self._graphs[words] = graph
        return graph

    async def _act(self, board: str, desk: _Desk, plan: Plan, decision: Decision) -> None:
        commit = self._commit_of(decision)
        wakes = [self._wake(board, desk, step.activation.id) for step in (*decision.activate, *decision.retry)]
        committing = asyncio.ensure_future(self._store.commit(board, commit))
        # On the store's own connection both leave in one batch, the commit first, because it is issued first.
        await (asyncio.sleep(0) if self._with_store else asyncio.wait([committing]))
        if wakes and not (committing.done() and (committing.exception() or not committing.result().ok)):
            await self._queue.enqueue(wakes)
        answer = await committing
        if answer.ok:
            desk.known = max(desk.known, answer.revision)
        elif answer.status == "conflict":
            # Somebody was faster: see what they did before deciding again.
            log.debug("decision.refused", board=board, mismatches=[m.key for m in answer.mismatches])
            desk.known = max(desk.known, plan.revision + 1)
        else:
            desk.plan = None
            desk.known = max(desk.known, plan.revision + 1)

    def _wake(self, board: str, desk: _Desk, activation: str) -> Wake:
        priority = desk.plan.head.get("priority", "interactive") if desk.plan else "interactive"
        last = desk.wakes.get(activation)
        desk.wakes[activation] = number = secrets.randbits(32) if last is None else last + 1
        return Wake(activation.rpartition(".")[0], priority, board, activation, number, last)

    def _commit_of(self, decision: Decision) -> Commit:
        grace = self._settings.wake_grace_ms
        steps: list[tuple[Step, int | None]] = [(step, None) for step in decision.cancel]
        steps += [(step, grace) for step in (*decision.activate, *decision.retry)]
        type, head, due = "controller.decided", {}, []
        body: dict[str, object] = {}
        if decision.ending is not None:
            type = f"board.{decision.ending.status}"
            body = decision.ending.outcome
            head = {"status": decision.ending.status, "outcome": orjson.dumps(body).decode()}
            due = [("retention", int(self._settings.retention_s * 1000))]
        elif not (decision.activate or decision.retract):
            type = "activation.retried" if decision.retry else "activation.cancelled"
        return Commit(
            type=type,
            by="controller",
            writes=decision.retract,
            agenda_checks=tuple((step.activation.id, *step.expected) for step, _ in steps),
            revision=decision.revision,
            agenda=tuple(AgendaWrite(step.activation, delay) for step, delay in steps),
            head=head,
            due=tuple(due),
            body=body,
        )
