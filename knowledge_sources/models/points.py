"""What a document says that is too long for one question: gathered range by range, each point with verified words.

Whoever needs the whole of it asks this same question, so that it is answered once a board.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blackboard import LanguageModel, ModelFailed, Progress, Task, Where
from knowledge_sources.models.answers import Points, some
from knowledge_sources.models.asking import Window
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.words import Dropped, sentence

MOST = 40
"""Points of one range."""
MOST_CHARACTERS = 120_000
"""Of all points together, as they are shown to a model."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A point, and the words it rests on."""

    text: str
    where: Where


async def gather(
    model: LanguageModel,
    task: Task,
    ranges: Sequence[Window],
    quotes: Quotes,
    progress: Progress,
    dropped: Dropped,
    failed: list[ModelFailed],
) -> list[Noted]:
    """The points of all ranges, in their order. A range that cannot be read goes to `failed`; raises when none can be."""
    found: list[Noted] = []
    failures: list[ModelFailed] = []
    for number, window in enumerate(ranges, 1):
        first, last = window[0].page, window[-1].page
        progress(number - 1, len(ranges) + 1, f"reading pages {first} to {last}")
        try:
            answer = await model.ask(
                Points, task, f"These are pages {first} to {last}.", document=window, max_tokens=8192
            )
        except ModelFailed as error:
            failures.append(error)
            continue
        for point in some(answer.items, MOST, dropped):
            text, place = sentence(point.text), quotes.find(point.quote.page, point.quote.text)
            if text and place is not None:
                found.append(Noted(text, place))
            else:
                dropped("points without words that are on the page they are said to be on")
    if len(failures) == len(ranges):
        raise failures[0]
    failed += failures
    return found


def shown(points: Sequence[Noted], dropped: Dropped) -> str:
    """The points as a question quotes them; where they are too many, the same share of every range is left out, counted."""
    lines = [f"- page {point.where.page}: {point.text}\n  > {point.where.page}: {_line(point)}" for point in points]
    size = sum(len(line) + 1 for line in lines)
    step = -(-size // MOST_CHARACTERS)
    kept = lines[:: max(1, step)]
    dropped("points more than one question takes", len(lines) - len(kept))
    return "\n".join(kept)


def _line(point: Noted) -> str:
    return " ".join(point.where.text.split())
