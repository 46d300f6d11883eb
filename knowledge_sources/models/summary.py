"""The source `summary_model`: a summary in a model's words, each sentence with the places it rests on.

It streams: watchers see it being written, and a sentence stands on the board as soon as it is whole. Of a document that is
too long for one question the points of each range of pages are gathered first, and the summary is written from those.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from blackboard import All, LanguageModel, Page, Progress, Quoted, Summary, knowledge_source
from blackboard.errors import ModelFailed
from knowledge_sources.models.asking import LONG_S, tell, windows
from knowledge_sources.models.bids import summary_bid
from knowledge_sources.models.borne import borne_out
from knowledge_sources.models.drafts import drafted
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.points import gather, shown
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped

MOST = 12
TRUST = 0.85
"""A sentence with evidence, of a well-read page."""


class SummarySettings(Prompted):
    """Its prompts: of a document that fits a question, of a range of pages, of all ranges together."""

    tasks = ("summary", "points", "whole")


@knowledge_source(version="1", cost="model", timeout=LONG_S, default=False, bid=summary_bid)
async def summary_model(
    pages: All[Page], model: LanguageModel, settings: SummarySettings, progress: Progress, log: logging.Logger
) -> AsyncIterator[Summary]:
    """Summarise the document, sentence by sentence."""
    dropped, failed = Dropped(), list[ModelFailed]()
    quotes = Quotes(pages)
    rank = 0
    async for draft in drafted(
        _asked(pages, model, settings, quotes, progress, dropped, failed), most=MOST, failed=failed
    ):
        borne = await asyncio.to_thread(borne_out, draft.text, draft.quotes, quotes, dropped)
        if borne is not None:
            rank += 1
            yield Summary(rank=rank, text=borne.text, evidence=borne.places, confidence=borne.trust(quotes, TRUST))
    tell(log, dropped, *failed)


async def _asked(
    pages: Sequence[Page],
    model: LanguageModel,
    settings: SummarySettings,
    quotes: Quotes,
    progress: Progress,
    dropped: Dropped,
    failed: list[ModelFailed],
) -> AsyncIterator[str]:
    """The pieces of the answer."""
    ranges = windows(model, pages)
    if len(ranges) == 1:
        stream = model.stream(settings.task("summary"), "Summarise the document.", document=ranges[0], max_tokens=2048)
    elif ranges:
        points = await gather(model, settings.task("points"), ranges, quotes, progress, dropped, failed)
        if not points:
            return
        given = Quoted("Points of the document", shown(points, dropped))
        stream = model.stream(settings.task("whole"), "Summarise the document.", given, max_tokens=2048)
    else:
        return
    async for piece in stream:
        yield piece
