"""Days that do not exist: 30 February, 31 April."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator

from blackboard.levels import Page
from knowledge_sources.checks.verdicts import Found, quote
from knowledge_sources.mentions.dates import month_numbers

_NAMED_DAY = re.compile(
    r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)?\.?[ ](?:of )?(?P<month>[^\W\d_]{3,10})\.?,?[ ](?P<year>(?:19|20)\d\d)\b"
)
_NAMED_MONTH = re.compile(
    r"\b(?P<month>[^\W\d_]{3,10})\.?[ ](?P<day>\d{1,2})(?:st|nd|rd|th)?,?[ ](?P<year>(?:19|20)\d\d)\b"
)
_ISO = re.compile(r"(?<![\w./-])(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?![\w-])")
_NUMERIC = re.compile(
    r"(?<![\w./-])(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})(?P=sep)(?P<year>(?:19|20)\d\d)(?![\w/-])"
)


def impossible_days(page: Page) -> Iterator[Found]:
    """Every date, written out or in digits, that no calendar has; a number that is no date in any order is left alone."""
    months = month_numbers()
    for pattern in (_NAMED_DAY, _NAMED_MONTH, _ISO):
        for match in pattern.finditer(page.text):
            name = match["month"].lower()
            month = int(name) if name.isdigit() else months.get(name, 0)
            day = int(match["day"])
            if (month or name.isdigit()) and day <= 31 and not _exists(int(match["year"]), month, day):
                yield _no_such_day(page, match)
    for match in _NUMERIC.finditer(page.text):
        a, b, year = int(match["a"]), int(match["b"]), int(match["year"])
        if 1 <= min(a, b) <= 12 and max(a, b) <= 31 and not _exists(year, b, a) and not _exists(year, a, b):
            yield _no_such_day(page, match)


def _exists(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def _no_such_day(page: Page, match: re.Match[str]) -> Found:
    place = quote(page, *match.span())
    return Found(
        "date", "refuted", "impossible_date", f"There is no such day as {match.group()}.", place, (place,), 0.95
    )
