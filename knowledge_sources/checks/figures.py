"""Everything about a document that can be worked out again: its account, its dates, its names, its amounts in words."""

from __future__ import annotations

from collections.abc import Sequence

from blackboard.levels import Mentions, Page, Verdict
from knowledge_sources.checks.agreement import check_agreement
from knowledge_sources.checks.arithmetic import check_arithmetic
from knowledge_sources.checks.chronology import check_chronology
from knowledge_sources.checks.ledger import read_ledger
from knowledge_sources.checks.parties import check_parties
from knowledge_sources.checks.spelled import check_spelled
from knowledge_sources.checks.verdicts import Found, named

LONGEST = 40
"""Pages up to which a document is taken for one business; in a longer one the same words come to mean several things."""


def check_figures(pages: Sequence[Page], mentions: Sequence[Mentions]) -> list[Verdict]:
    """Verdicts on the document's figures, refuted or supported; what cannot be worked out gets none.

    Several invoices in one file are checked one by one: their totals and dates have nothing to do with each other.
    """
    found = [one for group in _businesses(pages, mentions) for one in _check(group, mentions)]
    return named(sorted(found, key=lambda one: one.label != "refuted"))


def _businesses(pages: Sequence[Page], mentions: Sequence[Mentions]) -> list[list[Page]]:
    """The pages, parted where another invoice begins; a long document without invoices page by page."""
    numbers = {found.page: {_bare(m.value) for m in found.items if m.role == "invoice_number"} for found in mentions}
    groups: list[list[Page]] = []
    known: set[str] = set()
    for page in pages:
        here = numbers.get(page.number, set())
        if not groups or (known and here and not any(a in b or b in a for a in here for b in known)):
            groups.append([])
            known = set()
        groups[-1].append(page)
        known |= here
    return [part for group in groups for part in ([group] if len(group) <= LONGEST else [[page] for page in group])]


def _bare(number: str) -> str:
    return "".join(c for c in number.partition(":")[2].casefold() if c.isalnum())


def _check(pages: Sequence[Page], mentions: Sequence[Mentions]) -> list[Found]:
    ledger = read_ledger(pages, mentions)
    return [
        *check_arithmetic(ledger),
        *check_spelled(pages, ledger),
        *check_agreement(pages, mentions, ledger),
        *check_chronology(pages, mentions),
        *check_parties(pages),
    ]
