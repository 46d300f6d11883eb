"""One board of a service, as a submission gives it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from blackboard.client.operations import Words
from blackboard.client.results import Board, Report
from blackboard.client.stream import Event

if TYPE_CHECKING:
    from blackboard.client.sync.boards import Blackboard


class Handle:
    """One board of a service. `submitted`: as it was when it was taken up."""

    def __init__(self, client: Blackboard, submitted: Board) -> None:
        self._client = client
        self.submitted = submitted
        self.id = submitted.id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def board(self) -> Board:
        """The board now."""
        return self._client.board(self.id)

    def report(self, *, partial: bool = False) -> Report:
        """See Blackboard."""
        return self._client.report(self.id, partial=partial)

    def result(self, *, timeout: float | None = None) -> Report:
        """See Blackboard."""
        return self._client.result(self.id, timeout=timeout)

    def events(
        self, *, after: str = "", snapshot: bool = False, level: Words = "", source: Words = "", type: Words = ""
    ) -> Generator[Event, None, None]:
        """See Blackboard."""
        return self._client.events(self.id, after=after, snapshot=snapshot, level=level, source=source, type=type)
