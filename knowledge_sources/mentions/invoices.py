"""The fields of an invoice: who issued it, its number and dates, and its sums, checked against each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from blackboard.levels import Page
from knowledge_sources.mentions import words
from knowledge_sources.mentions.addresses import address_score
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.layout import Cell, Row, below
from knowledge_sources.mentions.lists import word_set
from knowledge_sources.mentions.totals import (
    Labelled,
    finds_in,
    full_dates,
    label_before,
    labelled_amounts,
    number_of,
)

_MAIL_HOSTS = word_set(
    """
    gmail googlemail outlook hotmail yahoo icloud gmx web aol live msn proton protonmail
    """
)
_CAPITAL = re.compile(
    r"(?P<name>[A-Z][\w&.’' \-]{1,40}?\s(?:SAS|SARL|SA|S\.A\.|EURL|SASU))\s+au\s+capital", re.IGNORECASE
)
_SOLD_BY = re.compile(
    r"\b(?:sold|issued|provided|invoiced|operated)\s+by\s*:?\s+(?=[A-Z])|payable\s+to\s*:?\s+(?=[A-Z])", re.IGNORECASE
)
_NAME = re.compile(r"[A-Z0-9][^\n|,;:•*]{1,60}")
_NET = re.compile(
    r"(?<![^\W\d_])(?:h\.?t\.?|netto\w*|net|excl\w*|exclusief|untaxed|before\s+tax|ex\s+(?:vat|gst|tax)|"
    r"imponibile|base|ohne|hors\s+taxes)"
    r"(?![^\W\d_])|sub\s?-?total|zwischensumme|sous-total|subtotaal|charges",
    re.IGNORECASE,
)


def due_date(rows: Sequence[Row], dates: Sequence[Found]) -> Found | None:
    """The date by which to pay, with role `due_date`, or None."""
    by_start = full_dates(dates)
    for number, row in enumerate(rows):
        for at, find in finds_in(row, by_start):
            before = label_before(rows, number, at)
            if words.DUE_LABEL.search(before) and not words.INVOICE_DATE.search(before):
                return replace(find, role="due_date", confidence=0.8)
    return None


def sums(rows: Sequence[Row], amounts: Sequence[Found], total: Found | None) -> list[Found]:
    """The amount before tax and the tax, with roles `amount_untaxed` and `tax`; pairs that add up to the total win."""
    labelled = list(labelled_amounts(rows, amounts))
    net = [item for item in labelled if _NET.search(item.label)]
    tax = [item for item in labelled if words.TAX.search(item.label) and not _NET.search(item.label)]
    if total is None:
        return []
    target = number_of(total)
    for untaxed in net:
        for levy in tax:
            if untaxed.value + levy.value == target and untaxed.find != levy.find and levy.value >= 0:
                return [*_sum_roles(untaxed, levy, 0.9)]
    split = _split_in_row(labelled, target)
    if split:
        return [*_sum_roles(*split, 0.85)]
    plausible = [item for item in net if 0 < item.value <= target]
    best = max(plausible, key=lambda item: item.value, default=None)
    levies = [item for item in tax if 0 <= item.value < target]
    return [*_sum_roles(best, levies[-1] if levies else None, 0.6)]


def issuer(page: Page, rows: Sequence[Row], finds: Sequence[Found]) -> Found | None:
    """Who issued the invoice, with role `issuer`, or None: names scored by place, legal form, domain and repetition."""
    labels = _domains(finds)
    scores: dict[str, float] = defaultdict(float)
    places: dict[str, tuple[int, int]] = {}
    for start, end, score in _candidates(page, rows):
        name = _squash(page.text[start:end])
        if len(name) < 3:
            continue
        seen = name in scores
        scores[name] = max(scores[name], score) + (0.7 if seen else 0.0)
        places.setdefault(name, (start, end))
        if not seen and any(label in name or name in label for label in labels):
            scores[name] += 2.5
    best = max(scores, key=lambda name: scores[name], default=None)
    if best is None or scores[best] < 2.0:
        return None
    start, end = places[best]
    value = " ".join(page.text[start:end].split())
    return Found("organisation", start, end, value, min(0.9, 0.4 + 0.08 * scores[best]), "issuer")


def buyer(rows: Sequence[Row], names: Sequence[Found]) -> Found | None:
    """The first organisation, else person, that stands behind or under "Bill to" and its like, with role `buyer`."""
    cells = list(_buyer_cells(rows))
    inside = [
        find
        for find in names
        if not find.role and any(cell.start <= find.start and find.end <= cell.end for cell in cells)
    ]
    for kind in ("organisation", "person"):
        found = next((find for find in inside if find.type == kind), None)
        if found:
            return replace(found, role="buyer", confidence=min(found.confidence, 0.8))
    return None


def line_amounts(rows: Sequence[Row], amounts: Sequence[Found]) -> Iterator[Found]:
    """The last amount of every row above the sums that begins with words, with role `line_amount`."""
    by_start = {find.start: find for find in amounts}
    for row in rows:
        here = finds_in(row, by_start)
        if not here:
            continue
        label = row.joined[: here[0][0]]
        if any(pattern.search(label) for pattern in (words.SUBTOTAL, words.TOTAL_PLAIN, words.TOTAL_STRONG, _NET)):
            return
        if re.search(r"[^\W\d_]{3}", label) and len(row.cells) > 1 and not words.TAX.search(label):
            yield replace(here[-1][1], role="line_amount")


def _candidates(page: Page, rows: Sequence[Row]) -> Iterator[tuple[int, int, float]]:
    """(start, end, score) of spans that may name the issuer."""
    buyer = set(_buyer_cells(rows))
    for number, row in enumerate(rows):
        for cell in row.cells:
            if cell in buyer or len(cell.text) > 110:
                continue
            match = _NAME.match(cell.text.split(" - ")[0])
            if not match or words.TITLE_ROW.search(cell.text) or (address_score(cell.text) >= 2.5 and number > 6):
                continue
            shown = match.group().rstrip(" .-")
            if cell.text[match.end() :].startswith((",", " ,")) and (
                tail := words.LEGAL_FORM.match(cell.text[match.end() :].lstrip(" ,"))
            ):
                shown = cell.text[: cell.text.index(tail.group(), match.end()) + len(tail.group())]
            form = words.has_legal_form(shown) and len(shown.split()) <= 8
            shown += (
                "." if form and re.search(r"\.[A-Za-z]$", shown) and cell.text[len(shown) :].startswith(".") else ""
            )
            if not form and (number > 2 or len(shown) > 45 or re.search(r"\d{3}|@|www", shown)):
                continue
            score = (2.5 if form else 0.5) + max(0.0, 1.5 - 0.25 * number)
            under = list(below(rows, number, cell))[:2]
            score += 1.0 if any(address_score(other.text) >= 1.0 or "@" in other.text for other in under) else 0.0
            yield cell.start, cell.start + len(shown), score
    for pattern, score in ((_CAPITAL, 4.5),):
        for match in pattern.finditer(page.text):
            yield match.start("name"), match.end("name"), score
    for match in _SOLD_BY.finditer(page.text):
        name = re.compile(rf"[A-Z][\w&.’' \-]{{2,50}}?(?:,? (?:{words.LEGAL_FORM.pattern}))", re.IGNORECASE).match(
            page.text, match.end()
        )
        if name:
            yield name.start(), name.end(), 4.0


def _buyer_cells(rows: Sequence[Row]) -> Iterator[Cell]:
    """Cells that name the customer: behind or under "Bill to" and its like."""
    for number, row in enumerate(rows):
        for cell in row.cells:
            if words.BUYER.search(cell.text) and len(cell.text) < 50:
                yield cell
                yield from below(rows, number, cell)


def _domains(finds: Sequence[Found]) -> set[str]:
    """The speaking labels of the page's web and mail addresses: `coolblue` of `www.coolblue.nl`."""
    found = set()
    for find in finds:
        if find.type not in ("email", "url"):
            continue
        host = re.sub(r"^\w+://", "", find.value).rpartition("@")[2].split("/")[0]
        parts = [part for part in host.split(".") if part != "www"]
        if len(parts) >= 2:
            label = parts[-2] if parts[-2] not in ("co", "com") or len(parts) < 3 else parts[-3]
            if label not in _MAIL_HOSTS and len(label) > 2:
                found.add(label.replace("-", ""))
    return found


def _squash(name: str) -> str:
    bare = words.LEGAL_FORM.sub("", name) if words.has_legal_form(name) else name
    return re.sub(r"[\W_]+", "", bare.lower())


def _split_in_row(labelled: Sequence[Labelled], total: Decimal) -> tuple[Labelled, Labelled] | None:
    """Net, tax and gross side by side on one row: the first two add up to the third."""
    for at in range(len(labelled) - 2):
        first, second, third = labelled[at : at + 3]
        adds_up = third.value == total == first.value + second.value and min(first.value, second.value) >= 0
        if adds_up and first.row == second.row == third.row:
            return (first, second) if first.value >= second.value else (second, first)
    return None


def _sum_roles(untaxed: Labelled | None, tax: Labelled | None, confidence: float) -> Iterator[Found]:
    if untaxed:
        yield replace(untaxed.find, role="amount_untaxed", confidence=confidence)
    if tax:
        yield replace(tax.find, role="tax", confidence=confidence)
