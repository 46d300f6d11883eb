"""What the OCR sources bid for a page: what they expect to read right of it, and in how many seconds. Pure.

All that is known of a page before it is read is its size. It says enough: on small pictures letters are small, where fewer
pixels cost the fast pace more; and time follows the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from blackboard import Bid, Document, Layer
from knowledge_sources.ocr_pace import FAST, THOROUGH, Pace

DOTS_PER_POINT: Final = 150.0 / 72.0
PDF_PIXELS: Final = 4e6
IMAGE_PIXELS: Final = 12e6
"""How large pages are drawn at most, see `ocr_engine.page_image`."""
UNKNOWN: Final = (1240.0, 1754.0)
"""A sheet at 150 dots per inch, for a page whose size nobody knows."""


def thorough_bid(layer: Layer, document: Sequence[Document] = ()) -> Bid:
    """What `ocr` offers for a page."""
    return _bid(THOROUGH, layer, document)


def fast_bid(layer: Layer, document: Sequence[Document] = ()) -> Bid:
    """What `ocr_fast` offers for a page."""
    return _bid(FAST, layer, document)


def _bid(pace: Pace, layer: Layer, document: Sequence[Document]) -> Bid:
    width, height = _pixels(layer, document[0].kind if document else "image")
    return Bid(value=pace.expected(width, height), cost_usd=0.0, latency_s=pace.latency(width, height))


def _pixels(layer: Layer, kind: str) -> tuple[float, float]:
    """Width and height of the page as it will be drawn."""
    width, height = layer.width or 0.0, layer.height or 0.0
    # A rule must not fail on what a stranger's source wrote: every comparison with a NaN is false.
    if not (0 < width < math.inf and 0 < height < math.inf):
        return UNKNOWN
    scale, most = (DOTS_PER_POINT, PDF_PIXELS) if kind == "pdf" else (1.0, IMAGE_PIXELS)
    scale = min(scale, math.sqrt(most / width) / math.sqrt(height))
    return width * scale, height * scale
