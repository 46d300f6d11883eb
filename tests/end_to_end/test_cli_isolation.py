"""The real command with a plug-in folder that nobody vouches for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.command import TEXT, Cli

PLUGIN = """
import os
from collections.abc import AsyncIterator

from blackboard import Each, Level, Page, knowledge_source


class Shout(Level):
    page: int
    seen: tuple[str, ...]


@knowledge_source(timeout=20, attempts=1)
async def shout(page: Each[Page]) -> AsyncIterator[Shout]:
    yield Shout(page=page.number, seen=tuple(os.environ))
    HERE
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("bytearray(10 << 30)", "more than 1,024 MB of memory"),
        pytest.param("os._exit(0)", "its process ended by itself (exit code 0)", marks=pytest.mark.faults),
        pytest.param("while True: os.fork()", "Operation not permitted", marks=pytest.mark.faults),
    ],
)
def test_a_hostile_plug_in_costs_its_board_one_step(tmp_path: Path, deed: str, words: str) -> None:
    folder, file = tmp_path / "plugins", tmp_path / "note.txt"
    folder.mkdir()
    (folder / "shout.py").write_text(PLUGIN.replace("HERE", deed))
    file.write_text(TEXT)
    cli = Cli(tmp_path / "data", {"ANTHROPIC_AUTH_TOKEN": "canary", "TMPDIR": str(tmp_path)})
    ran = cli("analyze", file, "--plugins", folder, "--json")
    assert ran.code == 0, ran
    result = ran.json()
    assert result["status"] == "completed"
    (step,) = result["outcome"]["degraded"]
    assert (step["source"], step["binding"]) == ("shout", "page/0001")
    assert words in step["reason"]
    assert result["report"]["fields"]["total"].startswith("35.50")
    (value,) = cli("show", result["board"], "shout/0001-1", "--json").lines()
    assert "ANTHROPIC_AUTH_TOKEN" not in value["seen"]
    assert not list(tmp_path.glob("blackboard-guest-*"))
