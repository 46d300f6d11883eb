"""What both stores do to a commit before and after the atomic step. Pure but for the blobs it puts.

Before: check its words, move large values to the blob store, bring it into the bytes that are kept.
After: build the log record that the step has appended, byte for byte, from the commit and the step's answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import orjson

from blackboard.entries import SOURCE, Answer, Commit, Mismatch, Put, Retract, digest_of, plain_name
from blackboard.errors import UsageError
from blackboard.events import ENDED, TERMINAL, TYPES, LogRecord

INLINE = 256 * 1024
"""Bytes; larger values are kept in the blob store."""
DUE_NAME = re.compile(r"[A-Za-z0-9._:-]{1,200}\Z")
RESERVED = re.compile(r'[|"\\\x00-\x1f]')
OWN_HEAD = frozenset({"revision", "created", "ended"})
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~-]*\Z")
REFERENCE = re.compile(rb'\{"\$blob":"([0-9a-f]{64})","size":(\d+)\}\Z')


class Putter(Protocol):
    """The part of the blob store that a commit needs."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256."""


@dataclass(slots=True)
class Stored:
    """A put as it will be kept: `value` is JSON or a blob reference; `digest` and `size` are the value's own."""

    key: str
    value: bytes
    digest: str
    size: int
    confidence: str
    pin: str


@dataclass(slots=True)
class Prepared:
    """A commit in the bytes that are kept."""

    commit: Commit
    body: bytes
    writes: tuple[Stored | Retract, ...]
    agenda: tuple[tuple[str, bytes, int | None], ...]
    blobs: tuple[str, ...]
    put: tuple[str, ...] = ()
    """Of the blobs, those that hold values of this commit."""


def reference(sha256: str, size: int) -> bytes:
    """What stands for a value that lies in the blob store."""
    return b'{"$blob":"%s","size":%d}' % (sha256.encode(), size)


def referred(value: bytes) -> str | None:
    """The SHA-256 that a stored value refers to, or None when it is the value itself."""
    match = REFERENCE.match(value) if value.startswith(b'{"$blob"') else None
    return match[1].decode() if match else None


async def prepare(commit: Commit, blobs: Putter) -> Prepared:
    """Raises UsageError for words the stored forms cannot hold, and what the blob store raises."""
    _check(commit)
    writes: list[Stored | Retract] = []
    refs, put = list(commit.blobs), []
    for write in commit.writes:
        if isinstance(write, Retract):
            writes.append(write)
            continue
        # A value that merely looks like a reference is moved too: else anyone could read any blob through one.
        if len(write.value) > INLINE or referred(write.value):
            put.append(await blobs.put(write.value))
            writes.append(_stored(write, reference(put[-1], len(write.value))))
        else:
            writes.append(_stored(write, write.value))
    refs.extend(put)
    if commit.fork is not None:
        refs.extend(found for value in commit.fork.values.values() if (found := referred(value)))
    return Prepared(
        commit,
        orjson.dumps(commit.body) if commit.body else b"{}",
        tuple(writes),
        tuple((write.activation.id, bytes(write.activation), write.due_ms) for write in commit.agenda),
        tuple(dict.fromkeys(refs)),
        tuple(put),
    )


def _stored(put: Put, value: bytes) -> Stored:
    digest, confidence = digest_of(put.value, put.confidence), f"{put.confidence:.4g}"
    return Stored(put.key, value, digest, len(put.value), confidence, "1" if put.pin else "0")


def _check(commit: Commit) -> None:
    _check_words(commit)
    asked = [write.key for write in commit.writes if isinstance(write, Put)]
    if len(asked) > 1 and len(set(asked)) < len(asked):
        raise UsageError("a commit puts the same key twice", hint="put each key once, with its last value")
    if commit.fork is not None and not commit.create:
        raise UsageError("only a new board can begin as a fork")
    if commit.type not in TYPES:
        raise UsageError(f"{commit.type!r} is not a type of log record")
    if taken := OWN_HEAD.intersection(commit.head):
        raise UsageError(f"the head's {', '.join(sorted(taken))} are set by the store")
    status = commit.head.get("status", "")
    if (status if status in ENDED else None) != TERMINAL.get(commit.type):
        raise UsageError(f"a record of type {commit.type} cannot leave a board with the status {status or 'it had'!r}")


