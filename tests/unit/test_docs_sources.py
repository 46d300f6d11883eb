"""What docs/sources.md says is so: its example runs, its messages are the real ones, its words are declared."""

from __future__ import annotations

import inspect
import logging
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import blackboard
from blackboard import Level, Page, Source, knowledge_source
from blackboard.errors import ContractError
from blackboard.testing import Board, LiveBoard
from controller.testing.plugin import board, live_board
from tests.unit.test_docs import ROOT, table

__all__ = ["board", "live_board"]

TEXT = (ROOT / "docs" / "sources.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


class X(Level):
    """What the wrong signatures return."""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the first example, with the tests of the second."""
    module = ModuleType("example_of_sources")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code in BLOCKS[:2]:
        exec(compile(code, "sources.md", "exec"), module.__dict__)
    return module


async def test_the_example_and_its_tests(example: ModuleType, board: Board, live_board: LiveBoard) -> None:
    assert isinstance(example.dates, Source)
    await example.test_dates(board)
    await example.test_with_everybody_else(live_board)


@pytest.mark.parametrize(
    "row", table("sources.md", "A wrong signature is refused where it is defined, with the parameter and the fix:\n")
)
def test_every_message_is_the_real_one(row: list[str]) -> None:
    signature, said, hint = row[0].strip("`"), row[1].replace("\\|", "|"), row[2].replace("\\|", "|")
    space = {**vars(blackboard), "X": X, "logging": logging, "LOG": logging.getLogger()}
    exec(f"{signature}: ...", space)
    with pytest.raises(ContractError) as refused:
        knowledge_source()(space["f"])
    assert said in str(refused.value)
    assert hint in refused.value.hint


def test_every_word_that_may_be_declared_is_explained() -> None:
    rows = table("sources.md", "## What you may declare\n")
    explained = {word for row in rows for word in re.findall(r"`(\w+)`", row[0])}
    assert explained == set(inspect.signature(knowledge_source).parameters)
    defaults = {name: each.default for name, each in inspect.signature(knowledge_source).parameters.items()}
    shown = {row[0].strip("`"): row[2].strip("`") for row in rows}
    for word in ("attempts", "priority", "concurrency"):
        assert shown[word] == str(defaults[word])
    assert shown["version"] == f'"{defaults["version"]}"'


def test_commands_exist() -> None:
    from typer.main import get_command

    from controller.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for words in re.findall(r"(?:`|\$ )blackboard ((?:sources )?[a-z]+)", TEXT):
        first, _, second = words.partition(" ")
        assert first in commands, words
        assert not second or second in commands["sources"].commands


def test_the_page_speaks_of_pages_that_are_there() -> None:
    assert (Path(ROOT) / "examples" / "dates-source" / "pyproject.toml").is_file()
    assert Page.model_fields.keys() >= {"number", "text"}
