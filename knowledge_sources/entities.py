"""The sources `mentions`, what each page names, and `entities`, the same things joined over all pages."""

from __future__ import annotations

from typing import Final

from blackboard import All, Contribution, Each, Entities, Mentions, Page, knowledge_source
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.merge import merge

BARE: Final = 0.4
"""How far it is trusted that a page of some length names nothing: most of those that do not are in a language that is not
known here."""
SHORT_PAGE: Final = 200
"""Characters up to which a page may well name nothing."""


@knowledge_source(version="2", cost="free", timeout=30, carries={"page": "number"})
def mentions(page: Each[Page]) -> Contribution[Mentions]:
    """Organisations, people, places, dates, amounts, contacts and identifiers of one page, with their roles.

    Its confidence is the mean of theirs, less where the page was hard to read.
    """
    found = find_mentions(page)
    return Contribution(found, confidence=trust(page, found))


def trust(page: Page, found: Mentions) -> float:
    """How far the mentions of a page can be trusted, as a whole."""
    if not page.text.strip():
        return 1.0
    if found.items:
        sure = sum(item.confidence for item in found.items) / len(found.items)
    else:
        sure = 1.0 if len(page.text) <= SHORT_PAGE else BARE
    return round(sure * page.confidence, 4)


@knowledge_source(version="1", cost="free", timeout=60)
def entities(found: All[Mentions]) -> list[Entities]:
    """One entity for every thing the document speaks of, with all the places where it does."""
    return merge(found)
