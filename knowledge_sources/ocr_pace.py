"""The two paces at which a page can be read, and what can be said of each before and after: pure, and quick to import.

The figures were fitted on one half of 40 photographed receipts, each as it is and made worse in six ways, and checked on
the other half: docs/engines.md has the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

PaceName = Literal["thorough", "fast"]
NARROW = 0.62
"""Width to height below which a page is a slip; sheets (A4 .707, letter .773) are above it."""

Curve = tuple[tuple[float, float], ...]
"""Points of a rising line, by x; level before the first and after the last."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much work a page is given, and what comes of it. Sides are in pixels, times in seconds on one core."""

    engine: str
    """What readings at this pace call their engine."""
    narrow_side: int
    """The detector's limit for the longer side of slips and receipts, which have large letters."""
    wide_side: int
    """The same for full pages, which have small ones."""
    crowded_side: int
    """The same for pages on which very many pieces were found."""
    squeeze: float
    """How much narrower than in life a line is shown to the recognizer, whose time follows the width."""
    few_letters: int
    """With fewer letters than this on a page, most of them were more likely missed."""
    by_size: Curve
    """Shorter side of the page -> expected share of characters that are right, before anything is read."""
    seconds: tuple[float, float]
    """For any page, and for each million pixels that the detector sees."""

    def side(self, width: float, height: float) -> int:
        """The detector's limit for the longer side of a page of this size."""
        return self.narrow_side if width < NARROW * height else self.wide_side

    def accuracy(self, score: float, letters: int) -> float:
        """The share (0..1) of characters expected to be right on a page of so many letters read with this mean score.

        Rises with the score. The recognizer is too sure of what it reads badly: at .90 a fifth of the letters is wrong.
        """
        seen = min(1.0, letters / self.few_letters) if self.few_letters else 1.0
        return round(along(TRUST, score) * seen, 4)

    def expected(self, width: float, height: float) -> float:
        """The same before the page is read, from its size in pixels alone."""
        return round(along(self.by_size, min(width, height)), 4)

    def latency(self, width: float, height: float) -> float:
        """Expected seconds for a page of this size in pixels, the models already loaded."""
        scale = min(1.0, self.side(width, height) / max(width, height, 1.0))
        base, per_million = self.seconds
        return round(base + per_million * width * height * scale * scale / 1e6, 3)


TRUST: Final[Curve] = (
    (0.0, 0.0), (0.5, 0.2), (0.7, 0.4), (0.8, 0.63), (0.9, 0.82), (0.95, 0.91), (0.98, 0.97), (1.0, 1.0),
)  # fmt: skip
"""Mean score of the recognizer -> expected share of characters that are right. One curve fits both paces."""

THOROUGH: Final = Pace(
    engine="rapidocr",
    narrow_side=960,
    wide_side=1280,
    crowded_side=2000,
    squeeze=1.0,
    few_letters=0,
    by_size=((180.0, 0.77), (240.0, 0.9), (320.0, 0.97)),
    seconds=(0.26, 0.92),
)
FAST: Final = Pace(
    engine="rapidocr-fast",
    narrow_side=640,
    wide_side=960,
    crowded_side=1600,
    # Below this, errors grow faster than time falls.
    squeeze=0.7,
    few_letters=20,
    by_size=((180.0, 0.66), (240.0, 0.86), (320.0, 0.955)),
    seconds=(0.19, 0.85),
)
PACES: Final[dict[PaceName, Pace]] = {"thorough": THOROUGH, "fast": FAST}


def along(curve: Sequence[tuple[float, float]], x: float) -> float:
    """The value of a curve at x."""
    (x0, y0), *rest = curve
    if not x > x0:
        return y0
    for x1, y1 in rest:
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        x0, y0 = x1, y1
    return y0
