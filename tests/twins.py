"""`blackboard.client.sync` is `blackboard.client.aio` without waiting: made by `python -m tests.twins`, kept so by a test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "blackboard" / "client"
WORDS = (
    (r"import asyncio\n", "import time\n"),
    (r"asyncio\.sleep", "time.sleep"),
    (r"async (def|with|for)", r"\1"),
    (r"await ", ""),
    (r"\bA(?:sync)(Blackboard|Handle|Connection|Keys|Webhooks|Iterator|Client)\b", r"\1"),
    (r"AsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"AsyncGenerator", "Generator"),
    (r"\b__a(enter|exit)__", r"__\1__"),
    (r"\ba(closing|iter_raw|read)\b", r"\1"),
    (r"\baclose\b", "close"),
    (r"blackboard\.client\.aio\b", "blackboard.client.sync"),
    (r"programs with an event loop", "programs without an event loop"),
    (r"`blackboard\.client\.sync` is made from this package, file by file\.", "Made from `blackboard.client.aio`."),
)


def twins() -> Iterator[tuple[Path, str]]:
    """Every file of the package that does not wait, and what must be in it."""
    for path in sorted((CLIENT / "aio").glob("*.py")):
        text = path.read_text()
        for pattern, twin in WORDS:
            text = re.sub(pattern, twin, text)
        yield CLIENT / "sync" / path.name, text


def meaning(text: str) -> tuple[list[str], list[str]]:
    """What a module imports, in whatever order, and what it says, however its lines are broken."""
    body = ast.parse(text).body
    imported = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return sorted(map(ast.dump, imported)), [ast.dump(node) for node in body if node not in imported]


if __name__ == "__main__":
    (CLIENT / "sync").mkdir(exist_ok=True)
    for path, text in twins():
        path.write_text(text)
    for words in (("check", "--fix"), ("format",)):
        subprocess.run([sys.executable, "-m", "ruff", *words, "--quiet", CLIENT / "sync"], check=True)
