"""The store on Redis against the one in memory: the same steps, in any order, leave the same bytes.

`BLACKBOARD_FAULT_RUNS` set: 2,000 runs of 60 steps instead of 60 of 30.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.board import Board, fold
from blackboard.embedded import Server
from blackboard.entries import AgendaWrite, Answer, Claimed, Commit, Fork, Put, Retract
from blackboard.events import LogRecord, to_json
from blackboard.keys import keys_of, partition_of
from blackboard.memory import MemoryStore
from blackboard.store import RedisStore, open_store
from tests.making import activation

LONG = "BLACKBOARD_FAULT_RUNS" in os.environ
RUNS, STEPS = (2_000, 60) if LONG else (60, 30)

KEYS = st.sampled_from(["page/0001", "claim/a", "page/0001~ocr"])
SOURCES = st.sampled_from(["ocr", "pages", "fix"])
PEOPLE = st.sampled_from(["person:ann", "person:bob"])
VALUES = st.sampled_from([b"1", b'"a"', b"[]", b'{"n":9007199254740993}', '"Straße\\n|@="'.encode()])
CONFIDENCES = st.sampled_from([1.0, 0.5, 0.123456])
PUTS = st.builds(Put, KEYS, VALUES, CONFIDENCES, st.booleans())
SOURCE_PUTS = st.builds(Put, KEYS, VALUES, CONFIDENCES)
RETRACTS = st.builds(Retract, KEYS, st.sampled_from(["", "ocr", "pages", "person:ann"]))
PERSON_WRITES = st.lists(PUTS | RETRACTS, min_size=1, max_size=3, unique_by=lambda write: write.key).map(tuple)
SOURCE_WRITES = st.lists(SOURCE_PUTS | RETRACTS, min_size=1, max_size=3, unique_by=lambda write: write.key).map(tuple)
SOURCE_COMMITS = st.builds(
    Commit,
    st.just("contribution.committed"),
    SOURCES,
    mode=st.sampled_from(["source", "reviser"]),
    writes=SOURCE_WRITES,
)
PERSON_COMMITS = st.builds(Commit, st.just("board.changed"), PEOPLE, mode=st.just("person"), writes=PERSON_WRITES)
CHECKS = st.lists(st.tuples(KEYS, st.integers(0, 4)), max_size=2).map(tuple)
ACTIVATIONS = st.sampled_from(["a1", "a2"])
INPUTS = st.lists(st.tuples(KEYS, st.integers(0, 3), st.booleans()), max_size=3, unique_by=lambda one: one[0]).map(
    tuple
)
EPOCHS = st.integers(0, 3)
NONCES = st.sampled_from(["n1", "n2"])
BOARDS = st.integers(0, 2)


def plain(answer: Answer | Claimed) -> Answer | Claimed:
    """Without the time, which only one store's server knows."""
    return replace(answer, at=0)


def plain_head(head: dict[str, str]) -> dict[str, str]:
    return {name: "T" if name in ("created", "ended") else value for name, value in head.items()}


def plain_log(log: list[LogRecord]) -> list[bytes]:
    return [to_json(replace(record, at=0, head=plain_head(dict(record.head)))) for record in log]


