"""Answers that are errors, as the very errors the service raised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from blackboard import errors
from blackboard.client.calls import Answer, Call
from blackboard.errors import (
    BlackboardError,
    BoardError,
    BoardGone,
    ConflictError,
    EntryConflict,
    Forbidden,
    InvalidValue,
    LimitReached,
    PermanentFailure,
    RateLimited,
    ServiceError,
    SourceError,
    StorageUnavailable,
    Unauthorized,
    UsageError,
)

LONGEST_WAIT_S: Final = 86_400.0
"""What a Retry-After is taken to mean at most."""

_KINDS: Final = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BlackboardError)]
_FAILURES: Final = {kind.slug: kind for kind in _KINDS if issubclass(kind, PermanentFailure)} | {
    PermanentFailure.slug: PermanentFailure
}
_BY_SLUG: Final[Mapping[str, type[BlackboardError]]] = {
    **_FAILURES,
    **{kind.slug: kind for kind in _KINDS if not issubclass(kind, SourceError)},
    "too-many-streams": RateLimited,
    "report-not-ready": BoardError,
    "no-report": BoardError,
}
"""Where several share a slug the last, which is the nearest, is meant; a failed source only where there is nothing else."""
_BY_STATUS: Final[Mapping[int, type[BlackboardError]]] = {
    401: Unauthorized,
    403: Forbidden,
    404: BoardGone,
    408: StorageUnavailable,
    409: ConflictError,
    412: ConflictError,
    429: RateLimited,
    502: StorageUnavailable,
    503: StorageUnavailable,
    504: StorageUnavailable,
}


def class_of(slug: str, status: int) -> type[BlackboardError]:
    """The error that a problem stands for; for one this version does not know, the nearest by its status."""
    if slug in _BY_SLUG:
        return _BY_SLUG[slug]
    return _BY_STATUS.get(status, UsageError if 400 <= status < 500 else ServiceError)


def error_of(answer: Answer, call: Call[Any], origin: str) -> BlackboardError:
    """The error to raise for an answer of another status than those that are good."""
    problem = _problem(answer)
    slug = str(problem.get("type", "")).rpartition("/")[2]
    error = _made(class_of(slug, answer.status), problem, answer, call, origin)
    if slug:
        error.slug = slug
    error.request_id = str(problem.get("request_id") or answer.headers.get("x-request-id", ""))
    return error


def error_of_outcome(slug: str, reason: str) -> BlackboardError:
    """What a board failed with."""
    error = _FAILURES.get(slug, PermanentFailure)(reason)
    error.slug = slug or error.slug
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next try, if the answer says so in seconds."""
    text = headers.get("retry-after", "").strip()
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdigit() else None


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _made(
    kind: type[BlackboardError], problem: Mapping[str, Any], answer: Answer, call: Call[Any], origin: str
) -> BlackboardError:
    pointed = _pointed(problem)
    said = str(problem.get("detail") or problem.get("title") or f"{origin} answered {answer.status}")
    if kind is InvalidValue or (kind is UsageError and pointed):
        error: BlackboardError = InvalidValue(pointed or [("", said)])
    elif kind is EntryConflict and call.key:
        error = EntryConflict(call.key, int(problem.get("current_version", 0)), live="etag" in answer.headers)
    elif issubclass(kind, LimitReached):
        error = kind(said, after_s=retry_after(answer.headers) or 1.0, headers=_limits(answer.headers))
    elif kind is EntryConflict:
        error = ConflictError(said)
    elif kind is BoardGone:
        error = BoardGone(f"{origin} knows no such {call.noun}", hint=_GONE.get(call.noun, ""))
    elif kind is Unauthorized:
        error = Unauthorized(said, hint="give a valid key: --api-key, BLACKBOARD_API_KEY, or the argument `api_key`")
    else:
        error = kind("; ".join((said, *(f"{pointer}: {detail}" for pointer, detail in pointed))))
    if isinstance(error, ConflictError):
        error.mismatches = tuple(each for each in problem.get("mismatches", ()) if isinstance(each, dict))
    return error


_GONE: Final = {"board": "is the id whole? Ended boards are removed in time"}


def _pointed(problem: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = problem.get("errors")
    rows = found if isinstance(found, list) else ()
    return [(str(each.get("pointer", "")), str(each.get("detail", ""))) for each in rows if isinstance(each, dict)]


def _limits(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("ratelimit")}
