"""Days of spending: UTC, whatever the machine's zone says."""

from __future__ import annotations

from datetime import UTC, datetime


def day_of(ms: int) -> str:
    """The day of a time (milliseconds since 1970), `yyyymmdd`."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y%m%d}"


def next_day(ms: int) -> str:
    """When the day of a time is over, for people."""
    return f"{datetime.fromtimestamp((ms // 86_400_000 + 1) * 86_400, UTC):%Y-%m-%d %H:%M} UTC"


def read_day(text: str) -> str:
    """`yyyymmdd` of a day that people write, `2026-11-21` or without dashes. Raises ValueError for others."""
    try:
        parsed = datetime.strptime(text.replace("-", ""), "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        parsed = None
    if parsed is None or text not in (f"{parsed:%Y-%m-%d}", f"{parsed:%Y%m%d}"):
        raise ValueError("must be a day, like 2026-11-21")
    return f"{parsed:%Y%m%d}"
