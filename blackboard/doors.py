"""One typed door per script of `scripts/`: what it takes, in the order the script's header says.

A test compares each door with the header of its script and with the names the script unpacks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from operator import attrgetter
from typing import Any

from blackboard.keys import Keys

Argument = str | bytes | int


@dataclass(frozen=True)
class Script:
    """One atomic step: its text, and the keys and arguments it declares. `package` has it in its folder `scripts`."""

    name: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    package: str = "blackboard"

    @cached_property
    def text(self) -> str:
        """The Lua source."""
        return (files(self.package) / "scripts" / f"{self.name}.lua").read_text(encoding="utf-8")

    @cached_property
    def sha(self) -> str:
        """What the server knows it by."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @cached_property
    def header(self) -> dict[str, tuple[str, ...]]:
        """`keys` and `args` as the source's first comment lists them."""
        found = dict(re.findall(r"^-- (keys|args):([^\n]*)$", self.text, re.MULTILINE))
        return {kind: tuple(words.split()) for kind, words in found.items()}

    @cached_property
    def _pick(self) -> Callable[[Keys], tuple[str, ...]]:
        return attrgetter(*self.keys)

    def of_board(self, keys: Keys, *args: Argument) -> Call:
        """A call that touches a board's keys."""
        return Call(self, self._pick(keys), args)

    def of(self, key: str, *args: Argument) -> Call:
        """A call that touches one other key."""
        return Call(self, (key,), args)

    def on(self, keys: Sequence[str], *args: Argument) -> Call:
        """A call that touches other keys."""
        return Call(self, keys, args)


@dataclass(slots=True)
class Call:
    """A script with its keys and arguments."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]

    def by_sha(self) -> tuple[Any, ...]:
        """As a command that works where the server has the script already."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def by_text(self) -> tuple[Any, ...]:
        """As a command that works everywhere."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


COMMIT = Script(
    "commit",
    ("head", "entries", "values", "agenda", "leases", "commits", "log", "refs", "activity", "due", "blobs", "doomed",
     "boards", "once"),
    ("board", "commit", "type", "by", "mode", "activation", "revision", "fence", "epoch", "note", "create", "body",
     "once_for", "checks", "agenda_checks", "writes", "agenda_writes", "head_fields", "dues", "blob_refs", "fork_fields"),
)  # fmt: skip
CLAIM = Script(
    "claim",
    ("head", "entries", "values", "agenda", "leases", "log", "activity", "due"),
    ("board", "activation", "nonce", "lease_ms", "worker", "body_first", "body_lost"),
)
RENEW = Script("renew", ("head", "agenda", "leases", "due"), ("board", "activation", "epoch", "lease_ms"))
RETIRE = Script(
    "retire",
    (
        "head",
        "entries",
        "values",
        "agenda",
        "leases",
        "commits",
        "log",
        "refs",
        "kin",
        "due",
        "blobs",
        "orphans",
        "boards",
    ),
    ("board",),
)
DOOM = Script("doom", ("blobs", "doomed"), ("sha256", "token", "ttl_ms", "keep_ms"))
UNDOOM = Script("undoom", ("orphans", "doomed"), ("sha256", "token", "removed"))
ADOPT = Script("adopt", ("head", "kin"), ("child", "parent", "most_children", "most_below"))
PROJECTION = Script("projection", ("head", "entries", "values", "agenda"), ())
ENTRY = Script("entry", ("entries", "values"), ("key",))
DUE = Script("due", ("due",), ("limit",))
SNOOZE = Script("snooze", ("due",), ("delay_ms", "members"))
ONCE = Script("once", ("once",), ("nonce", "ttl_ms"))
DEPART = Script("depart", ("flight",), ("board", "limit", "keep_ms"))
HOLD = Script("hold", ("lease",), ("holder", "ttl_ms"))
RELEASE = Script("release", ("lease",), ("holder",))
HOLDS = Script("holds", ("activity",), ("cursor",))
WIDEN = Script("widen", ("partitions",), ("count",))
ATTEND = Script("attend", ("present", "served"), ("worker", "ttl_ms", "serves"))
REGISTER = Script("register", ("sources",), ("edition", "source", "text"))
ADMIT = Script("admit", ("key", "bucket", "asked"), ("digest", "rate"))
KEEP_KEY = Script(
    "keep_key",
    ("key", "names", "own", "all", "asked"),
    ("id", "name", "holder", "named", "edition", "forget_at", "fields"),
)

SCRIPTS = (
    COMMIT, CLAIM, RENEW, RETIRE, DOOM, UNDOOM, ADOPT, PROJECTION, ENTRY, DUE, SNOOZE, ONCE, DEPART, HOLD, RELEASE,
    HOLDS, WIDEN, ATTEND, REGISTER, ADMIT, KEEP_KEY,
)  # fmt: skip


def commit(
    keys: Keys, *, board: str, commit: str, type: str, by: str, mode: str, activation: str, revision: int | None,
    fence: str, epoch: int | str, note: bool, create: bool, body: bytes, once_for: str,
    checks: Sequence[Iterable[Argument]], agenda_checks: Sequence[Iterable[Argument]],
    writes: Sequence[Iterable[Argument]], agenda_writes: Sequence[Iterable[Argument]],
    head_fields: Sequence[Iterable[Argument]], dues: Sequence[Iterable[Argument]],
    blob_refs: Sequence[Iterable[Argument]], fork_fields: Sequence[Iterable[Argument]],
) -> Call:  # fmt: skip
    """Lists hold rows; the header of `commit.lua` says what a row is."""
    args: list[Argument] = [
        board, commit, type, by, mode, activation, "" if revision is None else revision,
        fence, epoch, "1" if note else "", "1" if create else "", body, once_for,
    ]  # fmt: skip
    for rows in (checks, agenda_checks, writes, agenda_writes, head_fields, dues, blob_refs, fork_fields):
        args.append(len(rows))
        for row in rows:
            args.extend(row)
    return COMMIT.of_board(keys, *args)


def claim(
    keys: Keys,
    *,
    board: str,
    activation: str,
    nonce: str,
    lease_ms: int,
    worker: str,
    body_first: bytes,
    body_lost: bytes,
) -> Call:
    """`body_lost` is the record's body when an earlier worker was lost."""
    return CLAIM.of_board(keys, board, activation, nonce, lease_ms, worker, body_first, body_lost)


