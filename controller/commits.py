"""A person's commit: several entries put or retracted under several checks, in one step, all of it or nothing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from blackboard.entries import LEVEL, NAME, SOURCE, Answer, Commit, Mismatch, Put, Retract, entry_key, level_of
from blackboard.errors import BoardClosed, BoardGone, ConflictError, InvalidKey
from blackboard.levels import Level
from blackboard.ports import Store
from controller.values import FIXED, InvalidValue, canonical, pointer

MOST_WRITES = 100
MOST_CHECKS = 1000


class Refused(ConflictError):
    """Checks that did not hold: all of them. `already`: it was refused when it was sent before, and is for good."""

    def __init__(self, mismatches: Sequence[Mismatch], revision: int, *, already: bool) -> None:
        super().__init__("what was checked no longer holds", hint="read again, then decide; take a new id")
        self.checks = tuple(mismatches)
        self.revision = revision
        self.already = already


class IdReused(ConflictError):
    """Another commit was made under this id."""

    slug = "idempotency-key-reused"


@dataclass(frozen=True, slots=True)
class Write:
    """One entry: put it (`value` as JSON knows it), or retract it."""

    key: str
    retract: bool = False
    value: Any = None
    confidence: float = 1.0
    pin: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """What to write, and what must hold: entry versions (0: never there) and the board's revision. `id`: of the client's
    making, unique among the person's commits on the board; "" for none.
    """

    writes: tuple[Write, ...]
    checks: Mapping[str, int]
    revision: int | None = None
    id: str = ""

    @property
    def fingerprint(self) -> str:
        """Tells another request under the same id from the same one."""
        said = [[w.key, w.retract, w.value, w.confidence, w.pin] for w in self.writes]
        return blake2b(orjson.dumps([said, sorted(self.checks.items()), self.revision]), digest_size=16).hexdigest()


async def make_commit(store: Store, kinds: Mapping[str, type[Level]], board: str, asked: Asked, by: str) -> Answer:
    """Make a person's commit. `kinds`: the levels there are.

    Raises InvalidValue with a pointer to each part that is off, Refused, IdReused, BoardClosed, BoardGone.
    """
    commit = Commit(
        type="contribution.committed",
        by=by,
        id=f"{by}/{asked.id}" if asked.id else secrets.token_hex(16),
        mode="person",
        writes=_writes(kinds, asked),
        checks=tuple(asked.checks.items()),
        revision=asked.revision,
        body={"request": asked.fingerprint} if asked.id else {},
        note=True,
    )
    answer = await store.commit(board, commit)
    if answer.status == "conflict":
        raise Refused(answer.mismatches, answer.revision, already=answer.already)
    if answer.status == "closed":
        raise BoardClosed("the board has ended", hint="retry it: that makes a new board")
    if not answer.ok:
        raise BoardGone("there is no such board")
    if answer.already and asked.id and not await _is_same(store, board, answer.revision, asked):
        raise IdReused("another commit was made under this id", hint="take a new one")
    return answer


async def _is_same(store: Store, board: str, revision: int, asked: Asked) -> bool:
    found = await store.log(board, f"{revision - 1}-{2**32}", count=1)
    said = orjson.loads(found[0].body) if found and found[0].revision == revision else {}
    return said.get("request") == asked.fingerprint


def _writes(kinds: Mapping[str, type[Level]], asked: Asked) -> tuple[Put | Retract, ...]:
    errors: list[tuple[str, str]] = []
    found: list[Put | Retract] = []
    keys: set[str] = set()
    for at, write in enumerate(asked.writes):
        wrong = _wrong_key(kinds, write)
        if not wrong and write.key in keys:
            wrong = "is written twice"
        keys.add(write.key)
        if wrong:
            errors.append((pointer("writes", at, "key"), wrong))
        elif write.retract:
            found.append(Retract(write.key))
        else:
            try:
                data = canonical(kinds, level_of(write.key), write.value)
                found.append(Put(write.key, data, write.confidence, write.pin))
            except InvalidValue as error:
                errors.extend((pointer("writes", at, "value") + where, said) for where, said in error.errors)
    errors += [(pointer("checks", key), "is not the key of an entry") for key in asked.checks if not _is_key(key)]
    if errors:
        raise InvalidValue(errors[:100])
    return tuple(found)


def _wrong_key(kinds: Mapping[str, type[Level]], write: Write) -> str:
    """What is wrong with a key to write; "" for nothing."""
    level, _, name = write.key.partition("/")
    if level in FIXED:
        return FIXED[level]
    if write.retract:
        return "" if _is_key(write.key) else "is not the key of an entry"
    try:
        entry_key(level, name)
    except InvalidKey:
        return "must be `level/name`, the name of letters, digits, '.', '_' and '-'"
    return "" if level in kinds else "no source knows this level"


def _is_key(key: str) -> bool:
    """Of an entry, or of a rival beside one (`level/name~source`)."""
    level, slash, rest = key.partition("/")
    name, mark, source = rest.partition("~")
    return bool(LEVEL.match(level) and slash and NAME.match(name) and (not mark or SOURCE.match(source)))
