"""`contract.Boards` for a board in memory: no child is made, and each counts as one that has completed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from blackboard.filenames import plain_filename
from blackboard.keys import derived_board_id
from blackboard.levels import Child
from controller.opening import name_of_part


class NoBoards:
    """See contract.Boards. For one board."""

    def __init__(self, board: str) -> None:
        self._board = board

    async def open(
        self,
        data: bytes,
        *,
        filename: str | None = None,
        declared_type: str | None = None,
        goal: Sequence[str] = (),
        sources: Sequence[str] = (),
        name: str | None = None,
    ) -> Child:
        """See contract.Boards. Names are not numbered: a bench does not know which run asks."""
        filename = plain_filename(filename)
        called = name_of_part(name, filename, ())
        sha256 = hashlib.sha256(data).hexdigest()
        board = derived_board_id(1, self._board, called, sha256)
        return Child(
            name=called, board=board, sha256=sha256, size=len(data), filename=filename, status="completed",
            reason="no board is made here",
        )  # fmt: skip
