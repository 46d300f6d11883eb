"""Where knowledge sources are found: entry points of the group `blackboard.knowledge_sources`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

from blackboard.contract import Source, SourceSettings
from blackboard.errors import ContractError

GROUP = "blackboard.knowledge_sources"
OURS = "blackboard-analysis"
"""The distribution whose sources are built in."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that could not be loaded: reported, never fatal."""

    name: str
    where: str
    error: str


def find_sources(points: Iterable[EntryPoint] | None = None) -> tuple[tuple[Source, ...], tuple[Broken, ...]]:
    """Every source there is, by name, and the plug-ins that are broken. Raises ContractError for a name taken twice."""
    found: dict[str, tuple[Source, str]] = {}
    broken: list[Broken] = []
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.value):
        try:
            source = point.load()
        except Exception as error:  # a stranger's module may raise anything while it is imported
            broken.append(Broken(point.name, point.value, f"{type(error).__name__}: {error}"))
            continue
        if not isinstance(source, Source):
            broken.append(Broken(point.name, point.value, f"it is a {type(source).__name__}, no knowledge source"))
            continue
        if source.name in found:
            raise ContractError(
                f"two sources are called {source.name!r}: {found[source.name][1]} and {point.value}",
                hint="rename or uninstall one of them",
            )
        try:
            found[source.name] = (configured(_placed(source, point)), point.value)
        except ValueError as error:
            broken.append(Broken(point.name, point.value, f"its settings are wrong: {error}"))
    return tuple(found[name][0] for name in sorted(found)), tuple(broken)


def _placed(source: Source, point: EntryPoint) -> Source:
    built_in = point.dist is not None and point.dist.name == OURS
    return replace(source, origin="built-in" if built_in else "installed", where=point.value, trusted=built_in)


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
