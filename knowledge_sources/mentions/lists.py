"""Lists of words, written as blocks of text."""

from __future__ import annotations


def words_of(block: str) -> tuple[str, ...]:
    """The words of a block, in order."""
    return tuple(block.split())


def word_set(block: str) -> frozenset[str]:
    """The words of a block, to look them up."""
    return frozenset(block.split())
