"""ROUGE-1, ROUGE-2 and ROUGE-Lsum F1, with Porter stemming, as the usual tool computes them.

C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004). Words are runs of a-z and 0-9 of the lower-cased
text; words longer than three letters are stemmed. Scores are 0..1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 of one summary against its reference."""

    rouge1: float
    rouge2: float
    rouge_lsum: float


@cache
def _porter() -> Any:
    from snowballstemmer import stemmer

    return stemmer("porter")


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_porter().stemWord(word)) if len(word) > 3 else word


def words(text: str) -> list[str]:
    """The stemmed words that are compared."""
    return [_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower())]


def rouge(summary: Sequence[str], reference: Sequence[str]) -> Rouge:
    """Scores of a summary against a reference, both as sentences."""
    got, want = [words(s) for s in summary], [words(s) for s in reference]
    flat_got, flat_want = [w for s in got for w in s], [w for s in want for w in s]
    return Rouge(_ngrams(flat_got, flat_want, 1), _ngrams(flat_got, flat_want, 2), _lsum(got, want))


def _ngrams(got: Sequence[str], want: Sequence[str], n: int) -> float:
    a = Counter(zip(*(got[i:] for i in range(n)), strict=False))
    b = Counter(zip(*(want[i:] for i in range(n)), strict=False))
    return _f1(sum((a & b).values()), sum(a.values()), sum(b.values()))


def _lsum(got: Sequence[Sequence[str]], want: Sequence[Sequence[str]]) -> float:
    """Summary-level LCS: for each reference sentence the union of its longest common subsequences, hits clipped."""
    left_got = Counter(w for s in got for w in s)
    left_want = Counter(w for s in want for w in s)
    total_got, total_want = sum(left_got.values()), sum(left_want.values())
    hits = 0
    for sentence in want:
        union = sorted({i for other in got for i in _lcs(sentence, other)})
        for i in union:
            word = sentence[i]
            if left_got[word] > 0 and left_want[word] > 0:
                hits += 1
                left_got[word] -= 1
                left_want[word] -= 1
    return _f1(hits, total_got, total_want)


def _lcs(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """Positions in `a` of one longest common subsequence of `a` and `b`."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    found: list[int] = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            found.append(i - 1)
            i, j = i - 1, j - 1
        elif table[i - 1][j] >= table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found[::-1]


def _f1(hits: int, got: int, want: int) -> float:
    return 2 * hits / (got + want) if hits else 0.0
