"""How many streams each caller has open, over all processes.

Every process says of each caller how many it has, and says so again before that lapses; so a process that is killed takes its
streams with it. A stream is opened in one step with the look at everybody's counts.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from blackboard import keys
from blackboard.coalesce import Coalescer
from blackboard.doors import Script
from blackboard.errors import StorageError, TooManyStreams

COUNT = Script("streams", ("streams",), ("process", "count", "limit", "ttl_ms"), package="controller")
TTL_MS = 30_000
"""After which what a process said counts no longer."""
AGAIN_S = 10.0
SOON_S = 0.05
"""How long streams that ended are gathered before that is said."""


class Streams:
    """Of one process. `line`: to the server; None: this process is all there is. `limit` of a caller; 0: any number."""

    def __init__(self, line: Coalescer | None, limit: int) -> None:
        self._line = line
        self._limit = limit
        self._process = secrets.token_hex(8)
        self._open: Counter[str] = Counter()
        self._fewer: set[str] = set()
        self._limited: set[str] = set()
        """Callers of whom there may be only so many: the others need not be counted together."""
        self._changed = asyncio.Event()
        self.here = 0
        """How many this process has open."""
        self.ended = 0
        """How many have ended in it."""

    async def open(self, who: str, limit: int | None = None) -> Callable[[], None]:
        """Count one more; what to call, once, when it has ended. `limit`: the caller's own, if it has one.

        Raises TooManyStreams, StorageError.
        """
        most = self._limit if limit is None else limit
        self._add(who, 1)
        if most:
            self._limited.add(who)
        try:
            if not await self._say(who, most):
                raise TooManyStreams(f"There may be {most} streams open at a time.", after_s=5)
        except BaseException:
            self._end(who)
            raise
        return lambda: self._end(who)

    async def serve(self) -> None:
        """Keep what was said true, until cancelled. Outlives outages of the server."""
        loop = asyncio.get_running_loop()
        all_at = loop.time() + AGAIN_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(all_at):
                    await self._changed.wait()
                    await asyncio.sleep(SOON_S)
            self._changed.clear()
            some, self._fewer = self._fewer, set()
            if loop.time() >= all_at:
                # However busy the process is: what is not said again lapses.
                some |= self._open.keys()
                all_at = loop.time() + AGAIN_S
            for who in some:
                with suppress(StorageError):
                    await self._say(who, 0)

    async def close(self) -> None:
        """Take back all that was said."""
        callers, self._open = list(self._open), Counter()
        for who in callers:
            with suppress(StorageError):
                await self._say(who, 0)

    async def _say(self, who: str, limit: int) -> bool:
        count = self._open[who]
        if self._line is None or who not in self._limited:
            return not limit or count <= limit
        call = COUNT.of(keys.access("streams", who), self._process, count, limit, TTL_MS)
        said = bool(await self._line.run(call))
        if not self._open[who]:
            self._limited.discard(who)
        return said

    def _end(self, who: str) -> None:
        self._add(who, -1)
        self.ended += 1
        self._fewer.add(who)
        self._changed.set()

    def _add(self, who: str, more: int) -> None:
        self.here += more
        self._open[who] += more
        if self._open[who] <= 0:
            del self._open[who]
