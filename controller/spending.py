"""What a board has cost, and what its budget still allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from blackboard.contract import Bid, Source
from blackboard.entries import Activation
from controller.policy import Budget

MONEY = frozenset(("usd", "tokens", "estimate_usd"))
"""Words on an activation that matter here."""


@dataclass(slots=True)
class Spent:
    """Sums over a board's activations, kept up to date one by one; in whole millionths, because sums of fractions depend on
    the order they are made in."""

    tokens: int = 0
    micro_usd: int = 0
    micro_reserved: int = 0
    """What activations under way are expected to cost."""

    @property
    def usd(self) -> float:
        """Dollars spent."""
        return self.micro_usd / 1e6

    def hear(self, before: Activation | None, after: Activation) -> None:
        """An activation went from one record to the next."""
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)

    def _add(self, activation: Activation, sign: int) -> None:
        data = activation.data
        if "usd" in data:
            self.micro_usd += sign * micro(data["usd"])
        if "tokens" in data:
            self.tokens += sign * int(data["tokens"])
        if "estimate_usd" in data and activation.under_way:
            self.micro_reserved += sign * micro(data["estimate_usd"])


def micro(usd: float) -> int:
    """Dollars in whole millionths."""
    return round(usd * 1e6)


def is_paid(source: Source) -> bool:
    """Whether a source may cost money or tokens."""
    return source.cost != "free" or source.bid is not None


def too_dear(spent: Spent, budget: Budget, source: Source, bid: Bid | None) -> str:
    """Why the budget does not allow one more activation; "" when it does. The words do not depend on when it is asked."""
    cost = bid.cost_usd if bid is not None else 0.0
    if source.cost == "free" and not cost:
        return ""
    if budget.usd is not None and (spent.usd >= budget.usd or cost > budget.usd - spent.usd):
        if cost:
            return f"it would cost {cost:.4g} USD, more than is left of the budget of {budget.usd:.4g} USD"
        return f"the budget of {budget.usd:.4g} USD is used up"
    if budget.tokens is not None and spent.tokens >= budget.tokens:
        return f"the budget of {budget.tokens} tokens is used up"
    return ""


def reserved_out(spent: Spent, budget: Budget, more_micro: int, bid: Bid | None) -> bool:
    """Whether it must wait, because what is under way (and `more_micro`) may use the rest of the money."""
    if budget.usd is None or bid is None or not bid.cost_usd:
        return False
    return spent.micro_usd + spent.micro_reserved + more_micro + micro(bid.cost_usd) > micro(budget.usd)
