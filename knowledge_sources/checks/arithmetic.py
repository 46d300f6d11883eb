"""Does the account add up? Lines multiplied, lines summed, taxes, totals and balances worked out again.

A figure is refuted only where the account leaves no reading under which it is right: every sensible combination of the
sums that stand there (tax included or not, a discount before or after tax, charges) is tried first.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from knowledge_sources.checks.ledger import Figure, Ledger
from knowledge_sources.checks.lines import check_lines
from knowledge_sources.checks.sums import (
    call,
    cents,
    combinations_of,
    quote_place,
    same,
    show,
    signed,
    sum_text,
    whole_of,
)
from knowledge_sources.checks.taxes import check_taxes, unread_part
from knowledge_sources.checks.verdicts import Found


def check_arithmetic(ledger: Ledger) -> Iterator[Found]:
    """All findings about a document's account, in the order of the account."""
    yield from check_lines(ledger)
    lines = _lines_total(ledger)
    yield from _sum(ledger, lines)
    yield from check_taxes(ledger, lines)
    yield from _total(ledger, lines)
    yield from _balance(ledger)


def _may_refute(ledger: Ledger, figure: Figure, expected: Decimal) -> bool:
    """Whether the account is read surely enough to contradict it: regular lines, one sum in the row, near what is expected.

    A sum that is many times what it should be is more likely another number than a slip.
    """
    if len(ledger.items) < 2 and not (ledger.structure or figure.kind != "subtotal"):
        return False
    near = expected > 0 and Decimal("0.4") < figure.amount.value / expected < Decimal("2.5")
    return near and figure.sole and (ledger.regular or bool(ledger.last("subtotal") and figure.kind != "subtotal"))


def _lines_total(ledger: Ledger) -> Decimal | None:
    """The sum of the lines, None where there are too few to be sure that they are the lines."""
    if not ledger.headed or not ledger.items or (len(ledger.items) < 2 and ledger.items[0].factors is None):
        return None
    return sum((item.amount.value for item in ledger.items), Decimal(0))


def _sum(ledger: Ledger, lines: Decimal | None) -> Iterator[Found]:
    """The lines' sum against the subtotal, or the total where there is none."""
    named = ledger.last("subtotal") or ledger.last("total")
    if lines is None or named is None:
        return
    where = quote_place(named.place)
    evidence = (*(quote_place(item.place) for item in ledger.items), where)
    worked = _worked_out(ledger, lines)
    sums = [f for f in ledger.figures if f.kind in ("subtotal", "total", "due")]
    match = next((f for f in sums if same(f.amount.value, lines)), None)
    if match is not None:
        reason = f"The {len(ledger.items)} lines add up to {show(match.amount.value)}."
        at = quote_place(match.place)
        yield Found("sum", "supported", "sum", reason, at, (*evidence, at), 0.95)
    elif (
        _may_refute(ledger, named, lines)
        and named.kind == "subtotal"
        and not any(same(v, named.amount.value) for v in worked)
    ):
        reason = f"The lines add up to {show(lines)}, but the {call(named)} says {show(named.amount.value)}."
        yield Found("sum", "refuted", "sum", reason, where, evidence, 0.85)


def _total(ledger: Ledger, lines: Decimal | None) -> Iterator[Found]:
    """The total against the subtotal and what stands between the two; or against the lines where there is no subtotal."""
    total = whole_of(ledger)
    subtotal = ledger.last("subtotal")
    start = subtotal.amount.value if subtotal else lines
    if total is None or start is None or (subtotal and not subtotal.sole):
        return
    parts = [f for f in ledger.figures if f.kind in ("tax", "discount", "charge", "rounding")]
    where = quote_place(total.place)
    base = (quote_place(subtotal.place),) if subtotal else tuple(quote_place(item.place) for item in ledger.items)
    evidence = (*base, *(quote_place(f.place) for f in parts), where)
    for chosen in combinations_of(parts):
        if same(start + sum(chosen, Decimal(0)), total.amount.value):
            text = sum_text(start, chosen)
            yield Found("total", "supported", "total", f"{text} = {show(total.amount.value)}.", where, evidence, 0.95)
            return
    usual = [signed(f) for f in parts]
    expected = start + sum(usual, Decimal(0))
    unsure = (
        not parts
        or len(parts) > 4
        or unread_part(ledger, lines)
        or any(not f.sole for f in parts)
        or len(ledger.all("subtotal")) > 1
    )
    if unsure or not _may_refute(ledger, total, expected) or _gap_explained(ledger, start, total):
        return
    text = f"{sum_text(start, usual)} = {show(expected)}"
    reason = f"{text}, but the {call(total)} says {show(total.amount.value)}."
    yield Found("total", "refuted", "total", reason, where, evidence, 0.92)


def _gap_explained(ledger: Ledger, start: Decimal, total: Figure) -> bool:
    """Whether another sum of the account stands for the difference, or the total is one of several."""
    others = {f.amount.value for f in ledger.all("total") if f is not total}
    gap = total.amount.value - start
    paid = [f.amount.value for f in ledger.all("paid")]
    return any(same(abs(gap), abs(p)) for p in paid) or (len(others) > 1 and total.amount.value not in others)


def _balance(ledger: Ledger) -> Iterator[Found]:
    """What is due against the total less what was paid."""
    due, total, paid = ledger.last("due"), ledger.last("total"), ledger.all("paid")
    if due is None or total is None:
        return
    where = quote_place(due.place)
    evidence = (quote_place(total.place), *(quote_place(p.place) for p in paid), where)
    given = sum((abs(p.amount.value) for p in paid), Decimal(0))
    expected = total.amount.value - given
    if same(expected, due.amount.value):
        reason = (
            f"{show(total.amount.value)} less {show(given)} paid leaves {show(due.amount.value)}."
            if paid
            else (f"What is due equals the total, {show(due.amount.value)}.")
        )
        yield Found("balance", "supported", "balance", reason, where, evidence, 0.95)
    elif not paid and due.place.page.number == total.place.page.number:
        reason = f"The {call(total)} says {show(total.amount.value)}, but {show(due.amount.value)} is said to be due."
        yield Found("balance", "refuted", "balance", reason, where, evidence, 0.75)
    elif len(paid) == 1:
        reason = (
            f"{show(total.amount.value)} less {show(given)} paid leaves {show(expected)}, "
            f"but {show(due.amount.value)} is said to be due."
        )
        yield Found("balance", "refuted", "balance", reason, where, evidence, 0.8)


def _worked_out(ledger: Ledger, lines: Decimal) -> list[Decimal]:
    parts = [f for f in ledger.figures if f.kind in ("tax", "discount", "charge", "rounding")]
    rates = [f.rate for f in parts if f.rate]
    without_tax = [cents(lines / (1 + rate / 100)) for rate in rates]
    return [
        *without_tax,
        *(lines + sign * sum(chosen, Decimal(0)) for chosen in combinations_of(parts) for sign in (1, -1)),
    ]
