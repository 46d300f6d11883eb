"""Summary: the sentences of the document that say most of it, each with its place.

Sentences are ranked by TF-IDF and PageRank (Mihalcea and Tarau, "TextRank", 2004), by position and by cue words (Edmundson,
"New Methods in Automatic Extracting", 1969), and chosen one by one for what they add (Carbonell and Goldstein, "The Use of
MMR", 1998; Lin and Bilmes, "A Class of Submodular Functions", 2011). Transcripts are summarised by their opening, where a
meeting's aims are said; ranking does worse there.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blackboard import All, knowledge_source
from blackboard.levels import Page, Summary, Where
from knowledge_sources.passages import where
from knowledge_sources.sentences import is_row, sentences
from knowledge_sources.words import content, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

SHARE, SHORTEST, LONGEST = 0.12, 60, 150
"""The budget: this share of the document's words, but no fewer and no more than these."""
MIN_WORDS, FEW_WORDS = 12, 5
"""Shorter sentences seldom stand alone; they are used only where there are hardly any longer ones."""
MAX_RANKED = 600
"""Sentences that are compared with each other; the comparison is quadratic."""
POSITION, CUE, COVERAGE, RELEVANCE = 1.0, 0.3, 0.3, 0.6
"""Weights of standing early, of a cue word, of new words; the part of relevance against redundancy in MMR."""
DAMPING, ROUNDS, WEAK_LINK = 0.85, 50, 0.05

_CUE = re.compile(
    r"\b(?:we (?:present|propose|describe|show|introduce|investigate|report|find|conclude|agree|confirm)"
    r"|th(?:is|e present) (?:paper|article|report|work|study|act|bill|agreement|contract|letter|document|invoice"
    r"|policy)"
    r"|in (?:conclusion|summary|short|brief)|to summari[sz]e|our (?:results|approach|method|findings)"
    r"|the (?:purpose|aim|goal|objective)|is (?:required|directed|authorized|authorised)|shall)\b",
    re.IGNORECASE,
)
_BYLINE = re.compile(
    r"by\b\W?.{0,40}|(?:first |last )?(?:published|updated|posted|created|modified|printed)\b.{0,40}|\W*"
    r"|.{0,20}\d\d:\d\d [A-Z]{2,4}, \d+ \w+ \d{4}\W*|follow @.*|(?:scroll down|click here|read more|see also"
    r"|share this)\b.*"
    r"|(?:all rights reserved|copyright|©|\(c\) \d{4}).*|page \d+( of \d+)?\W*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,3}:\s")
