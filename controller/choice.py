"""Which sources a board begins with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from blackboard.contract import Source
from blackboard.levels import Address, Upload
from controller.policy import DEFAULT, Policy


def begin_with(
    sources: Iterable[Source], named: Collection[str] = (), policy: Policy = DEFAULT, *, given: str = Upload.level
) -> dict[str, Source]:
    """By name: the sources that are `named`, or where none are, all that are there by default.

    Where the policy says how sources compete for a level, everyone who contributes to it is there, by default or not,
    because a competition needs its rivals. Those that ask a language model are there where the policy asks for models, by
    default or not, and nowhere else.

    `given`: the level a board begins with. Who makes a document of an address is there where that is an address, named or
    not, and nowhere else.
    """
    sources = tuple(sources)
    chosen = _chosen(sources, named, policy)
    if given != Address.level:
        return {name: source for name, source in chosen.items() if not fetches(source)} or chosen
    if not any(fetches(source) for source in chosen.values()):
        chosen = {source.name: source for source in sources if fetches(source)} | chosen
    return chosen


def fetches(source: Source) -> bool:
    """Whether it makes a document of an address."""
    return Upload in source.outputs and any(Address in wanted.levels for wanted in source.inputs)


def _chosen(sources: Iterable[Source], named: Collection[str], policy: Policy) -> dict[str, Source]:
    if named:
        return {source.name: source for source in sources if source.name in named}
    levels = policy.strategy.keys()
    return {
        source.name: source
        for source in sources
        if policy.allows(source)
        and (source.asks_model or source.default or any(kind.level in levels for kind in source.outputs))
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
