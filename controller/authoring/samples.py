"""Made-up values of a level, to try `when` and `bid` on. The same every time."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)

VARIANTS = 6
TEXTS = ("", "text", "Invoice 2041 of 2025-03-12, total 35.50 EUR", "x" * 200, "ä\n\tß 表", "0")
NUMBERS = (0, 1, 2, 7, 100, 1_000_000)
PARTS = (0.0, 1.0, 0.5, 0.25, 0.9, 0.1)
MOST_DEPTH = 6


def samples(kind: type[M]) -> list[M]:
    """Up to `VARIANTS` values; fewer, or none, where the model refuses what its fields allow.

    A model's own `examples` (`json_schema_extra` of its configuration) come first.
    """
    extra = kind.model_config.get("json_schema_extra")
    own = extra.get("examples", ()) if isinstance(extra, Mapping) else ()
    found: list[M] = []
    for data in [*(own if isinstance(own, Sequence) else ()), *(_fields(kind, n, 0) for n in range(VARIANTS))]:
        try:
            made = kind.model_validate(data)
        except (ValidationError, TypeError):
            continue
        if made not in found:
            found.append(made)
    return found[:VARIANTS]


def _fields(kind: type[BaseModel], variant: int, depth: int) -> dict[str, Any]:
    """Fields with a default keep it in the first variant."""
    values: dict[str, Any] = {}
    for number, (name, field) in enumerate(kind.model_fields.items()):
        if not field.is_required() and (variant == 0 or depth >= MOST_DEPTH):
            continue
        values[field.alias or name] = _value(field.annotation, field.metadata, variant + number, depth)
    return values


def _value(hint: Any, limits: Sequence[Any], variant: int, depth: int) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value(inner[0], (*limits, *inner[1:]), variant, depth)
    if origin is Literal:
        return inner[variant % len(inner)]
    if origin in (Union, types.UnionType):
        return _value(inner[variant % len(inner)], limits, variant, depth)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return tuple(_value(each, (), variant, depth + 1) for each in inner)
    if origin in (list, tuple, set, frozenset, Sequence):
        count = max(_least(limits), 0 if depth >= MOST_DEPTH else variant % 3)
        return [_value(inner[0] if inner else str, (), variant + n, depth + 1) for n in range(count)]
    if origin in (dict, Mapping):
        return {str(_value(inner[0], (), 1, depth)): _value(inner[1], (), variant, depth + 1)} if variant % 2 else {}
    return _plain(hint, limits, variant, depth)


def _plain(hint: Any, limits: Sequence[Any], variant: int, depth: int) -> Any:
    if not isinstance(hint, type) or hint is type(None):
        return None
    if issubclass(hint, BaseModel):
        return _fields(hint, variant, depth + 1)
    if issubclass(hint, Enum):
        members = list(hint)
        return members[variant % len(members)].value
    if issubclass(hint, bool):
        return bool(variant % 2)
    if issubclass(hint, (int, float)):
        given = PARTS if issubclass(hint, float) else NUMBERS
        return _within(given[variant % len(given)], limits)
    if issubclass(hint, datetime):
        return datetime(2025, 3, 12, 10, variant % 60, tzinfo=UTC)
    if issubclass(hint, date):
        return date(2025, 3, 12)
    text = TEXTS[variant % len(TEXTS)]
    most = min((limit.max_length for limit in limits if getattr(limit, "max_length", None) is not None), default=1000)
    return (text + "x" * max(0, _least(limits) - len(text)))[:most]


def _within(number: float, limits: Sequence[Any]) -> float:
    for limit in limits:
        if (least := getattr(limit, "ge", None)) is not None:
            number = max(number, least)
        if (above := getattr(limit, "gt", None)) is not None and number <= above:
            number = above + 1
        if (most := getattr(limit, "le", None)) is not None:
            number = min(number, most)
        if (below := getattr(limit, "lt", None)) is not None and number >= below:
            number = below - 1
        if (step := getattr(limit, "multiple_of", None)) is not None:
            number -= number % step
    return number


def _least(limits: Sequence[Any]) -> int:
    return max((limit.min_length for limit in limits if getattr(limit, "min_length", None) is not None), default=0)
