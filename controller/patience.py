"""How long a source may take: in all, and without a sign of life."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from blackboard.contract import Progress, Source
from blackboard.errors import TransientFailure


class Patience:
    """A block's two time-outs. Leaving it late raises TransientFailure that says which one it was.

    Signs of life (`touch`, from any thread) put off the second one only. They set a time and no timer, so that a source may
    give them as often as it likes.
    """

    def __init__(self, source: Source) -> None:
        self._total = source.timeout
        self._idle = source.idle_timeout
        self._touched = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._words = f"no result within {self._total:g} s in all (its timeout)"

    def touch(self) -> None:
        """A contribution, or progress."""
        self._touched = self._loop.time()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(self._total)
        await self._limit.__aenter__()
        self.touch()
        if self._idle is not None:
            self._handle = self._loop.call_later(self._idle, self._look, self._idle)
        return self

    def _look(self, idle: float) -> None:
        now = self._loop.time()
        due = self._touched + idle
        if now < due:
            self._handle = self._loop.call_at(due, self._look, idle)
        elif not self._limit.expired():
            self._words = f"neither a contribution nor progress for {idle:g} s (its idle_timeout)"
            self._limit.reschedule(now)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise TransientFailure(self._words) from late


class _Watched:
    """Progress that is a sign of life."""

    def __init__(self, progress: Progress, patience: Patience) -> None:
        self._progress, self._patience = progress, patience

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """See contract.Progress."""
        self._patience.touch()
        self._progress(done, total, note)


def watched(services: Mapping[Any, Any], patience: Patience) -> Mapping[Any, Any]:
    """The services, with progress a sign of life."""
    progress = services.get(Progress)
    return services if progress is None else {**services, Progress: _Watched(progress, patience)}
