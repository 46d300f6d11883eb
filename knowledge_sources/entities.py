"""The sources `mentions`, what each page names, and `entities`, the same things joined over all pages."""

from __future__ import annotations

from blackboard import All, Each, Entities, Mentions, Page, knowledge_source
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.merge import merge


@knowledge_source(version="1", cost="free", timeout=30, carries={"page": "number"})
def mentions(page: Each[Page]) -> Mentions:
    """Organisations, people, places, dates, amounts, contacts and identifiers of one page, with their roles."""
    return find_mentions(page)


@knowledge_source(version="1", cost="free", timeout=60)
def entities(found: All[Mentions]) -> list[Entities]:
    """One entity for every thing the document speaks of, with all the places where it does."""
    return merge(found)
