"""A sentence of a model's is taken only with evidence: words of the page it names, which holds its numbers and addresses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from blackboard.levels import Where
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.words import LONGEST_REASON, Dropped, foreign, invented, plain, sentence

MOST_PLACES: Final = 3


@dataclass(frozen=True, slots=True)
class Borne:
    """A sentence, and the places it rests on: one at least."""

    text: str
    places: tuple[Where, ...]

    def trust(self, quotes: Quotes, most: float) -> float:
        """How far it can be trusted: no more than the pages it rests on."""
        return round(most * min(_confidence(quotes, place) for place in self.places), 3)


def borne_out(text: str, evidence: Sequence[tuple[int, str]], quotes: Quotes, dropped: Dropped) -> Borne | None:
    """The sentence with its places, or None, counted, where the document does not bear it out."""
    said = sentence(text)
    if not said:
        dropped("empty or too long")
        return None
    places = quotes.all(evidence, most=MOST_PLACES)
    if not places:
        dropped("without words that are on the page they are said to be on")
        return None
    texts = page_texts(quotes, places)
    if invented(said, texts):
        dropped("with a number or an address that is not on the pages it rests on")
        return None
    if foreign(said, texts):
        dropped("in words that are not on the pages it rests on")
        return None
    return Borne(said, places)


def page_texts(quotes: Quotes, places: Iterable[Where]) -> list[str]:
    """The texts of the pages that the places are on."""
    pages = [quotes.page(number) for number in dict.fromkeys(place.page for place in places)]
    return [page.text for page in pages if page is not None]


def reason_of(text: str, places: Sequence[Where], quotes: Quotes, *more: str) -> str:
    """What a model gives as its reason; "" where that names a number or an address which neither those pages nor the
    texts that it was shown hold, or speaks of something else. The numbers of the pages may be named."""
    reason = plain(text, LONGEST_REASON)
    texts = (*page_texts(quotes, places), " ".join(str(place.page) for place in places), *more)
    return "" if invented(reason, texts) or foreign(reason, texts) else reason


def _confidence(quotes: Quotes, place: Where) -> float:
    page = quotes.page(place.page)
    return page.confidence if page is not None else 0.0
