"""The fixtures `board` and `live_board`. Imports nothing heavy: every suite of an environment that has us loads it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blackboard.testing import Board, LiveBoard


@pytest.fixture
def board() -> Board:
    """A board in memory to try a knowledge source on: see blackboard.testing.Board."""
    from controller.testing.memory import MemoryBoard

    return MemoryBoard()


@pytest.fixture
def live_board() -> Iterator[LiveBoard]:
    """Boards on a private server with a controller and a worker: see blackboard.testing.LiveBoard."""
    from controller.testing.live import ServedBoard

    # pytest's own directories may be too deep for the name of a socket.
    with tempfile.TemporaryDirectory(prefix="bb-") as place:
        yield ServedBoard(Path(place))
