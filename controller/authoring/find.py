"""What an author names: a file, a package's folder, an entry point, or the name of an installed source."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from pkgutil import iter_modules

from blackboard.contract import Source
from blackboard.errors import ContractError, UsageError
from blackboard.plugins import load_file, sources_in, told
from blackboard.registry import GROUP, Broken, configured


@dataclass(frozen=True, slots=True)
class Named:
    """What was named: its sources, and what of it could not be loaded."""

    sources: tuple[Source, ...]
    broken: tuple[Broken, ...] = ()


def find(what: str, installed: Callable[[], Iterable[Source]]) -> Named:
    """The sources of a path, of an entry point `module:name`, or the installed one of that name.

    What is imported from a folder stays importable in this process. `installed` is asked late: of a package that is both
    named and installed, the named one counts. Raises UsageError when there is no such thing.
    """
    path = Path(what).expanduser()
    if path.is_file() and path.suffix == ".py":
        return _loaded(path.stem, str(path.resolve()), partial(_file, path.resolve()))
    if path.is_dir():
        return _folder(path.resolve())
    if ":" in what and not path.exists():
        return _loaded(what, what, partial(_points, what))
    known = {source.name: source for source in installed()}
    if what in known:
        return Named((known[what],))
    if path.exists():
        raise UsageError(f"{what} is no Python file", hint="name a .py file, a package's folder or an installed source")
    raise UsageError(
        f"there is neither a path nor an installed source {what}", hint=f"installed are: {', '.join(sorted(known))}"
    )


def is_same(one: Source, other: Source) -> bool:
    """Whether two are one function, found twice."""
    same_file = bool(one.where) and one.where == other.where and one.name == other.name
    return same_file or (
        one.function.__module__ == other.function.__module__
        and one.function.__qualname__ == other.function.__qualname__
    )


def _loaded(name: str, where: str, load: Callable[[], list[Source]]) -> Named:
    try:
        sources = load()
    except (Exception, SystemExit) as error:  # an author's module may raise anything while it is imported
        return Named((), (Broken(name, where, told(error), "file"),))
    found: list[Source] = []
    broken: list[Broken] = []
    for source in sources:
        placed = replace(source, origin="file", where=where, trusted=False)
        try:
            found.append(configured(placed))
        except ValueError as error:
            broken.append(Broken(source.name, where, f"its settings are wrong: {error}", "file"))
    return Named(tuple(found), tuple(broken))


def _folder(folder: Path) -> Named:
    if (folder / "pyproject.toml").is_file():
        return _project(folder)
    if (folder / "__init__.py").is_file():
        _import_from(folder.parent)
        return _loaded(folder.name, str(folder), partial(_package, folder.name))
    files = sorted(path for path in folder.glob("*.py") if path.name[0] not in "._")
    if not files:
        raise UsageError(
            f"{folder} holds neither a package nor a file of a source",
            hint="name the folder with pyproject.toml or __init__.py in it, or a .py file",
        )
    return _together(_loaded(file.stem, str(file), partial(_file, file)) for file in files)


def _project(folder: Path) -> Named:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / 'pyproject.toml'} is no TOML: {error}") from error
    points = project.get("entry-points", {}).get(GROUP, {})
    if not points:
        raise UsageError(
            f"{folder / 'pyproject.toml'} names no entry point of the group {GROUP}",
            hint=f'add [project.entry-points."{GROUP}"] with name = "module:function"',
        )
    _import_from(folder / "src", folder)
    return _together(_loaded(name, str(value), partial(_points, str(value))) for name, value in points.items())


def _file(path: Path) -> list[Source]:
    return sources_in(load_file(path))


def _package(name: str) -> list[Source]:
    """The sources that a package's modules define."""
    module = importlib.import_module(name)
    inner = [each.name for each in iter_modules(module.__path__) if not each.name.startswith("_")]
    modules = [module, *(importlib.import_module(f"{name}.{each}") for each in inner)]
    found: list[Source] = []
    for each in modules:
        with suppress(ContractError):
            found += sources_in(each)
    if not found:
        raise ContractError("it defines no knowledge source", hint="put @knowledge_source(...) above a function of it")
    return found


def _points(value: str) -> list[Source]:
    """What an entry point names. Raises ContractError when that is no source."""
    module, _, path = value.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    if not isinstance(found, Source):
        raise ContractError(
            f"{value} is a {type(found).__name__}, no knowledge source", hint="put @knowledge_source(...) above it"
        )
    return [found]


def _together(parts: Iterable[Named]) -> Named:
    every = list(parts)
    return Named(tuple(x for part in every for x in part.sources), tuple(x for part in every for x in part.broken))


def _import_from(*folders: Path) -> None:
    """For good, because a source may import more while it runs: these are commands of one shot."""
    sys.path[:0] = [str(folder) for folder in folders if folder.is_dir()]
    importlib.invalidate_caches()
