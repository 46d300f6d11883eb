"""Log records: what happened to a board, one per revision, and the same thing as JSON for watchers and files.

A record's changes are the projection's own bytes, so folding is copying: stream field `e:<key>` is an entry's header,
`v:<key>` its value, `a:<activation>` an agenda record, `h:<field>` a field of the head. The other fields are

type, by, commit, body   as the writer gave them          at    server time, milliseconds since 1970
inc                      the board's incarnation          epoch the fence's epoch, or empty

A record's id is `<revision>-0`; a note (a refused contribution; it changes nothing) has `<revision>-<n>`, n >= 1.
Names of types and fields are stable: old ones are upgraded on read (`upgrade`), never renamed in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, get_args

import orjson

from blackboard.errors import LogError

SCHEMA = 1

RecordType = Literal[
    "board.created",
    "board.changed",
    "board.completed",
    "board.failed",
    "board.cancelled",
    "controller.decided",
    "activation.claimed",
    "activation.failed",
    "activation.retried",
    "activation.cancelled",
    "contribution.committed",
    "contribution.refused",
    "llm.called",
]
TYPES = frozenset(get_args(RecordType))
TERMINAL = {"board.completed": "completed", "board.failed": "failed", "board.cancelled": "cancelled"}
ENDED = frozenset(TERMINAL.values())


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record: where it stands, what it says, and the projection's bytes it sets."""

    revision: int
    n: int
    at: int
    type: str
    by: str
    incarnation: str
    commit: str = ""
    epoch: str = ""
    body: bytes = b"{}"
    head: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, bytes] = field(default_factory=dict)
    agenda: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """`<revision>-<n>`, the stream id."""
        return f"{self.revision}-{self.n}"

    @property
    def is_note(self) -> bool:
        """Whether it only tells of a refusal and changes nothing."""
        return self.n > 0

    @property
    def is_terminal(self) -> bool:
        """Whether the board ended with it."""
        return self.type in TERMINAL and not self.is_note

    def say(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.body)


def from_stream(stream_id: str, fields: Mapping[bytes, bytes]) -> LogRecord:
    """A record from its stream entry. Raises LogError when a field is not of this schema."""
    revision, _, n = stream_id.partition("-")
    plain: dict[str, str] = {}
    head: dict[str, str] = {}
    entries: dict[str, str] = {}
    values: dict[str, bytes] = {}
    agenda: dict[str, bytes] = {}
    body = b"{}"
    changes = _unpack(fields[b"packed"]) if b"packed" in fields else ()
    for raw, value in chain(fields.items(), changes):
        name = raw.decode()
        if name[1:2] == ":":
            kind, rest = name[0], name[2:]
            if kind == "e":
                entries[rest] = value.decode()
            elif kind == "v":
                values[rest] = value
            elif kind == "a":
                agenda[rest] = value
            elif kind == "h":
                head[rest] = value.decode()
            else:
                raise LogError(f"record {stream_id} holds an unknown change {name!r}")
        elif name == "body":
            body = value
        elif name != "packed":
            plain[name] = value.decode()
    try:
        return LogRecord(
            int(revision), int(n), int(plain["at"]), plain["type"], plain["by"], plain["inc"],
            plain.get("commit", ""), plain.get("epoch", ""), body, head, entries, values, agenda,
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise LogError(f"record {stream_id} is not a log record: {error}") from error


def _unpack(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Many changes in one field, each part behind its length: the server's scripts cannot pass thousands of arguments."""
    parts: list[bytes] = []
    at = 0
    while at < len(packed):
        colon = packed.index(b":", at)
        end = colon + 1 + int(packed[at:colon])
        parts.append(packed[colon + 1 : end])
        at = end
    return zip(parts[::2], parts[1::2], strict=True)


def to_json(record: LogRecord) -> bytes:
    """One line of JSON, the form of SSE, JSONL and exported files. Values stay the bytes they are."""
    shown: dict[str, Any] = {
        "schema": SCHEMA,
        "id": record.id,
        "revision": record.revision,
        "type": record.type,
        "at": record.at,
        "by": record.by,
        "incarnation": record.incarnation,
    }
    if record.commit:
        shown["commit"] = record.commit
    if record.epoch:
        shown["epoch"] = int(record.epoch)
    if record.body != b"{}":
        shown["body"] = orjson.Fragment(record.body)
    if record.head:
        shown["head"] = dict(record.head)
    if record.entries:
        shown["entries"] = {key: _header_to_json(text) for key, text in record.entries.items()}
    if record.values:
        shown["values"] = {key: orjson.Fragment(value) for key, value in record.values.items()}
    if record.agenda:
        shown["agenda"] = {id: _agenda_to_json(stored) for id, stored in record.agenda.items()}
    return orjson.dumps(shown)


def lines_of(records: Iterable[LogRecord]) -> bytes:
    """Records as JSON Lines."""
    return b"".join(to_json(record) + b"\n" for record in records)


def from_json(line: bytes | str) -> LogRecord:
    """The reverse of `to_json`, byte for byte. Raises LogError."""
    try:
        shown = upgrade(orjson.loads(line))
        revision, _, n = shown["id"].partition("-")
        if shown["type"] not in TYPES:
            raise LogError(f"record {shown['id']} has the unknown type {shown['type']!r}")
        return LogRecord(
            int(revision),
            int(n),
            int(shown["at"]),
            shown["type"],
            shown["by"],
            shown["incarnation"],
            shown.get("commit", ""),
            str(shown.get("epoch", "")),
            orjson.dumps(shown["body"]) if "body" in shown else b"{}",
            {str(k): str(v) for k, v in shown.get("head", {}).items()},
            {key: _header_from_json(value) for key, value in shown.get("entries", {}).items()},
            {key: orjson.dumps(value) for key, value in shown.get("values", {}).items()},
            {id: _agenda_from_json(value) for id, value in shown.get("agenda", {}).items()},
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise LogError(f"a line is not a log record: {error}", hint="was the file cut or edited?") from error


def upgrade(shown: dict[str, Any]) -> dict[str, Any]:
    """A record of an older schema in today's words. Raises LogError for one from the future."""
    if shown.get("schema", SCHEMA) > SCHEMA:
        raise LogError(
            f"the record was written by a newer version (schema {shown['schema']}; this one knows {SCHEMA})",
            hint="read it with the version that wrote it, or a newer one",
        )
    return shown


_HEADER = ("version", "state", "pin", "digest", "size", "confidence", "owner", "activation", "base")


def _header_to_json(text: str) -> dict[str, str]:
    return dict(zip(_HEADER, text.split("|"), strict=True))


def _header_from_json(shown: Mapping[str, str]) -> str:
    return "|".join(shown[name] for name in _HEADER)


def _agenda_to_json(stored: bytes) -> dict[str, Any]:
    status, epoch, inputs, data = stored.split(b"|", 3)
    return {"status": status.decode(), "epoch": int(epoch), "inputs": inputs.decode(), "data": orjson.Fragment(data)}


def _agenda_from_json(shown: Mapping[str, Any]) -> bytes:
    return f"{shown['status']}|{shown['epoch']}|{shown['inputs']}|".encode() + orjson.dumps(shown["data"])
