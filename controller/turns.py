"""One board's turn: catch up with its log, decide, commit the decision, wake workers."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Protocol

import orjson
import structlog

from blackboard.contract import Source
from blackboard.entries import AgendaWrite, Commit, plain_name
from blackboard.events import LogRecord
from blackboard.ports import Due, Store
from blackboard.presence import Presence
from controller.adoption import Adoption, adoption
from controller.announcing import ENDED as ANNOUNCE_ENDED
from controller.announcing import Interest, Nobody
from controller.decide import Decision, Step, decide_plan
from controller.family import Seen
from controller.graph import Graph, graph_of
from controller.pinned import graph_words, version_of
from controller.plan import Plan
from controller.queue import Wake
from controller.settings import Settings

log = structlog.get_logger(__name__)

MOST_GRAPHS = 256
Meet = Callable[[Iterable[str]], Awaitable[None]]
"""Looks for sources of these names, should they not be known yet."""


START = secrets.randbits(40)
"""Of the numbers of this process' wake-ups: another controller's for the same activation must not meet them."""


@dataclass(slots=True)
class Desk:
    """One board under a controller's eyes."""

    plan: Plan | None = None
    words: tuple[str, ...] = ()
    """What the plan's graph follows from."""
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
    edition: int = 0
    """Of the sources, as `plan` knows them."""
    kin: Seen = field(default_factory=Seen)
    next_at: int | None = None
    """When the next retry is due, by the server's clock."""

    def wake(self, board: str, activation: str, version: str, head: Mapping[str, str]) -> Wake:
        """The next wake-up for an activation of a source in this version, in place of the last one."""
        priority = head.get("priority", "interactive")
        last = self.wakes.get(activation)
        self.wakes[activation] = number = START + len(self.wakes) if last is None else last + 1
        return Wake(plain_name(activation.rpartition(".")[0]), version, priority, board, activation, number, last)


class Waker(Protocol):
    """The part of the queue that a turn needs."""

    async def enqueue(self, wakes: Sequence[Wake]) -> None:
        """Send wake-ups."""

    async def drop(self, source: str, version: str, board: str) -> None:
        """Take back a board's wake-ups for a version it no longer uses."""


