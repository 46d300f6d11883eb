"""Words as they are compared: tokens, stems, and the numbers a text states."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

TOKEN = re.compile(r"[^\W_]+(?:[.,:/](?=\d)\d+)*(?:['’](?:s|t|re|ve|ll|d|m)\b)?")

_STOPWORDS = """
    a about above after again all also although am an and any are as at be because been before being below
    between both but by can could did do does doing done down during each either else etc ever every few for
    from further had has have having he hence her here hers herself him himself his how however i if in
    indeed into is it its itself just let like may me might more most much must my myself of off on once one
    only onto or other others ought our ours ourselves out over own per quite rather said same say says
    shall she should since so some such than that the their theirs them themselves then there therefore
    these they this those though through thus to too towards under until up upon us very was we were what
    when where whether which while who whom whose why will with within would yet you your yours yourself s t
    re ve ll d m um uh mm hmm yeah okay ok
"""
STOPWORDS = frozenset(_STOPWORDS.split())

_NEGATIONS = """
    no not never none nobody nothing neither nor without cannot n't isn't aren't wasn't weren't don't
    doesn't didn't won't can't couldn't wouldn't shouldn't hasn't haven't hadn't lack lacks lacking fail
    fails failed unable incapable
"""
NEGATIONS = frozenset(_NEGATIONS.split())


@dataclass(frozen=True, slots=True)
class Token:
    """One word with its place in the text it was read from; `stem` is what is compared."""

    text: str
    start: int
    end: int
    stem: str


class _Stemmer(threading.local):
    """One stemmer per thread: it keeps the word it is working on in itself, and sources run in threads."""

    def __init__(self) -> None:
        from snowballstemmer import stemmer

        self._stemmer = stemmer("english")

    def __call__(self, word: str) -> str:
        return str(self._stemmer.stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    return _Stemmer()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The Snowball English stem of a word, lower-cased, without a possessive 's."""
    low = word.lower().replace("’", "'").removesuffix("'s")
    return _stemmer()(low) if low.isalpha() else low


def tokens(text: str) -> list[Token]:
    """The words and numbers of a text, in order."""
    return [Token(m.group(), m.start(), m.end(), stem(m.group())) for m in TOKEN.finditer(text)]


def content(words: Iterable[Token]) -> list[Token]:
    """The words that carry meaning: neither function words nor single letters."""
    return [w for w in words if w.text.lower() not in STOPWORDS and (len(w.text) > 1 or w.text.isdigit())]
