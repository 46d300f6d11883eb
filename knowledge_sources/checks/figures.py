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
from knowledge_sources.checks.verdicts import named


def check_figures(pages: Sequence[Page], mentions: Sequence[Mentions]) -> list[Verdict]:
    """Verdicts on the document's figures, refuted or supported; what cannot be worked out gets none."""
    ledger = read_ledger(pages, mentions)
    found = [
        *check_arithmetic(ledger),
        *check_spelled(pages, ledger),
        *check_agreement(pages, mentions, ledger),
        *check_chronology(pages, mentions),
        *check_parties(pages),
    ]
    return named(sorted(found, key=lambda one: one.label != "refuted"))
