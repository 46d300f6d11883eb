"""Which sources work on a board, in which versions, and where they write: read off its head. Pure.

A board names the sources it began with, each with its version. The code at hand may have another version: the board is
still decided with the shape declared there, but everything is told apart by the pinned version, so that a deploy changes
no board under way. A *shadow* reads what the source reads and writes to a side space, `shadow.<source>.<level>/<name>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import orjson

from blackboard.contract import Source
from blackboard.entries import SHADOW, is_shadow, plain_name
from blackboard.levels import Level
from controller.choice import begin_with
from controller.policy import policy_of


def graph_words(head: Mapping[str, str]) -> tuple[str, ...]:
    """What of a board's head its graph follows from."""
    return tuple(head.get(name, "") for name in ("sources", "goal", "policy", "shadow", "backfill"))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a board's graph is made of."""

    sources: tuple[Source, ...]
    goal: tuple[str, ...]
    shadows: tuple[Source, ...] = ()
    """In the form of `shadowed`."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """One source that runs on a fork of a board that has ended."""

    source: str
    shadow: bool = False
    downstream: bool = False
    """Whether what reads its contributions runs again, too."""

    def __str__(self) -> str:
        return orjson.dumps(asdict(self)).decode()


def backfill_of(head: Mapping[str, str]) -> Backfill | None:
    """What the board was forked for, if for that."""
    return Backfill(**orjson.loads(head["backfill"])) if head.get("backfill") else None


def versions_of(head: Mapping[str, str], field: str) -> dict[str, str]:
    """The sources of the head's `sources` or `shadow`, name -> version."""
    found = orjson.loads(head[field]) if head.get(field) else {}
    return dict(found) if isinstance(found, dict) else {}


def version_of(head: Mapping[str, str], source: str) -> str:
    """The version of a source, or of a shadow, that a board has; "" when it has none."""
    return versions_of(head, "shadow" if is_shadow(source) else "sources").get(plain_name(source), "")


def chosen(head: Mapping[str, str], sources: Iterable[Source]) -> Chosen:
    """The sources of a board, at its versions; all there by default where it names none. Those nobody knows here are left
    out."""
    known = {source.name: source for source in sources}
    policy = policy_of(head.get("policy", ""))
    named: Any = orjson.loads(head["sources"]) if head.get("sources") else list(begin_with(known.values(), (), policy))
    pinned = named if isinstance(named, dict) else {name: known[name].version for name in named if name in known}
    found = tuple(_pinned(known[name], version) for name, version in pinned.items() if name in known)
    aside = versions_of(head, "shadow")
    shadows = tuple(shadowed(_pinned(known[name], version)) for name, version in aside.items() if name in known)
    task = backfill_of(head)
    if task is None:
        return Chosen(found, tuple(word for word in head.get("goal", "").split(",") if word), shadows)
    if task.shadow:
        return Chosen((), (), tuple(source for source in shadows if source.name == shadow_name(task.source)))
    return Chosen(_reached(found, task), ())


def _pinned(source: Source, version: str) -> Source:
    return source if source.version == version else replace(source, version=version)


def _reached(sources: tuple[Source, ...], task: Backfill) -> tuple[Source, ...]:
    """The backfilled source; with `downstream` also what reads its contributions, and so on."""
    kept = {source.name: source for source in sources if source.name == task.source}
    grown = task.downstream
    while grown:
        levels = {kind.level for source in kept.values() for kind in source.outputs}
        more = {
            source.name: source
            for source in sources
            if source.name not in kept and any(kind.level in levels for given in source.inputs for kind in given.levels)
        }
        kept |= more
        grown = bool(more)
    return tuple(kept.values())


def shadow_name(source: str) -> str:
    """What a source is called where it writes to the side space."""
    return source if is_shadow(source) else SHADOW + source


def shadow_prefix(source: str) -> str:
    """What the side space puts before the keys that a source writes."""
    return f"{shadow_name(source)}."


def shadowed(source: Source) -> Source:
    """The source as a board's graph sees its shadow: the same inputs, outputs that nobody reads, nothing required.

    A shadow of a loop source runs once the loop is quiet: what it writes does not come round again.
    """
    outputs = tuple(_aside(kind, source.name) for kind in source.outputs)
    name = shadow_name(source.name)
    return replace(source, name=name, outputs=outputs, required=False, revises=(), max_rounds=None)


@lru_cache(maxsize=1024)
def _aside(kind: type[Level], source: str) -> type[Level]:
    return type(
        kind.__name__, (kind,), {"__module__": kind.__module__, "level": f"{shadow_prefix(source)}{kind.level}"}
    )
