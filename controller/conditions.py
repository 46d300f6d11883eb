"""Preconditions and bids of sources, asked on a board's values. Pure, as far as the authors' code is.

Values are kept for the levels that some `when` or `bid` reads, decoded when first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from blackboard.contract import Bid, Group, Input, Source
from blackboard.entries import level_of
from blackboard.levels import Level
from controller.contests import checked_bid
from controller.graph import Graph
from controller.tracks import Binding, LevelState


class Conditions:
    """The values that preconditions and bids read."""

    def __init__(self, graph: Graph) -> None:
        self._types = graph.types
        self._asked = graph.asked
        self._bidding = graph.bidding
        self._values: dict[str, bytes] = {}
        self._decoded: dict[str, Level] = {}

    def set(self, key: str, value: bytes | None) -> None:
        """Take an entry to a value; None: it is gone."""
        self._decoded.pop(key, None)
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def hold(self, source: Source, binding: Binding, levels: Mapping[str, LevelState]) -> bool:
        """`when` of a source on a binding. Raises whatever the author's code raises."""
        assert source.when is not None
        given = {wanted.parameter: self._input(wanted, binding, levels) for wanted in self._asked[source.name]}
        return bool(source.when(**given))

    def bid(self, source: Source, binding: Binding, levels: Mapping[str, LevelState]) -> Bid | None:
        """`bid` of a source on a binding; None where nobody asks for it. Raises whatever the author's code raises."""
        asked = self._bidding.get(source.name)
        if asked is None or source.bid is None:
            return None
        return checked_bid(source.bid(**{wanted.parameter: self._input(wanted, binding, levels) for wanted in asked}))

    def _input(self, wanted: Input, binding: Binding, levels: Mapping[str, LevelState]) -> Any:
        if wanted.kind == "each":
            return self._decode(next(iter(binding.own)))
        if wanted.kind == "group":
            return Group(binding.id, self._ordered(binding.own))
        return tuple(item for kind in wanted.levels for item in self._ordered(levels[kind.level].versions))

    def _ordered(self, keys: Iterable[str]) -> list[Level]:
        return [self._decode(key) for key in sorted(keys)]

    def _decode(self, key: str) -> Level:
        found = self._decoded.get(key)
        if found is None:
            found = self._decoded[key] = self._types[level_of(key)].model_validate_json(self._values[key])
        return found
