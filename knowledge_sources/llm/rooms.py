"""What one process knows of an account's limits, and how its callers wait for room."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from knowledge_sources.llm.local_limits import FLEET, Known, LocalLimits

NEAR: Final = 8
"""Those nearer to the front than this are woken when a call of their process ends."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer to asking for room. `wait_ms` is -1 where it depends on calls under way."""

    word: str
    wait_ms: int
    ahead: int = 0
    under_way: int = 1

    @property
    def pause_s(self) -> float:
        """Until the next ask: soon for the first in line, and spread, so that those who wait do not come all at once."""
        usual = min(1.0, 0.05 * (1 + self.ahead))
        known = self.wait_ms / 1000 if self.wait_ms >= 0 else usual
        return min(1.0, max(usual, known)) * random.uniform(0.75, 1.25)

    def hopeless(self, left_s: float) -> bool:
        """Whether there will be no room in time: calls under way may give some back, a closed class does not open."""
        known_late = self.wait_ms > left_s * 1000 and (self.word == "closed" or not self.under_way)
        return left_s <= 0 or known_late


@dataclass(slots=True)
class Room:
    """One account and class of models. `keys`: limits, permits, queue, tickets."""

    keys: tuple[str, ...]
    local: LocalLimits
    away_until: float = 0.0
    """The server was away; it is asked again then, on the clock of `time.monotonic`."""
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, permit: str, reply: list[Any], now: int) -> Heard:
        """What the script `limits_permit` answered, kept for when the server is away."""
        word = reply[0].decode()
        wait_ms, ahead, under_way, fleet, requests, input, output, tokens = (int(one) for one in reply[1:])
        # Never as if few: others may have come since.
        self.local.known = Known(requests, input, output, tokens, max(FLEET, fleet))
        if word == "granted":
            self.local.under_way[permit] = 0
        elif word == "closed":
            self.local.close(now + wait_ms)
        return Heard(word, wait_ms, ahead, under_way)

    def free(self) -> None:
        """A call of this process is over: those who wait here need not sleep on."""
        self._ended.set()
        self._ended = asyncio.Event()

    async def rest(self, heard: Heard, left_s: float) -> None:
        """Sleep until it is time to ask again, or for those near the front, until a call of this process is over."""
        seconds = min(left_s, heard.pause_s)
        if heard.ahead >= NEAR:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
