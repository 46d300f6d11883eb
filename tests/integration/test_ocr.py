"""The real engine, on images drawn here and, where they are present, on real documents."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from blackboard.errors import DocumentUnreadable, PermanentFailure
from blackboard.levels import Document, Layer, Reading
from blackboard.sandbox.pool import Sandboxes
from knowledge_sources import ocr as source
from knowledge_sources import ocr_engine
from knowledge_sources.ocr import OcrSettings, ocr
from knowledge_sources.ocr_engine import OcrEngine, page_image
from knowledge_sources.rotation import turned

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dev"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real documents is not on this machine")
SETTINGS = OcrSettings(processes=1, threads=1)
LINES = ["Northwind Traders", "12 Harbour Street, Bristol", "Invoice number 20731", "TOTAL", "Thank you for your visit"]


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return OcrEngine()


@pytest.fixture
async def sandboxes() -> AsyncIterator[Sandboxes]:
    async with Sandboxes() as opened:
        yield opened


def drawn(mode: str = "RGB") -> Image.Image:
    """A slip with five lines and an amount far to the right of the word TOTAL."""
    image = Image.new("L", (700, 420), 255)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=30)
    for number, line in enumerate(LINES):
        pen.text((40, 40 + 70 * number), line, font=font, fill=0)
    pen.text((540, 40 + 70 * 3), "89.50", font=font, fill=0)
    return image.convert(mode)


def png(image: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_lines_boxes_and_columns(engine: OcrEngine) -> None:
    result = engine.read(page_image(png(drawn()), "image", 1))
    text = [result.text[line.start : line.end] for line in result.lines]
    assert text == result.text.split("\n")
    assert [squeezed(line) for line in text] == [squeezed(line) for line in [*LINES[:3], "TOTAL 89.50", LINES[4]]]
    assert text[3].startswith("TOTAL   ")
    assert result.rotation == 0 and result.confidence > 0.9 and result.note == ""
    x0, y0, x1, y1 = result.lines[3].box or (0, 0, 0, 0)
    assert x0 == pytest.approx(40 / 700, abs=0.03) and x1 == pytest.approx(630 / 700, abs=0.05)
    assert y0 < (40 + 70 * 3 + 15) / 420 < y1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_that_lies_on_its_side_or_head_is_turned(engine: OcrEngine, degrees: Any) -> None:
    upright = page_image(png(drawn()), "image", 1)
    result = engine.read(turned(upright, degrees))
    assert result.rotation == 360 - degrees
    assert squeezed(result.text) == squeezed(engine.read(upright).text)


@pytest.mark.parametrize(("mode", "form"), [("1", "TIFF"), ("P", "PNG"), ("CMYK", "JPEG"), ("LA", "PNG")])
def test_every_kind_of_pixel_is_read(engine: OcrEngine, mode: str, form: str) -> None:
    result = engine.read(page_image(png(drawn(mode), form), "image", 1))
    assert "Northwind" in result.text and "20731" in result.text


def test_an_empty_page_says_that_it_is_empty(engine: OcrEngine) -> None:
    result = engine.read(np.full((300, 200, 3), 255, dtype=np.uint8))
    assert (result.text, result.lines, result.confidence, result.note) == ("", (), 0.0, "no text was found")


def test_another_kind_of_document_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="docx"):
        page_image(b"", "docx", 1)


class OneBlob:
    """A blob store that holds one thing."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def get(self, sha256: str) -> bytes:
        assert sha256 == "d1"
        return self.data


async def run_source(data: bytes, sandboxes: Sandboxes, page: int = 1) -> Reading:
    document = Document(sha256="d1", kind="image", media_type="image/png", pages=1)
    layer = Layer(page=page, text="", quality=0.0, needs_ocr=True)
    said: list[tuple[float, float, str]] = []
    given = await ocr.function(
        layer,
        (document,),
        OneBlob(data),
        sandboxes,
        SETTINGS,
        lambda done, total, note="": said.append((done, total, note)),
    )
    assert said[0] == (0, 1, f"reading page {page} of 1") and said[-1][0] == 1
    assert given.confidence == given.value.confidence
    value: Reading = given.value
    return value


