"""Judging a claim by given evidence, offline: word coverage, numbers, names, opposites and negation.

No word list replaces inference: the score says how well the words bear the claim out, and the label abstains unless a
concrete sign decides. What each sign is worth was set by hand: a number or a name that no evidence holds speaks against
the claim, an opposite in the best passage more so; a lone negation is too weak to decide anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from knowledge_sources.checks.lexicon import NUMBER_WORDS, fellows, opposites
from knowledge_sources.sentences import sentences
from knowledge_sources.words import NEGATIONS, STOPWORDS, Token, content, tokens

Label = Literal["supported", "refuted", "not_enough_information"]

SHORT = 5
"""Evidence of no more sentences than this was picked for the claim; longer evidence still holds what is beside the point."""
NEAR = 6
"""Two words of a claim belong together in a passage if they stand no farther apart than this many words."""
PICKED, COLLECTED, OWN_SOURCE = 0.57, 0.4, 0.8
"""The fit at which support is as likely as not: of evidence picked for the claim; of many pieces collected from elsewhere,
which paraphrase; of one running text, whose faithful sentences are found again nearly word for word."""
SLOPE = 6.0
GENTLE = 3.0
"""How fast the score turns around that point; gently where picked evidence merely uses other words."""
SUPPORTED = 0.7
"""From this score on, with nothing against it, a claim counts as supported."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`score` 0..1 is how well the evidence bears the claim out (0.5: it cannot be told); `check` is what decided."""

    label: Label
    score: float
    check: str
    best: int | None = None
    """Which piece of the evidence says most about the claim."""
    missing: tuple[str, ...] = ()
    """The numbers, names or opposites that decided, as they stand in the claim."""


@dataclass(frozen=True, slots=True)
class _Passage:
    source: int
    tokens: list[Token]
    stems: frozenset[str]
    places: dict[str, list[int]] = field(default_factory=dict)


def judge(claim: str, evidence: Sequence[str]) -> Judgement:
    """Judge a claim by pieces of evidence, in any order; an empty list or a claim without content gives no label."""
    passages = [_passage(n, text[a:b]) for n, text in enumerate(evidence) for a, b in sentences(text)]
    said = tokens(claim)
    words = content(said)
    if not passages or not words:
        return Judgement("not_enough_information", 0.5, "no_evidence")
    weights = _weights(words, passages)
    shares = [_share(words, weights, passage.stems) for passage in passages]
    best = max(range(len(passages)), key=lambda i: (shares[i], -i))
    everything = frozenset().union(*(p.stems for p in passages))
    short = len(passages) <= SHORT
    cover = _share(words, weights, everything) if short else shares[best]
    bound = _bound(words, passages)
    fit = (0.8 * cover + 0.2 * bound) if short else (0.5 * cover + 0.5 * bound)
    numbers = [w.text for w in words if w.text[0].isdigit() and not _holds(everything, w) and not _in_name(claim, w)]
    names = [w.text for w in _names(said) if not _holds(everything, w)]
    against = _opposed(words, passages[best])
    turned = _negated(said) != _negated(passages[best].tokens)
    score = fit - 0.2 * bool(numbers) - 0.12 * min(2, len(names)) - 0.3 * (bool(against) != (turned and bool(against)))
    score -= 0.12 * (turned and not against)
    expected = PICKED if short else (OWN_SOURCE if len(evidence) == 1 else COLLECTED)
    score = 1 / (1 + math.exp(-(GENTLE if short and score < expected else SLOPE) * (score - expected)))
    label, check, missing = _decide(score, numbers, names, against, turned)
    return Judgement(label, round(score, 4), check, passages[best].source, tuple(missing))


def _decide(
    score: float, numbers: list[str], names: list[str], against: list[str], turned: bool
) -> tuple[Label, str, list[str]]:
    if against and not turned:
        return "not_enough_information", "opposite", against
    if numbers:
        return "not_enough_information", "number_absent", numbers
    if names:
        return "not_enough_information", "name_absent", names
    if score >= SUPPORTED and not turned:
        return "supported", "coverage", []
    return "not_enough_information", "coverage", []


