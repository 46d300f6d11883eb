"""Entries, and the one way to change them: a `Commit` with checks and writes.

Everything here is plain data. Stored forms are short strings that scripts can take apart without decoding JSON:

header   `version|state|pin|digest|size|confidence|owner|activation|base`, state `live` or `gone` (a tombstone)
record   `status|epoch|inputs|json` of an activation on the agenda; inputs are `key@version` separated by spaces,
         those of Each and Group inputs marked by a leading `=`

Neither keys nor names hold `|`, `@`, `=`, `~` or white space, but for the `~source` of a rival.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from blackboard.errors import InvalidKey
from blackboard.once import Once

LEVEL = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
SHADOW = "shadow."
"""Begins the owner (`shadow.<source>`) and the keys (`shadow.<source>.<level>/<name>`) of the side space. No level, source or
key of the board proper holds a dot before its slash, so neither can be taken for the other."""

ActivationStatus = Literal["pending", "running", "done", "failed", "stale", "cancelled"]
UNDER_WAY = frozenset({"pending", "running"})


def entry_key(level: str, name: str) -> str:
    """`level/name`. Raises InvalidKey when either breaks the grammar."""
    if not LEVEL.match(level):
        raise InvalidKey(
            f"the level name {level!r} is not a lower-case word of at most 64 letters, digits and underscores"
        )
    if not NAME.match(name):
        raise InvalidKey(
            f"the entry name {name!r} may hold letters, digits, '.', '_' and '-' only, at most 128 of them"
        )
    return f"{level}/{name}"


def level_of(key: str) -> str:
    """The level a key belongs to."""
    return key.partition("/")[0]


def name_of(key: str) -> str:
    """The name within its level, a rival's `~source` included."""
    return key.partition("/")[2]


def is_shadow(key: str) -> bool:
    """Whether the key, owner or level belongs to the side space of shadow sources."""
    return key.startswith(SHADOW)


def shadow_parts(key: str) -> tuple[str, str]:
    """The source and the key, as it would have been on the board proper, of a key of the side space."""
    source, _, rest = key.removeprefix(SHADOW).partition(".")
    return source, rest


def plain_name(source: str) -> str:
    """A source's own name, whether or not it runs as a shadow."""
    return source.removeprefix(SHADOW)


def is_rival(key: str) -> bool:
    """Whether the key is a suggestion beside an entry that somebody else owns."""
    return "~" in key


@dataclass(frozen=True, slots=True)
class EntryRef:
    """Which entry a value was read from: key `level/name`, version, owner (its last writer), confidence 0..1."""

    key: str
    version: int
    owner: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an entry without its value."""

    version: int
    live: bool
    pinned: bool
    digest: str
    size: int
    confidence: float
    owner: str
    activation: str
    base: str = ""
    """`<owner>:<digest>` of the version a reviser replaced; empty on what no reviser touched."""

    @classmethod
    def parse(cls, text: str) -> Header:
        """From the stored form."""
        version, state, pin, digest, size, confidence, owner, activation, base = text.split("|")
        live, pinned = state == "live", pin == "1"
        return cls(int(version), live, pinned, digest, int(size), float(confidence), owner, activation, base)

    def __str__(self) -> str:
        return f"{self.version}|{self.tail()}|{self.base}"

    def tail(self) -> str:
        """The stored form without version and base, which only the commit script knows."""
        state = "live" if self.live else "gone"
        pin = "1" if self.pinned else "0"
        return f"{state}|{pin}|{self.digest}|{self.size}|{self.confidence:.4g}|{self.owner}|{self.activation}"


@dataclass(slots=True)
class Activation:
    """One run of a source on one binding, as the agenda holds it.

    `inputs` are `(key, version, checked)`: checked ones (Each, Group) must not have moved when the worker claims or commits.
    `data` is the controller's and worker's JSON: source, version, configuration, binding, round, attempts, lookups, error...
    """

    id: str
    status: ActivationStatus
    epoch: int
    inputs: tuple[tuple[str, int, bool], ...]
    data: Mapping[str, Any]

    @classmethod
    def parse(cls, id: str, stored: bytes) -> Activation:
        """From the stored form."""
        status, epoch, inputs, data = stored.split(b"|", 3)
        return cls(id, status.decode(), int(epoch), parse_inputs(inputs.decode()), orjson.loads(data))  # type: ignore[arg-type]

    def __bytes__(self) -> bytes:
        head = f"{self.status}|{self.epoch}|{format_inputs(self.inputs)}|"
        return head.encode() + orjson.dumps(self.data)

    def again(self, **changes: Any) -> Activation:
        """The same, pending once more, with a clean slate: earlier epochs count neither as attempts nor as losses."""
        slate = ("error", "dead", "retry_at", "attempts", "stales", "deferred", "deferrals")
        data = {key: value for key, value in self.data.items() if key not in slate}
        return Activation(self.id, "pending", self.epoch, self.inputs, {**data, "returned": self.epoch, **changes})

    @property
    def under_way(self) -> bool:
        """Whether it is pending or running."""
        return self.status in UNDER_WAY


def parse_inputs(text: str) -> tuple[tuple[str, int, bool], ...]:
    """`=page/0001@2 layer/0001@1` -> (("page/0001", 2, True), ("layer/0001", 1, False))."""
    found = []
    for word in text.split():
        key, _, version = word.lstrip("=").rpartition("@")
        found.append((key, int(version), word.startswith("=")))
    return tuple(found)


def format_inputs(inputs: Iterable[tuple[str, int, bool]]) -> str:
    """The reverse of `parse_inputs`."""
    return " ".join(f"{'=' if checked else ''}{key}@{version}" for key, version, checked in inputs)


def digest_of(value: bytes, confidence: float) -> str:
    """What decides whether a put changes anything: value and confidence, 128 bits."""
    return hashlib.blake2b(value + f"|{confidence:.4g}".encode(), digest_size=16).hexdigest()


WriteMode = Literal["source", "reviser", "person", "controller"]


@dataclass(frozen=True, slots=True)
class Put:
    """Write one entry. `value` is canonical JSON (orjson); above a limit the store keeps it as a blob reference."""

    key: str
    value: bytes
    confidence: float = 1.0
    pin: bool = False


@dataclass(frozen=True, slots=True)
class Retract:
    """Leave a tombstone. Skipped without a word when the entry is gone already or `owner` (if given) no longer owns it."""

    key: str
    owner: str = ""


@dataclass(slots=True)
class AgendaWrite:
    """Set one activation's record. `due_ms`: milliseconds from now at which the sweeper looks at it again; None: never."""

    activation: Activation
    due_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """What a new board starts with: stored headers, values and agenda records of another board's fold, versions kept."""

    entries: Mapping[str, str]
    values: Mapping[str, bytes]
    agenda: Mapping[str, bytes]