async def test_the_source_reads_in_a_sandbox(sandboxes: Sandboxes) -> None:
    reading = await run_source(png(drawn()), sandboxes)
    assert (reading.page, reading.engine) == (1, "rapidocr")
    assert "20731" in reading.text
    assert [reading.text[line.start : line.end] for line in reading.lines] == reading.text.split("\n")


async def test_a_damaged_image_is_refused_and_the_next_one_read(sandboxes: Sandboxes) -> None:
    with pytest.raises(DocumentUnreadable):
        await run_source(png(drawn())[:300], sandboxes)
    with pytest.raises(DocumentUnreadable):
        await run_source(png(drawn()), sandboxes, page=2)
    assert "20731" in (await run_source(png(drawn()), sandboxes)).text


def test_only_pages_that_need_it_are_read() -> None:
    assert ocr.when is not None
    layer = Layer(page=1, text="enough text", needs_ocr=False)
    assert not ocr.when(layer=layer)
    assert ocr.when(layer=layer.model_copy(update={"needs_ocr": True}))
    assert ocr.carries == {"page": "page"} and not ocr.required


@needs_corpus
@pytest.mark.long
async def test_a_scanned_page_that_is_rotated(sandboxes: Sandboxes) -> None:
    data = (CORPUS / "pdfs" / "ocr_test_rotated_90.pdf").read_bytes()
    reading = await source.read(sandboxes, data, "pdf", 1, SETTINGS)
    assert reading.text.startswith("Docling bundles PDF document conversion to")


@needs_corpus
@pytest.mark.long
def test_writing_that_cannot_be_read_is_told_not_guessed(engine: OcrEngine) -> None:
    data = (CORPUS / "pdfs" / "right_to_left_01.pdf").read_bytes()
    result = engine.read(page_image(data, "pdf", 1))
    assert (result.text, result.lines) == ("", ())
    assert "could not be made out" in result.note


@needs_corpus
def test_receipts_keep_label_and_amount_on_one_line(engine: OcrEngine) -> None:
    manifest = json.loads((CORPUS / "manifest.json").read_bytes())
    receipts = [item for item in manifest["items"] if item["kind"] == "receipt-image"][:4]
    found = 0
    for item in receipts:
        result = engine.read(page_image((CORPUS / item["file"]).read_bytes(), "image", 1))
        total = item["truth"]["entities"]["total"].lstrip("$RM ")
        found += any(total in line and any(c.isalpha() for c in line) for line in result.text.split("\n"))
    assert found >= 3


def test_a_picture_of_a_single_line_is_read(engine: OcrEngine) -> None:
    image = Image.new("RGB", (420, 34), "white")
    ImageDraw.Draw(image).text((6, 2), "Amount due 45.20", font=ImageFont.load_default(size=26), fill="black")
    assert squeezed(engine.read(page_image(png(image), "image", 1)).text) == "Amountdue45.20"


def test_a_very_long_slip_keeps_its_letters(engine: OcrEngine) -> None:
    image = Image.new("RGB", (620, 6000), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=28)
    for number in range(20):
        pen.text((30, 60 + 290 * number), f"Item {number + 10}", font=font, fill="black")
        pen.text((480, 60 + 290 * number), f"{number}.95", font=font, fill="black")
    result = engine.read(page_image(png(image), "image", 1))
    wanted = [f"Item{number + 10}{number}.95" for number in range(20)]
    assert [squeezed(line) for line in result.text.split("\n")] == wanted


def test_thousands_of_pieces_are_cut_short_and_the_note_says_so(
    engine: OcrEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr_engine, "MAX_PIECES", 2)
    result = engine.read(page_image(png(drawn()), "image", 1))
    assert len(result.lines) == 2
    assert result.note == "only the 2 largest of 6 pieces of text were read"
