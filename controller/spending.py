"""What a board has cost, and what its budget still allows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    micro_below: int = 0
    """What child boards have spent."""
    tokens_below: int = 0

    @property
    def usd(self) -> float:
        """Dollars spent on the board itself."""
        return self.micro_usd / 1e6

    @property
    def usd_in_all(self) -> float:
        """Dollars spent, child boards included: what a budget is held against."""
        return (self.micro_usd + self.micro_below) / 1e6

    @property
    def tokens_in_all(self) -> int:
        """Tokens spent, child boards included."""
        return self.tokens + self.tokens_below

    def hear_below(self, account: Mapping[str, Any]) -> None:
        """What child boards have come to (see kin.Children.account)."""
        self.micro_below = micro(float(account.get("cost_usd", 0.0)))
        self.tokens_below = int(account.get("tokens", 0))

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
    if budget.usd is not None and (spent.usd_in_all >= budget.usd or cost > budget.usd - spent.usd_in_all):
        if cost:
            return f"it would cost {cost:.4g} USD, more than is left of the budget of {budget.usd:.4g} USD"
        return f"the budget of {budget.usd:.4g} USD is used up"
    if budget.tokens is not None and spent.tokens_in_all >= budget.tokens:
        return f"the budget of {budget.tokens} tokens is used up"
    return ""


def reserved_out(spent: Spent, budget: Budget, more_micro: int, bid: Bid | None) -> bool:
    """Whether it must wait, because what is under way (and `more_micro`) may use the rest of the money."""
    if budget.usd is None or bid is None or not bid.cost_usd:
        return False
    promised = spent.micro_usd + spent.micro_below + spent.micro_reserved + more_micro
    return promised + micro(bid.cost_usd) > micro(budget.usd)
