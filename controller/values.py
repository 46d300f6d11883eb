"""Values that people contribute, checked against the models of their levels; and what is said when they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from blackboard import levels
from blackboard.contract import Source
from blackboard.errors import EntryConflict, InvalidValue, NothingToRetry, RequestUnderWay, SourcePresent
from blackboard.levels import Address, Child, Level, Upload

__all__ = [
    "EntryConflict",
    "InvalidValue",
    "NothingToRetry",
    "RequestUnderWay",
    "SourcePresent",
    "canonical",
    "known_levels",
    "pointer",
    "pointers",
]

LONGEST_POINTER = 200
FIXED = {
    Upload.level: "the document as submitted cannot be changed or removed: submit another one",
    Address.level: "the document's address cannot be changed or removed: submit another one",
    Child.level: "child boards are opened by sources alone: cancel the child board itself",
}
"""Levels that people cannot write, and why."""


def known_levels(sources: Iterable[Source]) -> Mapping[str, type[Level]]:
    """Level name -> model: the built-in levels and every level a source reads or writes."""
    built_in = (kind for kind in vars(levels).values() if isinstance(kind, type) and issubclass(kind, Level))
    found = {kind.level: kind for kind in built_in if kind is not Level}
    for source in sources:
        found.update((kind.level, kind) for given in source.inputs for kind in given.levels)
        found.update((kind.level, kind) for kind in source.outputs)
    return found


def canonical(kinds: Mapping[str, type[Level]], level: str, value: Any) -> bytes:
    """A value as it is stored. Raises InvalidValue for an unknown level, or with a pointer to each part that is off."""
    kind = kinds.get(level)
    if kind is None:
        raise InvalidValue([("", "no source knows this level")], hint=f"levels: {', '.join(sorted(kinds))}")
    if level in FIXED:
        raise InvalidValue([("", FIXED[level])])
    try:
        # JSON mode, because only there does strictness let a list stand for a tuple.
        checked = kind.model_validate_json(orjson.dumps(value), strict=True)
    except ValidationError as error:
        raise InvalidValue(pointers(error)) from None
    return orjson.dumps(checked.model_dump(mode="json"))


def pointers(error: ValidationError) -> list[tuple[str, str]]:
    """What pydantic found, as (JSON pointer, message). Messages that could repeat the value are replaced."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        said = "does not fit" if item["type"] in ("value_error", "assertion_error") else item["msg"]
        found.append((pointer(*item["loc"]), said))
    return found


def pointer(*path: str | int) -> str:
    """RFC 6901."""
    words = (str(word).replace("~", "~0").replace("/", "~1") for word in path)
    return "".join(f"/{word}" for word in words)[:LONGEST_POINTER]
