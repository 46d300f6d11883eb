"""Passages: the document's sentences, indexed so that every check can look for evidence cheaply."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from blackboard import All, knowledge_source
from blackboard.levels import Page, Passages, Where
from knowledge_sources.sentences import sentences
from knowledge_sources.words import content, tokens

K1, B = 1.2, 0.75
"""The usual BM25 parameters: Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009)."""

MAX_SENTENCES = 20_000
"""A longer document is indexed up to here; the index lives in the memory of every check."""


def where(page: Page, start: int, end: int) -> Where:
    """The verbatim place `start..end` of a page, with the box around its lines where they are known."""
    boxes = [line.box for line in page.lines if line.box and line.start < end and start < line.end]
    box = None
    if boxes:
        box = (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
    return Where(page=page.number, start=start, end=end, text=page.text[start:end], box=box)


class Index:
    """BM25 over short texts. `search` answers positions with scores, best first."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.stems = [tuple(t.stem for t in content(tokens(text))) for text in texts]
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for position, words in enumerate(self.stems):
            for word, count in Counter(words).items():
                self._postings[word].append((position, count))
        self._mean = sum(map(len, self.stems)) / max(1, len(self.stems)) or 1.0

    def idf(self, word: str) -> float:
        """How rare a stem is here; the rarest for a stem that is absent."""
        found = len(self._postings.get(word, ()))
        return math.log(1 + (len(self.stems) - found + 0.5) / (found + 0.5))

    def search(self, query: str, limit: int = 5) -> list[tuple[int, float]]:
        """The texts nearest to the query: (position, score), best first, ties in order of the document."""
        scores: dict[int, float] = defaultdict(float)
        for word in {t.stem for t in content(tokens(query))}:
            idf = self.idf(word)
            for position, count in self._postings.get(word, ()):
                norm = K1 * (1 - B + B * len(self.stems[position]) / self._mean)
                scores[position] += idf * count * (K1 + 1) / (count + norm)
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]


def gather(pages: Iterable[Page]) -> Passages:
    """Every sentence of the pages, in order, at most `MAX_SENTENCES`."""
    found: list[Where] = []
    for page in pages:
        for start, end in sentences(page.text):
            if len(found) >= MAX_SENTENCES:
                return Passages(sentences=tuple(found))
            found.append(where(page, start, end))
    return Passages(sentences=tuple(found))


@knowledge_source(version="1", cost="free", timeout=60)
def passages(pages: All[Page]) -> Passages:
    """Index the document's sentences once."""
    return gather(pages)
