"""What can be done with a log alone: read it from a file, fold it, compare revisions, verify it. No source's code runs.

`fold(log)` must equal the projection the server keeps, byte for byte; `verify` says where the two part. An exported log has
no projection beside it, but each header carries the digest and size of its value, so a file proves itself.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from blackboard.board import Board, apply, fold
from blackboard.bundle import Bundle, is_bundle
from blackboard.entries import Activation, Header, digest_of
from blackboard.errors import LogError, ReplayDiverged, UsageError
from blackboard.events import LogRecord, from_json
from blackboard.log_pages import log_pages
from blackboard.ports import Store
from blackboard.writing import referred

__all__ = [
    "Diff",
    "Difference",
    "EntryChange",
    "check_values",
    "copied",
    "diff",
    "differences",
    "fold",
    "folded_at",
    "read_log",
    "steps",
    "verify",
    "verify_board",
]

MAX_FILE = 4 * 1024**3
"""Bytes of an exported log, unpacked."""
MAX_LINE = 64 * 1024**2
"""Bytes of one record: its values are at most 256 KiB each, a fork's first record holds a whole board."""
SHOWN = 120
"""Characters of a value that a difference shows."""


# -- files -------------------------------------------------------------------------------------------------------------


def read_log(path: Path, *, max_bytes: int = MAX_FILE, max_line: int = MAX_LINE) -> Iterator[LogRecord]:
    """Records of an exported log, one JSON object a line, gzip or plain, or of a bundle (told by content). Blank lines are
    skipped.

    `max_bytes` caps the unpacked file and `max_line` one record. Raises UsageError when there is no such file or it is over
    a cap, and LogError with the number of the line that is not a record.
    """
    try:
        with _opened(path) as lines:
            yield from _records(lines, path.name, max_bytes, max_line)
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise LogError(f"{path.name} is cut or corrupt: {error}", hint="export it again") from error
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error


def _opened(path: Path) -> IO[bytes]:
    if is_bundle(path):
        return Bundle(path).log()
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _records(lines: IO[bytes], name: str, max_bytes: int, max_line: int) -> Iterator[LogRecord]:
    number = total = found = 0
    while line := lines.readline(max_line + 1):
        number += 1
        total += len(line)
        if len(line) > max_line:
            raise UsageError(f"{name}, line {number}: longer than {max_line:,} bytes", hint="is this an exported log?")
        if total > max_bytes:
            raise UsageError(f"{name} is larger than {max_bytes:,} bytes when unpacked")
        if not line.strip():
            continue
        try:
            record = from_json(line)
        except LogError as error:
            raise LogError(f"{name}, line {number}: {error}", hint=error.hint) from error
        found += 1
        yield record
    if not found:
        raise LogError(f"{name} holds no records", hint="`blackboard log ID --json` writes a log")


# -- stepping and comparing --------------------------------------------------------------------------------------------


