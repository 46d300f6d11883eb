"""What a log says of a source's finished activations: what each read, and what it contributed. Pure.

One pass over the log. What is kept of a running activation is the board as its claim found it, cut to the levels its source
reads or writes; it goes when the activation ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blackboard.board import Board, apply
from blackboard.contract import Source
from blackboard.entries import Activation, Header, Read, is_rival, level_of, plain_name, shadow_parts
from blackboard.events import LogRecord
from controller.tracks import mark

_MASK = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class Wrote:
    """One entry an activation asked to write, and as what it came to stand."""

    key: str
    """Where it went: the key asked for, or a rival's beside it."""
    header: Header
    value: bytes
    """As stored: JSON, or a reference to a blob."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One finished activation. `before`: the board at its claim, lookups as it read them, cut to what matters to it."""

    activation: Activation
    """As claimed: inputs with the versions read."""
    claimed_at: int
    """The revision of its claim."""
    ended_at: int
    before: Board
    unread: frozenset[str]
    """Entries that were there when it was decided on, of levels of which it read none."""
    wrote: Mapping[str, Wrote | None]
    """Key asked for -> what stood there for it in the end; None: somebody else's, whose place it did not take."""
    error: Mapping[str, Any] | None
    """What it failed with, for good."""
    done: Activation
    """As its last record left it."""

    @property
    def binding(self) -> str:
        """What it worked on."""
        return str(self.activation.data["binding"])

    def reads(self) -> tuple[Read, ...]:
        """Its inputs as the claim answered them."""
        return tuple(self.read(key) for key, _, _ in self.activation.inputs)

    def read(self, key: str) -> Read:
        """One entry as its claim found it."""
        return Read(key, self.before.header(key), self.before.values.get(key))


@dataclass(slots=True)
class _Running:
    claimed: Activation
    revision: int
    before: Board
    since: list[LogRecord] = field(default_factory=list)


def levels_of(source: Source) -> frozenset[str]:
    """The levels a source reads, looks up or writes."""
    read = (kind.level for given in source.inputs for kind in given.levels)
    return frozenset((*read, *(kind.level for kind in source.outputs)))


def finished(id: str, records: Iterable[LogRecord], source: Source) -> Iterator[Recorded]:
    """Every activation of the source, or of its shadow, that was done or failed for good, in the order they ended.

    What had ended before a fork is not among them: its inputs are in another board's log. Raises LogError.
    """
    board, levels = Board(id), levels_of(source)
    running: dict[str, _Running] = {}
    unread: dict[str, frozenset[str]] = {}
    wrote: dict[str, dict[str, Wrote]] = {}
    for record in records:
        apply(board, record)
        if record.is_note:
            continue
        for each in running.values():
            each.since.append(record)
        _hear_writes(record, running, wrote)
        for activation in _of_source(record, source):
            if activation.status == "pending":
                unread[activation.id] = _unread(board, levels, activation)
            elif activation.status == "running" and record.type == "activation.claimed":
                before = _cut(board, levels, activation)
                running[activation.id] = _Running(activation, record.revision, before)
                wrote.setdefault(activation.id, {})
            elif activation.id in running and not activation.under_way:
                ran = running.pop(activation.id)
                if activation.status == "done" or (activation.status == "failed" and activation.data.get("dead")):
                    yield _recorded(board, activation, ran, unread, wrote.get(activation.id, {}))


def _of_source(record: LogRecord, source: Source) -> list[Activation]:
    # An activation's id begins with its source's name: the others need not be taken apart.
    mine = (id for id in record.agenda if plain_name(id.rpartition(".")[0]) == source.name)
    return [Activation.parse(id, record.agenda[id]) for id in mine]


def _hear_writes(record: LogRecord, running: Mapping[str, _Running], wrote: dict[str, dict[str, Wrote]]) -> None:
    if not running:
        return
    for key, text in record.entries.items():
        header = Header.parse(text)
        written = wrote.get(header.activation)
        if written is None:
            continue
        if header.live:
            written[key] = Wrote(key, header, record.values[key])
        else:
            written.pop(key, None)


def _unread(board: Board, levels: frozenset[str], activation: Activation) -> frozenset[str]:
    wanted = levels - {level_of(key) for key, _, _ in activation.inputs}
    return frozenset(key for key in board.values if level_of(key) in wanted and not is_rival(key))


def _cut(board: Board, levels: frozenset[str], activation: Activation) -> Board:
    inputs = {key for key, _, _ in activation.inputs}

    def matters(key: str) -> bool:
        plain = shadow_parts(key)[1] if key.startswith("shadow.") else key
        return key in inputs or level_of(plain) in levels

    entries = {key: text for key, text in board.entries.items() if matters(key)}
    values = {key: board.values[key] for key in entries if key in board.values}
    return Board(board.id, dict(board.head), entries, values)


def _recorded(
    board: Board,
    done: Activation,
    ran: _Running,
    unread: Mapping[str, frozenset[str]],
    written: Mapping[str, Wrote],
) -> Recorded:
    owner = str(done.data["source"])
    asked = [str(key) for key in done.data.get("wrote", ())] if done.status == "done" else []
    came_to = {key: _stands(board, owner, key, written) for key in asked}
    if done.status == "failed":
        came_to = {key.partition("~")[0]: each for key, each in written.items()}
    before = ran.before
    if looked := done.data.get("lookups"):
        before = _as_looked(ran, looked)
    error = done.data.get("error") if done.status == "failed" else None
    return Recorded(
        ran.claimed, ran.revision, board.revision, before, unread.get(done.id, frozenset()), came_to, error, done
    )


def stands(board: Board, owner: str, key: str) -> Wrote | None:
    """What an owner's put to a key came to: the entry there or its rival, if either is the owner's."""
    for target in (f"{key}~{owner}", key):
        header = board.header(target)
        if header is not None and header.live and header.owner == owner:
            return Wrote(target, header, board.values[target])
    return None


def _stands(board: Board, owner: str, key: str, written: Mapping[str, Wrote]) -> Wrote | None:
    """The same; what this activation wrote counts, though somebody may have changed it before the activation ended."""
    return written.get(f"{key}~{owner}") or written.get(key) or stands(board, owner, key)


def _as_looked(ran: _Running, looked: Mapping[str, Any]) -> Board:
    """The board as the activation's lookups found it: at its claim, or later while it ran. What it wrote itself aside."""
    before = ran.before
    later = Board(before.id, dict(before.head), dict(before.entries), dict(before.values))
    records = iter(ran.since)
    while not _holds(later, looked):
        record = next((each for each in records if each.entries), None)
        if record is None:
            return before
        for key, text in record.entries.items():
            if Header.parse(text).activation == ran.claimed.id:
                continue
            later.entries[key] = text
            later.values.pop(key, None)
            if key in record.values:
                later.values[key] = record.values[key]
    for key, _, _ in ran.claimed.inputs:
        if key in before.entries:
            later.entries[key] = before.entries[key]
        if key in before.values:
            later.values[key] = before.values[key]
    return later


def _holds(board: Board, looked: Mapping[str, Any]) -> bool:
    for key, version in looked.get("keys", {}).items():
        header = board.header(key)
        if (header.version if header is not None and header.live else 0) != version:
            return False
    wanted = {level: int(signature, 16) for level, signature in looked.get("levels", {}).items()}
    sums = dict.fromkeys(wanted, 0)
    for key in board.values:
        if (level := level_of(key)) in sums and not is_rival(key):
            sums[level] = (sums[level] + mark(key, Header.parse(board.entries[key]).version)) & _MASK
    return sums == wanted
