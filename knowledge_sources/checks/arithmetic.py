"""Does the account add up? Lines multiplied, lines summed, taxes, totals and balances worked out again.

A figure is refuted only where the account leaves no reading under which it is right: every sensible combination of the
sums that stand there (tax included or not, a discount before or after tax, charges) is tried first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import product

from blackboard.levels import Where
from knowledge_sources.checks.ledger import Figure, Item, Ledger, Place, multiplies
from knowledge_sources.checks.numerals import Numeral
from knowledge_sources.checks.verdicts import Found, quote

CENT = Decimal("0.01")
_RATE = re.compile(r"(\d{1,2}(?:[.,]\d{1,2})?)\s?%")


def check_arithmetic(ledger: Ledger) -> Iterator[Found]:
    """All findings about a document's account, in the order of the account."""
    yield from _lines(ledger)
    lines = _lines_total(ledger)
    yield from _sum(ledger, lines)
    yield from _taxes(ledger, lines)
    yield from _total(ledger, lines)
    yield from _balance(ledger)


def _lines(ledger: Ledger) -> Iterator[Found]:
    """Quantity times price, line by line; only where the rows agree on which is which."""
    if ledger.structure is None:
        return
    for item in ledger.items:
        if item.factors is None:
            continue
        a, b = item.factors
        right = multiplies(a, b, item.amount) or _discounted(item)
        text = f"{_show(a.value)} x {_show(b.value)} = {_show(_round(a.value * b.value, item.amount))}"
        where = _quote(item.place)
        if right:
            yield Found("line", "supported", "line_item", f"{text}, as the line says.", where, (where,), 0.95)
        elif a.value and b.value:
            reason = f"{text}, but the line says {_show(item.amount.value)}."
            yield Found("line", "refuted", "line_item", reason, where, (where,), 0.9)


def _may_refute(ledger: Ledger, figure: Figure, expected: Decimal) -> bool:
    """Whether the account is read surely enough to contradict it: regular lines, one sum in the row, near what is expected.

    A sum that is many times what it should be is more likely another number than a slip.
    """
    if len(ledger.items) < 2 and not (ledger.structure or figure.kind != "subtotal"):
        return False
    near = expected > 0 and Decimal("0.4") < figure.amount.value / expected < Decimal("2.5")
    return near and figure.sole and (ledger.regular or bool(ledger.last("subtotal") and figure.kind != "subtotal"))


def _discounted(item: Item) -> bool:
    """Whether the line names a percentage that makes its amount right: a discount off, or a tax on."""
    page, a, b = item.place.page, *(item.factors or (item.amount, item.amount))
    text = page.text[item.place.start : item.place.end]
    gross = a.value * b.value
    for rate in _rates(text):
        for factor in (1 - rate / 100, 1 + rate / 100):
            if abs(_round(gross * factor, item.amount) - item.amount.value) <= CENT:
                return True
    others = [n.value for n in item.numerals if n not in (a, b, item.amount)]
    return any(abs(gross - x - item.amount.value) <= CENT or abs(gross + x - item.amount.value) <= CENT for x in others)


def _rates(text: str) -> list[Decimal]:
    return [Decimal(m[1].replace(",", ".")) for m in _RATE.finditer(text)]


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
    where = _quote(named.place)
    evidence = (*(_quote(item.place) for item in ledger.items), where)
    worked = _worked_out(ledger, lines)
    sums = [f for f in ledger.figures if f.kind in ("subtotal", "total", "due")]
    match = next((f for f in sums if _same(f.amount.value, lines)), None)
    if match is not None:
        reason = f"The {len(ledger.items)} lines add up to {_show(match.amount.value)}."
        at = _quote(match.place)
        yield Found("sum", "supported", "sum", reason, at, (*evidence, at), 0.95)
    elif (
        _may_refute(ledger, named, lines)
        and named.kind == "subtotal"
        and not any(_same(v, named.amount.value) for v in worked)
    ):
        reason = f"The lines add up to {_show(lines)}, but the {_call(named)} says {_show(named.amount.value)}."
        yield Found("sum", "refuted", "sum", reason, where, evidence, 0.85)


