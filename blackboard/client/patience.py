"""When a request is sent again, and how long to wait before that. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from blackboard.client.calls import Answer, Call
from blackboard.client.problems import error_of, retry_after
from blackboard.errors import BlackboardError, OutcomeUnknown, StorageUnavailable

AGAIN: Final = frozenset({429, 502, 503, 504})
"""Answers of a service, or of a proxy before it, that say: later."""
AGAIN_SLUGS: Final = frozenset({"idempotency-in-progress", "request-timeout"})
LASTING_SLUGS: Final = frozenset({"budget-exhausted", "too-many-boards"})
"""What only time or an ended board cures: better told than waited for."""
FIRST_S: Final = 0.5
LONGEST_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Patience:
    """`retries`: how often a repeatable request is sent again; `wait_s`: the longest Retry-After that is waited for."""

    retries: int = 4
    wait_s: float = 30.0


class Tries:
    """The tries of one call. Full jitter (Brooker, 2015) between them, at least what the service asks for."""

    def __init__(self, call: Call[Any], origin: str, patience: Patience) -> None:
        self._call, self._origin, self._patience = call, origin, patience
        self._left = patience.retries if call.repeatable else 0
        self._pause_s = FIRST_S

    def lost(self, error: BaseException, *, sent: bool) -> float:
        """No answer came: seconds until the next try. Raises StorageUnavailable, or OutcomeUnknown for a write under way."""
        if self._left > 0:
            return self._again(0.0)
        if sent and not self._call.repeatable:
            raise OutcomeUnknown(
                f"{self._origin} did not answer: {_why(error)}", hint="look whether it was done before trying again"
            ) from error
        raise lost_connection(error, self._origin) from error

    def answered(self, answer: Answer) -> float | None:
        """None: it is good. Else seconds until the next try. Raises the error that the answer stands for."""
        if answer.status < 300:
            return None
        error = error_of(answer, self._call, self._origin)
        after = retry_after(answer.headers) or 0.0
        if self._left > 0 and after <= self._patience.wait_s and _may_pass(answer.status, error):
            return self._again(after)
        raise error

    def _again(self, asked_s: float) -> float:
        drawn = random.uniform(0.0, self._pause_s)
        self._left -= 1
        self._pause_s = min(self._pause_s * 2, LONGEST_S)
        return asked_s + drawn


def _may_pass(status: int, error: BlackboardError) -> bool:
    return error.slug in AGAIN_SLUGS or (status in AGAIN and error.slug not in LASTING_SLUGS)


def lost_connection(error: BaseException, origin: str) -> StorageUnavailable:
    """What to tell when no service answers."""
    return StorageUnavailable(
        f"no service answers at {origin}: {_why(error)}",
        hint="start one with `blackboard up`, or name another with --url (or BLACKBOARD_URL)",
    )


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
