"""Claims: the sentences of a page that can be checked, with the best of them first where there are too many."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import Literal

from blackboard import Claim, Each, Page, knowledge_source
from knowledge_sources.passages import where
from knowledge_sources.sentences import is_row, sentences
from knowledge_sources.words import NEGATIONS, STOPWORDS, Token, tokens

MAX_PER_PAGE = 40
MIN_WORDS, MAX_WORDS = 5, 80
"""Shorter ones are headings, longer ones tables or lists that were read as one sentence."""

_TOTAL = re.compile(r"\b(?:total|sum|amount|balance|price|fee|rent|deposit|salary|invoice|subtotal)\b", re.IGNORECASE)
_MONEY = re.compile(
    r"[$€£¥₹]\s?\d|\d\s?[$€£¥₹]|\b(?:[A-Z]{3}|RM|Rs\.?)\s?\d|\d\s?(?:EUR|USD|GBP|CHF|MYR|INR|JPY|dollars|euros)\b"
)
_DATE = re.compile(
    r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b(?:19|20)\d\d\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}\b",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|does|did|do|shall|will|must|may|can|cannot|agrees?|pays?|owns?"
    r"|makes?|made"
    r"|says?|said|shows?|holds?|includes?|contains?|remains?|becomes?|became|began|ist|sind|war|hat|haben|wird|est"
    r"|sont|a|ont|es"
    r"|son|era|fue|\w{3,}(?:ed|es|ing))\b",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"\b(?:all rights reserved|copyright|©|thank(?:s| you)|best regards|kind regards|yours (?:sincerely|faithfully)"
    r"|dear \w+|page \d+ (?:of|/)"
    r"|click (?:here|on)|please|cookies?|terms and conditions apply"
    r"|scroll down"
    r"|this (?:e-?mail|message) (?:is|and)|come again|follow us)\b",
    re.IGNORECASE,
)
_VAGUE = re.compile(
    r"\b(?:might|maybe|perhaps|possibly|i think|in my opinion|we believe|hopefully|probably)\b", re.IGNORECASE
)


def find_claims(page: Page, limit: int = MAX_PER_PAGE) -> list[Claim]:
    """The page's checkable sentences in reading order, at most `limit`: those with most to check are kept.

    A claim's slug is a digest of its words, so that an unchanged sentence keeps its entry wherever it moves on the page.
    """
    ranked = sorted(_checkable(page), key=lambda one: (-one[0], one[1]))[:limit]
    claims: dict[str, Claim] = {}
    for score, start, end in sorted(ranked, key=lambda one: one[1]):
        text = " ".join(page.text[start:end].split())
        slug = slug_of(text)
        claims.setdefault(
            slug,
            Claim(
                page=page.number,
                slug=slug,
                text=text,
                where=where(page, start, end),
                kind=kind_of(text),
                confidence=round(min(1.0, 0.4 + 0.1 * score) * page.confidence, 3),
            ),
        )
    return list(claims.values())


def slug_of(text: str) -> str:
    """A short stable name of a sentence: ten hexadecimal digits of its words, case and spacing aside."""
    return blake2b(" ".join(text.casefold().split()).encode(), digest_size=5).hexdigest()


def _checkable(page: Page) -> Iterator[tuple[float, int, int]]:
    for start, end in sentences(page.text):
        text = page.text[start:end]
        words = tokens(text)
        if MIN_WORDS <= len(words) <= MAX_WORDS and _asserts(text, words):
            yield _worth(text, words), start, end


def _asserts(text: str, words: list[Token]) -> bool:
    """Whether a sentence states something: no question, heading, table row, greeting or string of codes."""
    if text.rstrip("\"'”’)").endswith(("?", ":")) or is_row(text) or _BOILERPLATE.search(text):
        return False
    letters = sum(c.isalpha() for c in text)
    if letters < 0.6 * sum(not c.isspace() for c in text):
        return False
    plain = [w for w in words if w.text[0].isalpha()]
    if not plain or sum(len(w.text) == 1 for w in plain) > 0.4 * len(plain):
        return False
    small = sum(w.text.lower() in STOPWORDS for w in plain)
    ended = text.rstrip("\"'”’)")[-1:] in ".!;。！"
    lower = sum(w.text[0].islower() for w in plain)
    stated = small >= 2 or (ended and (bool(_VERB.search(text)) or 2 * lower >= len(plain)))
    return stated and not text.isupper()


def _worth(text: str, words: list[Token]) -> float:
    """How much of a sentence can be held against something: figures, dates, names; less what is hedged."""
    numbers = sum(w.text[0].isdigit() for w in words)
    names = sum(w.text[0].isupper() and w.start > 0 for w in words)
    score = (
        1.5 * min(numbers, 3) + 0.7 * min(names, 4) + 1.0 * bool(_MONEY.search(text)) + 0.5 * bool(_DATE.search(text))
    )
    score += 0.5 * any(w.text.lower() in NEGATIONS for w in words)
    return score - 1.5 * bool(_VAGUE.search(text)) - 0.5 * (len(words) > 45)


def kind_of(text: str) -> Literal["statement", "number", "date", "total"]:
    """What of a claim can be checked most easily."""
    if _MONEY.search(text):
        return "total" if _TOTAL.search(text) else "number"
    if _DATE.search(text):
        return "date"
    return "number" if re.search(r"\d", text) else "statement"


@knowledge_source(version="1", cost="free", timeout=30, carries={"page": "number"})
def claims(page: Each[Page]) -> list[Claim]:
    """Find the sentences of a page that can be checked."""
    return find_claims(page)
