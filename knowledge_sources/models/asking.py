"""What every question has in common: which pages go with it, and what is said when an answer could not all be taken."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from blackboard import Excerpt, LanguageModel, ModelFailed, Page
from knowledge_sources.models.words import Dropped

TIMEOUT_S: Final = 900.0
"""Of a source that asks once. A call has minutes, and while a server is out of order it is tried several times: the gateway
knows when to give up, and puts the activation off then, which a limit of ours would count as its failure."""
LONG_S: Final = 2 * TIMEOUT_S
"""Of one that asks several times."""
Window = tuple[Excerpt, ...]


def windows(model: LanguageModel, pages: Sequence[Page]) -> list[Window]:
    """The document in ranges that fit a question, pages without text aside: nothing can be asked of them."""
    return [window for window in model.windows(pages) if any(excerpt.text.strip() for excerpt in window)]


def holding(model: LanguageModel, pages: Sequence[Page], number: int) -> list[Window]:
    """The range that holds a page; several where one alone is too long for a question."""
    return [
        window for window in windows(model, pages) if any(part.page == number and part.text.strip() for part in window)
    ]


def only(number: int, window: Window, ranges: int) -> str:
    """How a question says which page it is about."""
    if ranges == 1:
        return f"The question is about page {number} alone."
    here = [part for part in window if part.page == number]
    first, last = min(part.start for part in here), max(part.start + len(part.text) for part in here)
    return f"The question is about page {number} alone, of which characters {first} to {last} are given here."


def tell(log: logging.Logger, dropped: Dropped, *failures: ModelFailed) -> None:
    """Say in the log what was left out of an answer, and why."""
    if dropped:
        log.warning("of the model's answer %d parts were not taken: %s", len(dropped), dropped)
    for failure in failures:
        log.warning("the result is partial: %s", failure)
