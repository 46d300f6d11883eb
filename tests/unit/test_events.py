"""Records survive JSON and the stream byte for byte, and what is no record is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import LogError
from blackboard.events import SCHEMA, TYPES, LogRecord, from_json, from_stream, to_json

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="|\n\r\x00"), max_size=12)
NAMES = st.from_regex(r"[a-z]{1,6}/[A-Za-z0-9._-]{1,8}(~[a-z]{1,5})?", fullmatch=True)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
BYTES = JSON.map(orjson.dumps)
HEADERS = st.builds(
    "{}|{}|{}|{}|{}|{:.4g}|{}|{}|{}".format,
    st.integers(1, 10**9), st.sampled_from(["live", "gone"]), st.sampled_from("01"), st.sampled_from(["", "0" * 32]),
    st.integers(0, 10**9), st.floats(0, 1), WORDS, WORDS, WORDS,
)  # fmt: skip
AGENDA = st.builds(
    lambda status, epoch, inputs, data: f"{status}|{epoch}|{inputs}|".encode() + data,
    st.sampled_from(["pending", "running", "done"]), st.integers(0, 10**6), st.sampled_from(["", "=a/b@1 c/d@0"]), BYTES,
)  # fmt: skip
RECORDS = st.builds(
    LogRecord,
    revision=st.integers(1, 2**53),
    n=st.integers(0, 100),
    at=st.integers(0, 2**42),
    type=st.sampled_from(sorted(TYPES)),
    by=WORDS,
    incarnation=WORDS,
    commit=WORDS,
    epoch=st.just("") | st.integers(0, 10**6).map(str),
    body=st.dictionaries(WORDS, JSON, max_size=3).map(orjson.dumps),
    head=st.dictionaries(WORDS, WORDS, max_size=3),
    entries=st.dictionaries(NAMES, HEADERS, max_size=3),
    values=st.dictionaries(NAMES, BYTES, max_size=3),
    agenda=st.dictionaries(NAMES, AGENDA, max_size=3),
)


def fields_of(record: LogRecord) -> dict[bytes, bytes]:
    """As a stream holds them."""
    plain = {
        "type": record.type, "by": record.by, "at": str(record.at), "inc": record.incarnation,
        "commit": record.commit, "epoch": record.epoch,
    }  # fmt: skip
    fields = {name.encode(): value.encode() for name, value in plain.items()} | {b"body": record.body}
    changes: list[tuple[str, Any]] = [
        ("h", record.head),
        ("e", record.entries),
        ("v", record.values),
        ("a", record.agenda),
    ]
    for kind, found in changes:
        for name, value in found.items():
            fields[f"{kind}:{name}".encode()] = value if isinstance(value, bytes) else value.encode()
    return fields


def packed(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The same with all changes in one field."""
    changes = [part for name, value in fields.items() if name[1:2] == b":" for part in (name, value)]
    rest = {name: value for name, value in fields.items() if name[1:2] != b":"}
    return rest | {b"packed": b"".join(b"%d:%s" % (len(part), part) for part in changes)}


@given(RECORDS)
def test_json_and_back(record: LogRecord) -> None:
    line = to_json(record)
    assert from_json(line) == record
    assert to_json(from_json(line)) == line
    assert b"\n" not in line


@given(RECORDS)
def test_the_stream_and_back(record: LogRecord) -> None:
    fields = fields_of(record)
    assert from_stream(record.id, fields) == record
    assert to_json(from_stream(record.id, packed(fields))) == to_json(record)


@given(st.binary(max_size=60) | st.text(max_size=60) | JSON.map(orjson.dumps))
def test_what_is_no_record_is_refused(line: bytes | str) -> None:
    with pytest.raises(LogError):
        from_json(line)


@given(RECORDS, st.sampled_from(["id", "revision", "type", "at", "by", "incarnation"]))
def test_a_record_that_lacks_a_field_is_refused(record: LogRecord, name: str) -> None:
    shown = orjson.loads(to_json(record))
    del shown[name]
    if name == "revision":  # the id says it too
        assert from_json(orjson.dumps(shown)) == record
        return
    with pytest.raises(LogError):
        from_json(orjson.dumps(shown))


def test_records_from_the_future_say_so() -> None:
    record = LogRecord(1, 0, 0, "board.created", "x", "i")
    shown = orjson.loads(to_json(record)) | {"schema": SCHEMA + 1}
    with pytest.raises(LogError, match="newer version"):
        from_json(orjson.dumps(shown))


def test_an_unknown_change_or_type_is_refused() -> None:
    record = LogRecord(1, 0, 0, "board.created", "x", "i")
    with pytest.raises(LogError, match="unknown change"):
        from_stream("1-0", fields_of(record) | {b"z:page/1": b"1"})
    shown = orjson.loads(to_json(record)) | {"type": "board.exploded"}
    with pytest.raises(LogError, match="unknown type"):
        from_json(orjson.dumps(shown))