def steps(id: str, records: Iterable[LogRecord]) -> Iterator[tuple[LogRecord, Board]]:
    """Each record, notes included, with the board right after it; always the same Board, taken further in place."""
    board = Board(id)
    for record in records:
        apply(board, record)
        yield record, board


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One entry between two revisions; None where it had never existed."""

    key: str
    before: Header | None
    after: Header | None
    value: bytes | None
    """What it holds at the later revision, as stored; None for a tombstone."""

    @property
    def kind(self) -> str:
        """added, changed, retracted or restored."""
        was, now = bool(self.before and self.before.live), bool(self.after and self.after.live)
        if now:
            return "changed" if was else ("restored" if self.before else "added")
        return "retracted"


@dataclass(frozen=True, slots=True)
class Diff:
    """What moved between two revisions of a board."""

    start: int
    end: int
    head: Mapping[str, tuple[str | None, str | None]]
    entries: tuple[EntryChange, ...]
    activations: Mapping[str, tuple[str | None, str | None]]
    """Activation -> its status before and after."""

    def to_json(self) -> dict[str, Any]:
        """Plain data: entries with their versions, values as stored."""
        return {
            "from": self.start,
            "to": self.end,
            "head": {name: list(pair) for name, pair in self.head.items()},
            "entries": [_change_to_json(change) for change in self.entries],
            "activations": {id: list(pair) for id, pair in self.activations.items()},
        }


async def folded_at(store: Store, board: str, at: int, start: Board | None = None) -> Board:
    """A board as it was at a revision that it has had; `start`: as it was before, taken further in place.

    Raises BoardGone when it is removed meanwhile.
    """
    folded = Board(board) if start is None else start
    async for records in log_pages(store, board, (at, 0), (folded.revision, 2**32)):
        for record in records:
            apply(folded, record)
    return folded


def copied(board: Board) -> Board:
    """One of its own, with the same content."""
    return Board(board.id, dict(board.head), dict(board.entries), dict(board.values), dict(board.agenda))


def diff(before: Board, after: Board) -> Diff:
    """Between two folds of one board, or of two. Keys are in order."""
    entries = tuple(
        EntryChange(key, before.header(key), after.header(key), after.values.get(key))
        for key in sorted(before.entries.keys() | after.entries.keys())
        if before.entries.get(key) != after.entries.get(key)
    )
    head = {
        name: (before.head.get(name), after.head.get(name))
        for name in sorted(before.head.keys() | after.head.keys())
        if name != "revision" and before.head.get(name) != after.head.get(name)
    }
    activations = {
        id: (_status(before.activation(id)), _status(after.activation(id)))
        for id in sorted(before.agenda.keys() | after.agenda.keys())
        if before.agenda.get(id) != after.agenda.get(id)
    }
    return Diff(before.revision, after.revision, head, entries, activations)


def _status(activation: Activation | None) -> str | None:
    return activation.status if activation else None


def _change_to_json(change: EntryChange) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "key": change.key,
        "kind": change.kind,
        "from_version": change.before.version if change.before else 0,
        "to_version": change.after.version if change.after else 0,
        "owner": change.after.owner if change.after else "",
    }
    if change.value is not None:
        shown["value"] = orjson.Fragment(change.value)
    return shown


# -- verifying ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where fold and projection part. None: it is missing on that side."""

    where: str
    """`head <field>`, `entry <key>`, `value <key>` or `activation <id>`."""
    folded: bytes | None
    stored: bytes | None

    def __str__(self) -> str:
        if self.folded is None or self.stored is None:
            side, other = ("the log", "the server") if self.folded is None else ("the server", "the log")
            held = self.stored if self.folded is None else self.folded
            return f"{self.where}: {side} has none, {other} has {_shown(held or b'')}"
        at = next(
            (i for i, (one, two) in enumerate(zip(self.folded, self.stored, strict=False)) if one != two),
            min(len(self.folded), len(self.stored)),
        )
        begin = max(0, at - 20)
        return (
            f"{self.where}: differs from byte {at} on; "
            f"the log has {_shown(self.folded[begin:])}, the server {_shown(self.stored[begin:])}"
        )


def _shown(data: bytes) -> str:
    text = data.decode(errors="replace")
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def differences(folded: Board, stored: Board) -> Iterator[Difference]:
    """Where two boards part, in order: head, entries, values, agenda. Nothing when they are equal byte for byte."""
    pairs: tuple[tuple[str, Mapping[str, str | bytes], Mapping[str, str | bytes]], ...] = (
        ("head", folded.head, stored.head),
        ("entry", folded.entries, stored.entries),
        ("value", folded.values, stored.values),
        ("activation", folded.agenda, stored.agenda),
    )
    for word, ours, theirs in pairs:
        for name in sorted(ours.keys() | theirs.keys()):
            one, two = _bytes(ours.get(name)), _bytes(theirs.get(name))
            if one != two:
                yield Difference(f"{word} {name}", one, two)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def check_values(board: Board) -> None:
    """Hold every value against the digest and size in its header. Values in the blob store prove themselves by their name.

    Raises ReplayDiverged for the first that does not match.
    """
    for key in sorted(board.entries):
        header, value = Header.parse(board.entries[key]), board.values.get(key)
        if not header.live or value is None or referred(value):
            continue
        if len(value) != header.size or digest_of(value, header.confidence) != header.digest:
            raise ReplayDiverged(
                f"value {key}: version {header.version} is not what its header promises "
                f"({len(value)} bytes against {header.size}, digest {header.digest})",
                hint="the log was edited, or damaged on its way",
            )


def verify(id: str, records: Iterable[LogRecord], stored: Board | None = None) -> Board:
    """Fold a log and prove it: dense, every version once, nothing behind the end, one incarnation, values as promised.

    With `stored`, the projection at the log's last revision, both must be equal byte for byte. Answers the fold. Raises
    LogError where the log cannot be folded and ReplayDiverged, naming the first difference and how many there are.
    """
    board = Board(id)
    for record in records:
        apply(board, record)
        if board.head.get("incarnation", record.incarnation) != record.incarnation:
            raise ReplayDiverged(
                f"record {record.id} is of incarnation {record.incarnation}, the board of {board.head['incarnation']}",
                hint="two logs were mixed",
            )
    check_values(board)
    if stored is not None:
        found = list(differences(board, stored))
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise ReplayDiverged(f"{found[0]}{more}", hint="keep the log (`blackboard log ID --json`) and report this")
    return board


async def verify_board(store: Store, board: str) -> Board | None:
    """`verify` a board against its projection on the server; None when there is no such board.

    The projection is read first and the log folded up to its revision, so a board that moves on meanwhile does no harm.
    """
    stored = await store.projection(board)
    if stored is None:
        return None
    records = await store.log(board)
    return verify(board, (record for record in records if record.revision <= stored.revision), stored)
