"""The atomic steps of `scripts/commit.lua`, `claim.lua` and `renew.lua`, in Python, on a board kept in memory.

Only the store in memory uses them. State changes by `board.apply` alone: what the log says is what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from blackboard.board import Board, apply
from blackboard.entries import Activation, Answer, Claimed, Header, Mismatch, Read, Retract, format_inputs
from blackboard.errors import UsageError
from blackboard.events import LogRecord
from blackboard.ports import Renewal
from blackboard.wire import claim_bodies
from blackboard.writing import Outcome, Prepared, Stored, record_of

MOST_NOTES = 100


@dataclass(frozen=True, slots=True)
class Lease:
    """A running activation's lease, and the answer to its claim's being repeated."""

    expiry: int
    nonce: str
    revision: int
    at: int


@dataclass(slots=True)
class Shelf:
    """One board with what is kept beside its projection. `due`: name -> milliseconds."""

    board: Board
    log: list[LogRecord] = field(default_factory=list)
    commits: dict[str, Outcome] = field(default_factory=dict)
    notes: int = 0
    leases: dict[str, Lease] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    kin: dict[str, str] = field(default_factory=dict)
    """Boards below this one -> their parents."""


class Unsure(Exception):
    """Nothing else is wrong with a commit, but blobs that it refers to may not be there."""


def commit(shelf: Shelf, prepared: Prepared, now: int, *, unsure: bool = False) -> tuple[Outcome, LogRecord | None]:
    """The outcome, and the record or note that was logged. A board of revision 0 does not exist.

    `unsure`: whether its blobs are in doubt; raises Unsure where that would be all.
    """
    asked, board = prepared.commit, shelf.board
    if asked.id and (known := shelf.commits.get(asked.id)):
        return _remembered(known), None
    incarnation = board.head.get("incarnation", "")
    refusal: Answer | None = None
    noted = True
    if asked.create:
        if board.revision:
            refusal, noted = Answer("conflict", board.revision, now, mismatches=(_moved(0, board.revision),)), False
    elif not board.revision or board.ended:
        refusal, noted = Answer("closed" if board.ended else "gone", board.revision, now), False
    if refusal is None and asked.fence is not None:
        running = board.activation(asked.fence[0])
        if running is None or running.status != "running" or running.epoch != asked.fence[1]:
            refusal = Answer("fenced", board.revision, now)
    if refusal is None and (mismatches := _mismatches(board, prepared)):
        refusal = Answer("conflict", board.revision, now, mismatches=mismatches)
    if refusal is not None:
        return _refuse(shelf, prepared, Outcome(refusal, incarnation), noted)
    if unsure:
        raise Unsure
    wrote, bases = _plan(board, prepared)
    answer = Answer("committed", board.revision + 1, now, wrote)
    outcome = Outcome(answer, asked.head.get("incarnation", incarnation), bases)
    record = record_of(prepared, outcome)
    apply(board, record)
    shelf.log.append(record)
    if asked.id:
        shelf.commits[asked.id] = outcome
    _keep_times(shelf, prepared, now)
    shelf.blobs.update(prepared.blobs)
    return outcome, record


def _remembered(known: Outcome) -> Outcome:
    a = known.answer
    return Outcome(
        Answer(a.status, a.revision, a.at, a.wrote, a.mismatches, already=True), known.incarnation, known.bases
    )


def _moved(expected: int, actual: int) -> Mismatch:
    return Mismatch("revision", str(expected), str(actual))


def _mismatches(board: Board, prepared: Prepared) -> tuple[Mismatch, ...]:
    asked = prepared.commit
    found = []
    if asked.revision is not None and asked.revision != board.revision:
        found.append(_moved(asked.revision, board.revision))
    for key, expected in asked.checks:
        header = board.header(key)
        actual = header.version if header else 0
        if actual != expected:
            found.append(Mismatch(key, str(expected), str(actual)))
    for id, status, epoch in asked.agenda_checks:
        there = board.activation(id)
        is_now = f"{there.status}@{there.epoch}" if there else "absent"
        wanted = f"{status}@{epoch}" if status else "absent"
        if is_now != wanted:
            found.append(Mismatch(f"agenda:{id}", wanted, is_now))
    return tuple(found)


def _refuse(shelf: Shelf, prepared: Prepared, outcome: Outcome, noted: bool) -> tuple[Outcome, LogRecord | None]:
    asked, answer = prepared.commit, outcome.answer
    if noted and asked.id:
        shelf.commits[asked.id] = outcome
    if not (noted and asked.note and shelf.notes < MOST_NOTES):
        return outcome, None
    shelf.notes += 1
    shown = [{"key": m.key, "expected": m.expected, "actual": m.actual} for m in answer.mismatches]
    body = orjson.dumps({"refused": answer.status, "type": asked.type, "mismatches": shown})
    note = LogRecord(
        answer.revision, shelf.log[-1].n + 1, answer.at, "contribution.refused", asked.by, outcome.incarnation, asked.id,
        str(asked.fence[1]) if asked.fence else "", body,
    )  # fmt: skip
    shelf.log.append(note)
    return outcome, note


def _plan(board: Board, prepared: Prepared) -> tuple[tuple[tuple[str, str, int], ...], tuple[str, ...]]:
    """(asked, written, version) and the base of each write's header. Raises UsageError when two puts meet on one key."""
    asked = prepared.commit
    planner = Planner(asked.mode, asked.by, asked.fork.entries if asked.fork else board.entries)
    plans = {row: planner.put(write) for row, write in enumerate(prepared.writes) if isinstance(write, Stored)}
    # A put wins over a retract of the key it lands on, whatever their order.
    plans |= {row: planner.retract(write) for row, write in enumerate(prepared.writes) if isinstance(write, Retract)}
    rows = [plans[row] for row in range(len(prepared.writes))]
    return tuple((asked, target, version) for asked, target, version, _ in rows), tuple(base for *_, base in rows)


