"""JSON as RFC 8259 means it and nothing more: what two parsers could read differently is refused.

UTF-8 without a byte order mark, no NaN, no numbers beyond 64 bits or a double, no member twice, no lone surrogates or NUL,
at most 64 levels deep. The answer to each is the problem that `controller.http.problems` describes.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from controller.http.problems import Problem

DEPTH = 64
LOWEST, HIGHEST = -(1 << 63), (1 << 64) - 1
"""What the canonical form (orjson) can hold."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[{\]}]")


def loads(body: bytes) -> Any:
    """The value. Raises Problem (400): invalid-encoding, invalid-json, invalid-unicode, duplicate-member, json-too-deep."""
    text = _decode(body)
    if body.count(b"[") + body.count(b"{") > DEPTH:
        _check_depth(body)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Problem(
            "invalid-json", f"The body is not JSON (line {error.lineno}, column {error.colno}: {error.msg})."
        ) from None
    except RecursionError:
        raise Problem("json-too-deep") from None
    if "\\u" in text:
        _check_text(value)
    return value


def _decode(body: bytes) -> str:
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise Problem("invalid-encoding", "The body begins with a byte order mark; send UTF-8 without one.")
    if b"\0" in body[:4]:
        raise Problem("invalid-encoding", "The body is not UTF-8 (it looks like UTF-16 or UTF-32).")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("invalid-encoding", f"The body is not UTF-8 (byte {error.start}).") from None


def _check_depth(body: bytes) -> None:
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH:
            raise Problem("json-too-deep")


def _check_text(value: Any) -> None:
    """Escapes are the only way in for lone surrogates and NUL: the decoder refuses both where they stand as they are."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise Problem("invalid-unicode")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_text(name)
            _check_text(member)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem("duplicate-member")
    return found


def _integer(text: str) -> int:
    number = int(text) if len(text) <= 20 else HIGHEST + 1
    if not LOWEST <= number <= HIGHEST:
        raise Problem("invalid-json", "An integer of the body does not fit into 64 bits.")
    return number


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Problem("invalid-json", "A number of the body is larger than a double can hold.")
    return number


def _constant(text: str) -> NoReturn:
    raise Problem("invalid-json", "NaN and Infinity are not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