class Agreement(RuleBasedStateMachine):
    """Each rule takes one step in both stores and compares the answers; afterwards both boards are the same."""

    runner: ClassVar[asyncio.Runner]
    redis: ClassVar[RedisStore]
    raw: ClassVar[Any]

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryStore(Blobs.at("memory://"))
        self.told: list[tuple[str, LogRecord]] = []
        self.remove = self.redis.listen(lambda board, record: self.told.append((board, record)))
        self.ids: list[str] = []
        self.sent: list[tuple[str, Commit, Answer]] = []
        self.touched = ""
        self.count = 0

    def run(self, step: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(step)

    def teardown(self) -> None:
        self.remove()

    def board(self, at: int) -> str:
        return self.ids[at % len(self.ids)]

    def both(self, board: str, commit: Commit) -> Answer:
        async def step() -> tuple[Any, Any]:
            answers: list[Any] = []
            for store in (self.redis, self.memory):
                try:
                    answers.append(plain(await store.commit(board, commit)))
                except Exception as error:
                    answers.append(type(error))
            return answers[0], answers[1]

        here, there = self.run(step())
        assert here == there
        self.touched = board
        if isinstance(here, type):
            return Answer("conflict")
        if commit.id and here.status in ("committed", "conflict", "fenced"):
            self.sent.append((board, commit, here))
        return here  # type: ignore[no-any-return]

    def next_id(self, stem: str) -> str:
        self.count += 1
        return f"{stem}:{self.count}"

    @initialize()
    def create(self) -> None:
        self.begin()

    def begin(self, **more: Any) -> None:
        board = self.redis.new_id("acme")
        self.ids.append(board)
        head = {"status": "open", "tenant": "acme", "incarnation": "i1"}
        commit = Commit("board.created", "tenant:acme", self.next_id("create"), create=True, head=head, **more)
        assert self.both(board, commit).ok

    @rule(at=BOARDS, who=PEOPLE, writes=PERSON_WRITES, checks=CHECKS)
    def person_checks(self, at: int, who: str, writes: Any, checks: Any) -> None:
        commit = Commit(
            "board.changed", who, self.next_id(who), mode="person", writes=writes, checks=checks, note=True
        )  # fmt: skip
        self.both(self.board(at), commit)

    @rule(at=BOARDS, commits=st.lists(SOURCE_COMMITS | SOURCE_COMMITS | PERSON_COMMITS, min_size=2, max_size=8))
    def compete(self, at: int, commits: list[Commit]) -> None:
        """Sources, revisers and people write on each other's keys."""
        for commit in commits:
            self.both(self.board(at), commit)

    @rule(at=BOARDS, id=ACTIVATIONS, inputs=INPUTS, fresh=st.booleans())
    def schedule(self, at: int, id: str, inputs: Any, fresh: bool) -> None:
        board = self.board(at)
        if fresh:
            state = self.memory._shelf(board).board
            found = {key: state.header(key) for key, *_ in inputs}
            inputs = tuple(
                (key, header.version if (header := found[key]) else 0, checked) for key, _, checked in inputs
            )
        record = replace(activation(id, data=[1, {}]), inputs=inputs)
        there = self.memory._shelf(board).board.activation(id)
        checks = ((id, there.status, there.epoch),) if there else ((id, "", 0),)
        writes = (AgendaWrite(replace(record, epoch=there.epoch if there else 0), 60_000),)
        self.both(board, Commit("controller.decided", "controller", agenda=writes, agenda_checks=checks))

    @rule(at=BOARDS, id=ACTIVATIONS, inputs=INPUTS, nonce=NONCES, writes=SOURCE_WRITES)
    def lose_a_worker_at_work(self, at: int, id: str, inputs: Any, nonce: str, writes: Any) -> None:
        """Scheduled, claimed, half done, lost, and claimed again."""
        self.schedule(at, id, inputs, True)
        self.claim(at, id, nonce)
        self.contribute(at, id, "ocr", 1, True, writes, "running")
        self.lose_the_worker(at, id)
        self.claim(at, id, nonce)

    @rule(at=BOARDS, id=ACTIVATIONS, nonce=NONCES)
    def claim(self, at: int, id: str, nonce: str) -> None:
        board = self.touched = self.board(at)

        async def step() -> list[Claimed]:
            return [
                await store.claim(board, id, nonce=nonce, lease_ms=3_600_000, worker="w")
                for store in (self.redis, self.memory)
            ]

        here, there = self.run(step())
        assert plain(here) == plain(there)

    @rule(at=BOARDS, id=ACTIVATIONS, epoch=EPOCHS)
    def renew(self, at: int, id: str, epoch: int) -> None:
        board = self.touched = self.board(at)

        async def step() -> list[str]:
            return [await store.renew(board, id, epoch, lease_ms=3_600_000) for store in (self.redis, self.memory)]

        here, there = self.run(step())
        assert here == there

    @rule(at=BOARDS, id=ACTIVATIONS)
    def lose_the_worker(self, at: int, id: str) -> None:
        """Its lease expires, as if time had passed."""
        board = self.touched = self.board(at)
        lease = self.memory._shelf(board).leases.get(id)
        if lease is None:
            return
        self.memory._shelf(board).leases[id] = replace(lease, expiry=1)

        async def step() -> None:
            stored = (await self.raw.hget(keys_of(board).leases, id)).decode()
            await self.raw.hset(keys_of(board).leases, id, "1|" + stored.split("|", 1)[1])

        self.run(step())

    @rule(
        at=BOARDS, id=ACTIVATIONS, name=SOURCES, epoch=EPOCHS, right=st.booleans(), writes=SOURCE_WRITES,
        status=st.sampled_from(["running", "done", "failed", "stale"]),
    )  # fmt: skip
    def contribute(self, at: int, id: str, name: str, epoch: int, right: bool, writes: Any, status: Any) -> None:
        """Part of an activation's contribution, or the last of it; under the right fence or some other."""
        board = self.board(at)
        there = self.memory._shelf(board).board.activation(id)
        if right and there is not None:
            epoch = there.epoch
        record = activation(id, status, epoch, done=True)
        self.both(
            board,
            Commit(
                "contribution.committed", name, self.next_id(f"{id}:{epoch}"), mode="source", activation=id, writes=writes,
                fence=(id, epoch), agenda=(AgendaWrite(record),), note=True,
            ),
        )  # fmt: skip

    @rule(at=BOARDS, id=ACTIVATIONS, status=st.sampled_from(["pending", "running"]), epoch=EPOCHS)
    def cancel(self, at: int, id: str, status: str, epoch: int) -> None:
        writes = (AgendaWrite(activation(id, "cancelled", epoch)),)
        checks = ((id, status, epoch),)
        self.both(self.board(at), Commit("activation.cancelled", "controller", agenda=writes, agenda_checks=checks))

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 50))
    def send_again(self, which: int) -> None:
        """A reply was lost: the step answers what it answered, and changes nothing."""
        board, commit, first = self.sent[which % len(self.sent)]
        assert self.both(board, commit) == replace(first, already=True)

    @precondition(lambda self: len(self.ids) < 3)
    @rule(writes=PERSON_WRITES)
    def fork(self, writes: Any) -> None:
        state = self.memory._shelf(self.ids[0]).board
        self.begin(fork=Fork(dict(state.entries), dict(state.values), dict(state.agenda)), writes=writes, mode="person")

    @precondition(lambda self: len(self.ids) > 1)
    @rule(status=st.sampled_from(["completed", "failed", "cancelled"]), revision=st.integers(0, 9))
    def end(self, status: str, revision: int) -> None:
        board = self.ids[-1]
        wanted = self.memory._shelf(board).board.revision if revision < 8 else revision
        due = (("retention", 3_600_000),)
        self.both(
            board,
            Commit(
                f"board.{status}", "controller", self.next_id("end"), revision=wanted, head={"status": status}, due=due
            ),
        )

    @invariant()
    def same_bytes(self) -> None:
        if not self.touched:
            return
        board, self.touched = self.touched, ""
        self.run(self.compare(board))

    async def compare(self, board: str) -> None:
        here, there = await self.redis.projection(board), await self.memory.projection(board)
        log, other = await self.redis.log(board), await self.memory.log(board)
        assert here is not None
        assert there is not None
        assert plain_log(log) == plain_log(other)
        assert fold(board, log) == here
        assert (plain_head(here.head), here.entries, here.values, here.agenda) == (
            plain_head(there.head), there.entries, there.values, there.agenda,
        )  # fmt: skip
        self.check_order(here, log)
        leases, others = await self.redis.leases(board), await self.memory.leases(board)
        assert {id: row.nonce for id, row in leases.items()} == {id: row.nonce for id, row in others.items()}
        due = await self.raw.zrange(f"bb:{{{partition_of(board)}}}:due", 0, -1)
        mine = {member.decode().partition("|")[2] for member in due if member.startswith(board.encode())}
        assert mine == set(self.memory._shelf(board).due)
        own = [record for record in log if not record.is_note]
        assert [record for id, record in self.told if id == board] == own
        assert [to_json(record) for id, record in self.told if id == board] == [to_json(record) for record in own]

    def check_order(self, state: Board, log: list[LogRecord]) -> None:
        """The log is dense, ends with the end, and every accepted fence was the epoch of its time."""
        records = [record for record in log if not record.is_note]
        assert [record.revision for record in records] == list(range(1, state.revision + 1))
        assert all(not record.is_terminal for record in records[:-1])
        epochs: dict[str, int] = {}
        for record in records:
            for id, stored in record.agenda.items():
                epoch = int(stored.split(b"|", 2)[1])
                assert epoch >= epochs.get(id, 0) or record.type in ("board.created", "activation.cancelled")
                epochs[id] = epoch


@pytest.mark.timeout(7200 if LONG else 120)
def test_redis_and_memory_agree(server: Server) -> None:
    with asyncio.Runner() as runner:

        async def enter() -> tuple[RedisStore, Any]:
            raw = Redis.from_url(server.url)
            await raw.flushall()
            return await open_store(server.url, Blobs.at("memory://")), raw

        store, raw = runner.run(enter())
        machine = type("Machine", (Agreement,), {"runner": runner, "redis": store, "raw": raw})
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=RUNS,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    # Shrinking takes minutes on a real server: only where hours are meant to be spent.
                    phases=[phase for phase in Phase if LONG or phase is not Phase.shrink],
                ),
            )
        finally:
            runner.run(store.close())
            runner.run(raw.aclose())
