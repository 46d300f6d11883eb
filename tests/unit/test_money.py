"""Money, days and settings as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import UsageError
from knowledge_sources.llm.calls import NANO
from knowledge_sources.llm.days import day_of, next_day, read_day
from knowledge_sources.llm.money import MOST, nano_of, usd, usd_of
from knowledge_sources.llm.settings import read_settings


@given(st.decimals(0, 900_000, places=9))
def test_dollars_become_nano_dollars_exactly(dollars: Decimal) -> None:
    assert nano_of(float(dollars)) == int(dollars * NANO)


def test_what_people_write_is_exact() -> None:
    assert [nano_of(each) for each in (0.1, 0.29, 1.0, 20, 1e-9)] == [10**8, 29 * 10**7, NANO, 20 * NANO, 1]
    assert nano_of(float("inf")) == nano_of(1e12) == MOST < 2**53
    assert [usd(each) for each in (0, 1, NANO, 1_250_000_000, -5)] == [
        "0.00 USD", "0.000000001 USD", "1.00 USD", "1.25 USD", "-0.000000005 USD",
    ]  # fmt: skip
    assert usd_of(1_234_567_890) == 1.23456789


def test_days() -> None:
    midnight = 1_795_219_200_000
    assert (day_of(midnight - 1), day_of(midnight)) == ("20261120", "20261121")
    assert (next_day(midnight - 1), next_day(midnight)) == ("2026-11-21 00:00 UTC", "2026-11-22 00:00 UTC")
    assert read_day("2026-11-21") == read_day("20261121") == "20261121"
    for off in ("", "2026-1-1", "2026-02-30", "202611-21", "tomorrow", "２０２６-11-21"):
        with pytest.raises(ValueError, match="must be a day"):
            read_day(off)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PRICES", "{off", "it is not JSON"),
        ("PRICES", '{"m": {"input": -1, "output": 1}}', "greater than or equal to 0"),
        ("DAY_USD", "much", "valid number"),
        ("DAY_USD", "-1", "greater than or equal to 0"),
        ("DAY_USD", "nan", "greater than or equal to 0"),
    ],
)
def test_a_setting_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(f"BLACKBOARD_MODEL_{name}", value)
    with pytest.raises(UsageError, match=rf"BLACKBOARD_MODEL_{name}.* is off: .*{said}"):
        read_settings()
