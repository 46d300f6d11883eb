"""The fast pace of reading, on the shipped example and on images drawn here, and both engines on one board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.scans import worn
from blackboard.registry import find_sources
from blackboard.sandbox.pool import Sandboxes
from controller.bootstrap import Service, open_service
from controller.desk import Submission
from controller.policy import Policy, Price
from controller.settings import Settings
from knowledge_sources.ocr import OcrSettings, as_reading, ocr_fast, read
from knowledge_sources.ocr_engine import OcrEngine, page_image
from knowledge_sources.ocr_models import Image as Pixels
from knowledge_sources.ocr_pace import FAST
from knowledge_sources.rotation import Rotation, turned

EXAMPLE = Path(__file__).parents[2] / "examples" / "scanned-invoice.pdf"
SETTINGS = OcrSettings(processes=1, threads=1)


@pytest.fixture(scope="module")
def fast() -> OcrEngine:
    return OcrEngine(pace=FAST)


def squeezed(text: str) -> str:
    return "".join(text.split())


def trust(engine: OcrEngine, image: Pixels) -> float:
    """What a reading of the image by the fast engine is worth to the board."""
    result = engine.read(image)
    answer = {"text": result.text, "lines": result.lines, "confidence": result.confidence}
    return as_reading({**answer, "rotation": result.rotation, "note": result.note}, 1, "fast").confidence


async def test_the_shipped_example_is_read_in_a_sandbox() -> None:
    async with Sandboxes() as sandboxes:
        data = EXAMPLE.read_bytes()
        reading = await read(sandboxes, data, "pdf", 1, SETTINGS, "fast")
    assert (reading.page, reading.engine) == (1, "rapidocr-fast")
    assert reading.confidence > 0.9 and reading.note == ""
    text = squeezed(reading.text)
    for wanted in ("Marlow Harbour Engineering Ltd", "MH-2024-0318", "12 March 2024", "1,920.00", "GBP 7,321.20"):
        assert squeezed(wanted) in text
    assert [reading.text[line.start : line.end] for line in reading.lines] == reading.text.split("\n")


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_page_is_turned_upright(fast: OcrEngine, degrees: Rotation) -> None:
    image = page_image(EXAMPLE.read_bytes(), "pdf", 1)
    result = fast.read(turned(image, degrees))
    assert result.rotation == 360 - degrees
    assert "MH-2024-0318" in result.text


def test_a_page_that_is_hard_to_read_is_not_trusted(fast: OcrEngine) -> None:
    image = page_image(EXAMPLE.read_bytes(), "pdf", 1)
    assert trust(fast, image) > 0.9
    assert trust(fast, worn(worn(image, "three eighths"), "half size")) < 0.8


def test_a_nearly_empty_page_is_left_to_others(fast: OcrEngine) -> None:
    image = Image.new("RGB", (800, 1000), "white")
    ImageDraw.Draw(image).text((60, 60), "Page 7", font=ImageFont.load_default(size=40), fill="black")
    pixels = np.asarray(image)
    assert squeezed(fast.read(pixels).text) == "Page7"
    assert trust(fast, pixels) < 0.5


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Everything in one process, with both reading engines."""
    installed = [source for source in find_sources()[0] if source.name != ocr_fast.name]
    settings = Settings(_env_file=None, data_dir=tmp_path)
    async with open_service(settings, sources=[*installed, ocr_fast]) as running:
        yield running


async def ended(service: Service, document: Submission) -> dict[str, list[str]]:
    """The live entry names by level, once the document's board has ended."""
    board = (await service.desk.submit(document)).id
    while not (await service.desk.view(board)).ended:
        await asyncio.sleep(0.05)
    found = await service.store.projection(board)
    assert found is not None and found.head["status"] == "completed"
    names: dict[str, list[str]] = {}
    for key in sorted(found.values):
        level, _, name = key.partition("/")
        names.setdefault(level, []).append(name)
    return names


@pytest.mark.long
async def test_it_reads_only_where_it_is_asked_for(service: Service) -> None:
    data = EXAMPLE.read_bytes()
    sha256 = await service.blobs.put(data)
    read_by = ("intake", "layers", "pages")
    plain = Submission(sha256=sha256, size=len(data), goal=("page",))
    assert (await ended(service, plain))["reading"] == ["0001.rapidocr", "0002.rapidocr"]
    quick = Submission(sha256=sha256, size=len(data), goal=("page",), sources=(*read_by, "ocr_fast"))
    assert (await ended(service, quick))["reading"] == ["0001.rapidocr-fast", "0002.rapidocr-fast"]
    both = Submission(sha256=sha256, size=len(data), goal=("page",), sources=(*read_by, "ocr", "ocr_fast"))
    names = await ended(service, both)
    assert names["reading"] == ["0001.rapidocr", "0001.rapidocr-fast", "0002.rapidocr", "0002.rapidocr-fast"]
    assert names["page"] == ["0001", "0002"]


@pytest.mark.long
async def test_a_market_asks_the_thorough_one_only_below_the_floor(service: Service) -> None:
    data = EXAMPLE.read_bytes()
    sha256 = await service.blobs.put(data)

    async def readings(floor: float, second: float) -> list[str]:
        policy = Policy(strategy={"reading": "market"}, floor={"reading": floor}, price=Price(second=second))
        return (await ended(service, Submission(sha256=sha256, size=len(data), goal=("page",), policy=policy)))[
            "reading"
        ]

    assert await readings(0.9, 0.05) == ["0001.rapidocr-fast", "0002.rapidocr-fast"]
    assert await readings(0.9, 0.0) == ["0001.rapidocr", "0002.rapidocr"]
    assert await readings(1.0, 0.05) == [
        "0001.rapidocr", "0001.rapidocr-fast", "0002.rapidocr", "0002.rapidocr-fast",
    ]  # fmt: skip
