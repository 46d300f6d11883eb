"""How busy a source is, and how many workers it wants: little more than Little's law. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY_S = 60.0
"""How far back busyness is felt: what was a minute ago counts a third."""
SOON_S = 60.0
"""Within which what waits is to be worked off."""
WEIGHT = 0.1
"""Of the latest duration in the mean."""


@dataclass(slots=True)
class Pace:
    """One source in one process. Times are seconds on a clock that never goes back."""

    running: int = 0
    busy: float = 0.0
    """Slots in use, on average over the last minute."""
    mean_s: float = 0.0
    """Of one activation; 0: none has ended yet."""
    at: float = 0.0

    def step(self, now: float, change: int = 0) -> None:
        """Let time pass; `change`: how many more run from now on."""
        kept = math.exp(-max(0.0, now - self.at) / MEMORY_S)
        self.busy = self.busy * kept + self.running * (1 - kept)
        self.running, self.at = max(0, self.running + change), now

    def took(self, seconds: float) -> None:
        """One ended."""
        self.mean_s = seconds if not self.mean_s else self.mean_s + WEIGHT * (seconds - self.mean_s)


def wanted(pace: Pace | None, waiting: int, workers: int, slots: int) -> int | None:
    """Workers a source wants, as one of its workers sees it; None: somebody who works for it knows better.

    Workers of a source take from one queue, so each is as busy as the others: what runs in all is `workers` times what runs
    here, and what waits is as many slots for as long as one activation takes.
    """
    if workers == 0:
        return 1 if waiting else 0
    if pace is None:
        return None
    if not pace.mean_s:
        return workers if waiting or pace.running else 0
    busy = pace.busy * workers + waiting * pace.mean_s / SOON_S
    # What hardly ever runs wants nobody; a tenth of a slot is no worker yet, unless something waits or runs.
    return math.ceil(busy / slots) if waiting or pace.running else math.ceil(max(0.0, busy / slots - 0.1))
