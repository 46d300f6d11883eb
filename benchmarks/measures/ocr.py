"""How well pages are read: character errors of receipts and page images, rotation, and time.

The truth of a receipt is its boxes, put into rows by the same rule as what was read: annotators list them in no fixed
order, and cut rows elsewhere. The reference figures are those of rapidocr 3.10 as configured by its makers.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.measures.corpus import Item, items
from benchmarks.measures.edits import error_rate, word_f1
from benchmarks.measures.reading import Readings
from benchmarks.measures.row import Row
from knowledge_sources.ocr_engine import page_image
from knowledge_sources.reading_order import Piece, reading_order, row_text
from knowledge_sources.rotation import Rotation, turned

TURNS: tuple[Rotation, ...] = (90, 180, 270)
EVERY = 5
"""Of the receipts, every so many are turned: it takes half a second each time."""
RIGHT = 0.1
"""A rotated page is read right if its text has fewer errors than this; upside down it has more than .5."""


def measure(corpus: Path, readings: Readings) -> list[Row]:
    """Rows for the receipts, the page images and the rotated pages of a corpus; kinds that are missing give n = 0."""
    return [
        *_receipts(corpus, readings),
        _images(corpus, readings),
        _rotated(corpus, readings),
        _turned(corpus, readings),
    ]


def _receipts(corpus: Path, readings: Readings) -> list[Row]:
    receipts = items(corpus, "receipt-image", lambda truth: bool(truth.get("boxes")))
    rates, words, seconds = [], [], []
    for receipt in receipts:
        page = readings.of(receipt.path)
        gold = gold_of(receipt.truth["boxes"])
        rates.append(error_rate(page.text, gold))
        words.append(word_f1(page.text, gold))
        seconds.append(readings.seconds(receipt.path))
    n = len(receipts)
    key = "receipt_cer_ns_median"
    default = "rapidocr default .020 median, .033 mean"
    return [
        Row("receipts, character errors (median)", key, median(rates or [1]), n, default, at_most=0.022),
        Row("receipts, character errors (mean)", None, mean(rates or [1]), n, default),
        Row("receipts, word F1 (median)", None, median(words or [0]), n, "rapidocr default .859"),
        Row(
            "receipts, processor seconds a page (median)",
            "seconds_per_page",
            median(seconds or [0]),
            n,
            "rapidocr default 2.86, limited 1.53",
            at_most=1.7,
            note="one core, one thread; decoding and OCR, models already loaded",
        ),
    ]


def gold_of(boxes: list[dict[str, Any]]) -> str:
    """The text of a receipt from its annotated boxes, in rows."""
    pieces = []
    for box in boxes:
        x = [float(v) for v in box["quad"][0::2]]
        y = [float(v) for v in box["quad"][1::2]]
        pieces.append(Piece(box["text"], 1.0, ((x[0], y[0]), (x[1], y[1]), (x[2], y[2]), (x[3], y[3]))))
    return "\n".join(row_text(pieces, row) for row in reading_order(pieces))


def _images(corpus: Path, readings: Readings) -> Row:
    transcribed = items(corpus, "page-image", lambda truth: bool(truth.get("text")))
    rates = [error_rate(readings.of(item.path).text, item.truth["text"]) for item in transcribed]
    return Row("page images, character errors (median)", None, median(rates or [1]), len(rates), "rapidocr .01-.21")


def _rotated(corpus: Path, readings: Readings) -> Row:
    right = [_image_is_right(item, readings) for item in items(corpus, "page-image", lambda t: bool(t.get("rotation")))]
    scans = items(corpus, "pdf", lambda truth: "rotated" in truth.get("class", "") and bool(truth.get("reference_md")))
    right += [error_rate(_whole(item, readings), item.truth["reference_md"]) < RIGHT for item in scans]
    share = mean(right) if right else 0.0
    return Row("rotated pages read right (share)", None, share, len(right), "two passes: all", at_least=1.0)


def _turned(corpus: Path, readings: Readings) -> Row:
    """Receipts turned here by 90, 180 and 270 degrees: whether the engine knows how to turn them back."""
    right = []
    for receipt in items(corpus, "receipt-image")[::EVERY]:
        image = page_image(receipt.path.read_bytes(), "image", 1)
        upright = readings.engine.rotation(image)
        for degrees in TURNS:
            right.append((readings.engine.rotation(turned(image, degrees)) + degrees) % 360 == upright)
    share = mean(right) if right else 0.0
    return Row("receipts turned here, known to be (share)", None, share, len(right), "two passes: all", at_least=1.0)


def _image_is_right(item: Item, readings: Readings) -> bool:
    page = readings.of(item.path)
    turned_back = page.rotation == (360 - int(item.truth["rotation"])) % 360
    written = item.truth.get("text")
    return turned_back and (not written or error_rate(page.text, written) < RIGHT)


def _whole(item: Item, readings: Readings) -> str:
    return "\n".join(page.text for page in readings.pages(item.path))
