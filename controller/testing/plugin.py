"""The fixtures `board`, `live_board` and `cassette`.

Imports nothing heavy: every suite of an environment that has us loads it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blackboard.testing import Board, LiveBoard

MODEL = ("BLACKBOARD_MODEL_", "ANTHROPIC_")
"""Begin the names of what is set about models."""
SERVER = {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"} | {
    f"BLACKBOARD_MODEL_{name}" for name in ("API_KEY", "BASE_URL", "NAMES", "FALLBACKS")
}
"""Of these, what says which model is asked."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--blackboard-record`."""
    parser.getgroup("blackboard").addoption(
        "--blackboard-record",
        action="store_true",
        help="ask the model that is set up for what the cassettes of tests lack, and record it",
    )


@pytest.fixture
def cassette(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's recorded answers, `cassettes/<module>/<test>` beside it.

    `board` and `live_board` then ask no model but this: with no key, over no network. What was never recorded fails the
    source with ModelFailed; `pytest --blackboard-record` asks for it.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name).strip("-.")[:100]
    folder: Path = request.path.parent / "cassettes" / request.path.stem / name
    record = bool(request.config.getoption("--blackboard-record"))
    for variable in [variable for variable in os.environ if variable.startswith(MODEL)]:
        # What else is set (how much fits a question) would make other questions here than where they were recorded.
        if not (record and variable in SERVER):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("BLACKBOARD_MODEL_CASSETTE", str(folder))
    monkeypatch.setenv("BLACKBOARD_MODEL_CASSETTE_RECORD", "1" if record else "0")
    return folder


def _has_cassette(request: pytest.FixtureRequest) -> bool:
    """Whether the test asks for one; it is set up first then."""
    if "cassette" not in request.fixturenames:
        return False
    request.getfixturevalue("cassette")
    return True


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Board:
    """A board in memory to try a knowledge source on: see blackboard.testing.Board."""
    from controller.testing.memory import MemoryBoard

    if not _has_cassette(request):
        return MemoryBoard()
    from controller.bootstrap.benches import open_cassette

    return MemoryBoard(models=open_cassette)


@pytest.fixture
def live_board(request: pytest.FixtureRequest) -> Iterator[LiveBoard]:
    """Boards on a private server with a controller and a worker: see blackboard.testing.LiveBoard."""
    from controller.testing.live import ServedBoard

    _has_cassette(request)
    # pytest's own directories may be too deep for the name of a socket.
    with tempfile.TemporaryDirectory(prefix="bb-") as place:
        yield ServedBoard(Path(place))
