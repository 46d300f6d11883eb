"""The source `claims_model`: what a page asserts, each claim in one sentence with the words it rests on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from blackboard import All, Claim, Each, LanguageModel, ModelFailed, Page, knowledge_source
from knowledge_sources.claims import MAX_PER_PAGE, kind_of, slug_of
from knowledge_sources.models.asking import TIMEOUT_S, holding, only, tell
from knowledge_sources.models.bids import claims_bid
from knowledge_sources.models.borne import borne_out
from knowledge_sources.models.drafts import Draft, drafted
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped

TRUST = 0.85


class ClaimsSettings(Prompted):
    """Its prompt."""

    tasks = ("claims",)


@knowledge_source(
    version="1", cost="model", timeout=TIMEOUT_S, default=False, bid=claims_bid,
    carries={"page": "number"}, concurrency=16,
)  # fmt: skip
async def claims_model(
    page: Each[Page], pages: All[Page], model: LanguageModel, settings: ClaimsSettings, log: logging.Logger
) -> AsyncIterator[Claim]:
    """Find what a page asserts."""
    dropped, failed = Dropped(), list[ModelFailed]()
    quotes = Quotes([page])
    slugs: set[str] = set()
    async for draft in _drafts(page, pages, model, settings, failed):
        borne = await asyncio.to_thread(borne_out, draft.text, draft.quotes, quotes, dropped)
        if borne is None:
            continue
        slug = slug_of(borne.text)
        if slug in slugs or len(slugs) >= MAX_PER_PAGE:
            dropped("said twice" if slug in slugs else "over the limit")
            continue
        slugs.add(slug)
        yield Claim(
            page=page.number,
            slug=slug,
            text=borne.text,
            where=borne.places[0],
            kind=kind_of(borne.text),
            confidence=borne.trust(quotes, TRUST),
        )
    tell(log, dropped, *failed)


async def _drafts(
    page: Page, pages: tuple[Page, ...], model: LanguageModel, settings: ClaimsSettings, failed: list[ModelFailed]
) -> AsyncIterator[Draft]:
    """Of every range that holds a part of the page. Raises ModelFailed when nothing came of any."""
    ranges = holding(model, pages, page.number)
    failures: list[ModelFailed] = []
    for window in ranges:
        asked = only(page.number, window, len(ranges))
        stream = model.stream(settings.task("claims"), asked, document=window, max_tokens=4096)
        try:
            async for draft in drafted(stream, most=MAX_PER_PAGE, failed=failed):
                yield draft
        except ModelFailed as error:
            failures.append(error)
    if failures and len(failures) == len(ranges):
        raise failures[0]
    failed += failures
