"""The sources that check: claims and summaries against the document's passages, its figures against themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from blackboard import All, Claim, Each, Group, Mentions, Page, Passages, Summary, Verdict, Where, knowledge_source
from knowledge_sources.checks.evidence import Evidence
from knowledge_sources.checks.figures import check_figures


def check_claims(claims: Sequence[Claim], evidence: Evidence) -> list[Verdict]:
    """One verdict for each claim, by passages other than the one it stands in."""
    verdicts = []
    for claim in claims:
        outcome = evidence.check(claim.text, (claim.where,))
        verdicts.append(
            Verdict(
                about=f"claim-{claim.page}-{claim.slug}",
                subject=claim.text,
                label=outcome.label,
                check=outcome.check,
                reason=outcome.reason,
                where=claim.where,
                evidence=outcome.evidence,
                confidence=outcome.confidence,
            )
        )
    return verdicts


def check_summary(sentence: Summary, evidence: Evidence) -> Verdict:
    """A summary's sentence must stand in the document, in its own words or in like ones, and nothing may contradict it."""
    own = sentence.evidence
    outcome = evidence.check(sentence.text, own)
    label, check, reason, places = outcome.label, outcome.check, outcome.reason, outcome.evidence
    confidence = outcome.confidence
    if label != "refuted":
        stands = evidence.stands(sentence.text)
        if stands:
            label, check, places, confidence = "supported", "verbatim", (stands, *places), 0.99
            reason = f"It stands on page {stands.page} word for word."
        elif own and label != "supported":
            outcome = evidence.check(sentence.text)
            label, check, reason, places = outcome.label, outcome.check, outcome.reason, outcome.evidence
            confidence = outcome.confidence
    return Verdict(
        about=f"summary-{sentence.rank}",
        subject=sentence.text,
        label=label,
        check=check,
        reason=reason,
        where=own[0] if own else None,
        evidence=_unique(places),
        confidence=confidence,
    )


def _unique(places: Sequence[Where]) -> tuple[Where, ...]:
    return tuple({(p.page, p.start, p.end): p for p in places}.values())


def _evidence(passages: Sequence[Passages]) -> Evidence:
    return Evidence([place for one in passages for place in one.sentences])


@knowledge_source(version="1", cost="free", timeout=120)
def facts(claims: Group[Claim, Literal["page"]], passages: All[Passages]) -> list[Verdict]:
    """Check a page's claims against the rest of the document."""
    return check_claims(list(claims), _evidence(passages))


@knowledge_source(version="1", cost="free", timeout=60)
def summary_facts(sentence: Each[Summary], passages: All[Passages]) -> Verdict:
    """Check a sentence of the summary against the document."""
    return check_summary(sentence, _evidence(passages))


@knowledge_source(version="1", cost="free", timeout=60)
def figures(pages: All[Page], mentions: All[Mentions]) -> list[Verdict]:
    """Work the document's sums out again, and hold its dates, names and amounts against each other."""
    return check_figures(list(pages), list(mentions))
