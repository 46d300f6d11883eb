"""The documentation says what the code does: examples run, settings are the real ones, words have one meaning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from blackboard import Page, Source
from blackboard.levels import Level
from controller.commands.options import DEFAULT_URL
from controller.settings import Settings

ROOT = Path(__file__).parents[2]


def table(file: str, heading: str) -> list[list[str]]:
    """The rows of the first table behind a heading."""
    text = (ROOT / "docs" / file).read_text().partition(f"{heading}\n")[2]
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            break
    return rows[2:]


async def test_the_example_source_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "concepts.md").read_text(), re.S)
    module = ModuleType("example_source")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "concepts.md", "exec"), module.__dict__)
    source = module.__dict__["isbns"]
    assert isinstance(source, Source)
    assert [kind.level for kind in source.outputs] == ["isbn"]
    page = Page(number=3, text="See ISBN 978-3-16-148410-0, not 1234567890123.".replace(",", " "))
    found: list[Level] = [value async for value in source.function(page=page)]
    assert [value.model_dump() for value in found] == [{"page": 3, "number": "9783161484100"}]


def test_every_setting_is_explained_with_its_default() -> None:
    shown: dict[str, str] = {}
    for names, defaults, _ in table("operating.md", "## Settings"):
        words = re.findall(r"`([A-Z_]+)`", names)
        shown.update(zip(words, [part.strip(" `") for part in defaults.split(", ")], strict=True))
    assert (shown.pop("URL"), shown.pop("API_KEY")) == (DEFAULT_URL, "empty")
    assert shown.keys() == {name.upper() for name in Settings.model_fields}
    fields = Settings.model_fields
    for name, default in shown.items():
        actual = fields[name.lower()].default
        if isinstance(actual, SecretStr):
            actual = actual.get_secret_value()
        if name == "DATA_DIR":
            assert default == "~/.local/share/blackboard"
        elif actual in ("", ()):
            assert default == "empty"
        elif isinstance(actual, bool):
            assert default == str(actual).lower()
        elif isinstance(actual, int | float):
            assert float(default) == float(actual), name
        else:
            assert default == actual


def test_words_have_one_meaning() -> None:
    rows = table("glossary.md", "# Glossary")
    words = [row[0] for row in rows]
    assert len(words) == len(set(words)) > 30
    assert all(len(row) == 2 and row[1] for row in rows)


def test_pages_name_each_other() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} names {target}"


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_the_compose_file_is_accepted_and_asks_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "none.env").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BLACKBOARD_")}
    command = ["docker-compose", "-f", ROOT / "compose.yaml", "--env-file", tmp_path / "none.env", "config", "--quiet"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "BLACKBOARD_FIRST_KEY" in refused.stderr
    assert "openssl rand" in refused.stderr
    environment["BLACKBOARD_FIRST_KEY"] = f"bb_first_{'0' * 48}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
