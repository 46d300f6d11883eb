"""One figure of the accuracy benchmark, beside what it is measured against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured value with its bounds.

    `key` is its name in the JSON output, or None for figures that are only printed; `n` is how many cases it rests on;
    `reference` says what others reach, in words; `at_least` and `at_most` are inclusive bounds.
    """

    measure: str
    key: str | None
    value: float
    n: int
    reference: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value keeps its bounds; a figure that rests on no case keeps none."""
        if self.n == 0:
            return False
        above = self.at_least is None or self.value >= self.at_least
        below = self.at_most is None or self.value <= self.at_most
        return above and below

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        words = []
        if self.at_least is not None:
            words.append(f">= {self.at_least:.3g}")
        if self.at_most is not None:
            words.append(f"<= {self.at_most:.3g}")
        return " and ".join(words)
