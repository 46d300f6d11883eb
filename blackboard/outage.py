"""Waiting for a storage that is away: a stream that has begun outlives an outage."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from blackboard.errors import StorageError

P = ParamSpec("P")
T = TypeVar("T")


class Patience:
    """Of one part of a process. Once `over` is set, nothing is waited for any more."""

    def __init__(self) -> None:
        self.over = False

    async def __call__(self, call: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
        """Again until the storage answers. Raises StorageError when it is over."""
        pause = 0.05
        while True:
            try:
                return await call(*given, **named)
            except StorageError:
                if self.over:
                    raise
                await asyncio.sleep(random.uniform(0, pause))
                pause = min(pause * 2, 2.0)
