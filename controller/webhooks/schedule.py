"""When a delivery is tried again, and what an answer means. Pure but for the chance it is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

WAITS_S: Final = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Before each attempt: three days in all."""
JITTER: Final = 0.1
MOST_WAIT_S: Final = 86_400.0


def wait_s(made: int, chance: Callable[[], float], *, pace: float = 1.0, asked_s: float = 0.0) -> float | None:
    """Seconds before the next attempt after so many; None: there is none.

    `chance`: from 0 to 1. `asked_s`: what the receiver asked for; it is waited for, up to a day.
    """
    if made >= len(WAITS_S):
        return None
    planned = WAITS_S[made] * pace * (1 - JITTER + 2 * JITTER * chance())
    return max(planned, min(asked_s, MOST_WAIT_S))


def retry_after_s(text: str, now: datetime) -> float:
    """Seconds that a Retry-After asks for, as a number or a date; 0 for none and for what cannot be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return 0.0
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def word(status: int) -> str:
    """What is wrong with an answer; "" for a good one."""
    if 200 <= status < 300:
        return ""
    return "redirect" if 300 <= status < 400 else "status"