@dataclass(slots=True)
class Planner:
    """Where a commit's writes land, and as which version."""

    mode: str
    by: str
    entries: Mapping[str, str]
    targets: set[str] = field(default_factory=set)

    def header(self, key: str) -> Header | None:
        """The header before the commit."""
        text = self.entries.get(key)
        return None if text is None else Header.parse(text)

    def aim(self, key: str) -> str | None:
        """The key asked for, the rival beside it, or None: somebody else pinned that rival."""
        found = self.header(key)
        if found is None or found.owner == self.by or self.mode in ("person", "controller"):
            return key
        if self.mode == "source" and _base_owner(found) == self.by:
            return key
        takes_over = self.mode == "reviser" or not found.live or found.owner.startswith("person:")
        if not found.pinned and takes_over:
            return key
        rival = f"{key}~{self.by}"
        found = self.header(rival)
        return None if found and found.pinned and found.owner != self.by else rival

    def put(self, write: Stored) -> tuple[str, str, int, str]:
        """(asked, target, version or 0, base)."""
        target = self.aim(write.key)
        if target is None:
            return write.key, write.key, 0, ""
        if target in self.targets:
            raise UsageError(f"a commit puts {target} twice")
        self.targets.add(target)
        found = self.header(target)
        if found is None:
            return write.key, target, 1, ""
        mine = found.owner == self.by
        same = found.live and found.digest == write.digest and mine and found.pinned == (write.pin == "1")
        revised = self.mode == "source" and found.base == f"{self.by}:{write.digest}"
        if same or revised:
            return write.key, target, 0, ""
        base = ""
        if self.mode == "reviser" and found.live:
            # A reviser over another one's revision still stands on what came from outside.
            base = found.base if found.base or mine else f"{found.owner}:{found.digest}"
        return write.key, target, found.version + 1, base

    def retract(self, write: Retract) -> tuple[str, str, int, str]:
        """(asked, target, version or 0, base)."""
        found = self.header(write.key)
        if write.key in self.targets or found is None or not found.live:
            return write.key, write.key, 0, ""
        by_person = found.pinned and found.owner.startswith("person:")
        if write.owner and (found.owner != write.owner or by_person):
            return write.key, write.key, 0, ""
        self.targets.add(write.key)
        return write.key, write.key, found.version + 1, ""


