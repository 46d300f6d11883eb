"""The sources `facts_model` and `summary_facts_model`: a model judges claims, and a summary's sentences, by the document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal

from blackboard import (
    All,
    Claim,
    Each,
    Group,
    LanguageModel,
    ModelFailed,
    Page,
    Passages,
    Progress,
    Summary,
    Verdict,
    knowledge_source,
)
from knowledge_sources.checks.evidence import Evidence
from knowledge_sources.models.asking import LONG_S, TIMEOUT_S, holding, tell
from knowledge_sources.models.bids import facts_bid, summary_facts_bid
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.judging import BATCH, Case, Court, unanswered, verdicts
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped


class FactsSettings(Prompted):
    """Its prompt."""

    tasks = ("facts",)


@knowledge_source(version="1", cost="model", timeout=LONG_S, default=False, bid=facts_bid, concurrency=16)
async def facts_model(
    claims: Group[Claim, Literal["page"]],
    passages: All[Passages],
    pages: All[Page],
    model: LanguageModel,
    settings: FactsSettings,
    progress: Progress,
    log: logging.Logger,
) -> list[Verdict]:
    """Check a page's claims against the rest of the document."""
    cases = [Case(f"claim-{claim.page}-{claim.slug}", claim.text, (claim.where,)) for claim in claims]
    cases = list({case.about: case for case in cases}.values())
    if not cases:
        return []
    # A long document has many sentences to index: in a thread, because others are served by this loop meanwhile.
    court = await asyncio.to_thread(
        _court, model, settings, passages, pages, int(claims.value) if claims.value else claims[0].page
    )
    dropped, failed, found = Dropped(), list[ModelFailed](), list[Verdict]()
    batches = [cases[at : at + BATCH] for at in range(0, len(cases), BATCH)]
    for number, batch in enumerate(batches):
        progress(number * BATCH, len(cases))
        try:
            judged = await court.judge(batch)
            found += await asyncio.to_thread(verdicts, batch, judged, court.quotes, dropped)
        except ModelFailed as error:
            failed.append(error)
            found += unanswered(batch, str(error))
    if len(failed) == len(batches):
        raise failed[0]
    tell(log, dropped, *failed)
    return found


@knowledge_source(version="1", cost="model", timeout=TIMEOUT_S, default=False, bid=summary_facts_bid, concurrency=16)
async def summary_facts_model(
    sentence: Each[Summary],
    passages: All[Passages],
    pages: All[Page],
    model: LanguageModel,
    settings: FactsSettings,
    log: logging.Logger,
) -> Verdict:
    """Check a sentence of the summary against the document."""
    # What a sentence rests on is no other's word, but the document's: it counts for it and against it.
    case = Case(f"summary-{sentence.rank}", sentence.text, (), sentence.evidence)
    page = sentence.evidence[0].page if sentence.evidence else pages[0].number if pages else 1
    court = await asyncio.to_thread(_court, model, settings, passages, pages, page)
    dropped = Dropped()
    judged = await court.judge([case])
    found = await asyncio.to_thread(verdicts, [case], judged, court.quotes, dropped)
    tell(log, dropped)
    return found[0]


def _court(
    model: LanguageModel, settings: FactsSettings, passages: Sequence[Passages], pages: Sequence[Page], page: int
) -> Court:
    """Whoever judges claims of this page: with the range that holds it before them."""
    window = next(iter(holding(model, pages, page)), ())
    evidence = Evidence([place for one in passages for place in one.sentences])
    return Court(model, settings.task("facts"), window, evidence, Quotes(pages))
