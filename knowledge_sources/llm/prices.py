"""What tokens cost: published list prices with where and when they were read, and what an operator sets instead.

A model that is neither listed nor set has no price. That is not the same as costing nothing: its calls are refused
(`worst_of`), because no cap can be held against a sum nobody knows. A local server's operator sets a price of 0.

Rates are whole nano-dollars for a million tokens, so that the cheapest published rate ($0.01 a million) and sums of any
length are exact. Costs are rounded up to the next nano-dollar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from blackboard.errors import ModelFailed
from knowledge_sources.llm.calls import NANO, Usage
from knowledge_sources.llm.ports import Prices
from knowledge_sources.llm.settings import PriceGiven

MILLION: Final = 1_000_000
DATE = re.compile(r"[-@](?:20[0-9]{6}|latest)\Z", re.ASCII)
"""What a snapshot's name has behind its model's. Nothing else is the same model: `claude-opus-5-5` is not `claude-opus-5`."""

PRICING = "https://platform.claude.com/docs/en/about-claude/pricing"
MODELS = "https://platform.claude.com/docs/en/models"


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars for a million tokens. `cache_write`: kept for five minutes, the only kind that is asked for here."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    @property
    def dearest_input(self) -> int:
        """The most an input token may cost, whatever the cache does with it."""
        return max(self.input, self.cache_read, self.cache_write)

    def cost(self, usage: Usage) -> int:
        """Nano-dollars, rounded up."""
        parts = (
            usage.input * self.input,
            usage.output * self.output,
            usage.cache_read * self.cache_read,
            usage.cache_write * self.cache_write,
        )
        return -(-sum(parts) // MILLION)

    def saved(self, usage: Usage) -> int:
        """What the cache saved against plain input; below zero where writing to it never paid."""
        read = usage.cache_read * (self.input - self.cache_read)
        written = usage.cache_write * (self.cache_write - self.input)
        return (read - written) // MILLION


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs. `source`, `read`: where that stands, and the day it was read there."""

    rates: Rates
    source: str
    read: str
    long_above: int = 0
    """Input tokens above which all tokens of a call cost `long`; 0: never."""
    long: Rates | None = None

    def of(self, input_tokens: int) -> Rates:
        """The rates of a call with so much input, cached or not."""
        return self.long if self.long is not None and input_tokens > self.long_above else self.rates


def _rates(input: str, output: str, cache_read: str, cache_write: str) -> Rates:
    """From dollars for a million tokens, as price lists say them."""
    return Rates(*(_nano(Decimal(word)) for word in (input, output, cache_read, cache_write)))


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(rounding="ROUND_CEILING"))


_FABLE_5 = _rates("10", "50", "1", "12.5")
_FABLE_5_1 = _rates("10", "50", "0.25", "12.5")
_OPUS_5 = _rates("5", "25", "0.5", "6.25")
_SONNET_4 = _rates("3", "15", "0.3", "3.75")

