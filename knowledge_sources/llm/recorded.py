"""A gateway with nobody behind it: recorded answers alone, no key, no network, nothing written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from blackboard.models import Caller, Models
from knowledge_sources.llm.calls import Reply, Usage
from knowledge_sources.llm.gateway import Gateway
from knowledge_sources.llm.ports import Recordings, Row
from knowledge_sources.llm.settings import ModelSettings


def recorded_models(recordings: Recordings, settings: ModelSettings) -> Models:
    """Models that answer what was recorded, and raise ModelFailed for what was not.

    `settings`: windows must be cut as they were when it was recorded, or other questions are asked.
    """
    return Gateway(
        lambda: (), answers=_Unkept(), ledger=_Unwritten(), prices=_Unpriced(), settings=settings, recordings=recordings
    )


class _Unkept:
    """See ports.Answers."""

    async def once(self, key: str, caller: Caller, make: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        return await make(), False

    async def forget(self, board: str) -> None:
        pass


class _Unwritten:
    """See ports.Ledger."""

    async def begin(self, row: Row) -> None:
        pass

    async def end(self, row: Row) -> None:
        pass


class _Unpriced:
    """See ports.Prices."""

    def worst(self, model: str, input_tokens: int, max_output_tokens: int) -> int | None:
        return None

    def cost(self, model: str, usage: Usage) -> int | None:
        return None

    def saved(self, model: str, usage: Usage) -> int | None:
        return None