def _check_words(commit: Commit) -> None:
    if commit.id.startswith("#"):
        raise UsageError(f"the commit id {commit.id!r} begins with '#', which the store keeps for itself")
    for write in commit.writes:
        if not WORD.match(write.key):
            raise UsageError(f"{write.key!r} is not the key of an entry")
    for key, _ in commit.checks:
        if not WORD.match(key):
            raise UsageError(f"{key!r} is not the key of an entry")
    for word in (commit.by, commit.activation, commit.head.get("incarnation", "")):
        if RESERVED.search(word):
            raise UsageError(f"{word!r} holds a character that the stored forms keep for themselves")
    for id, *_ in commit.agenda_checks:
        if RESERVED.search(id):
            raise UsageError(f"{id!r} holds a character that the stored forms keep for themselves")
    if commit.mode in ("source", "reviser") and not SOURCE.match(plain_name(commit.by)):
        raise UsageError(f"{commit.by!r} is not the name of a source")
    for name, _ in commit.due:
        if not DUE_NAME.match(name):
            raise UsageError(f"{name!r} is not the name of a due time")


def left_behind(prepared: Prepared, answer: Answer) -> tuple[str, ...]:
    """Blobs that a refused commit put for nothing: its large values, and where nobody can make it any more (the board has
    ended or was erased, the work is another's) what it was to refer to. Those that any board refers to are not removed.
    """
    return prepared.put if answer.status == "conflict" else prepared.blobs


@dataclass(slots=True)
class Outcome:
    """A step's answer, and what only the log record needs: the incarnation, and the base each write's header got."""

    answer: Answer
    incarnation: str
    bases: tuple[str, ...] = ()


def parse_answer(text: str) -> Outcome:
    """From what `commit.lua` answers; `already|` before it marks a remembered answer."""
    already = text.startswith("already|")
    first, *lines = text.removeprefix("already|").split("\n")
    status, revision, at, incarnation = first.split("|")
    if status == "conflict":
        found = [line.split("|") for line in lines]
        mismatches = tuple(Mismatch(key, expected, actual) for key, expected, actual in found)
        return Outcome(Answer("conflict", int(revision), int(at), mismatches=mismatches, already=already), incarnation)
    wrote, bases = [], []
    for line in lines:
        place, _, base = line.partition("|")
        keys, _, version = place.rpartition("@")
        asked, _, target = keys.partition(">")
        wrote.append((asked, target or asked, int(version)))
        bases.append(base)
    answer = Answer(status, int(revision), int(at), tuple(wrote), already=already)  # type: ignore[arg-type]
    return Outcome(answer, incarnation, tuple(bases))


def header_text(version: int, write: Stored | Retract, commit: Commit, base: str) -> str:
    """The header that a write leaves."""
    if isinstance(write, Stored):
        kept = f"live|{write.pin}|{write.digest}|{write.size}|{write.confidence}"
    else:
        kept = f"gone|{'1' if commit.mode == 'person' else '0'}||0|0"
    return f"{version}|{kept}|{commit.by}|{commit.activation}|{base}"


def record_of(prepared: Prepared, outcome: Outcome) -> LogRecord:
    """The log record of a commit that has just been made, equal to what the log returns for it."""
    commit, fork, answer = prepared.commit, prepared.commit.fork, outcome.answer
    entries = dict(fork.entries) if fork else {}
    values = dict(fork.values) if fork else {}
    agenda = dict(fork.agenda) if fork else {}
    for write, (_, target, version), base in zip(prepared.writes, answer.wrote, outcome.bases, strict=True):
        if version:
            entries[target] = header_text(version, write, commit, base)
            if isinstance(write, Stored):
                values[target] = write.value
    agenda.update((id, stored) for id, stored, _ in prepared.agenda)
    head = dict(commit.head)
    if commit.create:
        head["created"] = str(answer.at)
    if head.get("status") in ENDED:
        head["ended"] = str(answer.at)
    return LogRecord(
        answer.revision, 0, answer.at, commit.type, commit.by, outcome.incarnation, commit.id,
        str(commit.fence[1]) if commit.fence else "", prepared.body, head, entries, values, agenda,
    )  # fmt: skip