TABLE: Final[Mapping[str, Price]] = {
    # Two readers of the vendor's list agree on it; the copy of the list itself was older than the model.
    "claude-fable-5-2": Price(
        _rates("8", "40", "0.2", "10"), "https://github.com/archid21/rightsize/releases/tag/v0.10.2", "2026-11-21"
    ),
    "claude-fable-5-1": Price(_FABLE_5_1, PRICING, "2026-11-21"),
    "claude-mythos-5-1": Price(_FABLE_5_1, PRICING, "2026-11-21"),
    "claude-fable-5": Price(_FABLE_5, PRICING, "2026-11-21"),
    "claude-mythos-5": Price(_FABLE_5, PRICING, "2026-11-21"),
    "claude-opus-5-5": Price(
        _rates("4", "20", "0.2", "5"), "https://platform.claude.com/docs/zh-CN/models/opus-5-5/overview", "2026-11-21"
    ),
    "claude-opus-5": Price(_OPUS_5, PRICING, "2026-11-21"),
    "claude-opus-4-8": Price(_OPUS_5, PRICING, "2026-11-21"),
    "claude-opus-4-7": Price(_OPUS_5, PRICING, "2026-11-21"),
    "claude-opus-4-6": Price(_OPUS_5, PRICING, "2026-11-21"),
    "claude-opus-4-5": Price(_OPUS_5, PRICING, "2026-11-21"),
    # Reads from the cache were halved on 2026-10-07; the vendor's page was read as it was before.
    "claude-sonnet-5-5": Price(
        _rates("2", "10", "0.1", "2.5"), "https://github.com/kurofune/claudit/releases/tag/v1.9.2", "2026-11-21"
    ),
    "claude-sonnet-5": Price(_rates("2", "10", "0.2", "2.5"), f"{MODELS}/sonnet-5/overview", "2026-11-21"),
    "claude-sonnet-4-6": Price(_SONNET_4, PRICING, "2026-11-21"),
    "claude-sonnet-4-5": Price(_SONNET_4, PRICING, "2026-11-21"),
    "claude-haiku-5-5": Price(
        _rates("0.1", "0.5", "0.01", "0.125"),
        f"{MODELS}/haiku-5-5/overview",
        "2026-11-21",
        long_above=100_000,
        long=_rates("0.5", "2.5", "0.05", "0.625"),
    ),
    "claude-haiku-4-5": Price(_rates("1", "5", "0.1", "1.25"), PRICING, "2026-11-21"),
}
"""List prices of the Messages API, standard tier, global inference. For claude-mythos-5-2 and claude-mythos-preview no price
was found, so there is none."""

SURE = 0.9
"""A reservation counts on the lower rates only below this share of `long_above`: counts made beforehand are estimates."""


class PriceTable:
    """See ports.Prices. `given`: the operator's prices by model, before the table's."""

    def __init__(self, given: Mapping[str, PriceGiven] | None = None) -> None:
        self._given = {name: _of(price) for name, price in (given or {}).items()}

    def find(self, model: str) -> Price | None:
        """A model's price: by its exact name, else by the name its dated snapshot belongs to; what is set goes first."""
        for name in dict.fromkeys((model, DATE.sub("", model))):
            found = self._given.get(name) or TABLE.get(name)
            if found is not None:
                return found
        return None

    def worst(self, model: str, input_tokens: int, max_output_tokens: int) -> int | None:
        """See ports.Prices: all input at the dearest rate, all of the output there may be."""
        price = self.find(model)
        if price is None:
            return None
        rates = price.of(int(input_tokens / SURE))
        return -(-(input_tokens * rates.dearest_input + max_output_tokens * rates.output) // MILLION)

    def cost(self, model: str, usage: Usage) -> int | None:
        """See ports.Prices."""
        price = self.find(model)
        return None if price is None else price.of(usage.total_input).cost(usage)

    def saved(self, model: str, usage: Usage) -> int | None:
        """See ports.Prices."""
        price = self.find(model)
        return None if price is None else price.of(usage.total_input).saved(usage)


def worst_of(prices: Prices, model: str, input_tokens: int, max_output_tokens: int) -> int:
    """What to reserve for a call, nano-dollars. Raises ModelFailed where nobody knows the model's price."""
    nano = prices.worst(model, input_tokens, max_output_tokens)
    if nano is None:
        raise ModelFailed(
            f"nobody knows what {model} costs, so no cap on spending can be held: it is not asked",
            hint=f'set BLACKBOARD_MODEL_PRICES={{"{model}": {{"input": 3, "output": 15}}}} (dollars for a million '
            "tokens; 0 for a server of your own)",
        )
    return nano


def _of(given: PriceGiven) -> Price:
    input, output = (_nano(Decimal(str(usd))) for usd in (given.input, given.output))
    read = -(-input // 10) if given.cache_read is None else _nano(Decimal(str(given.cache_read)))
    write = -(-input * 5 // 4) if given.cache_write is None else _nano(Decimal(str(given.cache_write)))
    return Price(Rates(input, output, read, write), "BLACKBOARD_MODEL_PRICES", "")
