"""Quantity times price, line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from statistics import mode

from knowledge_sources.checks.ledger import Item, Ledger, multiplies
from knowledge_sources.checks.sums import CENT, quote_place, rounded, show
from knowledge_sources.checks.verdicts import Found

_RATE = re.compile(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%")


def check_lines(ledger: Ledger) -> Iterator[Found]:
    """Quantity times price, line by line; only where the rows agree on which is which."""
    if ledger.structure is None:
        return
    for item in ledger.items:
        if item.factors is None:
            continue
        a, b = item.factors
        right = multiplies(a, b, item.amount) or _discounted(item)
        text = f"{show(a.value)} x {show(b.value)} = {show(rounded(a.value * b.value, item.amount))}"
        where = quote_place(item.place)
        if right:
            yield Found("line", "supported", "line_item", f"{text}, as the line says.", where, (where,), 0.95)
        elif _a_slip(ledger, item):
            reason = f"{text}, but the line says {show(item.amount.value)}."
            yield Found("line", "refuted", "line_item", reason, where, (where,), 0.9)


def _discounted(item: Item) -> bool:
    """Whether the line names a percentage that makes its amount right: a discount off, or a tax on."""
    page, a, b = item.place.page, *(item.factors or (item.amount, item.amount))
    text = page.text[item.place.start : item.place.end]
    gross = a.value * b.value
    for rate in _rates(text):
        for factor in (1 - rate / 100, 1 + rate / 100):
            if abs(rounded(gross * factor, item.amount) - item.amount.value) <= CENT:
                return True
    others = [n.value for n in item.numerals if n not in (a, b, item.amount)]
    return any(abs(gross - x - item.amount.value) <= CENT or abs(gross + x - item.amount.value) <= CENT for x in others)


def _rates(text: str) -> list[Decimal]:
    return [Decimal(m[1].replace(",", ".")) for m in _RATE.finditer(text)]


def _a_slip(ledger: Ledger, item: Item) -> bool:
    """Whether a wrong line is written like the others and near what it should be; else it was rather misread."""
    a, b = item.factors or (item.amount, item.amount)
    usual = mode(other.amount.decimals for other in ledger.items)
    if item.amount.decimals != usual or not item.amount.value:
        return False
    return Decimal("0.1") < abs(a.value * b.value / item.amount.value) < 10
