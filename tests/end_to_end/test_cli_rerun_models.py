"""A board that asked a model, analyzed and run again by the real command: the second time nobody is there to be asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.command import TEXT, Cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[str]:
    """A server that speaks the wire format, in a process of its own; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.models", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
@pytest.mark.timeout(90)
def test_a_board_on_models_is_run_again_with_no_key_and_no_server(server: str, tmp_path: Path) -> None:
    file = tmp_path / "invoice.txt"
    file.write_text(TEXT)
    at = {"BLACKBOARD_MODEL_BASE_URL": server, "BLACKBOARD_MODEL_API_KEY": "sk-test"}
    ran = Cli(tmp_path / "data", at)("analyze", file, "--models", "always", "--json")
    assert ran.code == 0, ran
    board = ran.json()["board"]
    cli = Cli(tmp_path / "data")
    ran = cli("replay", board, "--rerun", "all", "--json")
    assert ran.code == 0, ran
    said = ran.json()
    assert said["digest"]["then"] == said["digest"]["now"]
    assert any(name.endswith("_model") for name in said["sources"]), said["sources"]
    # The log alone holds the questions, not the answers.
    exported = tmp_path / "board.jsonl"
    exported.write_text(cli("log", board, "--json").out)
    ran = Cli(tmp_path / "elsewhere")("replay", exported, "--rerun", "claims_model")
    assert ran.code == 5, ran
    assert "not at hand" in ran.out