def _passage(source: int, text: str) -> _Passage:
    found = tokens(text)
    places: dict[str, list[int]] = {}
    for i, token in enumerate(found):
        places.setdefault(_norm(token), []).append(i)
        places.setdefault(token.stem, []).append(i)
    return _Passage(source, found, frozenset(places), places)


def _norm(token: Token) -> str:
    low = token.text.lower()
    if low in NUMBER_WORDS:
        return str(NUMBER_WORDS[low])
    return low.replace(",", "") if low[0].isdigit() else token.stem


def _holds(stems: frozenset[str], word: Token) -> bool:
    """Whether a word is said: by stem, as a number by value, or as a longer or shorter form of the same name."""
    if word.stem in stems or _norm(word) in stems or not fellows(word.stem).isdisjoint(stems):
        return True
    if len(word.stem) < 5 or not word.stem.isalpha():
        return False
    head = word.stem[:5]
    return any(s.startswith(head) and abs(len(s) - len(word.stem)) <= 3 for s in stems)


def _weights(words: Sequence[Token], passages: Sequence[_Passage]) -> list[float]:
    """What each word is worth: names, numbers and long words more; words that all passages share less."""
    found = Counter(stem for p in passages for stem in p.stems)
    n = len(passages)
    weights = []
    for word in words:
        worth = 1 + 0.5 * (word.text[0].isupper() or word.text[0].isdigit()) + 0.3 * (len(word.text) > 7)
        if n > SHORT:
            worth *= math.log(1 + (n - found[word.stem] + 0.5) / (found[word.stem] + 0.5))
        weights.append(worth)
    return weights


def _share(words: Sequence[Token], weights: Sequence[float], stems: frozenset[str]) -> float:
    total = sum(weights)
    return sum(w for word, w in zip(words, weights, strict=True) if _holds(stems, word)) / total if total else 0.0


def _bound(words: Sequence[Token], passages: Sequence[_Passage]) -> float:
    """The share of the claim's neighbouring words that also stand together, in this order, in some passage."""
    pairs = list(pairwise(words))
    if not pairs:
        return 1.0 if any(words[0].stem in p.stems for p in passages) else 0.0

    def together(a: Token, b: Token) -> bool:
        for passage in passages:
            for i in passage.places.get(_norm(a), ()):
                if any(0 < j - i <= NEAR for j in passage.places.get(_norm(b), ())):
                    return True
        return False

    return sum(together(a, b) for a, b in pairs) / len(pairs)


def _names(said: Sequence[Token]) -> list[Token]:
    """Capitalised words that do not open the claim; none where nearly every word is capitalised."""
    found = [t for t in said if t.text[0].isupper() and t.start > 0 and len(t.text) > 1]
    if len(found) > 0.6 * len(said):
        return []
    return [t for t in found if t.text.lower() not in STOPWORDS | NEGATIONS]


def _in_name(claim: str, word: Token) -> bool:
    """Whether a number is the end of a name, as in PM-10 or GPT-4."""
    return word.start > 1 and claim[word.start - 1] == "-" and claim[word.start - 2].isalpha()


def _opposed(words: Sequence[Token], passage: _Passage) -> list[str]:
    """Words of the claim whose opposite the passage says, while it says neither the word nor anything like it."""
    table = opposites()
    return [
        w.text
        for w in words
        if w.stem in table and not table[w.stem].isdisjoint(passage.stems) and fellows(w.stem).isdisjoint(passage.stems)
    ]


def _negated(said: Sequence[Token]) -> bool:
    """Whether a negation that is not itself negated stands there."""
    count = sum(t.text.lower().replace("’", "'") in NEGATIONS or t.text.lower().endswith("n't") for t in said)
    return count % 2 == 1
