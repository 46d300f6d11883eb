"""A document's figures as an account: line items, and the sums that are said of them.

Nothing is taken from a column's place on the page: which numbers of a row are quantity, price and amount is what most of
the rows agree on by their arithmetic, so that one wrong row stands out instead of misleading the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from blackboard.levels import Mentions, Page
from knowledge_sources.checks.numerals import Numeral, comma_decimal, numerals, taken_spans
from knowledge_sources.mentions.layout import Row, rows_of

Kind = Literal["subtotal", "tax", "discount", "charge", "rounding", "total", "paid", "due"]
Structure = tuple[int, int, int]
"""Positions from the right end of a row's numerals, or from the left where not negative: factor, factor, product."""

_LABELS: tuple[tuple[Kind | Literal["skip"], re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))  # type: ignore[misc]
    for kind, pattern in (
        ("skip", r"\b(?:carried|brought) (?:forward|over)|\bcarry[- ]?over|\bübertrag|\breport(?:er)? à"
                 r"|\bpage (?:sub)?total"
                 r"|\bincludes?\b|\bincluding\b.{0,20}(?:tax|gst|vat)|\b(?:days|tage|jours|días)\b|\btotal (?:qty"
                 r"|quantity|items?|hours|weight|saving|discount|number|units|points)|\bper (?:unit|hour|month)"
                 r"|\b(?:change|tender(?:ed)?|cash|visa|master(?:card)?|credit card|card|points|iban|account)\b"),
        ("rounding", r"\bround(?:ing|ed)?\b|\brundung"),
        ("subtotal", r"\bsub[- ]?tot(?:al|aal)?\b|\bnet (?:total|amount|sum|value)\b|\btotal[ ,]*(?:net\b|ht\b|excl"
                     r"|ex\.?\b|before|without)"
                     r"|\b(?:amount|sum|value) (?:before|excl|ex\b)|\bzwischensumme|\bnetto|\bimponibile"
                     r"|\bbase imponible|\btaxable"
                     r"|\bsous[- ]total|\bitems? total\b|\bnet\b"),
        ("total", r"\b(?:grand|invoice|gross|order) (?:total|amount)|\btotal[ ,]*(?:\(?incl|inc\b|with|gross|ttc"
                  r"|amount|payable|due|price)"
                  r"|\bgesamt|\bbrutto|\brechnungsbetrag|\bendbetrag|\bamount payable|\btotal ?(?:gst|vat"
                  r"|tax)?[- ]incl"),
        ("paid", r"\bpaid\b|\bdeposit\b|\bprepa(?:id|yment)|\badvance\b|\bpayments? received|\banzahlung|\bacompte\b"
                 r"|\bcredit(?:ed)?\b"),
        ("due", r"\b(?:balance|amount|total|sum) (?:now )?(?:due|outstanding|owing|to pay)|\bbalance\b|\bzu zahlen"
                r"|\bzahlbetrag|\bà payer\b"),
        ("discount", r"\bdiscount|\brabatt|\bskonto|\bremise\b|\bdescuento|\bsconto|\bkorting|\brebate|\bdisc\b"),
        ("charge", r"\bshipping|\bfreight|\bdelivery|\bpostage|\bversand|\bporto\b|\bhandling|\bcarriage"
                   r"|\bservice (?:charge|fee)"
                   r"|\bsurcharge|\btransport|\bpackaging|\binsurance\b|\bexpenses\b"),
        ("tax", r"\bv\.?a\.?t\b|\bg\.?s\.?t\b|\bsst\b|\b(?:sales|service)? ?tax\b|\bmwst|\bust\b|\bu\.?st\.?\b"
                r"|\bmehrwertsteuer|\bt\.?v\.?a\b"
                r"|\bi\.?v\.?a\b|\bbtw\b|\bmoms\b|\bpst\b|\bhst\b"),
        ("total", r"\btotal(?:e|en|aal|s)?\b|\bsumme\b|\bimporte\b|\bmontant\b|\bsuma\b"),
    )
)  # fmt: skip
_HEAD = {
    "quantity": re.compile(r"\b(?:qty|quantity|quantities|menge|anzahl|units?|hours?|hrs|days|cant(?:idad)?|qté"
                           r"|quantité|pcs|aantal)\b", re.I),
    "price": re.compile(r"\b(?:price|rate|each|preis|einzelpreis|e-preis|prix|precio|prijs|unit cost|cost)\b"
                        r"|\bp\.?u\.?\b", re.I),
    "amount": re.compile(r"\b(?:amount|total|sum|betrag|gesamt(?:preis)?|montant|importe|bedrag|value|line total"
                         r"|net)\b", re.I),
    "what": re.compile(r"\b(?:description|item|product|service|article|details|particulars|beschreibung|bezeichnung"
                       r"|artikel|"
                       r"position|leistung|désignation|descripción|concepto|omschrijving|work|task)\b", re.I),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A row or a numeral of a page that can be quoted."""

    page: Page
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill. `factors` is None where the row shows its amount alone."""

    place: Place
    numerals: tuple[Numeral, ...]
    amount: Numeral
    factors: tuple[Numeral, Numeral] | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A labelled sum; `rate` is the percentage its row names."""

    kind: Kind
    place: Place
    label: str
    amount: Numeral
    rate: Decimal | None = None
    sole: bool = True
    """Whether it is the only sum of its row; of several, which one is meant is a guess."""


@dataclass(slots=True)
class Ledger:
    """One account: its lines, and the sums under them. `headed` tells whether a table head announced the lines."""

    items: list[Item] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    headed: bool = False
    leads: bool = False
    """Whether the table's head names the quantity before the description."""
    structure: Structure | None = None

    def last(self, kind: Kind) -> Figure | None:
        """The last sum of a kind, which is the one that counts where a page repeats it."""
        return next((f for f in reversed(self.figures) if f.kind == kind), None)

    @property
    def regular(self) -> bool:
        """Whether every line reads alike: all with factors that multiply, or all with as many numbers as the others."""
        if self.structure is not None:
            return all(item.factors is not None for item in self.items)
        return len({len(item.numerals) for item in self.items}) == 1

    def all(self, kind: Kind) -> list[Figure]:
        return [f for f in self.figures if f.kind == kind]


def read_ledger(pages: Sequence[Page], mentions: Iterable[Mentions] = ()) -> Ledger:
    """The account that the pages show, read across page breaks."""
    mentions = tuple(mentions)
    comma = comma_decimal(page.text for page in pages)
    ledger = Ledger()
    open_ = False
    for page in pages:
        taken = taken_spans(mentions, page.number)
        for row in rows_of(page):
            found = numerals(page, row, comma, taken)
            if _is_head(row, found):
                open_ = ledger.headed = True
                ledger.leads = _leads(row.text)
                continue
            if not found:
                continue
            place = _place(page, row, found)
            kind, label = _label(row, page.text, found)
            if kind and kind != "skip":
                figure = _figure(kind, label, place, found)
                if figure:
                    ledger.figures.append(figure)
                    open_ = open_ and kind == "subtotal" and not ledger.items
            elif kind is None and open_:
                item = _item(place, found)
                if item:
                    ledger.items.append(item)
    _drop_whole_numbers(ledger)
    _charges_as_lines(ledger)
    _learn_structure(ledger)
    return ledger


def _charges_as_lines(ledger: Ledger) -> None:
    """A charge or discount above the subtotal is one of its lines; below it, it is added to it."""
    subtotal = ledger.last("subtotal")
    if subtotal is None:
        return
    limit = (subtotal.place.page.number, subtotal.place.start)
    above = [
        f for f in ledger.figures if f.kind in ("charge", "discount") and (f.place.page.number, f.place.start) < limit
    ]
    ledger.figures = [f for f in ledger.figures if f not in above]
    ledger.items.extend(Item(f.place, (f.amount,), f.amount) for f in above)


def _drop_whole_numbers(ledger: Ledger) -> None:
    """Where sums show cents, a number without cents beside the same words is a count or a percentage."""
    cents = sum(f.amount.decimals == 2 for f in ledger.figures)
    if 2 * cents > len(ledger.figures):
        ledger.figures = [f for f in ledger.figures if f.amount.decimals]


def _is_head(row: Row, found: Sequence[Numeral]) -> bool:
    """A row that names at least two of a table's columns, the amount among them, and holds no figures."""
    if found or len(row.text) > 120:
        return False
    named = {name for name, pattern in _HEAD.items() if pattern.search(row.text)}
    return len(named) >= 2 and "amount" in named | ({"amount"} if {"quantity", "price"} <= named else set())


def _leads(head: str) -> bool:
    quantity, what = _HEAD["quantity"].search(head), _HEAD["what"].search(head)
    return bool(quantity and what and quantity.start() < what.start())


def _place(page: Page, row: Row, found: Sequence[Numeral]) -> Place:
    if row.contiguous and "\n\n" not in page.text[row.start : row.end]:
        return Place(page, row.start, row.end)
    return Place(page, found[-1].start, found[-1].end)


def _label(row: Row, text: str, found: Sequence[Numeral]) -> tuple[Kind | Literal["skip"] | None, str]:
    """What a row's words before its last number call that number; a row of prose is no labelled sum."""
    words = row.text
    for numeral in found:
        words = words.replace(text[numeral.start : numeral.end], " ")
    words = " ".join(words.split())
    if len(words) > 70 or len(re.findall(r"[^\W\d_]{2,}", words)) > 8:
        return ("skip", words)
    for kind, pattern in _LABELS:
        if pattern.search(words):
            return kind, words
    return None, words


def _figure(kind: Kind, label: str, place: Place, found: Sequence[Numeral]) -> Figure | None:
    sums = [n for n in found if not n.percent]
    if not sums or (kind != "total" and len(sums) > 3):
        return None
    rate = next((abs(n.value) for n in found if n.percent), None)
    return Figure(kind, place, label, sums[-1], rate, len(sums) == 1)


def _item(place: Place, found: Sequence[Numeral]) -> Item | None:
    plain = tuple(n for n in found if not n.percent)
    if not plain or (place.page.text[place.end - 1 : place.end].isalpha() and plain[-1].end < place.end - 6):
        return None
    return Item(place, plain, plain[-1])


def _learn_structure(ledger: Ledger) -> None:
    """Find which numbers of a row multiply to which by the vote of the rows, and read every row that way."""
    votes: Counter[Structure] = Counter()
    for item in ledger.items:
        votes.update(_products(item.numerals))
    if not votes:
        return
    structure, count = max(votes.items(), key=lambda v: (v[1], v[0][2], (v[0][0] >= 0) == ledger.leads, v[0]))
    wide = [i for i in ledger.items if _pick(i.numerals, structure)]
    enough = 2 * count > len(wide) or (ledger.headed and 2 * count == len(wide))
    if not enough or (count < 2 and not ledger.headed):
        return
    ledger.structure = structure
    ledger.items = [_shaped(item, structure) for item in ledger.items]


def _products(numbers: Sequence[Numeral]) -> Iterator[Structure]:
    n = len(numbers)
    for c in (-1, -2):
        for b in range(-n, c) if n + c > 0 else ():
            for a in range(n):
                left, right = a, n + b
                if left < right and left != n + c and multiplies(numbers[left], numbers[right], numbers[n + c]):
                    yield (a if a < 2 else a - n, b, c)
                    if a < 2:
                        yield (a - n, b, c)


def multiplies(a: Numeral, b: Numeral, product: Numeral) -> bool:
    """Whether a x b is the product as printed, give or take half a unit of its last digit, or of the price's."""
    exact = a.value * b.value
    slack = Decimal(1).scaleb(-product.decimals) * Decimal("0.51")
    return abs(exact - product.value) <= slack


def _pick(numbers: Sequence[Numeral], structure: Structure) -> tuple[Numeral, Numeral, Numeral] | None:
    n = len(numbers)
    places = [p if p >= 0 else n + p for p in structure]
    if min(places) < 0 or max(places) >= n or len(set(places)) < 3:
        return None
    return numbers[places[0]], numbers[places[1]], numbers[places[2]]


def _shaped(item: Item, structure: Structure) -> Item:
    picked = _pick(item.numerals, structure)
    if picked is None:
        return item
    return Item(item.place, item.numerals, picked[2], (picked[0], picked[1]))
