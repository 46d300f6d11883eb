"""Errors that leave a process, or enter one, as themselves: told by their names, and put together again on the other side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from blackboard import errors

CROSSING: Final[Mapping[str, type[errors.SourceError]]] = {
    cls.__name__: cls
    for cls in (
        errors.DocumentUnreadable,
        errors.DocumentTooComplex,
        errors.DocumentUnsafe,
        errors.ModelFailed,
        errors.SpendingCapped,
        errors.PermanentFailure,
        errors.TransientFailure,
        errors.Deferred,
    )
}
"""By name; what is none of them has no meaning outside of its process."""
DEFERRED_S: Final = 30.0
"""For a process that does not say how long."""


def names_of(error: BaseException) -> list[str]:
    """The names of its classes, its own first."""
    return [cls.__name__ for cls in type(error).__mro__]


def crossed(names: Iterable[str], message: str, hint: str = "", after_s: Any = None) -> errors.SourceError | None:
    """The error of these names; None where none of them crosses. What it says comes from a process that is not trusted."""
    kind = next((CROSSING[name] for name in names if name in CROSSING), None)
    if kind is None:
        return None
    if issubclass(kind, errors.Deferred):
        # A true number, and no NaN: what is none compares as false.
        known = isinstance(after_s, int | float) and 0 <= after_s < 1e9
        return kind(message, after_s=float(after_s) if known else DEFERRED_S, hint=hint)
    return kind(message, hint=hint)
