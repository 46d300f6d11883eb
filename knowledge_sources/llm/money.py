"""Money in whole nano-dollars, and how people write it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from knowledge_sources.llm.calls import NANO

MOST: Final = 9_000_000 * NANO
"""The largest cap there is: scripts count in doubles, which are exact up to 2^53."""


def nano_of(usd: float) -> int:
    """Nano-dollars of a cap that is set in dollars, at most MOST. Exact for what people write."""
    return MOST if usd * NANO >= MOST else int(Decimal(str(usd)) * NANO)


def usd_of(nano: int) -> float:
    """Dollars, for programs to read; the nearest double."""
    return nano / NANO


def usd(nano: int) -> str:
    """`1.25 USD`; at least two decimals, as many as it takes."""
    whole, rest = divmod(abs(nano), NANO)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nano < 0 else ''}{whole}.{digits} USD"
