"""From what a source yields to what is written: its level checked, its name, its bytes."""

from __future__ import annotations

import math
from typing import Any

import orjson

from blackboard.contract import Contribution, Source
from blackboard.entries import Put, entry_key, name_of
from blackboard.errors import PermanentFailure
from blackboard.levels import Level


class Namer:
    """Turns what a source yields into puts, each under its name."""

    def __init__(self, source: Source, binding: str, *, prefix: str = "") -> None:
        """`prefix`: put before every key, for contributions to the side space."""
        self._source = source
        self._prefix = prefix
        self._base = name_of(binding) or binding
        self._counts: dict[str, int] = {}
        self.named: set[str] = set()

    def put(self, yielded: Any) -> Put:
        """One contribution. Raises PermanentFailure for what the source did not declare, or a name given twice."""
        given = yielded if isinstance(yielded, Contribution) else Contribution(yielded)
        value = given.value
        if not isinstance(value, self._source.outputs):
            names = ", ".join(kind.__name__ for kind in self._source.outputs)
            raise PermanentFailure(
                f"source {self._source.name} contributed {type(value).__name__}, but declares {names}",
                hint="add it to the return type",
            )
        key = self._prefix + entry_key(value.level, given.name or self._name(value))
        self.take(key)
        confidence = given.confidence
        if confidence == 1.0:
            confidence = float(getattr(value, "confidence", 1.0))
        return Put(key, _encoded(self._source.name, value), self.trusted(key, confidence))

    def take(self, key: str) -> None:
        """Raises PermanentFailure for a key that was given before."""
        if key in self.named:
            raise PermanentFailure(
                f"source {self._source.name} contributed {key} twice in one run",
                hint="give each value a name of its own",
            )
        self.named.add(key)

    def trusted(self, key: str, confidence: Any) -> float:
        """A confidence that is one. Raises PermanentFailure."""
        if isinstance(confidence, int | float) and 0.0 <= confidence <= 1.0:
            return float(confidence)
        raise PermanentFailure(
            f"source {self._source.name} contributed {key} with a confidence that is not between 0 and 1",
            hint="0 is a guess, 1 is certain",
        )

    def _name(self, value: Level) -> str:
        if name := entry_name(value):
            return name
        count = self._counts[value.level] = self._counts.get(value.level, 0) + 1
        return f"{_word(self._base)}-{count}"


def _encoded(source: str, value: Level) -> bytes:
    """Its JSON. Raises PermanentFailure for a number that JSON does not hold: whoever read it would fail."""
    plain = value.model_dump(mode="json")
    try:
        text = orjson.dumps(plain)
    except TypeError as error:
        raise PermanentFailure(
            f"source {source} contributed a {value.level} that JSON cannot hold: {error}",
            hint="whole numbers of at most 64 bits, text without lone surrogates",
        ) from error
    # orjson writes NaN and infinity as null.
    if b"null" in text and (field := _not_a_number(plain)) is not None:
        raise PermanentFailure(
            f"source {source} contributed a {value.level} whose {field or 'value'} is no finite number",
            hint="leave the field out, or say None, where there is no value",
        )
    return text


def _not_a_number(plain: Any, path: str = "") -> str | None:
    """Where NaN or infinity is, as a dotted path; None where all is well."""
    if isinstance(plain, float):
        return None if math.isfinite(plain) else path
    inner: Any = ()
    if isinstance(plain, dict):
        inner = plain.items()
    elif isinstance(plain, list):
        inner = enumerate(plain)
    found = (_not_a_number(item, f"{path}.{key}" if path else str(key)) for key, item in inner)
    return next((where for where in found if where is not None), None)


def entry_name(value: Level) -> str:
    """The name that the fields in `named_by` make; "" for a level without."""
    return ".".join(_word(getattr(value, field)) for field in value.named_by)


def _word(value: Any) -> str:
    """A field's value as part of a name: numbers padded so that names sort, other signs than the grammar's replaced."""
    if isinstance(value, int):
        return f"{value:04d}"
    text = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "._-") else "-" for sign in str(value))
    return text.strip("-._")[:96] or "x"
