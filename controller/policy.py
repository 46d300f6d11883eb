"""What a submission asks of control besides its goal: strategies, confidence floors, prices and a budget."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from blackboard.contract import Source

LevelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
SourceName = Annotated[str, Field(max_length=64)]
Strategy = Literal["opportunistic", "market"] | Annotated[list[SourceName], Field(min_length=1, max_length=50)]


Mode = Literal["off", "auto", "always"]
Modes = Mode | Annotated[dict[LevelName, Mode], Field(max_length=50)]
"""For every level, or level by level; those not named are off."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Budget(_Frozen):
    """What a board may cost. At a cap the work that is left out is named, and the result is marked partial."""

    usd: Annotated[float | None, Field(ge=0, le=1_000_000)] = None
    tokens: Annotated[int | None, Field(ge=0, le=10**12)] = None
    wall_s: Annotated[float | None, Field(gt=0, le=2_592_000)] = None


class Price(_Frozen):
    """What money and time are worth, in units of expected value: a bid's utility is value - usd * cost - second * latency."""

    usd: Annotated[float, Field(ge=0, le=1_000_000)] = 1.0
    second: Annotated[float, Field(ge=0, le=1_000_000)] = 0.01


class Policy(_Frozen):
    """How a board is controlled. Frozen; levels and sources by name."""

    strategy: Annotated[dict[LevelName, Strategy], Field(max_length=50)] = {}
    """Level -> who acts where several sources contribute it: `opportunistic` (all of them, the default), `market` (the best
    bid; on low confidence or failure the next), or a list of sources (in that order, each only if those before it failed)."""
    floor: Annotated[dict[LevelName, Annotated[float, Field(ge=0, le=1)]], Field(max_length=50)] = {}
    """Level -> confidence below which an awarded result does not do, and the next bidder is asked."""
    price: Price = Price()
    budget: Budget = Budget()
    models: Modes = "off"
    """Whether sources that ask a language model take part: `off` (none of them), `auto` (where the local ones are not sure
    enough), `always` (before the local ones, which are the fallback). See controller.modes."""

    @model_validator(mode="after")
    def _floors_have_a_contest(self) -> Self:
        for level in self.floor:
            strategy = self.strategy.get(level)
            if strategy == "opportunistic" or (strategy is None and self.mode(level) == "off"):
                raise ValueError(f"a floor for {level} needs a strategy for it: market, or an order of sources")
        return self

    def mode(self, level: str) -> Mode:
        """How models take part in a level, a shadow's own included."""
        return self.models if isinstance(self.models, str) else self.models.get(level.rpartition(".")[2], "off")

    @property
    def asks_models(self) -> bool:
        """Whether any level is not off."""
        return self.models != "off" if isinstance(self.models, str) else any(m != "off" for m in self.models.values())

    def allows(self, source: Source) -> bool:
        """Whether a source may work on the board: one that asks a model only where a level of its own is not off."""
        return not source.asks_model or any(self.mode(kind.level) != "off" for kind in source.outputs)

    def text(self) -> str:
        """The form a board's head keeps: JSON without what is left at its default."""
        return self.model_dump_json(exclude_defaults=True)


DEFAULT = Policy()


@lru_cache(maxsize=256)
def policy_of(text: str) -> Policy:
    """The policy a head keeps; what a later version wrote and this one does not know is left out."""
    given = orjson.loads(text) if text else {}
    return Policy.model_validate({name: value for name, value in given.items() if name in Policy.model_fields})
