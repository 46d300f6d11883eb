"""Each tax against its rate, and everything it could have been taken of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from knowledge_sources.checks.ledger import Figure, Ledger
from knowledge_sources.checks.sums import cents, combinations_of, near, quote_place, same, show, signed, whole_of
from knowledge_sources.checks.verdicts import Found

_TAX_CODE = re.compile(r"\b(?:SR|ZR|ZRL|ZP|ES|T[0-9]|[A-Z])\s*$")


def check_taxes(ledger: Ledger, lines: Decimal | None) -> Iterator[Found]:
    """Each tax against its rate and everything it could have been taken of."""
    for tax in ledger.all("tax"):
        if tax.rate is None or tax.rate == tax.amount.value or not tax.amount.value:
            continue
        bases = _bases(ledger, lines)
        rate = tax.rate / 100
        where = quote_place(tax.place)
        fits = [
            b for b, _ in bases if near(b * rate, tax.amount.value) or near(b * rate / (1 + rate), tax.amount.value)
        ]
        if fits:
            reason = f"{show(tax.rate)} % of {show(fits[0])} is {show(tax.amount.value)}."
            if not near(fits[0] * rate, tax.amount.value):
                reason = f"{show(fits[0])} holds {show(tax.rate)} % tax of {show(tax.amount.value)}."
            base = tuple(quote_place(f.place) for v, f in bases if f and v == fits[0])
            yield Found("tax", "supported", "tax", reason, where, (*base, where), 0.95)
        elif (
            len(ledger.all("tax")) == 1
            and tax.sole
            and not _part_exempt(ledger, tax)
            and (base_value := _taxed(ledger)) is not None
        ):
            subtotal = ledger.all("subtotal")[0]
            reason = (
                f"{show(tax.rate)} % of {show(base_value)} is {show(cents(base_value * rate))}, "
                f"but the document says {show(tax.amount.value)}."
            )
            yield Found("tax", "refuted", "tax", reason, where, (quote_place(subtotal.place), where), 0.85)


def unread_part(ledger: Ledger, lines: Decimal | None) -> bool:
    """Whether a tax that fits nothing shows that a discount or a charge was not read."""
    if not ledger.all("discount") and not ledger.all("charge"):
        return False
    bases = [base for base, _ in _bases(ledger, lines)]
    return any(
        tax.rate and not any(near(base * tax.rate / 100, tax.amount.value) for base in bases)
        for tax in ledger.all("tax")
    )


def _taxed(ledger: Ledger) -> Decimal | None:
    """What a tax must have been taken of: the one subtotal, with discounts and charges if the account closes with them."""
    subtotals, total = ledger.all("subtotal"), whole_of(ledger)
    if len(subtotals) != 1 or not subtotals[0].sole:
        return None
    base = subtotals[0].amount.value
    parts = [f for f in ledger.figures if f.kind in ("discount", "charge")]
    if not parts:
        return base
    base += sum((signed(f) for f in parts), Decimal(0))
    taxes = sum((f.amount.value for f in ledger.all("tax")), Decimal(0))
    return base if total and same(base + taxes, total.amount.value) else None


def _bases(ledger: Ledger, lines: Decimal | None) -> list[tuple[Decimal, Figure | None]]:
    """Everything a tax may have been taken of."""
    found: list[tuple[Decimal, Figure | None]] = [
        (f.amount.value, f) for f in ledger.figures if f.kind in ("subtotal", "total", "due")
    ]
    starts = [value for value, _ in found] + ([lines] if lines is not None else [])
    parts = [f for f in ledger.figures if f.kind in ("discount", "charge")]
    for start in starts:
        found.extend((start + sum(chosen, Decimal(0)), None) for chosen in combinations_of(parts))
    found.extend((item.amount.value, None) for item in ledger.items)
    return found


def _part_exempt(ledger: Ledger, tax: Figure) -> bool:
    """Whether a tax that is too low may be that of some lines only, as on a till's receipt with its tax codes."""
    subtotal = ledger.last("subtotal")
    low = subtotal is not None and tax.rate is not None and tax.amount.value < subtotal.amount.value * tax.rate / 100
    coded = any(_TAX_CODE.search(i.place.page.text[i.place.start : i.place.end]) for i in ledger.items)
    return low and (coded or not ledger.headed or not ledger.regular)
