"""The source `ocr_model`: a page is drawn in the sandbox of `ocr`, shown to a model, and its answer kept as a reading."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import BaseModel

from blackboard import (
    Document,
    DocumentUnreadable,
    Excerpt,
    LanguageModel,
    Layer,
    ModelFailed,
    Page,
    Picture,
    Reading,
    Task,
)
from blackboard.models import Part
from blackboard.sandbox.pool import Sandboxes
from controller.testing.memory import MemoryBoard
from knowledge_sources.models.answers import Transcript
from knowledge_sources.models.reading import SURE, UNSURE, as_reading, ocr_model
from knowledge_sources.models.words import Dropped
from knowledge_sources.ocr_engine import page_image
from knowledge_sources.page_picture import MOST_BYTES, PNG, SIDE, page_picture

EXAMPLE = Path(__file__).parents[2] / "examples" / "scanned-invoice.pdf"
M = TypeVar("M", bound=BaseModel)
Given = Sequence[Page | Excerpt]


class Eyes(LanguageModel):
    """Says what it is to say of any picture, and keeps the pictures."""

    def __init__(self, says: Mapping[str, Any] | BaseException) -> None:
        self._says = says
        self.seen: list[tuple[Part, ...]] = []

    async def ask(self, answer: type[M], task: Task, *parts: Part, document: Given = (), max_tokens: int = 4096) -> M:
        assert not document
        self.seen.append((task.name, *parts))
        if isinstance(self._says, BaseException):
            raise self._says
        return answer.model_validate(self._says)

    def stream(self, task: Task, *parts: Part, document: Given = (), max_tokens: int = 4096) -> AsyncIterator[str]:
        raise AssertionError("a reading is not streamed")

    async def count(self, task: Task, *parts: Part, document: Given = ()) -> int:
        raise AssertionError("nobody counts")

    @property
    def window_tokens(self) -> int:
        return 1_000

    def windows(self, pages: Sequence[Page], *, reserve: int = 0) -> list[tuple[Excerpt, ...]]:
        raise AssertionError("there are no pages yet")


def line(text: str, sure: bool = True) -> dict[str, object]:
    return {"text": text, "sure": sure}


async def read(eyes: Eyes, data: bytes, *layers: Layer, kind: str = "pdf") -> MemoryBoard:
    async with Sandboxes() as sandboxes:
        board = MemoryBoard({LanguageModel: eyes, Sandboxes: sandboxes})
        sha256 = await board.blob(data)
        document = Document(sha256=sha256, kind=kind, media_type="application/pdf", pages=len(layers))
        await board.seed(document, *layers)
        await board.run(ocr_model, raises=False)
    return board


SCANNED = Layer(page=1, text="", quality=0.0, needs_ocr=True)


async def test_a_page_is_drawn_shown_and_kept() -> None:
    eyes = Eyes({"lines": [line("INVOICE  MH-2024-0318"), line("GBP 7,321.2?", sure=False)], "unread": "a stamp"})
    printed = Layer(page=2, text="printed", needs_ocr=False)
    board = await read(eyes, EXAMPLE.read_bytes(), SCANNED, printed)
    (reading,) = board.values(Reading)
    assert reading.entry is not None and reading.entry.key == "reading/0001.model"
    assert reading.text == "INVOICE  MH-2024-0318\nGBP 7,321.2?"
    assert [reading.text[each.start : each.end] for each in reading.lines] == reading.text.split("\n")
    assert UNSURE < reading.confidence < SURE and reading.entry.confidence == reading.confidence
    assert reading.note == "a stamp" and not board.errors
    ((name, picture, said),) = eyes.seen
    assert (name, said) == ("reading", "Write down this page.") and isinstance(picture, Picture)
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == "PNG" and picture.media_type == "image/png"
        assert 0 < max(image.size) <= SIDE
        assert np.asarray(image.convert("L")).std() > 5, "there is something on it"


async def test_what_a_model_will_not_read_and_what_cannot_be_drawn_fail_for_good() -> None:
    refusal = ModelFailed("the model refused")
    board = await read(Eyes(refusal), EXAMPLE.read_bytes(), SCANNED)
    assert board.errors == [refusal] and not board.values(Reading)
    eyes = Eyes({"lines": [], "unread": ""})
    board = await read(eyes, b"no pdf at all", SCANNED)
    assert not eyes.seen and isinstance(board.errors[0], DocumentUnreadable)


def test_a_photograph_is_sent_small_enough() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (3000, 2000, 3), dtype=np.uint8)
    data = page_picture(noise)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG" and max(image.size) == SIDE
    assert len(data) < 2 * MOST_BYTES and not data.startswith(PNG)


def test_colours_stay_what_they_are() -> None:
    red = Image.new("RGB", (40, 30), (255, 0, 0))
    ImageDraw.Draw(red).rectangle((0, 0, 10, 10), fill=(0, 0, 255))
    data = io.BytesIO()
    red.save(data, "PNG")
    with Image.open(io.BytesIO(page_picture(page_image(data.getvalue(), "image", 1)))) as image:
        assert image.size == (40, 30)
        assert image.convert("RGB").getpixel((35, 25)) == (255, 0, 0)
        assert image.convert("RGB").getpixel((5, 5)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("lines", "text", "confidence", "note"),
    [
        ([], "", 0.0, "no text was found"),
        ([line(" \u202e ")], "", 0.0, "no text was found"),
        ([line("a\nb"), line("c\td")], "a\nb\nc  d", SURE, ""),
        (
            [line("x" * 3_000), line("y")],
            "y",
            SURE,
            "not all of what the model wrote down was taken: 1 lines that were",
        ),
        ([line("z", sure=False)], "z", UNSURE, ""),
        ([line(f"{number}") for number in range(2_000)], None, SURE, "1000 over the limit"),
    ],
)
def test_odd_transcripts(lines: list[dict[str, object]], text: str | None, confidence: float, note: str) -> None:
    reading = as_reading(Transcript.model_validate({"lines": lines, "unread": ""}), 7, Dropped())
    assert text is None or reading.text == text
    assert reading.confidence == confidence and note in reading.note and reading.page == 7
    assert [reading.text[each.start : each.end] for each in reading.lines] == reading.text.splitlines()
