"""How sums are compared, combined and put into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

from blackboard.levels import Where
from knowledge_sources.checks.ledger import Figure, Ledger, Place
from knowledge_sources.checks.numerals import Numeral
from knowledge_sources.checks.verdicts import quote

CENT = Decimal("0.01")


def whole_of(ledger: Ledger) -> Figure | None:
    """The sum that claims to be the whole: the last total, or what is due where nothing else is called a total."""
    totals = ledger.all("total")
    if totals:
        return max(totals, key=lambda f: (f.place.page.number, f.place.start))
    return None if ledger.all("paid") else ledger.last("due")


def combinations_of(parts: Sequence[Figure]) -> Iterator[tuple[Decimal, ...]]:
    """Each part counted with its sign, or left out because it was already in; all of them first."""
    options = [(signed(f), Decimal(0)) for f in parts[:8]]
    yield from product(*options)


def signed(figure: Figure) -> Decimal:
    return -abs(figure.amount.value) if figure.kind == "discount" else figure.amount.value


def sum_text(start: Decimal, parts: Sequence[Decimal]) -> str:
    return show(start) + "".join(f" {'+' if p > 0 else '-'} {show(abs(p))}" for p in parts if p)


def same(a: Decimal, b: Decimal) -> bool:
    return abs(a - b) <= CENT


def near(a: Decimal, b: Decimal) -> bool:
    """Taxes are rounded line by line or on the sum; two cents lie between."""
    return abs(a - b) <= 2 * CENT


def rounded(value: Decimal, like: Numeral) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-max(like.decimals, 0)), rounding=ROUND_HALF_UP)


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def show(value: Decimal) -> str:
    """A number as people write it: thousands by commas, no needless zeros behind whole numbers without cents."""
    return f"{value:,f}"


def call(figure: Figure) -> str:
    return {"subtotal": "subtotal", "total": "total", "due": "amount due"}.get(figure.kind, figure.kind)


def quote_place(place: Place) -> Where:
    return quote(place.page, place.start, place.end)
