"""The fixture `board`: a bench, and what a test asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

from blackboard.board import Board
from blackboard.contract import Contribution, Source
from blackboard.levels import Level
from blackboard.models import Models
from blackboard.registry import configured
from controller.bench import Bench
from controller.testing.seeds import Seeds, values_of

L = TypeVar("L", bound=Level)


class MemoryBoard:
    """See blackboard.testing.Board. `services`: see Bench; `models`: opens, for one run, who is asked as a model."""

    def __init__(
        self,
        services: Mapping[Any, Any] | None = None,
        models: Callable[[], AbstractAsyncContextManager[Models]] | None = None,
    ) -> None:
        self._bench = Bench(services=services)
        self._models = models
        self._seeds = Seeds()
        self._board: Board | None = None
        self._why: dict[str, dict[str, str]] = {}

    @property
    def errors(self) -> Sequence[BaseException]:
        """See blackboard.testing.Board."""
        return [failure.error for failure in self._bench.failures]

    @property
    def progress(self) -> Sequence[tuple[float, float, str]]:
        """See blackboard.testing.Board."""
        return self._bench.progress.said

    async def blob(self, data: bytes) -> str:
        """See blackboard.testing.Board."""
        return await self._bench.store.blobs.put(data)

    async def seed(self, *values: Level | Contribution[Any]) -> None:
        """See blackboard.testing.Board."""
        writes = [self._seeds.put(value) for value in values]
        if self._board is None:
            await self._bench.start(writes)
        else:
            await self._bench.put(writes)
        self._board = await self._bench.board()

    async def run(self, *sources: Source, raises: bool = True) -> None:
        """See blackboard.testing.Board."""
        if not sources:
            raise TypeError("run() was given no source")
        if self._board is None:
            await self.seed()
        before = len(self._bench.failures)
        # In the test's own process, where a debugger and its patches reach them.
        async with self._models() if self._models is not None else nullcontext() as models:
            self._bench.models = models
            await self._bench.run([configured(replace(source, trusted=True)) for source in sources])
        board = self._board = await self._bench.board()
        for source in sources:
            self._why[source.name] = {}
        for reason in await self._bench.why([configured(source) for source in sources]):
            if reason.source:
                self._why[reason.source][reason.binding] = f"{reason.state}: {reason.reason}"
        if not raises:
            return
        for failure in self._bench.failures[before:]:
            ended = board.activation(failure.activation)
            if ended is not None and ended.status == "failed":
                failure.error.add_note(f"raised by the source {failure.source} on {failure.binding}")
                raise failure.error

    def values(self, kind: type[L]) -> list[L]:
        """See blackboard.testing.Board."""
        return values_of(self._board, kind)

    def rivals(self, kind: type[L]) -> list[L]:
        """See blackboard.testing.Board."""
        return values_of(self._board, kind, rivals=True)

    def why(self, source: Source) -> Mapping[str, str]:
        """See blackboard.testing.Board."""
        return self._why.get(source.name, {})
