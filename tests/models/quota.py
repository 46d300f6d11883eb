"""Rate limits of an account, as levels that refill all the time, and the headers that tell of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NAMES = {"requests": "requests", "input": "input-tokens", "output": "output-tokens"}


@dataclass(frozen=True)
class Quota:
    """What an account may do in a minute; 0 is no limit, and no header. `enforced`: whether 429 follows."""

    requests: int = 4_000
    input: int = 2_000_000
    output: int = 400_000
    enforced: bool = True


class Levels:
    """What is left of a quota. `clock`: seconds since 1970."""

    def __init__(self, quota: Quota, clock: Callable[[], float]) -> None:
        self._limits = {name: float(getattr(quota, name)) for name in NAMES if getattr(quota, name)}
        self._enforced = quota.enforced
        self._clock = clock
        self._at = clock()
        self._left = dict(self._limits)

    def wait_s(self, **wanted: int) -> float:
        """Seconds until there is room for so much; 0 where there is."""
        self._refill()
        if not self._enforced:
            return 0.0
        short = (
            (min(wanted.get(name, 0), limit) - self._left[name]) * 60 / limit for name, limit in self._limits.items()
        )
        return max(0.0, *short, 0.0)

    def take(self, **used: int) -> None:
        """So much was used; a level may go below nothing, as output is known only afterwards."""
        self._refill()
        for name in self._limits:
            self._left[name] -= used.get(name, 0)

    def headers(self) -> dict[str, str]:
        """`anthropic-ratelimit-*`, as the server sends them with every answer."""
        self._refill()
        told = {}
        for name, limit in self._limits.items():
            left = max(0.0, self._left[name])
            full = datetime.fromtimestamp(math.ceil(self._clock() + (limit - left) * 60 / limit), UTC)
            told[f"anthropic-ratelimit-{NAMES[name]}-limit"] = str(int(limit))
            told[f"anthropic-ratelimit-{NAMES[name]}-remaining"] = str(int(left))
            told[f"anthropic-ratelimit-{NAMES[name]}-reset"] = full.strftime("%Y-%m-%dT%H:%M:%SZ")
        return told

    def _refill(self) -> None:
        now = self._clock()
        for name, limit in self._limits.items():
            self._left[name] = min(limit, self._left[name] + limit * (now - self._at) / 60)
        self._at = now
