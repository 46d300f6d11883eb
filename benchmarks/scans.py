"""The scans of a corpus whose text is known, as they are and made worse in ways that happen to paper and cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measures.corpus import Item, items
from benchmarks.measures.ocr import gold_of
from knowledge_sources.ocr_engine import page_image

Image = NDArray[np.uint8]

STATES = ("as it is", "half size", "three eighths", "blurred", "faint and noisy", "coarse JPEG", "upside down")


@dataclass(frozen=True)
class Scan:
    """A scanned page, the text that stands on it, and the kind of file it came in."""

    name: str
    path: Path
    kind: str
    truth: str
    unseen: bool
    """Whether nothing was fitted on it: see `scans`."""

    def image(self) -> Image:
        """Its pixels, BGR."""
        return page_image(self.path.read_bytes(), self.kind, 1)


def scans(corpus: Path) -> list[Scan]:
    """Receipts with their boxes, page images and scanned PDFs of one page with their text.

    The receipts at odd places of the manifest, and all that are no receipts, are `unseen`: the engines' curves were
    fitted on the receipts at even places.
    """
    receipts = items(corpus, "receipt-image", lambda truth: bool(truth.get("boxes")))
    found = [
        Scan(item.path.name, item.path, "image", gold_of(item.truth["boxes"]), number % 2 == 1)
        for number, item in enumerate(receipts)
    ]
    images = items(corpus, "page-image", lambda truth: bool(truth.get("text")))
    found += [_other(item, "image", item.truth["text"]) for item in images]
    pdfs = items(corpus, "pdf", lambda truth: _is_scan(truth) and bool(truth.get("reference_md")))
    return found + [_other(item, "pdf", item.truth["reference_md"]) for item in pdfs]


def worn(image: Image, state: str) -> Image:
    """The image in one of `STATES`; the same each time."""
    height, width = image.shape[:2]
    if state == "half size":
        return _scaled(image, 1 / 2)
    if state == "three eighths":
        return _scaled(image, 3 / 8)
    if state == "blurred":
        return np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0 * max(height, width) / 1600), dtype=np.uint8)
    if state == "faint and noisy":
        noise = np.random.default_rng(7).normal(0, 22, image.shape)
        return np.clip((image.astype(np.float32) - 128) * 0.5 + 150 + noise, 0, 255).astype(np.uint8)
    if state == "coarse JPEG":
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 9])
        assert done
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    if state == "upside down":
        return np.ascontiguousarray(image[::-1, ::-1])
    return image


def spread(found: list[Scan], count: int) -> Iterator[Scan]:
    """So many of them, evenly over the list; all of them for 0."""
    step = len(found) / count if 0 < count < len(found) else 1.0
    for number in range(min(count, len(found)) or len(found)):
        yield found[int(number * step)]


def _other(item: Item, kind: str, text: str) -> Scan:
    return Scan(item.path.name, item.path, kind, text, unseen=True)


def _is_scan(truth: dict[str, Any]) -> bool:
    return str(truth.get("class", "")) in ("scanned", "scanned-rotated")


def _scaled(image: Image, by: float) -> Image:
    height, width = image.shape[:2]
    size = max(1, round(width * by)), max(1, round(height * by))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
