"""JSON that two parsers could read differently is refused; all else is what the standard library reads."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.http.problems import Problem
from controller.http.strict_json import DEPTH, loads

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


@given(values, st.booleans())
def test_reads_what_json_writes(value: Any, ascii: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        found = loads(body)
    except Problem as problem:
        assert problem.slug in {
            "invalid-encoding", "invalid-json", "invalid-unicode", "duplicate-member", "json-too-deep",
        }  # fmt: skip
    else:
        assert found == json.loads(body)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (b"", "invalid-json"),
        (b'{"text": "a', "invalid-json"),
        (b'{"a": 1} x', "invalid-json"),
        (b"{'a': 1}", "invalid-json"),
        (b'{"a": "\x00"}', "invalid-json"),
        (b'{"a": "\n"}', "invalid-json"),
        (b'"\xff"', "invalid-encoding"),
        (b'"\xed\xa0\x80"', "invalid-encoding"),
        (b'\xef\xbb\xbf{"a": 1}', "invalid-encoding"),
        ('{"a": 1}'.encode("utf-16"), "invalid-encoding"),
        ('{"a": 1}'.encode("utf-16-le"), "invalid-encoding"),
        ('{"a": 1}'.encode("utf-32-be"), "invalid-encoding"),
        (b'{"a": NaN}', "invalid-json"),
        (b"[Infinity]", "invalid-json"),
        (b"[-Infinity]", "invalid-json"),
        (b"1e400", "invalid-json"),
        (b"-1e400", "invalid-json"),
        (b"9" * 5000, "invalid-json"),
        (b"18446744073709551616", "invalid-json"),
        (b"-9223372036854775809", "invalid-json"),
        (b'{"a": "\\ud800"}', "invalid-unicode"),
        (b'{"\\udc00": 1}', "invalid-unicode"),
        (b'["x\\u0000y"]', "invalid-unicode"),
        (b'{"a": 1, "a": 1}', "duplicate-member"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate-member"),
        (b'[{"b": {"a": 1, "c": 2, "a": 3}}]', "duplicate-member"),
        (b"[" * 65 + b"]" * 65, "json-too-deep"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "json-too-deep"),
        (b"[" * 100_000, "json-too-deep"),
    ],
)
def test_refuses(body: bytes, slug: str) -> None:
    with pytest.raises(Problem) as refused:
        loads(body)
    assert refused.value.slug == slug


def test_counts_depth_outside_strings_only() -> None:
    assert loads(b"[" * DEPTH + b"]" * DEPTH)
    text = '[{"\\' * 100
    assert loads(json.dumps([text, text]).encode()) == [text, text]
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("body", [b'["' + b'\\"' * 500_000, b"[" + b'"[' * 300_000, b'"' + b"\\" * 1_000_001])
def test_takes_time_in_proportion_to_the_body(body: bytes) -> None:
    began = perf_counter()
    with pytest.raises(Problem):
        loads(b"[" * 40 + body + b"]" * 40)
    assert perf_counter() - began < 5
