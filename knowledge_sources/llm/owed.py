"""Steps that could not be made because the server was away: made once it is back, in the background.

For steps that may be made twice: what settles money or ends a line of the ledger after a call that did happen. Whoever made
the call goes on; should this process end first, the reservation lapses as spent and the line stays `unknown`.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from blackboard.errors import StorageError

log = structlog.get_logger(__name__)

Step = Callable[[], Awaitable[None]]
MOST = 10_000
PAUSES_S = (0.1, 10.0)


class Owed:
    """`owe` from within a running loop."""

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._paying: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._steps)

    def owe(self, step: Step) -> None:
        """Make it later. Above a bound the oldest is given up, and its reservation lapses."""
        if len(self._steps) >= MOST:
            self._steps.popleft()
        self._steps.append(step)
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay())

    async def paid(self) -> None:
        """Wait until nothing is owed."""
        while self._paying is not None and not self._paying.done():
            await asyncio.wait({self._paying})

    async def close(self) -> None:
        """Try once more, then give up."""
        if self._paying is not None:
            self._paying.cancel()
            with suppress(asyncio.CancelledError):
                await self._paying
        while self._steps:
            try:
                await self._steps.popleft()()
            except StorageError:
                return

    async def _pay(self) -> None:
        pause, longest = PAUSES_S
        while self._steps:
            step = self._steps.popleft()
            try:
                await step()
                pause = PAUSES_S[0]
            except (StorageError, asyncio.CancelledError) as error:
                self._steps.appendleft(step)
                if not isinstance(error, StorageError):
                    raise
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(pause * 2, longest)
            except Exception:  # one step that cannot be made must not keep the others
                log.exception("owed.step_failed")
