"""What tokens cost: exact, never guessed, and never more than what was reserved."""

from __future__ import annotations

from typing import get_args

import pytest
from anthropic.types.model import Model
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import ModelFailed
from knowledge_sources.llm.calls import Usage
from knowledge_sources.llm.prices import DATE, TABLE, PriceTable, worst_of
from knowledge_sources.llm.settings import ModelSettings, PriceGiven

UNSOURCED = {"claude-mythos-5-2", "claude-mythos-preview"}
MILLION = 1_000_000

tokens = st.integers(0, 2_000_000)
usages = st.builds(Usage, tokens, tokens, tokens, tokens)
dollars = st.decimals(0, 200, places=4).map(float)
prices = st.builds(
    PriceGiven, input=dollars, output=dollars, cache_read=dollars | st.none(), cache_write=dollars | st.none()
)


def test_every_model_of_the_client_has_a_price_or_is_known_to_have_none() -> None:
    named = set(get_args(get_args(Model)[0]))
    table = PriceTable()
    assert {name for name in named if table.find(name) is None} == UNSOURCED


@pytest.mark.parametrize("name", TABLE)
def test_prices_say_where_they_come_from(name: str) -> None:
    price = TABLE[name]
    assert price.source.startswith("https://")
    assert price.read == "2026-11-21"
    assert not DATE.search(name)
    for rates in (price.rates, price.long or price.rates):
        assert 0 < rates.cache_read < rates.input < rates.cache_write < rates.output


def test_a_call() -> None:
    usage = Usage(input=1000, output=500, cache_read=20_000, cache_write=3000)
    expected = 1000 * 2000 + 500 * 10_000 + 20_000 * 100 + 3000 * 2500
    assert PriceTable().cost("claude-sonnet-5-5", usage) == expected
    assert PriceTable().saved("claude-sonnet-5-5", usage) == 20_000 * 1900 - 3000 * 500
    assert PriceTable().saved("claude-sonnet-5-5", Usage(cache_write=1000)) == -500_000


def test_a_long_question_costs_more_as_a_whole() -> None:
    table = PriceTable()
    assert table.cost("claude-haiku-5-5", Usage(input=50_000, cache_read=50_000)) == 50_000 * 100 + 50_000 * 10
    assert table.cost("claude-haiku-5-5", Usage(input=50_001, cache_read=50_000)) == 50_001 * 500 + 50_000 * 50
    # Counted beforehand as a little below the border, it may turn out to be above.
    assert table.worst("claude-haiku-5-5", 95_000, 0) == 95_000 * 625
    assert table.worst("claude-haiku-5-5", 80_000, 0) == 80_000 * 125


def test_unknown_is_not_free() -> None:
    table = PriceTable()
    for name in (*UNSOURCED, "llama3", "claude-opus-5-6", "claude-opus", "claude-sonnet-5-5x", ""):
        assert table.cost(name, Usage(1, 1)) is None
        assert table.worst(name, 1, 1) is None
        assert table.saved(name, Usage(1, 1)) is None
    with pytest.raises(ModelFailed) as refused:
        worst_of(table, "llama3", 10, 10)
    assert "BLACKBOARD_MODEL_PRICES" in refused.value.hint
    assert worst_of(PriceTable({"llama3": PriceGiven(input=0, output=0)}), "llama3", 10, 10) == 0


def test_what_is_set_goes_first_and_the_exact_name_before_the_dated_ones_model() -> None:
    set_ = {
        "claude-haiku-4-5": PriceGiven(input=7, output=7),
        "claude-haiku-4-5-20251001": PriceGiven(input=8, output=8),
    }
    table = PriceTable(set_)
    assert [table.worst(name, 0, 1) for name in set_] == [7000, 8000]
    assert table.worst("claude-haiku-4-5-20260101", 0, 1) == 7000
    assert table.worst("claude-haiku-4-5@20260101", 0, 1) == 7000
    assert table.worst("claude-opus-4-5-20251101", 0, 1) == 25_000


def test_what_is_set_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOARD_MODEL_PRICES", '{"local": {"input": 0.2, "output": 1}}')
    table = PriceTable(ModelSettings().prices)
    # Reads cost a tenth, writes a quarter more where nothing is said of them.
    usage = Usage(input=MILLION, output=MILLION, cache_read=MILLION, cache_write=MILLION)
    assert table.cost("local", usage) == 200_000_000 + 1_000_000_000 + 20_000_000 + 250_000_000


@given(prices, usages)
def test_no_call_costs_more_than_its_worst_case(price: PriceGiven, usage: Usage) -> None:
    table = PriceTable({"m": price})
    worst, cost = table.worst("m", usage.total_input, usage.output), table.cost("m", usage)
    assert worst is not None
    assert cost is not None
    assert 0 <= cost <= worst


@given(st.sampled_from(sorted(TABLE)), usages)
def test_nor_does_one_of_the_table_and_saving_makes_up_the_difference(name: str, usage: Usage) -> None:
    table = PriceTable()
    cost, worst, saved = (
        table.cost(name, usage), table.worst(name, usage.total_input, usage.output), table.saved(name, usage),
    )  # fmt: skip
    assert cost is not None
    assert worst is not None
    assert saved is not None
    assert cost <= worst
    price = TABLE[name].of(usage.total_input)
    plain = -(-(usage.total_input * price.input + usage.output * price.output) // MILLION)
    assert abs(cost + saved - plain) <= 2
