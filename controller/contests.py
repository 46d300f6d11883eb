"""Competition: sources that offer one level for the same bindings, of which one at a time is awarded. Pure.

A contest net in the manner of Smith (1980): whoever may act bids, the best utility is awarded, and when the result fails or
stays below the level's floor, the next one is asked. Where a submission declares an order, that order stands for the bids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blackboard.contract import Bid, Source
from blackboard.entries import Activation
from blackboard.errors import ContractError
from controller.modes import floor_of, is_mixed, ordered, outputs_of
from controller.policy import Policy

STREAK = 3
"""So many results in a row that fail, or fall below their own bid, and a bidder is left out for a while."""
BENCH = 10
"""For how many awards of the contest."""
MEMORY = 40
"""Awards that are looked back on."""
TOLERANCE = 0.1
"""By how much a result may fall below its bid."""
UNKNOWN = Bid(0.5)
"""What a source that does not bid is taken to offer."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Who competes for a level, and what decides."""

    level: str
    sources: tuple[str, ...]
    """In the declared order where there is one, else by name."""
    market: bool
    """Whether bids decide; else the order does."""
    floor: float
    price_usd: float
    price_second: float
    first: frozenset[str] = frozenset()
    """Those that go before the others, however they bid."""
    mixed: bool = False
    """Whether models and local sources compete: of what they made of a binding the best alone stays."""

    def utility(self, bid: Bid) -> float:
        """What a bid is worth: its value less what its cost and latency are worth."""
        return bid.value - self.price_usd * bid.cost_usd - self.price_second * bid.latency_s

    def ranked(self, bids: Mapping[str, Bid]) -> list[str]:
        """Bidders, best first."""
        if not self.market:
            return [name for name in self.sources if name in bids]
        return sorted(bids, key=lambda name: (name not in self.first, -self.utility(bids[name]), name))


def find_contests(
    sources: Mapping[str, Source], contributors: Mapping[str, Sequence[str]], policy: Policy
) -> dict[str, Contest]:
    """Source -> the contest it takes part in: by strategy, else by how models take part in a level.

    Raises ContractError for a strategy that these sources cannot follow.
    """
    found: dict[str, Contest] = {}
    for level, strategy in sorted(policy.strategy.items()):
        if strategy == "opportunistic":
            continue
        if level not in contributors:
            raise ContractError(f"no source has to do with the level {level!r}, for which there is a strategy")
        names = [name for name in contributors[level] if not _stands_apart(sources[name], level)]
        declared = list(strategy) if isinstance(strategy, list) else []
        for name in declared:
            if name not in names:
                raise ContractError(
                    f"the order for {level} names {name!r}, which does not compete for it",
                    hint=f"choose from: {', '.join(names) or 'nobody'}",
                )
        for rivals in _by_binding(sources, [*declared, *(name for name in names if name not in declared)]):
            for name in rivals:
                if name in found:
                    raise ContractError(f"source {name} would compete for {found[name].level} and {level} at once")
                found[name] = Contest(
                    level,
                    rivals,
                    market=not declared,
                    floor=policy.floor.get(level, 0.0),
                    price_usd=policy.price.usd,
                    price_second=policy.price.second,
                    mixed=is_mixed(sources, rivals),
                )
    _add_modes(found, sources, contributors, policy)
    return found


def _add_modes(
    found: dict[str, Contest],
    sources: Mapping[str, Source],
    contributors: Mapping[str, Sequence[str]],
    policy: Policy,
) -> None:
    """Contests that nobody declared: who competes by a strategy, or for another level, is left alone."""
    for level in sorted(contributors) if policy.asks_models else ():
        if level in policy.strategy or policy.mode(level) == "off":
            continue
        names = [name for name in contributors[level] if name not in found and not _stands_apart(sources[name], level)]
        alike: dict[frozenset[str], list[str]] = {}
        for name in names:
            # Who contributes more, or less, does other work: it cannot be left out where the other one acts.
            alike.setdefault(outputs_of(sources[name]), []).append(name)
        for rivals in (found for those in alike.values() for found in _by_binding(sources, those)):
            if not is_mixed(sources, rivals):
                continue
            market = policy.mode(level) == "auto"
            contest = Contest(
                level,
                ordered(sources, rivals, policy, level),
                market=market,
                floor=floor_of(policy, level),
                price_usd=policy.price.usd,
                price_second=policy.price.second,
                first=frozenset(name for name in rivals if not sources[name].asks_model) if market else frozenset(),
                mixed=True,
            )
            found.update(dict.fromkeys(rivals, contest))


def _by_binding(sources: Mapping[str, Source], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Sources that work on the same bindings, where there are several."""
    together: dict[Any, list[str]] = {}
    for name in names:
        given = sources[name].binding_input
        shape = (given.kind, given.levels, given.by) if given else None
        together.setdefault(shape, []).append(name)
    return [tuple(rivals) for rivals in together.values() if len(rivals) > 1]


def _stands_apart(source: Source, level: str) -> bool:
    """Loop sources and revisers work on what others contributed: they are no alternative to it."""
    return source.is_loop or any(kind.level == level for kind in source.revises)


def checked_bid(given: Any) -> Bid:
    """What an author's `bid` returned, if it is one. Raises ValueError."""
    if not isinstance(given, Bid):
        raise ValueError(f"it returned {type(given).__name__}, not a Bid")
    if not 0 <= given.value <= 1:
        raise ValueError(f"a value of {given.value} is not between 0 and 1")
    if not (math.isfinite(given.cost_usd) and given.cost_usd >= 0 and math.isfinite(given.latency_s)):
        raise ValueError("its cost and latency must be finite, and no cost below 0")
    return given


@dataclass(slots=True)
class Standings:
    """How the awards of a contest turned out. The same whichever way the records came: awards carry their number."""

    made: int = 0
    """The number of the next award."""
    results: dict[str, dict[int, bool]] = field(default_factory=dict)
    """Bidder -> number of the award -> whether it did what it bid."""

    def hear(self, source: str, activation: Activation) -> None:
        """Take an activation that was awarded into account."""
        award = activation.data["award"]
        number = int(award["n"])
        self.made = max(self.made, number + 1)
        results = self.results.setdefault(source, {})
        results.pop(number, None)
        if activation.status in ("done", "failed") and "deferred" not in activation.data:
            results[number] = activation.status == "done" and quality(activation) >= award["bid"][0] - TOLERANCE

    def left_out(self, source: str) -> bool:
        """Whether its last results bar it from the next award."""
        results = self.results.get(source)
        if not results or len(results) < STREAK:
            return False
        seen = 0
        for number in range(self.made - 1, self.made - 1 - MEMORY, -1):
            if not seen and self.made - number > BENCH:
                return False
            if number not in results:
                continue
            seen += 1
            if results[number]:
                return False
            if seen == STREAK:
                return True
        return False


def quality(activation: Activation) -> float:
    """The confidence of what an awarded activation contributed to the contest's level; 1 where nobody measured it."""
    return float(activation.data.get("quality", 1.0))
