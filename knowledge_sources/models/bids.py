"""What the sources on models bid. Pure, and rough: the gateway's ledger has the true costs, its caps do not rest on these.

Tokens are taken for a third of the characters. Prices are those of a model of the middle class; what is read from the prompt
cache costs a tenth. Of the document, which a question about a page carries along, nothing but that page is known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from blackboard import Bid, Claim, Document, Group, Layer, Page, Summary

INPUT, OUTPUT, CACHED = 3e-6, 15e-6, 0.3e-6
"""Dollars a token."""
CHARACTERS: Final = 3.0
"""A token."""
TASK: Final = 700
"""Tokens of an instruction, with what frames it."""
TYPICAL_PAGES: Final = 10
PICTURE: Final = 2_000
"""Tokens of a page's picture."""
FIRST_S, TOKEN_S = 1.5, 0.012
"""Seconds until an answer begins, and for each of its tokens."""


def tokens(text: str) -> int:
    """Roughly."""
    return math.ceil(len(text) / CHARACTERS)


def offer(value: float, *, given: float, answered: float, cached: float = 0.0, calls: int = 1) -> Bid:
    """A bid by the tokens of all its calls."""
    cost = given * INPUT + cached * CACHED + answered * OUTPUT
    return Bid(value=value, cost_usd=round(cost, 6), latency_s=round(calls * FIRST_S + answered * TOKEN_S, 3))


def reading_bid(layer: Layer) -> Bid:
    """A page that nobody has read: about as much text as a full one."""
    return offer(0.95, given=PICTURE + TASK, answered=900)


def mentions_bid(page: Page) -> Bid:
    """What a page names is about a third of it."""
    size = tokens(page.text)
    return offer(_trusted(0.9, page), given=TASK, cached=TYPICAL_PAGES * size, answered=100 + 0.5 * min(size, 6_000))


def claims_bid(page: Page) -> Bid:
    """Sentences, and the words they rest on."""
    size = tokens(page.text)
    return offer(_trusted(0.85, page), given=TASK, cached=TYPICAL_PAGES * size, answered=60 + min(size, 1_500))


def summary_bid(pages: Sequence[Page]) -> Bid:
    """The whole document once, a few sentences back."""
    size = sum(tokens(page.text) for page in pages)
    return offer(0.85, given=TASK + size, answered=500)


def facts_bid(claims: Group[Claim, str]) -> Bid:
    """Claims, the passages around them, a verdict each."""
    count = len(claims)
    return offer(0.85, given=TASK + 300 * count, cached=TYPICAL_PAGES * 700, answered=90 * count, calls=-(-count // 10))


def summary_facts_bid(sentence: Summary) -> Bid:
    """One claim."""
    return offer(0.85, given=TASK + 300, cached=TYPICAL_PAGES * 700, answered=90)


def contradictions_bid(pages: Sequence[Page], document: Document) -> Bid:
    """The whole document once."""
    return offer(0.8, given=TASK, cached=sum(tokens(page.text) for page in pages), answered=400)


def revision_bid(summary: Sequence[Summary]) -> Bid:
    """A sentence or two."""
    return offer(0.8, given=TASK + 300, cached=TYPICAL_PAGES * 700, answered=150)


def _trusted(value: float, page: Page) -> float:
    """A page that was read badly is not understood well, either."""
    return round(value * page.confidence, 4)
