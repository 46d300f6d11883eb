"""What limits are read from, whom they belong to, and the share a process lives on by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from knowledge_sources.llm.account import account_of, class_of
from knowledge_sources.llm.local_limits import SHARE, Known, LocalLimits
from knowledge_sources.llm.ports import Endpoint
from knowledge_sources.llm.rate_headers import RateHeaders, Said
from knowledge_sources.llm.settings import ModelSettings, Provider

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"
AT = 1_795_255_200_000


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("claude-sonnet-5-5", "claude-sonnet-5"),
        ("claude-sonnet-5-20261001", "claude-sonnet-5"),
        ("anthropic/Claude-Haiku-5-5", "claude-haiku-5"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("llama3.2", "llama3.2"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
    ],
)
def test_models_of_one_class_share_limits(model: str, name: str) -> None:
    assert class_of(model) == name


def test_accounts_are_told_apart_by_key_and_server_and_do_not_show_the_key() -> None:
    other = Provider(base_url="http://other.test", api_key=SecretStr("k1"), models=("m",))
    settings = ModelSettings(api_key=SecretStr("k1"), base_url="http://one.test/", fallbacks=(other,))
    one, same = (account_of(settings, Endpoint(url, "m")) for url in ("http://one.test", "http://one.test/"))
    assert one == same
    assert account_of(settings, Endpoint("http://other.test", "m")) != one
    assert account_of(settings.model_copy(update={"api_key": SecretStr("k2")}), Endpoint("http://one.test", "m")) != one
    assert "k1" not in one and one.endswith(":m")


def test_headers_are_read_by_the_clock_of_the_answer() -> None:
    found = RateHeaders.read(
        {
            "date": DATE,
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:30Z",
            "anthropic-ratelimit-input-tokens-limit": "40000",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-input-tokens-reset": "2026-11-21T09:59:00+00:00",
        }
    )
    assert found.date == AT
    assert found.said[:2] == (Said(50, 0, 30_000), Said(40_000, 39_000, 0))
    assert found.arguments == (50, 0, 30_000, 40_000, 39_000, 0, *[""] * 6)
    assert found.spent_ms == 30_000


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_what_cannot_be_read_counts_as_unsaid(date: str, number: str, reset: str) -> None:
    found = RateHeaders.read(
        {
            "date": date,
            "anthropic-ratelimit-tokens-limit": number,
            "anthropic-ratelimit-tokens-remaining": "-1",
            "anthropic-ratelimit-tokens-reset": reset,
        }
    )
    assert found.said[3].remaining is None
    assert len(found.arguments) == 12


def test_without_the_answer_s_date_a_reset_means_nothing() -> None:
    assert RateHeaders.read({"anthropic-ratelimit-requests-reset": "2026-11-21T10:00:30Z"}).said[0] == Said()


CALLS = st.lists(
    st.tuples(st.integers(0, 30_000), st.integers(0, 3), st.integers(0, 400), st.integers(0, 300), st.booleans()),
    max_size=80,
)


@given(st.integers(1, 4), CALLS)
def test_the_shares_of_all_processes_together_are_a_twentieth(
    fleet: int, calls: list[tuple[int, int, int, int, bool]]
) -> None:
    """No window of any dimension, whatever is asked and whenever calls end."""
    known = Known(requests=400, input=20_000, output=10_000, fleet=fleet)
    each = [LocalLimits(known, 16, 60_000) for _ in range(fleet)]
    now, grants, ends = AT, list[tuple[int, int, int]](), list[tuple[int, int]]()
    for at, (pause, who, input, output, quick) in enumerate(calls):
        now += pause
        one = each[who % fleet]
        if one.take(f"p{at}", input, output, now) is None:
            grants.append((now, 1, input))
            ends.append((now, output))
        if quick:
            for permit in list(one.under_way):
                one.end(permit, None, now)
        for start, _, _ in grants:
            inside = [row for row in grants if start <= row[0] < start + 60_000]
            assert sum(row[1] for row in inside) <= known.requests // SHARE
            assert sum(row[2] for row in inside) <= known.input // SHARE
            assert sum(row[1] for row in ends if start <= row[0] < start + 60_000) <= known.output // SHARE


def test_a_share_of_nothing_lets_nothing_through_and_unknown_rates_bind_calls_under_way_alone() -> None:
    assert LocalLimits(Known(requests=50, fleet=8), 16, 60_000).take("p", 1, 1, AT) == -1
    free = LocalLimits(Known(fleet=4), 16, 60_000)
    assert [free.take(f"p{n}", 10**6, 10**6, AT) for n in range(3)] == [None, None, -1]
    free.end("p0", 5, AT)
    assert free.take("p3", 1, 1, AT) is None


def test_limits_that_answers_tell_of_hold_here_too_and_so_does_a_429() -> None:
    local = LocalLimits(Known(requests=40, fleet=1), 100, 60_000)
    local.hear(20, 0, 0, 2000)
    assert local.known == Known(requests=20, tokens=2000, fleet=1)
    local.hear(90, 500, 0, 0)
    assert local.known == Known(requests=20, input=500, tokens=2000, fleet=1)
    local.close(AT + 5000)
    local.close(AT + 1000)
    assert local.take("p", 1, 1, AT) == 5000
    assert local.take("p", 1, 1, AT + 5000) is None
    assert local.take("q", 1, 1, AT + 5000) == -1
