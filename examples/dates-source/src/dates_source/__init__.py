"""Dates on pages."""

import re
from collections.abc import AsyncIterator

from blackboard import Each, Level, Page, knowledge_source

DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


class DateMention(Level):
    """An ISO date on a page."""

    iso: str
    page: int


@knowledge_source(version="1", cost="free", timeout=10, carries={"page": "number"})
async def dates(page: Each[Page]) -> AsyncIterator[DateMention]:
    """Every date of a page, in reading order."""
    for hit in DATE.findall(page.text):
        yield DateMention(iso=hit, page=page.number)