_NOISE = re.compile(r"\{[a-z]+\}|\[[a-z ]+\]|<[a-z]+>")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence that may stand in a summary: where it is, how many words it has, what it speaks of."""

    where: Where
    words: int
    stems: tuple[str, ...]
    text: str


def count_words(text: str) -> int:
    """Words between spaces; in scripts that write none, one word for two characters."""
    wide = len(_WIDE.findall(text))
    return len(_WIDE.sub(" ", text).split()) + (wide + 1) // 2


def budget(words: int) -> int:
    """How many words a summary of a text of so many words may have."""
    return max(SHORTEST, min(LONGEST, round(SHARE * words)))


def summarize(pages: Iterable[Page]) -> list[Summary]:
    """The summary in the order of the document; empty where the document has no prose (a receipt, a form)."""
    pages = tuple(pages)
    limit = budget(sum(count_words(page.text) for page in pages))
    every = [(page, span) for page in pages for span in sentences(page.text)]
    prose = [_read(page, span) for page, span in every if _is_prose(page.text[span[0] : span[1]])]
    long = [s for s in prose if s.words >= MIN_WORDS]
    candidates = long if len(long) >= 3 else [s for s in prose if s.words >= FEW_WORDS]
    spoken = sum(bool(_SPEAKER.match(page.text[a:b])) for page, (a, b) in every) > 0.4 * len(every)
    chosen = _lead(candidates, limit) if spoken else _choose(candidates, limit)
    return [
        Summary(rank=rank, text=candidates[i].text, evidence=(candidates[i].where,), confidence=round(confidence, 3))
        for rank, (i, confidence) in enumerate(sorted(chosen), start=1)
    ]


def _is_prose(text: str) -> bool:
    """Whether a sentence could be told to somebody: no row of a table, by-line, heading, question or string of codes."""
    if is_row(text) or text.endswith(("?", ":")) or _BYLINE.fullmatch(text):
        return False
    clean = _NOISE.sub("", text)
    letters = sum(c.isalpha() for c in clean)
    inked = sum(not c.isspace() for c in clean)
    shouted = sum(c.isupper() for c in clean) > 0.6 * letters
    if letters < 0.75 * inked or shouted:
        return False
    words = clean.split()
    capitals = sum(w[:1].isupper() or w[:1].isdigit() for w in words)
    return capitals < 0.6 * len(words) and "@" not in clean


def _read(page: Page, span: tuple[int, int]) -> _Sentence:
    place = where(page, *span)
    clean = " ".join(_NOISE.sub("", place.text).split())
    return _Sentence(place, count_words(place.text), tuple(t.stem for t in content(tokens(clean))), clean)


def _lead(candidates: Sequence[_Sentence], limit: int) -> list[tuple[int, float]]:
    chosen, used = [], 0
    for i, sentence in enumerate(candidates):
        if used + sentence.words <= limit:
            chosen.append((i, 0.5))
            used += sentence.words
    return chosen


def _choose(candidates: Sequence[_Sentence], limit: int) -> list[tuple[int, float]]:
    """Positions of the sentences that make the summary, with how sure the ranking is of each, 0..1."""
    if not candidates:
        return []
    import numpy as np

    kept = _shortlist(candidates)
    ranked = [candidates[i] for i in kept]
    similar = _similarities(ranked)
    rank = _pagerank(similar)
    frequency = Counter(stem for s in candidates for stem in s.stems)
    first = np.array([1 / (1 + i / 3) for i in kept])
    cue = np.array([bool(_CUE.search(s.text)) for s in ranked], dtype=np.float64)
    score = rank + POSITION * first + CUE * cue
    chosen: list[int] = []
    said: set[str] = set()
    used = 0
    nearest = np.zeros(len(ranked))
    while True:
        open_ = [i for i, s in enumerate(ranked) if i not in chosen and used + s.words <= limit]
        if not open_:
            break
        value = RELEVANCE * score - (1 - RELEVANCE) * nearest
        best = max(open_, key=lambda i: (value[i] + COVERAGE * _news(ranked[i], said, frequency), -i))
        chosen.append(best)
        said.update(ranked[best].stems)
        used += ranked[best].words
        nearest = np.maximum(nearest, similar[best])
    top = float(score.max()) or 1.0
    return [(kept[i], min(1.0, max(0.0, float(score[i]) / top))) for i in chosen]


def _shortlist(candidates: Sequence[_Sentence]) -> list[int]:
    """All positions, or of a very long document the opening and the sentences nearest to what it speaks of most."""
    if len(candidates) <= MAX_RANKED:
        return list(range(len(candidates)))
    frequency = Counter(stem for s in candidates for stem in s.stems)

    def centrality(i: int) -> float:
        stems = sorted(set(candidates[i].stems))
        return math.fsum(math.log(1 + frequency[s]) for s in stems) / (len(stems) + 5)

    opening = MAX_RANKED // 4
    rest = sorted(range(opening, len(candidates)), key=lambda i: (-centrality(i), i))
    return [*range(opening), *sorted(rest[: MAX_RANKED - opening])]


def _news(sentence: _Sentence, said: set[str], frequency: Counter[str]) -> float:
    """What a sentence would add: the weight of its words that were not said yet, for its length."""
    weight = math.fsum(math.log(1 + frequency[s]) for s in sorted(set(sentence.stems) - said))
    return weight / math.pow(sentence.words, 0.8)


def _similarities(ranked: Sequence[_Sentence]) -> Vector:
    """Cosine of TF-IDF vectors, every sentence with every other."""
    import numpy as np

    n = len(ranked)
    found = Counter(stem for s in ranked for stem in set(s.stems))
    column = {stem: i for i, stem in enumerate(sorted(found))}
    matrix = np.zeros((n, max(1, len(column))))
    for i, sentence in enumerate(ranked):
        for stem, count in Counter(sentence.stems).items():
            matrix[i, column[stem]] = (1 + math.log(count)) * math.log(1 + n / found[stem])
    norm = np.linalg.norm(matrix, axis=1, keepdims=True)
    norm[norm == 0] = 1.0
    matrix /= norm
    similar: Vector = matrix @ matrix.T
    return similar


def _pagerank(similar: Vector) -> Vector:
    """PageRank over the graph of similar sentences, scaled so that the best is 1."""
    import numpy as np

    n = len(similar)
    links = np.where(similar < WEAK_LINK, 0.0, similar)
    np.fill_diagonal(links, 0.0)
    out = links.sum(axis=1, keepdims=True)
    out[out == 0] = 1.0
    links = links / out
    rank: Vector = np.full(n, 1.0 / n)
    for _ in range(ROUNDS):
        rank = (1 - DAMPING) / n + DAMPING * (links.T @ rank)
    scaled: Vector = rank / rank.max()
    return scaled


@knowledge_source(version="1", cost="cpu", timeout=120)
def summary(pages: All[Page]) -> list[Summary]:
    """Pick the sentences that say most of the document."""
    return summarize(pages)
