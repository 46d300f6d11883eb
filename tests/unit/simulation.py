"""Boards in one thread: decisions, workers, people and accidents over the atomic steps of the store in memory.

`Simulation` plays every part under a schedule drawn from a seed: which activation goes next, partial contributions, lost
leases, workers that come back from the dead, failures with and without retries, a second controller that lags behind.
After each record it can compare deciding from the folded log with deciding from the plan kept up to date.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from simulated_worker import Worker

from blackboard import steps
from blackboard.board import Board, fold
from blackboard.contract import Source
from blackboard.entries import Activation, AgendaWrite, Answer, Commit, Put, Retract, WriteMode, entry_key, level_of
from blackboard.events import LogRecord
from blackboard.levels import Level
from blackboard.writing import Prepared, prepare
from controller.decide import Decision, decide, decide_plan
from controller.graph import compile_graph, graph_of
from controller.plan import Plan
from controller.policy import Policy

LEASE = 15_000
RUNS = int(os.environ.get("BLACKBOARD_FAULT_RUNS", "0"))
"""Examples of each property in a long run; 0: the few of an ordinary one."""


class NoBlobs:
    """A blob store nobody needs: simulated values are small."""

    async def put(self, data: bytes) -> str:
        raise AssertionError("a simulated value is too large")


def prepared(commit: Commit) -> Prepared:
    """`prepare` without an event loop: it waits for nothing but large values."""
    try:
        prepare(commit, NoBlobs()).send(None)
    except StopIteration as done:
        result: Prepared = done.value
        return result
    raise AssertionError("a simulated commit waited for something")


@dataclass(frozen=True)
class Odds:
    """How likely accidents are, each time one could happen."""

    partial: float = 0.0
    crash: float = 0.0
    transient: float = 0.0
    zombie: float = 0.0
    lag: float = 0.0
    """That a decision is committed late, as by a controller that has been replaced."""
    batch: float = 0.0
    """That the controller looks away while a record comes."""


CALM = Odds()
ROUGH = Odds(partial=0.3, crash=0.1, transient=0.1, zombie=0.3, lag=0.1, batch=0.3)


def never(source: Source, given: dict[str, Any]) -> str:
    """Nothing fails for good."""
    return ""


class Simulation:
    """One board and everybody at it. `fails(source, inputs)` says with what words a run fails for good, or "".

    `first`: the commit that makes the board, if not an empty one; its head says which of the sources it has.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        seed: int = 0,
        odds: Odds = CALM,
        goal: Sequence[str] = (),
        head: dict[str, str] | None = None,
        compare: bool = True,
        policy: Policy | None = None,
        shadows: Sequence[Source] = (),
        first: Commit | None = None,
        fails: Callable[[Source, dict[str, Any]], str] = never,
    ) -> None:
        self.sources = tuple(sources)
        self.graph = graph_of(first.head, sources) if first else compile_graph(sources, goal, policy, shadows)
        self.rng = random.Random(seed)
        self.odds, self.compare, self.fails = odds, compare, fails
        self.now = 1_000_000
        self.shelf = steps.Shelf(Board("0-simulated"))
        self.plan = Plan("0-simulated", self.graph)
        self.workers: dict[str, Worker] = {}
        self.dead: list[Worker] = []
        self.late: list[Decision] = []
        self.started: list[tuple[str, str]] = []
        """(source, binding) of every activation, in order."""
        self.finished: list[Activation] = []
        """Every run that was done or failed for good, in order."""
        self.most: Counter[str] = Counter()
        """Source -> most activations under way at a time."""
        self.under_way: dict[str, str] = {}
        """Activation -> its source."""
        self._unread: list[LogRecord] = []
        self._nonce = 0
        words = {"status": "open", "incarnation": "i", "tenant": "t", **(head or {})}
        self.commit(first or Commit("board.created", "person:p", head=words, create=True))

    @property
    def board(self) -> Board:
        """The projection."""
        return self.shelf.board

    def agenda(self) -> Iterator[Activation]:
        """Every activation there ever was."""
        return (Activation.parse(id, stored) for id, stored in self.board.agenda.items())

    def level(self, name: str) -> dict[str, bytes]:
        """The live entries of a level."""
        return {key: value for key, value in self.board.values.items() if level_of(key) == name}

    # -- commits ---------------------------------------------------------------------------------------------------

    def commit(self, commit: Commit) -> Answer:
        """One atomic step."""
        outcome, record = steps.commit(self.shelf, prepared(commit), self.now)
        self._tell(record)
        return outcome.answer

    def _tell(self, record: LogRecord | None) -> None:
        if record is None:
            return
        for id, stored in record.agenda.items():
            self.under_way.pop(id, None)
            if stored.startswith((b"pending|", b"running|")):
                self.under_way[id] = id.rpartition(".")[0]
        self.most |= Counter(self.under_way.values())
        self._unread.append(record)
        if self.rng.random() >= self.odds.batch:
            self.catch_up()

    def catch_up(self) -> None:
        """Bring the plan up to date; compare what it decides with a decision from the log alone."""
        for record in self._unread:
            self.plan.apply(record)
        self._unread.clear()
        if self.compare:
            afresh = decide(fold("0-simulated", self.shelf.log), self.graph, self.now)
            kept = decide_plan(self.plan, self.now)
            assert kept == afresh, f"from the plan {kept}\nfrom the log  {afresh}"
            assert decide_plan(self.plan, self.now) == kept, "asked twice, answered twice"

    def person(self, *writes: Put | Retract, by: str = "person:p", mode: WriteMode = "person") -> Answer:
        """A person's contribution."""
        return self.commit(Commit("contribution.committed", by, mode=mode, writes=writes))

    def put(self, value: Level, name: str, *, pin: bool = True) -> Answer:
        """A person writes one entry."""
        key = entry_key(value.level, name)
        return self.person(Put(key, orjson.dumps(value.model_dump(mode="json")), 1.0, pin))

    # -- the controller --------------------------------------------------------------------------------------------

    def control(self) -> bool:
        """Decide and commit; whether there was anything to do."""
        self.catch_up()
        decision = decide_plan(self.plan, self.now)
        if not decision:
            return False
        if self.rng.random() < self.odds.lag:
            self.late.append(decision)
        answer = self.enact(decision)
        assert answer.ok, f"a fresh decision was refused: {answer}"
        return True

    def enact(self, decision: Decision) -> Answer:
        """Commit a decision as the loop does: agenda records checked, the revision where the decision says so."""
        changes = (*decision.activate, *decision.cancel, *decision.retry)
        head: dict[str, str] = {}
        kind = "controller.decided"
        if decision.ending:
            head = {"status": decision.ending.status, "outcome": orjson.dumps(decision.ending.outcome).decode()}
            kind = f"board.{decision.ending.status}"
        commit = Commit(
            kind,
            "controller",
            writes=decision.retract,
            checks=decision.checks,
            agenda_checks=tuple((step.activation.id, *step.expected) for step in changes),
            revision=decision.revision,
            agenda=tuple(AgendaWrite(step.activation) for step in changes),
            head=head,
        )
        answer = self.commit(commit)
        if answer.ok:
            self.started += [(x.activation.data["source"], x.activation.data["binding"]) for x in decision.activate]
        return answer

    # -- workers ---------------------------------------------------------------------------------------------------

    def claim(self, id: str) -> str:
        """Take one activation and run its source; what the claim answered."""
        self._nonce += 1
        nonce = str(self._nonce)
        claimed, record = steps.claim(self.shelf, id, nonce=nonce, lease_ms=LEASE, worker="w", now=self.now)
        if claimed.status == "claimed":
            assert claimed.activation is not None
            if id in self.workers:
                self.dead.append(self.workers.pop(id))
            source = self.graph.nodes[claimed.activation.data["source"]].source
            worker = self.workers[id] = Worker.of(source, claimed, self.board)
            worker.error = self.fails(source, worker.given)
        self._tell(record)
        return claimed.status

    def work(self, worker: Worker) -> Answer:
        """One step of a worker: a part of what it contributes, a failure, or its final commit."""
        attempts = int(worker.activation.data.get("attempts", 0)) + 1
        if worker.left and self.rng.random() < self.odds.partial:
            answer = self.commit(worker.part())
            worker.learn(answer)
        elif worker.error or (attempts < worker.source.attempts and self.rng.random() < self.odds.transient):
            last = attempts >= worker.source.attempts or worker.error
            answer = self._finish(worker, worker.failure(attempts, None if last else self.now + 1000))
        else:
            answer = self._finish(worker, worker.last())
        if answer.status == "conflict":
            answer = self._finish(worker, worker.stale())
        if not answer.ok:
            self.workers.pop(worker.activation.id, None)
        return answer

    def _finish(self, worker: Worker, commit: Commit) -> Answer:
        answer = self.commit(commit)
        written = commit.agenda[0].activation
        if answer.ok:
            self.workers.pop(written.id, None)
            if written.status == "done" or (written.status == "failed" and "retry_at" not in written.data):
                self.finished.append(written)
        return answer

    # -- the schedule ----------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One thing happens, if anything can before time passes."""
        claimable = [id for id in self.under_way if id not in self.workers]
        choices: list[Callable[[], object]] = [self.control]
        choices += [partial(self.claim, id) for id in claimable]
        choices += [partial(self._live, worker) for worker in self.workers.values()]
        if self.dead and self.rng.random() < self.odds.zombie:
            choices.append(self._rise)
        if self.late and self.rng.random() < 0.2:
            self.enact(self.late.pop(0))
        if self.board.ended:
            return False
        self.rng.choice(choices)()
        return True

    def _live(self, worker: Worker) -> None:
        if self.rng.random() < self.odds.crash:
            self.dead.append(self.workers.pop(worker.activation.id))
            self.now += LEASE + 1
        else:
            self.work(worker)

    def _rise(self) -> None:
        zombie = self.dead.pop(self.rng.randrange(len(self.dead)))
        there = self.board.activation(zombie.activation.id)
        answer = self.commit(zombie.failure(1, None)) if zombie.error else self._finish(zombie, zombie.last())
        assert not answer.ok or (there and there.epoch == zombie.activation.epoch), "a lost worker was heard"

    def run(self, bound: int = 3000) -> None:
        """Until the board has ended, or is held for review. Fails beyond `bound` steps, and when the board is stuck."""
        for _ in range(bound):
            if not self.step():
                return
            if self.under_way or self.control():
                continue
            if waits := self._until():
                self.now = max(self.now, waits)
            else:
                assert self.board.ended or self.plan.head.get("hold") == "review", f"stuck: {self.states()}"
                return
        raise AssertionError(f"no end after {bound} steps: {Counter(self.started).most_common(3)}")

    def drain(self, *idle: str) -> None:
        """Until nothing is left to do, first come, first served, deciding after every record as the loop does.

        Nobody works for the sources in `idle`.
        """
        while self.control() or set(self.under_way.values()) - set(idle):
            if id := next((id for id, source in self.under_way.items() if source not in idle), None):
                self.claim(id)
                self.control()
                self.work(self.workers[id])

    def _until(self) -> int:
        """When the next retry is due; 0: never."""
        times = [x.data["retry_at"] for x in self.agenda() if x.status == "failed" and "retry_at" in x.data]
        return min((time for time in times if time > self.now), default=0)

    def states(self) -> dict[str, dict[str, str]]:
        """Every binding's state, as the plan holds it."""
        return {name: {b.id: b.state for b in track.bindings.values()} for name, track in self.plan.tracks.items()}
