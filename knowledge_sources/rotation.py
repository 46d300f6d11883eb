"""Which way up a page image stands, told from the text on it.

Lines of text are wide: if most pieces of a page are high, it lies on its side. And the recognizer is sure of upright
text (mean score .98) and unsure of text upside down (.65), so a few long pieces, read both ways, tell which of the two
remaining ways is right. No further model is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from knowledge_sources.ocr_models import Image, Quad

Rotation = Literal[0, 90, 180, 270]

SAMPLES = 8
SURE = 0.9
"""A mean score at which the other way up need not be tried."""
CLEARLY = 0.05
"""By how much the less likely way must read better to be taken."""
ELONGATED = 1.6
"""Pieces less elongated than this tell nothing about the direction of their lines."""


def turned(image: Image, rotation: Rotation) -> Image:
    """The image turned clockwise by so many degrees."""
    return np.ascontiguousarray(np.rot90(image, k=-rotation // 90))


def find_rotation(quads: Sequence[Quad], score: Callable[[int, Rotation], float]) -> Rotation:
    """Degrees clockwise by which the page must be turned to be upright; 0 where nothing tells.

    `score` is the recognizer's mean score, 0..1, of the piece with that index, turned clockwise by so many degrees.
    """
    if not quads:
        return 0
    sizes = [_size(quad) for quad in quads]
    flat = sum(w for w, h in sizes if w >= ELONGATED * h)
    tall = sum(h for w, h in sizes if h >= ELONGATED * w)
    on_side = tall > flat
    lengths = [h / max(w, 1.0) if on_side else w / max(h, 1.0) for w, h in sizes]
    longest = sorted(range(len(quads)), key=lambda i: -lengths[i])[:SAMPLES]
    likely, other = _ways(on_side)
    first = _mean(longest, likely, score)
    if first >= SURE:
        return likely
    return other if _mean(longest, other, score) > first + CLEARLY else likely


def _ways(on_side: bool) -> tuple[Rotation, Rotation]:
    return (90, 270) if on_side else (0, 180)


def _mean(sample: Sequence[int], rotation: Rotation, score: Callable[[int, Rotation], float]) -> float:
    return sum(score(index, rotation) for index in sample) / len(sample)


def _size(quad: Quad) -> tuple[float, float]:
    return float(np.linalg.norm(quad[0] - quad[1])), float(np.linalg.norm(quad[0] - quad[3]))
