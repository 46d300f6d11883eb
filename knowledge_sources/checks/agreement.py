"""Do amounts that are stated twice agree? A price, a fee or a total on one page against the same on another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from blackboard.levels import Mention, Mentions, Page, Where
from knowledge_sources.checks.ledger import Ledger
from knowledge_sources.checks.verdicts import Found, quote
from knowledge_sources.sentences import Span, sentences

_ONE = (
    r"(?:contract|purchase|sale|licen[cs]e|project|agreed|subscription|lump|fixed|annual|monthly|yearly|quarterly"
    r"|weekly|base|total|setup)"
)
_NAME = re.compile(
    rf"\b(?P<name>(?:{_ONE}\s+)+(?:price|sum|value|fees?|amount|rent|salary|payment|consideration|charge)"
    r"|(?:security\s+|initial\s+|rental\s+)?deposit|(?:basic\s+|annual\s+|gross\s+)?salary|principal(?:\s+amount)?"
    r"|loan\s+amount|retainer"
    r"|(?:grand|invoice|overall|order)\s+(?:total|amount)|total\s+(?:due|payable)|(?:amount|sum)\s+(?:due|payable)"
    r"|invoiced?\s+amount|total)"
    r"(?:\s*\([^)]{0,40}\))?(?:\s+(?:due|payable|to be paid|under this agreement|for this (?:invoice|order)"
    r"|of this invoice|hereunder))*"
    r"(?:\s*[:,]?\s*(?:of|is|was|are|being|shall be|will be|amounts? to|amounting to|comes to|equals?|in the (?:sum"
    r"|amount) of|the sum of|therefore)){0,2}(?:\s+(?:[A-Z]{3}|[$€£¥]))?"
    r"\s*$",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    r"\s*[,;]?\s*\(\s*(?:the\s+)?[\"“”'‘](?P<name>[A-Z][A-Za-z]+(?:\s[A-Z][A-Za-z]+){0,3})[\"”'’]\s*\)"
)
_WHOLE = re.compile(r"total|(?:amount|sum) (?:due|payable)|invoiced? amount", re.IGNORECASE)
_NOT_WHOLE = re.compile(r"fee|price|value|rent|salary|consideration", re.IGNORECASE)
ROUNDING = Decimal("0.05")
"""Cash totals are rounded to the smallest coin."""
REACH = 160
"""Characters before an amount in which its name is looked for."""


@dataclass(frozen=True, slots=True)
class Stated:
    """An amount with the name the text gives it. `whole` marks what an invoice calls its total."""

    name: str
    value: Decimal
    currency: str
    where: Where
    whole: bool = False


def check_agreement(pages: Sequence[Page], mentions: Sequence[Mentions], ledger: Ledger) -> Iterator[Found]:
    """Totals in prose against the account, and every named amount against its other mentions."""
    stated = [s for page in pages for s in named_amounts(page, _amounts(mentions, page.number))]
    rows = {(f.place.page.number, f.place.start) for f in ledger.figures}
    prose = [s for s in stated if not _in_row(s.where, ledger, rows)]
    yield from _with_account(prose, ledger)
    yield from _with_each_other([s for s in prose if not (s.whole and ledger.figures)])


def named_amounts(page: Page, amounts: Sequence[Mention]) -> Iterator[Stated]:
    """The amounts of a page that the words before or behind them name."""
    spans = sentences(page.text)
    for amount in amounts:
        number, _, currency = amount.value.partition(" ")
        try:
            value = Decimal(number)
        except InvalidOperation:
            continue
        before = re.split(r"[.;!?]\s|\n\s*\n", page.text[max(0, amount.start - REACH) : amount.start])[-1]
        name = _DEFINED.match(page.text, amount.end) or _NAME.search(" ".join(before.split()) + " ")
        if name is None:
            continue
        said = " ".join(name["name"].lower().split()).removesuffix("s")
        whole = bool(_WHOLE.search(said)) and not _NOT_WHOLE.search(said)
        yield Stated(said, value, currency, _around(page, spans, amount), whole)


def _around(page: Page, spans: Sequence[Span], amount: Mention) -> Where:
    """The sentence or row that states the amount."""
    start, end = next(((a, b) for a, b in spans if a <= amount.start < b), (amount.start, amount.end))
    return quote(page, max(start, amount.start - REACH), min(max(end, amount.end), amount.end + REACH))


def _amounts(mentions: Sequence[Mentions], page: int) -> list[Mention]:
    return [m for found in mentions if found.page == page for m in found.items if m.type == "amount"]


def _in_row(place: Where, ledger: Ledger, rows: set[tuple[int, int]]) -> bool:
    if (place.page, place.start) in rows:
        return True
    return any(
        f.place.page.number == place.page and f.place.start < place.end and place.start < f.place.end
        for f in ledger.figures
    )


def _with_account(prose: Sequence[Stated], ledger: Ledger) -> Iterator[Found]:
    """A total that a sentence states must be one of the account's sums."""
    sums = [f for f in ledger.figures if f.kind in ("total", "due")]
    if not sums:
        return
    known = {f.amount.value: f for f in ledger.figures}
    for said in prose:
        if not said.whole or len(said.where.text.split()) < 6:
            continue
        same = known.get(said.value)
        shown = same or sums[-1]
        at = quote(shown.place.page, shown.place.start, shown.place.end)
        if same:
            reason = f"Page {at.page} gives the same amount, {said.value:,f}."
            yield Found("amount", "supported", "cross_page", reason, said.where, (said.where, at), 0.9)
        elif abs(said.value - shown.amount.value) > ROUNDING and shown.sole:
            reason = f"Page {said.where.page} says {said.value:,f}, but page {at.page} says {shown.amount.value:,f}."
            yield Found("amount", "refuted", "cross_page", reason, said.where, (said.where, at), 0.85)


def _with_each_other(stated: Sequence[Stated]) -> Iterator[Found]:
    """Amounts under one name and in one currency; the first one is what the later ones are held against."""
    groups: dict[str, list[Stated]] = defaultdict(list)
    for one in stated:
        groups[one.name].append(one)
    for name, group in groups.items():
        first = group[0]
        if name in ("total", "total amount"):
            continue
        for other in group[1:]:
            if first.currency and other.currency and first.currency != other.currency:
                continue
            places = (first.where, other.where)
            if other.value == first.value:
                reason = f'"{name}" is {other.value:,f} on page {first.where.page} and on page {other.where.page}.'
                yield Found("amount", "supported", "cross_page", reason, other.where, places, 0.9)
            else:
                reason = (
                    f'"{name}" is {first.value:,f} on page {first.where.page}, '
                    f"but {other.value:,f} on page {other.where.page}."
                )
                yield Found("amount", "refuted", "cross_page", reason, other.where, places, 0.85)