def _taxes(ledger: Ledger, lines: Decimal | None) -> Iterator[Found]:
    """Each tax against its rate and everything it could have been taken of."""
    for tax in ledger.all("tax"):
        if tax.rate is None or tax.rate == tax.amount.value or not tax.amount.value:
            continue
        bases = _bases(ledger, lines)
        rate = tax.rate / 100
        where = _quote(tax.place)
        fits = [
            b for b, _ in bases if _near(b * rate, tax.amount.value) or _near(b * rate / (1 + rate), tax.amount.value)
        ]
        if fits:
            reason = f"{_show(tax.rate)} % of {_show(fits[0])} is {_show(tax.amount.value)}."
            if not _near(fits[0] * rate, tax.amount.value):
                reason = f"{_show(fits[0])} holds {_show(tax.rate)} % tax of {_show(tax.amount.value)}."
            base = tuple(_quote(f.place) for v, f in bases if f and v == fits[0])
            yield Found("tax", "supported", "tax", reason, where, (*base, where), 0.95)
        elif len(ledger.all("tax")) == 1 and tax.sole and (base_value := _taxed(ledger)) is not None:
            subtotal = ledger.all("subtotal")[0]
            reason = (
                f"{_show(tax.rate)} % of {_show(base_value)} is {_show(_cents(base_value * rate))}, "
                f"but the document says {_show(tax.amount.value)}."
            )
            yield Found("tax", "refuted", "tax", reason, where, (_quote(subtotal.place), where), 0.85)


def _unread_part(ledger: Ledger, lines: Decimal | None) -> bool:
    """Whether a tax that fits nothing shows that a discount or a charge was not read."""
    if not ledger.all("discount") and not ledger.all("charge"):
        return False
    bases = [base for base, _ in _bases(ledger, lines)]
    return any(
        tax.rate and not any(_near(base * tax.rate / 100, tax.amount.value) for base in bases)
        for tax in ledger.all("tax")
    )


def _taxed(ledger: Ledger) -> Decimal | None:
    """What a tax must have been taken of: the one subtotal, with discounts and charges if the account closes with them."""
    subtotals, total = ledger.all("subtotal"), _whole(ledger)
    if len(subtotals) != 1 or not subtotals[0].sole:
        return None
    base = subtotals[0].amount.value
    parts = [f for f in ledger.figures if f.kind in ("discount", "charge")]
    if not parts:
        return base
    base += sum((_signed(f) for f in parts), Decimal(0))
    taxes = sum((f.amount.value for f in ledger.all("tax")), Decimal(0))
    return base if total and _same(base + taxes, total.amount.value) else None


def _total(ledger: Ledger, lines: Decimal | None) -> Iterator[Found]:
    """The total against the subtotal and what stands between the two; or against the lines where there is no subtotal."""
    total = _whole(ledger)
    subtotal = ledger.last("subtotal")
    start = subtotal.amount.value if subtotal else lines
    if total is None or start is None or (subtotal and not subtotal.sole):
        return
    parts = [f for f in ledger.figures if f.kind in ("tax", "discount", "charge", "rounding")]
    where = _quote(total.place)
    base = (_quote(subtotal.place),) if subtotal else tuple(_quote(item.place) for item in ledger.items)
    evidence = (*base, *(_quote(f.place) for f in parts), where)
    for chosen in _combinations(parts):
        if _same(start + sum(chosen, Decimal(0)), total.amount.value):
            text = _sum_text(start, chosen)
            yield Found("total", "supported", "total", f"{text} = {_show(total.amount.value)}.", where, evidence, 0.95)
            return
    usual = [_signed(f) for f in parts]
    expected = start + sum(usual, Decimal(0))
    unsure = (
        len(parts) > 4
        or _unread_part(ledger, lines)
        or any(not f.sole for f in parts)
        or len(ledger.all("subtotal")) > 1
    )
    if unsure or not _may_refute(ledger, total, expected) or _gap_explained(ledger, start, total):
        return
    text = f"{_sum_text(start, usual)} = {_show(expected)}"
    reason = f"{text}, but the {_call(total)} says {_show(total.amount.value)}."
    yield Found("total", "refuted", "total", reason, where, evidence, 0.92)


def _whole(ledger: Ledger) -> Figure | None:
    """The sum that claims to be the whole: the last total, or what is due where nothing else is called a total."""
    totals = ledger.all("total")
    if totals:
        return max(totals, key=lambda f: (f.place.page.number, f.place.start))
    return None if ledger.all("paid") else ledger.last("due")