def renew(keys: Keys, *, board: str, activation: str, epoch: int, lease_ms: int) -> Call:
    """Answers ok, fenced or cancelled."""
    return RENEW.of_board(keys, board, activation, epoch, lease_ms)


def retire(keys: Keys, *, board: str) -> Call:
    """`keys` must be made with the board's tenant, and with whether it is a child."""
    return RETIRE.of_board(keys, board)


def doom(blobs: str, doomed: str, *, sha256: str, token: str, ttl_ms: int, keep_ms: int) -> Call:
    """Answers doomed, referred or busy."""
    return DOOM.on((blobs, doomed), sha256, token, ttl_ms, keep_ms)


def undoom(orphans: str, doomed: str, *, sha256: str, token: str, removed: bool) -> Call:
    """Answers 1, or 0 when the mark had lapsed."""
    return UNDOOM.on((orphans, doomed), sha256, token, "1" if removed else "")


def adopt(keys: Keys, *, child: str, parent: str, most_children: int, most_below: int) -> Call:
    """`keys` are the top-level board's. Answers adopted, children, below, closed or gone."""
    return ADOPT.of_board(keys, child, parent, most_children, most_below)


def projection(keys: Keys) -> Call:
    """Answers four flat lists."""
    return PROJECTION.of_board(keys)


def entry(keys: Keys, *, key: str) -> Call:
    """Answers a header and a value."""
    return ENTRY.of_board(keys, key)


def due(due: str, *, limit: int) -> Call:
    """Answers the time, then members and their times."""
    return DUE.of(due, limit)


def snooze(due: str, *, delay_ms: int, members: Sequence[str]) -> Call:
    """Answers how many members were still there."""
    return SNOOZE.of(due, delay_ms, len(members), *members)


def once(once: str, *, nonce: str, ttl_ms: int) -> Call:
    """Answers mine, busy, or what was kept."""
    return ONCE.of(once, nonce, ttl_ms)


def depart(flight: str, *, board: str, limit: int, keep_ms: int) -> Call:
    """Answers 1 or 0."""
    return DEPART.of(flight, board, limit, keep_ms)


def hold(lease: str, *, holder: str, ttl_ms: int) -> Call:
    """Answers 1 or 0."""
    return HOLD.of(lease, holder, ttl_ms)


def release(lease: str, *, holder: str) -> Call:
    """Answers 1 or 0."""
    return RELEASE.of(lease, holder)


def holds(activity: str, *, cursor: str) -> Call:
    """Answers 1 or 0."""
    return HOLDS.of(activity, cursor)


def widen(partitions: str, *, count: int) -> Call:
    """Answers the largest count so far."""
    return WIDEN.of(partitions, count)


def attend(present: str, served: str, *, worker: str, ttl_ms: int, serves: Sequence[str]) -> Call:
    """Answers the time, who is there, and when what was last served."""
    return Call(ATTEND, (present, served), (worker, ttl_ms, "\n".join(serves)))


def register(sources: str, *, edition: int, source: str, text: bytes) -> Call:
    """Answers the new edition, or 0; no text removes."""
    return REGISTER.of(sources, edition, source, text)


def admit(key: str, bucket: str, asked: str, *, digest: str, rate: int) -> Call:
    """Answers whether keys are asked for, the time, what the bucket says, and the key."""
    return ADMIT.on((key, bucket, asked), digest, rate)


def keep_key(
    key: str, names: str, own: str, all: str, asked: str, *, id: str, name: str, holder: str, named: bool, edition: int,
    forget_at: int, fields: Mapping[str, str],
) -> Call:  # fmt: skip
    """Answers kept, taken or changed."""
    lines = "\n".join(f"{word} {value}" for word, value in fields.items())
    own_keys = (key, names, own, all, asked)
    return KEEP_KEY.on(own_keys, id, name, holder, "1" if named else "", edition, forget_at, lines)
