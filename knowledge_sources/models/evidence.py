"""Evidence that a model gives is looked for in the page it names. What is not there, word for word, is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from blackboard.levels import Page, Where
from knowledge_sources.models.folding import Folded, fold, folded
from knowledge_sources.passages import where

SHORTEST: Final = 2
"""Letters and digits of a quotation: one alone is found anywhere."""
LONGEST: Final = 1500
"""Characters of a quotation; a longer one is a page, not a piece of evidence."""


class Quotes:
    """The pages of a document, ready to be asked where a quotation stands."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._pages = {page.number: page for page in pages}
        self._folded: dict[int, Folded] = {}

    def page(self, number: int) -> Page | None:
        """The page of that number."""
        return self._pages.get(number)

    def find(self, number: int, quote: str) -> Where | None:
        """The first place on that page that says exactly this, rather as whole words than within others."""
        spans = self.spans(number, quote, most=1) or self.spans(number, quote, most=1, whole=False)
        return where(self._pages[number], *spans[0]) if spans else None

    def all(self, quotes: Iterable[tuple[int, str]], *, most: int) -> tuple[Where, ...]:
        """The places of those quotations that are found, each once."""
        found: dict[tuple[int, int, int], Where] = {}
        for number, quote in quotes:
            if len(found) >= most:
                break
            if (place := self.find(number, quote)) is not None:
                found[place.page, place.start, place.end] = place
        return tuple(found.values())

    def spans(self, number: int, quote: str, *, most: int, whole: bool = True) -> list[tuple[int, int]]:
        """Every place of a quotation in the page's text, `most` at most. `whole`: neither end is within a word."""
        page = self._pages.get(number)
        if page is None or len(quote) > LONGEST:
            return []
        wanted = folded(quote)
        if sum(sign.isalnum() for sign in wanted) < SHORTEST:
            return []
        text = self._text(page)
        spans: list[tuple[int, int]] = []
        after = 0
        for start, end in text.occurrences(wanted):
            if len(spans) >= most:
                break
            if start >= after and not (whole and (_within(text.text, start) or _within(text.text, end))):
                spans.append(text.span(start, end))
                after = end
        return spans

    def _text(self, page: Page) -> Folded:
        known = self._folded.get(page.number)
        if known is None:
            known = self._folded[page.number] = fold(page.text)
        return known


def overlap(place: Where, others: Sequence[Where]) -> bool:
    """Whether a place has a character in common with one of the others."""
    return any(place.page == other.page and place.start < other.end and other.start < place.end for other in others)


def _within(text: str, at: int) -> bool:
    """Whether a word goes on over this place. Scripts that set no spaces have no such places."""
    return 0 < at < len(text) and _of_word(text[at - 1]) and _of_word(text[at])


def _of_word(sign: str) -> bool:
    return sign.isalnum() and not ("\u0e00" <= sign <= "\u0eff" or "\u2e80" <= sign <= "\ud7ff" or sign >= "\U00020000")
