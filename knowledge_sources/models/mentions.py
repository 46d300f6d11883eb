"""The source `mentions_model`: what a page names, found by a model, placed and normalised by us.

A model cannot count characters, so it is not asked for places: its words are looked for in the page's text. What is not
there is no mention.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from blackboard import All, Contribution, Each, LanguageModel, Mention, Mentions, ModelFailed, Page, knowledge_source
from knowledge_sources.mentions.found import Found, settle
from knowledge_sources.mentions.layout import Boxes
from knowledge_sources.models.answers import Named, NamedThings, some
from knowledge_sources.models.asking import TIMEOUT_S, holding, only, tell
from knowledge_sources.models.bids import mentions_bid
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.normalising import Normaliser
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped

MOST: Final = 400
"""Things that one page names."""
MOST_PLACES: Final = 40
"""Of one of them."""
NOTHING: Final = 0.7
"""How far it is trusted that a page names nothing at all."""


class MentionsSettings(Prompted):
    """Its prompt."""

    tasks = ("mentions",)


@knowledge_source(
    version="1",
    cost="model",
    timeout=TIMEOUT_S,
    default=False,
    bid=mentions_bid,
    carries={"page": "number"},
    concurrency=16,
)
async def mentions_model(
    page: Each[Page], pages: All[Page], model: LanguageModel, settings: MentionsSettings, log: logging.Logger
) -> Contribution[Mentions]:
    """Organisations, people, places, dates, amounts, contacts and identifiers of one page, with their roles."""
    named, failed = await _asked(page, pages, model, settings)
    dropped = Dropped()
    # Finders of a page take their time; others are served by this loop meanwhile.
    items = await asyncio.to_thread(place, page, named, dropped)
    tell(log, dropped, *failed)
    sure = sum(item.confidence for item in items) / len(items) if items else NOTHING
    return Contribution(
        Mentions(page=page.number, items=items),
        confidence=round(sure * (page.confidence if page.text.strip() else 1), 4),
    )


async def _asked(
    page: Page, pages: Sequence[Page], model: LanguageModel, settings: MentionsSettings
) -> tuple[list[Named], list[ModelFailed]]:
    """What the model named in every range that holds a part of the page. Raises ModelFailed when none was answered."""
    ranges = holding(model, pages, page.number)
    named: list[Named] = []
    failed: list[ModelFailed] = []
    for window in ranges:
        asked = only(page.number, window, len(ranges))
        try:
            answer = await model.ask(NamedThings, settings.task("mentions"), asked, document=window, max_tokens=8192)
        except ModelFailed as error:
            failed.append(error)
            continue
        named += answer.items
    if failed and len(failed) == len(ranges):
        raise failed[0]
    return named, failed


def place(page: Page, named: Sequence[Named], dropped: Dropped) -> tuple[Mention, ...]:
    """The mentions of a page, in reading order, each at a place whose text it is. Of overlapping ones the stronger stays."""
    quotes, normaliser = Quotes([page]), Normaliser(page)
    found = [find for item in some(named, MOST, dropped) for find in _found(page, item, quotes, normaliser, dropped)]
    boxes = Boxes(page)
    return tuple(
        Mention(
            type=find.type,
            text=page.text[find.start : find.end],
            start=find.start,
            end=find.end,
            value=find.value,
            role=find.role,
            box=boxes.of(find.start, find.end),
            confidence=round(find.confidence * page.confidence, 3),
        )
        for find in settle(_once(found))
    )


def _found(page: Page, item: Named, quotes: Quotes, normaliser: Normaliser, dropped: Dropped) -> Iterator[Found]:
    spans = quotes.spans(page.number, item.text, most=MOST_PLACES)
    if not spans:
        dropped("not found on the page")
        return
    meant = _meant(page, item, spans, quotes)
    for number, (start, end) in enumerate(spans):
        find = normaliser.normalised(item.type, start, end, item.role if number == meant else "")
        if find is None:
            dropped(f"no {item.type} that can be normalised")
            return
        yield find


def _meant(page: Page, item: Named, spans: Sequence[tuple[int, int]], quotes: Quotes) -> int:
    """Which of the places the role belongs to: the one in the context, else the first."""
    around = quotes.spans(page.number, item.context, most=1, whole=False)
    there = (i for i, (start, end) in enumerate(spans) if around and start < around[0][1] and around[0][0] < end)
    return next(there, 0)


def _once(found: Iterable[Found]) -> Iterator[Found]:
    """Each place and type once, with its role if one was given."""
    kept: dict[tuple[str, int, int], Found] = {}
    for find in found:
        key = find.type, find.start, find.end
        if key not in kept or (find.role and not kept[key].role):
            kept[key] = find
    yield from kept.values()
