"""Where knowledge sources are found: entry points of the group `blackboard.knowledge_sources`, and folders of files."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from blackboard.contract import Origin, Source, SourceSettings
from blackboard.errors import ContractError
from blackboard.plugins import load_file, plugin_files, sources_in, told

GROUP = "blackboard.knowledge_sources"
OURS = "blackboard-analysis"
"""The distribution whose sources are built in."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that could not be loaded: reported, never fatal. `where`: its entry point or file."""

    name: str
    where: str
    error: str
    origin: Origin = "installed"


def find_sources(
    points: Iterable[EntryPoint] | None = None, *, plugins: Iterable[Path] = (), trusted: Collection[str] = ()
) -> tuple[tuple[Source, ...], tuple[Broken, ...]]:
    """Every source there is, by name, and the plug-ins that are broken.

    `plugins`: folders whose `*.py` files are sources, too. `trusted`: names of third parties' sources that may run in the
    worker itself, as the built-in ones do. Raises ContractError for a name taken twice, and UsageError for a folder that
    is none.
    """
    found: dict[str, Source] = {}
    broken: list[Broken] = []
    given = entry_points(group=GROUP) if points is None else points
    for each in (*_installed(given), *_files(plugins)):
        if isinstance(each, Broken):
            broken.append(each)
            continue
        if each.name in found:
            raise ContractError(
                f"two sources are called {each.name!r}: {found[each.name].where} and {each.where}",
                hint="rename one of them (name= of @knowledge_source), or uninstall or remove it",
            )
        try:
            found[each.name] = configured(replace(each, trusted=each.trusted or each.name in trusted))
        except ValueError as error:
            broken.append(Broken(each.name, each.where, f"its settings are wrong: {error}", each.origin))
    return tuple(found[name] for name in sorted(found)), tuple(broken)


def _installed(points: Iterable[EntryPoint]) -> Iterator[Source | Broken]:
    for point in sorted(points, key=lambda point: point.value):
        origin: Origin = "built-in" if point.dist is not None and point.dist.name == OURS else "installed"
        try:
            source = point.load()
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything while it is imported
            yield Broken(point.name, point.value, told(error), origin)
            continue
        if isinstance(source, Source):
            yield replace(source, origin=origin, where=point.value, trusted=origin == "built-in")
        else:
            yield Broken(point.name, point.value, f"it is a {type(source).__name__}, no knowledge source", origin)


def _files(folders: Iterable[Path]) -> Iterator[Source | Broken]:
    for path in dict.fromkeys(plugin_files(folders)):
        try:
            sources = sources_in(load_file(path))
        except (Exception, SystemExit) as error:  # likewise
            yield Broken(path.stem, str(path), told(error), "file")
            continue
        for source in sources:
            yield replace(source, origin="file", where=str(path), trusted=False)


def settings_of(source: Source) -> dict[type[SourceSettings], SourceSettings]:
    """The settings a source asks for, read from `BLACKBOARD_SOURCE_<NAME>__*`. Raises ValueError for a wrong value."""
    prefix = f"BLACKBOARD_SOURCE_{source.name.upper().replace('-', '_')}__"
    return {
        kind: kind(_env_prefix=prefix)
        for kind in source.injected.values()
        if isinstance(kind, type) and issubclass(kind, SourceSettings)
    }


def configured(source: Source) -> Source:
    """The source with the digest of its settings, so that a change of settings makes its results stale."""
    settings = settings_of(source)
    if not settings:
        return source
    text = "|".join(sorted(value.model_dump_json() for value in settings.values()))
    return replace(source, configuration=hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
