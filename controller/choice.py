"""Which sources a board begins with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from blackboard.contract import Source


def begin_with(
    sources: Iterable[Source], named: Collection[str] = (), contested: Collection[str] = ()
) -> dict[str, Source]:
    """By name: the sources that are `named`, or where none are, all that are there by default.

    `contested` are the levels for which a policy says how sources compete: everyone who contributes to one of them is
    there then, by default or not, because a competition needs its rivals.
    """
    if named:
        return {source.name: source for source in sources if source.name in named}
    levels = frozenset(contested)
    return {
        source.name: source
        for source in sources
        if source.default or any(kind.level in levels for kind in source.outputs)
    }


def idle_without(sources: Iterable[Source], given: str) -> tuple[str, str] | None:
    """(source, level it waits for in vain) if none of these could ever act on a board that holds the level `given` alone."""
    chosen = list(sources)
    waits = [
        (source.name, wanted.levels[0].level)
        for source in chosen
        for wanted in source.inputs
        if wanted.kind in ("each", "group") and all(kind.level != given for kind in wanted.levels)
    ]
    return waits[0] if waits and len({name for name, _ in waits}) == len(chosen) else None
