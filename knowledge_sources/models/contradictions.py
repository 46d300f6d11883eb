"""The source `contradictions`: where a document says two things that cannot both be true, found by a model."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from blackboard import (
    All,
    Document,
    Each,
    LanguageModel,
    ModelFailed,
    Page,
    Progress,
    Quoted,
    Verdict,
    Where,
    knowledge_source,
)
from knowledge_sources.models.answers import Disagreement, Disagreements, some
from knowledge_sources.models.asking import LONG_S, tell, windows
from knowledge_sources.models.bids import contradictions_bid
from knowledge_sources.models.borne import reason_of
from knowledge_sources.models.evidence import Quotes, overlap
from knowledge_sources.models.folding import folded
from knowledge_sources.models.points import gather, shown
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped

MOST: Final = 20
TRUST: Final = 0.75


class ContradictionsSettings(Prompted):
    """Its prompts: the second for documents that are too long for one question."""

    tasks = ("contradictions", "points")


@knowledge_source(version="1", cost="model", timeout=LONG_S, default=False, bid=contradictions_bid)
async def contradictions(
    document: Each[Document],
    pages: All[Page],
    model: LanguageModel,
    settings: ContradictionsSettings,
    progress: Progress,
    log: logging.Logger,
) -> list[Verdict]:
    """Hold the document's pages against each other.

    Of a long document every range of pages by itself, then the points of all ranges.
    """
    quotes, dropped, failed = Quotes(pages), Dropped(), list[ModelFailed]()
    ranges = windows(model, pages)
    task = settings.task("contradictions")
    found: list[Disagreement] = []
    for window in ranges:
        try:
            answer = await model.ask(
                Disagreements, task, "Find what contradicts itself.", document=window, max_tokens=4096
            )
        except ModelFailed as error:
            failed.append(error)
            continue
        found += some(answer.items, MOST, dropped)
    if ranges and len(failed) == len(ranges):
        raise failed[0]
    if len(ranges) > 1:
        try:
            points = await gather(model, settings.task("points"), ranges, quotes, progress, dropped, failed)
            given = Quoted("Points of the document", shown(points, dropped))
            said = await model.ask(Disagreements, task, "Find which points contradict each other.", given)
            found += some(said.items, MOST, dropped)
        except ModelFailed as error:
            failed.append(error)
    made = await asyncio.to_thread(verdicts, found, quotes, dropped)
    tell(log, dropped, *failed)
    return made


def verdicts(found: Sequence[Disagreement], quotes: Quotes, dropped: Dropped) -> list[Verdict]:
    """Those of which both places are there and differ, each once, named by the page of the later place."""
    numbers: Counter[int] = Counter()
    seen: list[tuple[Where, Where]] = []
    made: list[Verdict] = []
    for item in found:
        pair = _places(item, quotes, dropped)
        if pair is None:
            continue
        first, second = pair
        if any(overlap(first, (a,)) and overlap(second, (b,)) for a, b in seen):
            dropped("said twice")
            continue
        if len(made) >= MOST:
            dropped("over the limit")
            continue
        seen.append(pair)
        numbers[second.page] += 1
        made.append(
            Verdict(
                about=f"contradiction-{second.page}-{numbers[second.page]}",
                subject=" ".join(second.text.split()),
                label="refuted",
                check="contradiction",
                reason=reason_of(item.reason, pair, quotes)
                or f"Page {first.page} and page {second.page} cannot both be right.",
                where=second,
                evidence=pair,
                confidence=TRUST,
            )
        )
    return made


def _places(item: Disagreement, quotes: Quotes, dropped: Dropped) -> tuple[Where, Where] | None:
    """Both places, in the order of the document."""
    first, second = quotes.find(item.first.page, item.first.text), quotes.find(item.second.page, item.second.text)
    if first is None or second is None:
        dropped("without words that are on the page they are said to be on")
        return None
    if overlap(first, (second,)) or folded(first.text) == folded(second.text):
        dropped("that say the same twice")
        return None
    return (first, second) if (first.page, first.start) < (second.page, second.start) else (second, first)
