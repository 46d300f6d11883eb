"""What the fixtures `board` and `live_board` of our pytest plug-in are, for the annotations of an author's tests.

async def test_dates(board: Board) -> None:
    await board.seed(Page(number=1, text="due 2025-03-12"))
    await board.run(dates)
    assert [found.iso for found in board.values(DateMention)] == ["2025-03-12"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from blackboard.contract import Contribution, Source
from blackboard.levels import Level

L = TypeVar("L", bound=Level)


class Board(Protocol):
    """A board in memory. The real controller decides, the real worker's code runs; nothing is kept."""

    @property
    def errors(self) -> Sequence[BaseException]:
        """What sources raised, in order, also where they were tried again."""

    @property
    def progress(self) -> Sequence[tuple[float, float, str]]:
        """What sources said with `Progress`: done, total, note."""

    async def blob(self, data: bytes) -> str:
        """Keep bytes for sources that ask for `Blobs`; their SHA-256."""

    async def seed(self, *values: Level | Contribution[Any]) -> None:
        """Put entries on the board. They are named by their level's `named_by`, by their `Contribution`, or numbered.

        An entry of a name that is there already is replaced: sources that read it run again.
        """

    async def run(self, *sources: Source, raises: bool = True) -> None:
        """Run these sources until nothing is left for them to do.

        Raises what a source raised, if it failed for good; with `raises=False` it is found in `errors`.
        """

    def values(self, kind: type[L]) -> list[L]:
        """The entries of a level, in the order of their keys; each knows its own (`value.entry`)."""

    def rivals(self, kind: type[L]) -> list[L]:
        """What sources suggested beside entries that somebody else owns."""

    def why(self, source: Source) -> Mapping[str, str]:
        """Binding -> state and reason after the last run, such as `skipped: its precondition is false`."""


class LiveBoard(Protocol):
    """Boards on a real, private server, with a real controller and worker. Each run makes a board and takes it to its end."""

    @property
    def id(self) -> str:
        """The last board's id."""

    @property
    def status(self) -> str:
        """How the last board ended: completed, failed or cancelled; "" before the first run."""

    @property
    def outcome(self) -> Mapping[str, Any]:
        """What its end says: slug, reason, degraded steps, coverage."""

    async def seed(self, *values: Level | Contribution[Any]) -> None:
        """Entries that the next board begins with; see Board."""

    async def run(self, *sources: Source, raises: bool = True) -> None:
        """Run these sources on a board that begins with what was seeded.

        Raises SourceError when one failed for good, unless `raises=False`.
        """

    async def analyze(self, document: str | bytes | Path, *sources: Source, raises: bool = True) -> None:
        """Submit a document (a text, its bytes or a file), to the installed sources and these.

        Only what these sources' levels need is run; everything if none is given.
        """

    def values(self, kind: type[L]) -> list[L]:
        """The entries of a level on the last board, in the order of their keys."""
