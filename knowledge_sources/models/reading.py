"""The source `ocr_model`: a model looks at the picture of a page that has no text of its own, or none that can be trusted."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Final

from pydantic import Field

from blackboard import (
    All,
    Blobs,
    Contribution,
    Document,
    Each,
    LanguageModel,
    Layer,
    Picture,
    Progress,
    Reading,
    knowledge_source,
)
from blackboard.errors import PermanentFailure
from blackboard.levels import Line
from blackboard.sandbox.pool import Sandboxes
from knowledge_sources.models.answers import TranscribedLine, Transcript, some
from knowledge_sources.models.asking import TIMEOUT_S, tell
from knowledge_sources.models.bids import reading_bid
from knowledge_sources.models.tasks import Prompted
from knowledge_sources.models.words import Dropped, plain
from knowledge_sources.ocr import LIMITS, TARGET
from knowledge_sources.page_picture import PNG

ENGINE: Final = "model"
SURE, UNSURE = 0.97, 0.6
"""Expected share of characters that are right, of lines the model is sure of, and of the others."""
MOST_LINES: Final = 1_000
LONGEST_LINE: Final = 2_000


class ReadingSettings(Prompted):
    """Its prompt, and how many pages are drawn at a time, where `ocr` did not say so before."""

    tasks = ("reading",)

    # Not part of what results depend on: on another machine no page has to be paid for again.
    processes: int = Field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)), ge=1, le=64, exclude=True)


def _needs_ocr(layer: Layer, **_: object) -> bool:
    return layer.needs_ocr


@knowledge_source(
    version="1", cost="model", timeout=TIMEOUT_S, default=False, when=_needs_ocr, bid=reading_bid, carries={"page": "page"},
    concurrency=8,
)  # fmt: skip
async def ocr_model(
    layer: Each[Layer],
    document: All[Document],
    blobs: Blobs,
    sandboxes: Sandboxes,
    model: LanguageModel,
    settings: ReadingSettings,
    progress: Progress,
    log: logging.Logger,
) -> Contribution[Reading]:
    """One page read by a model. The note says what could not be read. Its lines have no places on the page.

    Raises DocumentUnreadable or DocumentTooComplex when the page cannot be drawn, and what a model raises.
    """
    if not document:
        raise PermanentFailure("there is no document to read this page from")
    source = document[0]
    progress(0, 2, f"drawing page {layer.page} of {source.pages}")
    data = await blobs.get(source.sha256)
    # The sandbox of `ocr`: drawing a page parses its file, and takes what reading it takes before the letters.
    sandbox = sandboxes.get(TARGET, LIMITS, processes=settings.processes)
    picture: bytes = await sandbox.call("draw_page", data, kind=source.kind, page=layer.page)
    progress(1, 2, f"reading page {layer.page} of {source.pages}")
    shown = Picture(picture, "image/png" if picture.startswith(PNG) else "image/jpeg")
    answer = await model.ask(Transcript, settings.task("reading"), shown, "Write down this page.", max_tokens=8192)
    dropped = Dropped()
    reading = as_reading(answer, layer.page, dropped)
    tell(log, dropped)
    progress(2, 2)
    return Contribution(reading, confidence=reading.confidence)


def as_reading(answer: Transcript, page: int, dropped: Dropped) -> Reading:
    """What the model wrote down as what the board holds of it."""
    taken = _lines(some(answer.lines, MOST_LINES, dropped), dropped)
    lines, at = [], 0
    for text, sure in taken:
        lines.append(Line(start=at, end=at + len(text), confidence=SURE if sure else UNSURE))
        at += len(text) + 1
    letters = sum(len(text) for text, _ in taken)
    confidence = sum(len(text) * line.confidence for (text, _), line in zip(taken, lines, strict=True)) / max(
        1, letters
    )
    notes = [plain(answer.unread, 300)] if answer.unread.strip() else []
    if not lines:
        notes.append("no text was found")
    if dropped:
        notes.append(f"not all of what the model wrote down was taken: {dropped}")
    return Reading(
        page=page,
        engine=ENGINE,
        text="\n".join(text for text, _ in taken),
        lines=tuple(lines),
        confidence=round(confidence, 4),
        note="; ".join(notes),
    )


def _lines(given: Sequence[TranscribedLine], dropped: Dropped) -> list[tuple[str, bool]]:
    """Lines as they are kept: a line that the model wrote on two is two."""
    taken: list[tuple[str, bool]] = []
    for line in given:
        for text in line.text.splitlines():
            if len(text) > LONGEST_LINE:
                dropped("lines that were too long")
            elif kept := _kept(text):
                taken.append((kept, line.sure))
    return taken


def _kept(text: str) -> str:
    """The gaps between a table's cells stay: they tell cells from words."""
    return "  ".join(cell for part in text.replace("\t", "  ").split("  ") if (cell := plain(part, LONGEST_LINE)))
