"""The fixture `cassette` as an author uses it: recorded once with a model, then run with none, with no key and no network."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import orjson
import pytest

from blackboard.errors import UsageError
from controller.bootstrap.benches import open_cassette
from tests.models import ModelServer

ROOT = Path(__file__).parents[2]
SUITE = '''
from pathlib import Path

import pytest
from pydantic import BaseModel

from blackboard import Each, LanguageModel, Level, ModelFailed, Page, Task, knowledge_source
from blackboard.testing import Board


class Note(Level):
    """What a model says of a page."""

    text: str


class Said(BaseModel):
    """What it is asked for."""

    text: str


@knowledge_source(cost="model", timeout=20)
async def notes(page: Each[Page], model: LanguageModel) -> Note:
    """One note for each page."""
    said = await model.ask(Said, Task("note", "Say something."), document=[page])
    return Note(text=said.text)


@pytest.mark.parametrize("number", [1, 2])
async def test_notes(board: Board, cassette: Path, number: int) -> None:
    await board.seed(Page(number=number, text=f"Page {number}."))
    await board.run(notes)
    (note,) = board.values(Note)
    assert note.text
    assert [path.suffix for path in cassette.iterdir()] == [".json"]


async def test_never_recorded(board: Board, cassette: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--blackboard-record"):
        pytest.skip("it is about what is not recorded")
    await board.seed(Page(number=9, text="never"))
    with pytest.raises(ModelFailed, match="never recorded"):
        await board.run(notes)
'''


async def run(folder: Path, *words: str, **environment: str) -> str:
    """pytest in a process of its own, which no variable of ours reaches; what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BLACKBOARD_", "ANTHROPIC_"))}
    scope = "asyncio_default_fixture_loop_scope=function"
    words = ("-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-o", scope, "-W", "error", *words)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", *words, cwd=folder, env={**kept, "PYTHONPATH": str(ROOT), **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.long
async def test_a_suite_is_recorded_and_replayed(tmp_path: Path, model_server: ModelServer) -> None:
    (tmp_path / "test_notes.py").write_text(SUITE)
    at = {"BLACKBOARD_MODEL_BASE_URL": model_server.url, "BLACKBOARD_MODEL_API_KEY": "sk-test"}
    assert "2 passed, 1 skipped" in await run(tmp_path, "--blackboard-record", **at)
    asked = len(model_server.calls)
    assert asked >= 2
    cassettes = tmp_path / "cassettes" / "test_notes"
    assert {path.name for path in cassettes.iterdir()} == {"test_notes-1", "test_notes-2"}
    for path in cassettes.rglob("*.json"):
        assert orjson.loads(path.read_bytes())["json"]["text"]
    # A key and a server that are set do not matter: nobody is asked.
    assert "3 passed" in await run(tmp_path, **at)
    assert len(model_server.calls) == asked


async def test_recording_needs_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("BLACKBOARD_MODEL_", "ANTHROPIC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BLACKBOARD_MODEL_CASSETTE", str(tmp_path))
    monkeypatch.setenv("BLACKBOARD_MODEL_CASSETTE_RECORD", "1")
    with pytest.raises(UsageError, match="no model to record"):
        async with open_cassette():
            raise AssertionError("it opened")
