"""A package to begin a source with: its files are templates in `templates/`."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from keyword import iskeyword, issoftkeyword
from pathlib import Path
from string import Template

from blackboard import __version__
from blackboard.entries import SOURCE
from blackboard.errors import UsageError
from blackboard.registry import GROUP

LONGEST = 23
RESERVED = frozenset({*dir(builtins), "blackboard", "board", "found", "live_board", "page", "pytest", "re", "settings"})
FILES = {
    "pyproject.toml": "pyproject.toml.in",
    "README.md": "README.md.in",
    "src/{package}/__init__.py": "source.py.in",
    "src/{package}/py.typed": "py.typed.in",
    "tests/test_{package}.py": "test_source.py.in",
    ".gitignore": "gitignore.in",
}


@dataclass(frozen=True, slots=True)
class Made:
    """A new package: its folder, and its files below it."""

    folder: Path
    files: tuple[Path, ...]


def scaffold(name: str, into: Path) -> Made:
    """Write the package of a source. Raises UsageError for a name that cannot be and a folder that is there already."""
    word = name.replace("-", "_")
    if not SOURCE.match(name) or len(name) > LONGEST:
        raise UsageError(
            f"{name!r} is no name of a source",
            hint=f"a lower-case letter, then lower-case letters, digits, _ or -, at most {LONGEST} in all, such as: dates",
        )
    if (taken := next((point for point in entry_points(group=GROUP) if point.name == name), None)) is not None:
        raise UsageError(
            f"a source called {name!r} is installed: {taken.value}", hint=f"choose another name, such as: my-{name}"
        )
    if iskeyword(word) or issoftkeyword(word) or word in RESERVED or word.endswith("_"):
        raise UsageError(
            f"{name!r} cannot be the name of the function: Python or the template uses it",
            hint=f"such as: {word.strip('_')}_finder",
        )
    folder = into / f"{name}-source".replace("_", "-")
    if folder.exists():
        raise UsageError(f"{folder} is there already", hint="choose another name, or another folder with --into")
    words = {
        "name": name,
        "function": word,
        "package": f"{word}_source",
        "project": folder.name,
        "level": "".join(part.title() for part in word.split("_") if part) + "Found",
        "env": word.upper(),
        "blackboard": __version__,
    }
    written = []
    try:
        for pattern, template in FILES.items():
            path = folder / pattern.format(package=words["package"])
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (files("controller") / "authoring" / "templates" / template).read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
            written.append(path.relative_to(folder))
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}", hint="choose another --into"
        ) from error
    return Made(folder, tuple(written))