def _gap_explained(ledger: Ledger, start: Decimal, total: Figure) -> bool:
    """Whether another sum of the account stands for the difference, or the total is one of several."""
    others = {f.amount.value for f in ledger.all("total") if f is not total}
    gap = total.amount.value - start
    paid = [f.amount.value for f in ledger.all("paid")]
    return any(_same(abs(gap), abs(p)) for p in paid) or (len(others) > 1 and total.amount.value not in others)


def _balance(ledger: Ledger) -> Iterator[Found]:
    """What is due against the total less what was paid."""
    due, total, paid = ledger.last("due"), ledger.last("total"), ledger.all("paid")
    if due is None or total is None:
        return
    where = _quote(due.place)
    evidence = (_quote(total.place), *(_quote(p.place) for p in paid), where)
    given = sum((abs(p.amount.value) for p in paid), Decimal(0))
    expected = total.amount.value - given
    if _same(expected, due.amount.value):
        reason = (
            f"{_show(total.amount.value)} less {_show(given)} paid leaves {_show(due.amount.value)}."
            if paid
            else (f"What is due equals the total, {_show(due.amount.value)}.")
        )
        yield Found("balance", "supported", "balance", reason, where, evidence, 0.95)
    elif not paid and due.place.page.number == total.place.page.number:
        reason = (
            f"The {_call(total)} says {_show(total.amount.value)}, but {_show(due.amount.value)} is said to be due."
        )
        yield Found("balance", "refuted", "balance", reason, where, evidence, 0.75)
    elif len(paid) == 1:
        reason = (
            f"{_show(total.amount.value)} less {_show(given)} paid leaves {_show(expected)}, "
            f"but {_show(due.amount.value)} is said to be due."
        )
        yield Found("balance", "refuted", "balance", reason, where, evidence, 0.8)


def _bases(ledger: Ledger, lines: Decimal | None) -> list[tuple[Decimal, Figure | None]]:
    """Everything a tax may have been taken of."""
    found: list[tuple[Decimal, Figure | None]] = [
        (f.amount.value, f) for f in ledger.figures if f.kind in ("subtotal", "total", "due")
    ]
    starts = [value for value, _ in found] + ([lines] if lines is not None else [])
    parts = [f for f in ledger.figures if f.kind in ("discount", "charge")]
    for start in starts:
        found.extend((start + sum(chosen, Decimal(0)), None) for chosen in _combinations(parts))
    found.extend((item.amount.value, None) for item in ledger.items)
    return found


def _worked_out(ledger: Ledger, lines: Decimal) -> list[Decimal]:
    parts = [f for f in ledger.figures if f.kind in ("tax", "discount", "charge", "rounding")]
    rates = [f.rate for f in parts if f.rate]
    without_tax = [_cents(lines / (1 + rate / 100)) for rate in rates]
    return [
        *without_tax,
        *(lines + sign * sum(chosen, Decimal(0)) for chosen in _combinations(parts) for sign in (1, -1)),
    ]


def _combinations(parts: Sequence[Figure]) -> Iterator[tuple[Decimal, ...]]:
    """Each part counted with its sign, or left out because it was already in; all of them first."""
    options = [(_signed(f), Decimal(0)) for f in parts[:8]]
    yield from product(*options)


def _signed(figure: Figure) -> Decimal:
    return -abs(figure.amount.value) if figure.kind == "discount" else figure.amount.value


def _sum_text(start: Decimal, parts: Sequence[Decimal]) -> str:
    return _show(start) + "".join(f" {'+' if p > 0 else '-'} {_show(abs(p))}" for p in parts if p)


def _same(a: Decimal, b: Decimal) -> bool:
    return abs(a - b) <= CENT


def _near(a: Decimal, b: Decimal) -> bool:
    """Taxes are rounded line by line or on the sum; two cents lie between."""
    return abs(a - b) <= 2 * CENT


def _round(value: Decimal, like: Numeral) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-max(like.decimals, 0)), rounding=ROUND_HALF_UP)


def _cents(value: Decimal) -> Decimal:
    return value.quantize(CENT, rounding=ROUND_HALF_UP)


def _show(value: Decimal) -> str:
    """A number as people write it: thousands by commas, no needless zeros behind whole numbers without cents."""
    return f"{value:,f}"


def _call(figure: Figure) -> str:
    return {"subtotal": "subtotal", "total": "total", "due": "amount due"}.get(figure.kind, figure.kind)


def _quote(place: Place) -> Where:
    return quote(place.page, place.start, place.end)
