"""docs/api.md says what the service does: every example runs, in order, and its tables are the real ones."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import which

import pytest

from blackboard.client.submission import Options
from blackboard.events import TYPES
from blackboard.messages import BOOKMARK, CLOSING, PROGRESS, RESET, SNAPSHOT
from controller.http.models import DocumentOptions
from tests.api_page import PAGE, written
from tests.end_to_end.command import TEXT
from tests.integration.live import live
from tests.unit.test_docs import table

TOOLS = ("bash", "curl", "jq")
SAID = {
    "## Submit a document": ["/v1/boards/", "\ncompleted\n", "\n1\n"],
    "## Watch": ["event: board.completed", '["summary",["summary/'],
    "## Read": ["page/0001@1 by pages", "upload/original", "304"],
    "## Correct": ["[2,", "[412,2]", "\n3\n", '[{"key":"page/0001","expected":2,"actual":3}]', '"open"'],
    "## Steer, and end": ["@", "204"],
    "## Problems": ['[422,"/gaol"]'],
    "## The command line": ["board.completed", '"completed"'],
}
"""What the shell examples of a section print, some of it."""


def sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """(heading, its examples as (language, text)) of the page."""
    parts = re.split(r"^(## .*)$", PAGE.read_text(), flags=re.M)
    named = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    return [(heading, re.findall(r"```(sh|python)\n(.*?)```", text, re.S)) for heading, text in named]


@pytest.fixture
async def place(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A folder with a document, and a service that asks for a key, both of which the environment names."""
    (tmp_path / "contract.txt").write_text(TEXT)
    async with live(redis_url, tmp_path / "data") as served:
        scopes = ("read", "submit", "contribute", "admin")
        _, secret = await served.service.keyring.create("ann", tenant="default", scopes=scopes, by="test")
        for name in [name for name in os.environ if name.startswith("BLACKBOARD_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("BLACKBOARD_URL", str(served.client.base_url).rstrip("/"))
        monkeypatch.setenv("BLACKBOARD_API_KEY", secret)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        monkeypatch.chdir(tmp_path)
        yield tmp_path


@pytest.mark.long
@pytest.mark.timeout(90)
@pytest.mark.skipif(not all(map(which, TOOLS)), reason=f"the examples need {', '.join(TOOLS)}")
async def test_the_shell_examples_run(place: Path) -> None:
    script = ["set -euo pipefail"]
    for heading, examples in sections():
        script += [f"echo '{heading}'", *(text for language, text in examples if language == "sh")]
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", "\n".join(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=place
    )
    out, err = (text.decode() for text in await shell.communicate())
    assert shell.returncode == 0, (out, err)
    printed = dict(zip(*[iter(re.split(r"^(## .*)$", out, flags=re.M)[1:])] * 2, strict=True))
    for heading, wanted in SAID.items():
        packed = re.sub(r"\s+(?=[\[\]\",\d])|(?<=[\[,])\s+", "", printed[heading])
        for words in wanted:
            assert words in printed[heading] or words in packed, (heading, printed[heading])


@pytest.mark.long
@pytest.mark.timeout(90)
async def test_the_python_examples_run(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = [text for _, found in sections() for language, text in found if language == "python"]
    assert len(examples) >= 7
    for number, text in enumerate(examples):
        # Each has a thread of its own: some wait, some bring an event loop.
        await asyncio.to_thread(
            exec, compile(text, f"{PAGE.name}, example {number + 1}", "exec"), {"__name__": "example"}
        )
    out = capsys.readouterr().out
    for words in (
        "it is at version 2",
        "'actual': 2",
        "boards are open",
        "and it opens nothing any more",
        "InvalidValue validation-error",
        "completed",
    ):
        assert words in out, out


def test_the_table_of_problems_is_the_catalogue() -> None:
    assert PAGE.read_text() == written(), "run `python -m tests.api_page`"


def test_every_option_is_explained() -> None:
    rows = table("api.md", "fields of the form, where lists are separated by commas and objects are JSON:")
    explained = {word for names, _ in rows for word in re.findall(r"`(\w+)`", names)}
    assert explained == DocumentOptions.model_fields.keys() == Options.__annotations__.keys()


def test_every_message_of_a_stream_is_explained() -> None:
    named = {word for names, *_ in table("api.md", "## Watch") for word in re.findall(r"`([a-z.]+)`", names)}
    assert {PROGRESS, RESET, SNAPSHOT, BOOKMARK, CLOSING} <= named
    assert named - {PROGRESS, RESET, SNAPSHOT, BOOKMARK, CLOSING} <= TYPES
