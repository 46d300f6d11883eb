"""When activations come back that were told "not now": one behind the other, not all at once.

A source that is deferred (a model's server is away, a limit is reached) is deferred on many boards and pages at about the
same time, and for about as long. Came they all back together, they would meet the same refusal together. So each worker
gives those that wait for the same reason places in a row, `SPACING_S` apart, none sooner than it was told; where the row
would get longer than `SPREAD_S`, chance spreads the rest over it.
"""

from __future__ import annotations

import random
import re
import time
from collections import OrderedDict
from collections.abc import Callable

SPACING_S = 0.1
SPREAD_S = 60.0
LEAST_S = 0.1
"""What a source that says "at once" is made to wait, doubled each time it says so again."""
MOST_DOUBLINGS = 5
LONGEST_S = 3600.0
"""However long a source says: what it waits for may be there sooner."""
MOST_ROWS = 1000
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


class Circuit:
    """Of one worker. `clock` in seconds; `chance(a, b)`: a number between."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._clock, self._chance = clock, chance
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()
        """(source, reason) -> the last place that was given away."""

    def delay(self, source: str, reason: str, after_s: float, times: int) -> float:
        """In how many seconds the activation is tried again; `times`: how often it was deferred before."""
        now = self._clock()
        least = LEAST_S * 2 ** min(times, MOST_DOUBLINGS)
        # What is no number compares as false.
        wait = min(after_s, LONGEST_S) if after_s > least else least
        # "in 12.3 s" and "in 14 s" are the same reason.
        row = (source, _NUMBER.sub("#", reason))
        place = max(now + wait * self._chance(1.0, 1.25), self._last.get(row, now) + SPACING_S)
        if place > now + wait + SPREAD_S:
            return wait + self._chance(0.0, SPREAD_S)
        self._last[row] = place
        self._last.move_to_end(row)
        while len(self._last) > MOST_ROWS:
            self._last.popitem(last=False)
        return place - now
