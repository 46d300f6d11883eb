"""Who may import whom, and how large a file may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("blackboard", "knowledge_sources", "controller")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
PURE = ("blackboard/board.py", "blackboard/entries.py", "blackboard/events.py", "blackboard/replay.py",
        "controller/graph.py", "controller/tracks.py", "controller/plan.py", "controller/decide.py",
        "controller/outcome.py", "controller/why.py", "controller/states.py", "controller/awards.py",
        "controller/contests.py", "controller/spending.py", "controller/policy.py", "controller/conditions.py",
        "controller/pinned.py", "controller/choice.py")  # fmt: skip
EDGES = {"redis", "arq", "fastapi", "anthropic", "asyncio", "time", "random", "secrets", "socket", "httpx2", "uvicorn"}


def imports(path: Path) -> set[str]:
    """Every module a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


@pytest.mark.parametrize("name", PURE)
def test_the_core_knows_no_edge(name: str) -> None:
    assert not {module.partition(".")[0] for module in imports(ROOT / name)} & EDGES


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "controller")], ids=lambda p: p.name)
def test_only_bootstrap_knows_the_built_in_sources(path: Path) -> None:
    knows = any(module.partition(".")[0] == "knowledge_sources" for module in imports(path))
    assert not knows or path.parent.name == "bootstrap"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_llm_package_may_import_anthropic(path: Path) -> None:
    if not path.is_relative_to(ROOT / "knowledge_sources" / "llm"):
        assert not any(module.partition(".")[0] == "anthropic" for module in imports(path))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_have_one_reason_to_exist(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400, "split it: a file this long has more than one reason to exist"