class Turns:
    """Takes turns for boards. `with_store`: the queue's commands travel on the store's own connection, in order."""

    def __init__(
        self,
        *,
        store: Store,
        queue: Waker,
        sources: Sequence[Source],
        settings: Settings,
        with_store: bool,
        meet: Meet | None = None,
        interest: Interest | None = None,
    ) -> None:
        self._store = store
        self._interest = interest or Nobody()
        self._queue = queue
        self._sources = tuple(sources)
        self._settings = settings
        self._with_store = with_store
        self.presence: Presence | None = None
        """Who serves what, read as often as the partitions' leases are kept."""
        self.watching_since = 0
        """When it was read first, by the server's clock."""
        self._graphs: dict[tuple[str, ...], Graph] = {}
        self._meet = meet
        self._edition = 0

    def know(self, sources: Sequence[Source], changed: AbstractSet[str]) -> None:
        """The sources there are now, and the names of those that changed: plans that hold them are made anew."""
        self._sources = tuple(sources)
        self._edition += 1
        for words in list(self._graphs):
            if not words[0] or not changed.isdisjoint(_named(words)):
                del self._graphs[words]

    async def take(self, board: str, desk: Desk, *, fresh: bool, now: Callable[[], int]) -> bool:
        """Decide until there is nothing to do. Whether the board has ended or is gone. Raises StorageError."""
        if fresh and desk.plan is not None:
            await self._check_age(board, desk, desk.plan)
            await self._adopt(board, desk, now())
        while True:
            desk.again = desk.news = False
            await self._catch_up(board, desk)
            plan = desk.plan
            if plan is None or plan.ended:
                return True
            decision = decide_plan(plan, now())
            desk.next_at = _next_retry(plan)
            if decision:
                made = await self._act(board, desk, plan, decision)
                more = decision.retract or decision.cancel  # readers and slots that this decision did not see yet
                if made and decision.activate and not more and not desk.news:
                    return False  # whoever was woken will be heard of
            elif not desk.again:
                return False

    async def _check_age(self, board: str, desk: Desk, plan: Plan) -> None:
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
            # Whatever happened there since: what was said under the old incarnation no longer holds.
            await self._store.commit(board, Commit("board.changed", "controller", head=again, body=said))

    async def _adopt(self, board: str, desk: Desk, now: int) -> None:
        """Let a board go on with another version of what nobody serves any more in the version it began with."""
        if desk.plan is None or self.presence is None or now < self.watching_since + self._settings.lease_ms:
            return  # workers that are there may not have been heard of yet
        found = adoption(desk.plan, self.presence, self._sources, now, self._settings.adopt_ms)
        if found is None or await self._run_still(board, found, now):
            return
        answer = await self._store.commit(board, found.commit)
        if not answer.ok:
            return  # the board moved on: its next check sees to it
        # At once: wake-ups that the sweeper is about to send are for the new version.
        desk.plan = None
        desk.heard.clear()
        desk.known = max(desk.known, answer.revision)
        log.info("board.adopted", board=board, **found.commit.body)
        for source, version in found.left:
            await self._queue.drop(plain_name(source), version, board)

    async def _run_still(self, board: str, found: Adoption, now: int) -> bool:
        """Whether somebody who is not to be heard of holds on to what would be cancelled."""
        if not found.running:
            return False
        leases = await self._store.leases(board)
        return any(id in leases and leases[id].expiry > now for id in found.running)

    async def wakes_for(self, rows: Sequence[Due], desks: Mapping[str, Desk]) -> list[Wake]:
        """Wake-ups for what the sweeper found; of boards not in memory the head says the version."""
        unread = sorted({row.board for row in rows if desks[row.board].plan is None})
        heads = dict(zip(unread, await asyncio.gather(*map(self._store.head, unread)), strict=True))
        found = []
        for row in rows:
            desk = desks[row.board]
            head = desk.plan.head if desk.plan is not None else heads.get(row.board)
            known = desk.plan.activations.get(row.name) if desk.plan is not None else None
            if known is not None and not (known.under_way or "retry_at" in known.data):
                continue
            source = row.name.rpartition(".")[0]
            version = str(known.data["version"]) if known is not None else version_of(head or {}, source)
            if head is not None and version:
                found.append(desk.wake(row.board, row.name, version, head))
        return found

    async def _catch_up(self, board: str, desk: Desk) -> None:
        if desk.edition != self._edition:
            desk.edition = self._edition
            if desk.plan is not None and desk.plan.graph is not await self._graph(desk.plan.head):
                desk.words = ()  # the plan is made anew, once what happened meanwhile is known
        plan = desk.plan
        if plan is None and desk.heard and desk.heard[0].revision == 1:
            plan = desk.plan = Plan(board, await self._graph(desk.heard[0].head))
            desk.words = graph_words(desk.heard[0].head)
        if plan is not None:
            before = plan.revision_of_head
            while desk.heard and desk.heard[0].revision <= plan.revision + 1:
                record = desk.heard.popleft()
                if record.revision == plan.revision + 1:
                    plan.apply(await self._whole(plan, record))
            if (known := desk.known) > plan.revision:
                for record in await self._store.log(board, f"{plan.revision}-{2**32}"):
                    if record.revision == plan.revision + 1 and not record.is_note:
                        plan.apply(await self._whole(plan, record))
                if desk.known == known:  # else somebody told of more while the log was read
                    desk.known = plan.revision
            if desk.words and (plan.revision_of_head == before or desk.words == graph_words(plan.head)):
                return
            # Sources came, went or took another version: everything is looked at with the new graph.
            desk.plan = None
            desk.heard.clear()
        folded = await self._store.projection(board)
        if folded is None:
            return
        graph = await self._graph(folded.head)
        for key, value in folded.values.items():
            if key.partition("/")[0] in graph.valued:
                folded.values[key] = await self._store.resolve(value)
        desk.plan, desk.words = Plan.of(folded, graph), graph_words(folded.head)
        desk.known = max(desk.known, folded.revision)

    async def _whole(self, plan: Plan, record: LogRecord) -> LogRecord:
        """The record with the values that deciding needs fetched from the blob store."""
        referring = [
            key
            for key, value in record.values.items()
            if value.startswith(b'{"$blob"') and key.partition("/")[0] in plan.graph.valued
        ]
        if not referring:
            return record
        values = dict(record.values)
        for key in referring:
            values[key] = await self._store.resolve(values[key])
        return replace(record, values=values)

    async def _graph(self, head: Mapping[str, str]) -> Graph:
        words = graph_words(head)
        if words not in self._graphs:
            if self._meet is not None:
                # A board may come here before the news of a source it began with.
                await self._meet(_named(words))
            if len(self._graphs) >= MOST_GRAPHS:
                self._graphs.clear()  # whoever submits chooses goals and sources
            self._graphs[words] = graph_of(head, self._sources)
        return self._graphs[words]

    async def _act(self, board: str, desk: Desk, plan: Plan, decision: Decision) -> bool:
        """Commit a decision and wake whom it concerns. Whether it took effect."""
        commit = self._commit_of(decision, plan.head)
        wakes = [
            desk.wake(board, step.activation.id, step.activation.data["version"], plan.head)
            for step in (*decision.activate, *decision.retry)
        ]
        committing = asyncio.ensure_future(self._store.commit(board, commit))
        if not self._with_store:
            await asyncio.wait([committing])
        # On the store's own connection order is kept: the commit, issued first, arrives before what it allows.
        if wakes and (self._with_store or (not committing.exception() and committing.result().ok)):
            enqueuing = asyncio.ensure_future(self._queue.enqueue(wakes))
            await asyncio.wait([committing, enqueuing])
            enqueuing.result()
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
        return answer.ok

    def _commit_of(self, decision: Decision, board: Mapping[str, str]) -> Commit:
        grace = self._settings.wake_grace_ms
        steps: list[tuple[Step, int | None]] = [(step, None) for step in decision.cancel]
        steps += [(step, grace) for step in (*decision.activate, *decision.retry)]
        type, head, due = "controller.decided", {}, []
        body: dict[str, object] = {}
        if decision.ending is not None:
            type = f"board.{decision.ending.status}"
            body = decision.ending.outcome
            head = {"status": decision.ending.status, "outcome": orjson.dumps(body).decode()}
            due = [
                ("retention", int(self._settings.retention_s * 1000)),
                *self._interest.due(ANNOUNCE_ENDED, board),
            ]
        elif not (decision.activate or decision.retract):
            type = "activation.retried" if decision.retry else "activation.cancelled"
        return Commit(
            type=type,
            by="controller",
            writes=decision.retract,
            checks=decision.checks,
            agenda_checks=tuple((step.activation.id, *step.expected) for step, _ in steps),
            revision=decision.revision,
            agenda=tuple(AgendaWrite(step.activation, delay) for step, delay in steps),
            head=head,
            due=tuple(due),
            body=body,
        )


def _named(words: Sequence[str]) -> set[str]:
    """The sources and shadows that a board's graph is made of."""
    sources, _, shadows, *_ = words
    return {name for text in (sources, shadows) if text for name in orjson.loads(text)}


def _next_retry(plan: Plan) -> int | None:
    times = [
        int(run.activation.data["retry_at"])
        for track in plan.tracks.values()
        for id in track.retrying
        if (run := track.bindings[id].latest) is not None and "retry_at" in run.activation.data
    ]
    return min(times, default=None)
