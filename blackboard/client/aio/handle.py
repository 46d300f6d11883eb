"""One board of a service, as a submission gives it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from blackboard.client.operations import Words
from blackboard.client.results import Board, Report
from blackboard.client.stream import Event

if TYPE_CHECKING:
    from blackboard.client.aio.boards import AsyncBlackboard


class AsyncHandle:
    """One board of a service. `submitted`: as it was when it was taken up."""

    def __init__(self, client: AsyncBlackboard, submitted: Board) -> None:
        self._client = client
        self.submitted = submitted
        self.id = submitted.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def board(self) -> Board:
        """The board now."""
        return await self._client.board(self.id)

    async def report(self, *, partial: bool = False) -> Report:
        """See AsyncBlackboard."""
        return await self._client.report(self.id, partial=partial)

    async def result(self, *, timeout: float | None = None) -> Report:
        """See AsyncBlackboard."""
        return await self._client.result(self.id, timeout=timeout)

    def events(
        self, *, after: str = "", snapshot: bool = False, level: Words = "", source: Words = "", type: Words = ""
    ) -> AsyncGenerator[Event, None]:
        """See AsyncBlackboard."""
        return self._client.events(self.id, after=after, snapshot=snapshot, level=level, source=source, type=type)
