"""The sources and levels that each tenant has to choose from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blackboard.contract import Source
from blackboard.levels import Level
from controller.values import known_levels


class Offer:
    """`owners`: those sources that one tenant alone sees -> that tenant; the others are everybody's."""

    def __init__(self, sources: Sequence[Source], owners: Mapping[str, str] | None = None) -> None:
        self.all = {source.name: source for source in sources}
        self.outputs = {source.name: frozenset(kind.level for kind in source.outputs) for source in sources}
        self._owners = {name: tenant for name, tenant in (owners or {}).items() if name in self.all}
        self._seen: dict[str, tuple[dict[str, Source], Mapping[str, type[Level]]]] = {}

    def sources(self, tenant: str) -> Mapping[str, Source]:
        """By name, what a tenant's boards may begin with."""
        return self._seen_by(tenant)[0]

    def levels(self, tenant: str) -> Mapping[str, type[Level]]:
        """The levels of these."""
        return self._seen_by(tenant)[1]

    def _seen_by(self, tenant: str) -> tuple[dict[str, Source], Mapping[str, type[Level]]]:
        # Tenants without sources of their own see the same, and there may be any number of them.
        tenant = tenant if tenant in self._owners.values() else ""
        if tenant not in self._seen:
            own = {name: each for name, each in self.all.items() if self._owners.get(name, tenant) == tenant}
            self._seen[tenant] = own, known_levels(list(own.values()))
        return self._seen[tenant]
