"""How a check states what it found: verdicts with unique names and verbatim evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from blackboard.levels import Page, Verdict, Where
from knowledge_sources.passages import where

Label = Literal["supported", "refuted", "not_enough_information"]

MAX_SUPPORTED = 40
"""Verdicts of one document that only confirm; beyond this they tell a reader nothing more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found, before it is named."""

    what: str
    """The first part of the verdict's name: total, line, tax, date, party, words, ..."""
    label: Label
    check: str
    reason: str
    where: Where
    evidence: tuple[Where, ...]
    confidence: float = 0.9
    subject: str = ""


def quote(page: Page, start: int, end: int) -> Where:
    """A verbatim place, for a check to point at."""
    return where(page, start, end)


def named(found: Iterable[Found]) -> list[Verdict]:
    """Verdicts in the order found, each named `<what>-<page>-<n>`; confirmations beyond the limit are left out."""
    numbers: Counter[tuple[str, int]] = Counter()
    kept, confirmed = [], 0
    for one in found:
        confirmed += one.label == "supported"
        if one.label == "supported" and confirmed > MAX_SUPPORTED:
            continue
        numbers[one.what, one.where.page] += 1
        name = f"{one.what}-{one.where.page}-{numbers[one.what, one.where.page]}"
        kept.append(
            Verdict(
                about=name,
                subject=one.subject or " ".join(one.where.text.split()),
                label=one.label,
                check=one.check,
                reason=one.reason,
                where=one.where,
                evidence=_unique(one.evidence),
                confidence=one.confidence,
            )
        )
    return kept


def _unique(places: Sequence[Where]) -> tuple[Where, ...]:
    return tuple({(p.page, p.start, p.end): p for p in places}.values())