@dataclass(slots=True)
class Commit:
    """All or nothing: checks, writes, one log record.

    `by` owns the entries it writes. `mode` rules what happens on a key somebody else owns: a source's (and on a pinned
    entry a reviser's) put becomes a rival `key~by`; people and the controller write where they say.
    """

    type: str
    by: str
    id: str = ""
    """Remembered with its answer; empty: not remembered (a claim's or a controller's own checks suffice)."""
    mode: WriteMode = "controller"
    activation: str = ""
    writes: tuple[Put | Retract, ...] = ()
    checks: tuple[tuple[str, int], ...] = ()
    """Entry versions that must hold; 0: never existed."""
    agenda_checks: tuple[tuple[str, str, int], ...] = ()
    """(activation, status, epoch) that must hold; status "" : absent."""
    revision: int | None = None
    fence: tuple[str, int] | None = None
    """(activation, epoch) that must still be running."""
    agenda: tuple[AgendaWrite, ...] = ()
    head: Mapping[str, str] = field(default_factory=dict)
    due: tuple[tuple[str, int | None], ...] = ()
    """(name, milliseconds from now or None to remove): `check`, `deadline`, `retention`, `announce.ended`..."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What the log record says besides the changes: reasons, errors, counts."""
    blobs: tuple[str, ...] = ()
    """SHA-256 of blobs this commit refers to."""
    bytes: tuple[bytes, ...] = ()
    """What is at hand of them: put again, should an erasure have removed it a moment ago."""
    note: bool = False
    """Whether a refusal is noted in the log (sources and people: yes; the controller's refusals are metrics)."""
    create: bool = False
    fork: Fork | None = None
    once: Once | None = None
    """The request that this commit answers."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One check that did not hold. `key` is an entry's key, `agenda:<activation>`, `revision` or `once`."""

    key: str
    expected: str
    actual: str


@dataclass(slots=True)
class Answer:
    """What a commit came to.

    `wrote` are `(key asked for, key written, version)` in the order of the writes; version 0: unchanged or skipped.
    """

    status: Literal["committed", "conflict", "fenced", "closed", "gone"]
    revision: int = 0
    at: int = 0
    wrote: tuple[tuple[str, str, int], ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    already: bool = False

    @property
    def ok(self) -> bool:
        """Whether it was committed, now or before."""
        return self.status == "committed"


@dataclass(slots=True)
class Read:
    """One input as the claim found it; `value` is None when the entry is gone."""

    key: str
    header: Header | None
    value: bytes | None


@dataclass(slots=True)
class Claimed:
    """What a claim came to. `wrote`: live keys an earlier epoch of the same activation left behind."""

    status: Literal["claimed", "already", "busy", "stale", "finished", "closed", "gone"]
    revision: int = 0
    at: int = 0
    activation: Activation | None = None
    reads: tuple[Read, ...] = ()
    wrote: tuple[str, ...] = ()
