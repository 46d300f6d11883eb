"""Amounts with their labels, and the one to pay: what the labels say, checked against cash less change and rounding."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from knowledge_sources.mentions import words
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.layout import Row, below

_SENTENCE = re.compile(r"[.;]\s+(?=[^\W\d_a-z])")
_RUNNING = 60
"""A longer row without gaps is running text, where a label does not reach over the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """An amount with the words that stand before it on its row."""

    label: str
    find: Found
    value: Decimal
    row: int


def total_role(rows: Sequence[Row], amounts: Sequence[Found]) -> Found | None:
    """The amount to pay, with role `total`, or None."""
    labelled = _last_of_each(labelled_amounts(rows, amounts))
    scores: dict[Decimal, float] = defaultdict(float)
    shown: dict[Decimal, Found] = {}
    for item in labelled:
        weight = _total_weight(item.label)
        if weight <= 0 or item.value <= 0:
            continue
        scores[item.value] = max(scores[item.value], weight) + (0.5 if item.value in shown else 0.0)
        if item.value not in shown or weight >= 3:
            shown[item.value] = item.find
    for value, find, bonus in _settled_up(labelled, amounts):
        scores[value] += bonus
        shown.setdefault(value, find)
    if not scores:
        return None
    best = max(scores, key=lambda value: (scores[value], value))
    return replace(shown[best], role="total", confidence=min(0.95, 0.5 + 0.06 * scores[best]))


def labelled_amounts(rows: Sequence[Row], amounts: Sequence[Found]) -> Iterator[Labelled]:
    """Amounts with their labels; none below the head of a tax summary, whose totals are of something else."""
    by_start = {find.start: find for find in amounts}
    pending = ""
    for number, row in enumerate(rows):
        joined = row.joined
        if words.SUMMARY_HEAD.search(joined) and number > 3 and not finds_in(row, by_start):
            pending = "summary"
            continue
        here = finds_in(row, by_start)
        if not here:
            if re.search(r"[^\W\d_]{3}", joined) and pending != "summary":
                pending = joined if words.TOTAL_PLAIN.search(joined) or words.TOTAL_STRONG.search(joined) else ""
            continue
        at, label = 0, ""
        for start, find in here:
            between = joined[at:start]
            if re.search(r"[^\W\d_]{2}", between):
                label = _SENTENCE.split(between)[-1] if "  " not in joined and len(joined) > _RUNNING else between
            at = start + (find.end - find.start)
            shown = label or pending or joined[:start]
            yield Labelled("summary " + shown if pending == "summary" else shown, find, number_of(find), number)
        pending = pending if pending == "summary" else ""


def _last_of_each(labelled: Iterable[Labelled]) -> list[Labelled]:
    """Of several amounts behind one label the largest: "Total 24.99 5.00 29.99" is net, tax and gross."""
    kept: list[Labelled] = []
    for item in labelled:
        if kept and kept[-1].row == item.row and kept[-1].label == item.label:
            kept[-1] = max(kept[-1], item, key=lambda one: one.value)
        else:
            kept.append(item)
    return kept


def number_of(find: Found) -> Decimal:
    """The number of an amount's value."""
    return Decimal(find.value.split(" ")[0])


def full_dates(dates: Sequence[Found]) -> dict[int, Found]:
    """The dates that have a day, by where they start."""
    return {find.start: find for find in dates if len(find.value) == 10}


def label_before(rows: Sequence[Row], number: int, at: int) -> str:
    """The words left of position `at` on row `number`; where there are none, those of the cell right above."""
    before = rows[number].joined[:at]
    if re.search(r"[^\W\d_]{3}", before) or number == 0:
        return before[-80:]
    here = rows[number].place(at)
    cell = next((cell for cell in rows[number].cells if cell.start <= here <= cell.end), None)
    if cell is None:
        return ""
    above = [other for other in rows[number - 1].cells if cell in list(below(rows, number - 1, other))]
    return above[0].text if above else ""


def _total_weight(label: str) -> float:
    if label.startswith("summary "):
        return 0.0
    if words.SUBTOTAL.search(label):
        return 1.0
    if words.NOT_TOTAL.search(label) and not re.search(r"round(?:ed|\w* total)|after", label, re.IGNORECASE):
        return 0.0
    if words.TOTAL_STRONG.search(label):
        return 4.5
    if words.TOTAL_GROSS.search(label):
        return 3.5
    return 3.0 if words.TOTAL_PLAIN.search(label) else 0.0


def _settled_up(labelled: Sequence[Labelled], amounts: Sequence[Found]) -> Iterator[tuple[Decimal, Found, float]]:
    """Amounts that arithmetic says were paid: cash less change, and the total after rounding."""
    shown = {number_of(find): find for find in reversed(amounts)}
    change = [item for item in labelled if words.CHANGE.search(item.label) and not item.label.startswith("summary ")]
    cash = [item for item in labelled if words.TENDERED.search(item.label) and not words.CHANGE.search(item.label)]
    for back in change[-1:]:
        for paid in cash[-2:]:
            value = abs(paid.value) - abs(back.value)
            if value in shown and value > 0:
                yield value, shown[value], 3.0
                break
    for rounding in labelled:
        if words.ROUNDING.search(rounding.label) and 0 < abs(rounding.value) < Decimal("0.05"):
            for item in labelled:
                value = item.value + rounding.value
                weight = _total_weight(item.label)
                if weight > 0 and item.row < rounding.row and value in shown and value > 0:
                    yield value, shown[value], weight + 0.5
                    return


def finds_in(row: Row, by_start: dict[int, Found]) -> list[tuple[int, Found]]:
    """(position in the row's joined text, find) of the finds that start on the row, left to right."""
    here: list[tuple[int, Found]] = []
    at = 0
    for cell in row.cells:
        here += [(at + start - cell.start, find) for start, find in _within(by_start, cell.start, cell.end)]
        at += len(cell.text) + 2
    return here


def _within(by_start: dict[int, Found], start: int, end: int) -> list[tuple[int, Found]]:
    return [(at, by_start[at]) for at in range(start, end) if at in by_start]
