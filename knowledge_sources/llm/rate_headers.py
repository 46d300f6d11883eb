"""What a server says of its limits in the headers of an answer. Pure; what cannot be read counts as unsaid.

`anthropic-ratelimit-{requests,input-tokens,output-tokens,tokens}-{limit,remaining,reset}`, the last one RFC 3339.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

PREFIX: Final = "anthropic-ratelimit-"
DIMENSIONS: Final = ("requests", "input-tokens", "output-tokens", "tokens")
MOST: Final = 10**12
"""No limit is larger: a number that is, is a mistake."""


@dataclass(frozen=True, slots=True)
class Said:
    """One dimension. `reset_ms`: from the answer on, on the server's own clock, never below 0; None is unsaid."""

    limit: int | None = None
    remaining: int | None = None
    reset_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """`date`: when the server answered, milliseconds since 1970 by its own clock. `said`: in the order of DIMENSIONS."""

    date: int | None
    said: tuple[Said, ...]

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> RateHeaders:
        """`headers` have lower-case names."""
        date = _http_date(headers.get("date", ""))
        found = []
        for dimension in DIMENSIONS:
            words = [headers.get(f"{PREFIX}{dimension}-{what}", "") for what in ("limit", "remaining", "reset")]
            reset = _rfc3339(words[2])
            # Without the answer's date the two clocks cannot be compared, and a reset would mean nothing.
            rest = None if reset is None or date is None else max(0, reset - date)
            # A limit of nothing from a server that does answer is no limit.
            found.append(Said(_whole(words[0]) or None, _whole(words[1]), rest))
        return cls(date, tuple(found))

    @property
    def arguments(self) -> tuple[int | str, ...]:
        """As the script `limits_settle` takes them."""
        words = [(one.limit, one.remaining, one.reset_ms) for one in self.said]
        return tuple("" if word is None else word for three in words for word in three)

    @property
    def spent_ms(self) -> int | None:
        """When the last of the limits of which nothing is left begins anew; None where none is spent."""
        rests = [one.reset_ms for one in self.said if one.remaining == 0 and one.reset_ms is not None]
        return max(rests) if rests else None


def _whole(word: str) -> int | None:
    word = word.strip()
    return int(word) if word.isascii() and word.isdigit() and int(word) <= MOST else None


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def _rfc3339(word: str) -> int | None:
    try:
        return _milliseconds(datetime.fromisoformat(word.strip()))
    except (ValueError, OverflowError):
        return None


def _http_date(word: str) -> int | None:
    try:
        return _milliseconds(parsedate_to_datetime(word))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