def _base_owner(header: Header) -> str:
    return header.base.rpartition(":")[0]


def _keep_times(shelf: Shelf, prepared: Prepared, now: int) -> None:
    if shelf.board.ended:
        # What is still to be announced outlives the board's end.
        shelf.due = {name: at for name, at in shelf.due.items() if name.startswith("announce.")}
        shelf.leases.clear()
    for id, record, delay in prepared.agenda:
        running = record.startswith(b"running|")
        if not running:
            shelf.leases.pop(id, None)
        if delay is not None:
            shelf.due[id] = now + delay
        elif not running:
            shelf.due.pop(id, None)
    for name, delay in prepared.commit.due:
        if delay is None:
            shelf.due.pop(name, None)
        else:
            shelf.due[name] = now + delay


def claim(
    shelf: Shelf, activation: str, *, nonce: str, lease_ms: int, worker: str, now: int
) -> tuple[Claimed, LogRecord | None]:
    """The answer, and the record that was logged."""
    board = shelf.board
    there = board.activation(activation)
    if not board.revision or (there is None and not board.ended):
        return Claimed("gone"), None
    if board.ended or there is None:
        return Claimed("closed"), None
    if not there.under_way:
        return Claimed("finished"), None
    lease = shelf.leases.get(activation) if there.status == "running" else None
    again = lease if lease is not None and lease.expiry > now else None
    if again is not None and again.nonce != nonce:
        return Claimed("busy"), None
    reads, inputs = [], []
    for key, version, checked in there.inputs:
        header = board.header(key)
        current = header.version if header is not None and (header.live or checked) else 0
        moved = current != version or (header is not None and not header.live)
        # What an earlier epoch wrote itself is no move: else nobody could ever take a reviser over.
        own = header is not None and header.live and header.activation == activation
        if checked and again is None and moved and not own:
            return Claimed("stale"), None
        reads.append(Read(key, header, board.values.get(key)))
        inputs.append((key, current, checked))
    if again is not None:
        wrote = _wrote(board, activation, there.epoch)
        return Claimed("already", again.revision, again.at, there, tuple(reads), wrote), None
    lost, epoch = there.status == "running", there.epoch + 1
    data = board.agenda[activation].split(b"|", 3)[3]
    stored = f"running|{epoch}|{format_inputs(inputs)}|".encode() + data
    record = LogRecord(
        board.revision + 1, 0, now, "activation.claimed", worker, board.head.get("incarnation", ""),
        epoch=str(epoch), body=claim_bodies(worker)[1 if lost else 0], agenda={activation: stored},
    )  # fmt: skip
    apply(board, record)
    shelf.log.append(record)
    shelf.leases[activation] = Lease(now + lease_ms, nonce, record.revision, now)
    shelf.due[activation] = now + lease_ms
    taken = Activation.parse(activation, stored)
    return Claimed("claimed", record.revision, now, taken, tuple(reads), _wrote(board, activation, epoch)), record


def _wrote(board: Board, activation: str, epoch: int) -> tuple[str, ...]:
    if epoch < 2:
        return ()
    headers = ((key, Header.parse(text)) for key, text in board.entries.items())
    return tuple(sorted(key for key, header in headers if header.live and header.activation == activation))


def renew(shelf: Shelf, activation: str, epoch: int, *, lease_ms: int, now: int) -> Renewal:
    """The answer."""
    board = shelf.board
    if board.ended:
        return "cancelled"
    there = board.activation(activation)
    if there is None:
        return "fenced"
    if there.status == "cancelled":
        return "cancelled"
    if there.status != "running" or there.epoch != epoch:
        return "fenced"
    lease = shelf.leases.get(activation, Lease(0, "", 0, 0))
    shelf.leases[activation] = Lease(now + lease_ms, lease.nonce, lease.revision, lease.at)
    shelf.due[activation] = now + lease_ms
    return "ok"
