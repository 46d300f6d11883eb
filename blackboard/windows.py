"""A document in ranges of pages that each fit a question. Pure: the same pages give the same ranges to everybody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blackboard.levels import Page
from blackboard.models import Excerpt

BYTES_PER_TOKEN = 3
"""Of text, at the least: prose has four and more, tables of figures fewer. What is sent is counted again before it leaves."""
PAGE_TOKENS = 30
"""Around each page."""
LEAST_TOKENS = 500


def estimate(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def windows(pages: Sequence[Page], limit: int) -> list[tuple[Excerpt, ...]]:
    """Ranges of at most `limit` tokens, in order; every character of every page is in exactly one. Empty for no pages.

    A page that alone is longer is cut, at the end of a line or a word where there is one in the last tenth.
    """
    found: list[tuple[Excerpt, ...]] = []
    current: list[Excerpt] = []
    used = 0
    for page in pages:
        for excerpt in _pieces(page, max(LEAST_TOKENS, limit - PAGE_TOKENS)):
            size = estimate(excerpt.text) + PAGE_TOKENS
            if current and used + size > limit:
                found.append(tuple(current))
                current, used = [], 0
            current.append(excerpt)
            used += size
    if current:
        found.append(tuple(current))
    return found


def _pieces(page: Page, limit: int) -> Iterator[Excerpt]:
    text, start = page.text, 0
    while estimate(text[start:]) > limit:
        end = _fits(text, start, limit)
        yield Excerpt(page.number, text[start:end], start)
        start = end
    yield Excerpt(page.number, text[start:], start)


def _fits(text: str, start: int, limit: int) -> int:
    """The longest end that fits, moved back to the end of a line or a word if one is near."""
    low, high = start + 1, min(len(text), start + limit * BYTES_PER_TOKEN)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate(text[start:middle]) <= limit else (low, middle - 1)
    near = start + (low - start) * 9 // 10
    for mark in ("\n", " "):
        at = text.rfind(mark, near, low)
        if at > start:
            return at + 1
    return low
