"""A picture as an engine wants it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Raster(NamedTuple):
    """RGB pixels, shape (height, width, 3), uint8, contiguous; upright as far as the file itself tells."""

    pixels: NDArray[np.uint8]
    width: int
    height: int


def raster(pixels: NDArray[np.uint8]) -> Raster:
    """Wrap pixels of shape (height, width, 3)."""
    return Raster(np.ascontiguousarray(pixels), int(pixels.shape[1]), int(pixels.shape[0]))
