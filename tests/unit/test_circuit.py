"""The rules of a breaker, on one process's clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.llm.circuit import Circuit, Outcome, Rules

START = 1_790_000_000_000


def failing(circuit: Circuit, calls: int, now: int = START, outcome: Outcome = "failed") -> str:
    """Calls of one outcome; the last answer."""
    word = ""
    for _ in range(calls):
        word = circuit.tell(str(circuit.generation), False, outcome, now).word
    return word


def test_it_opens_with_the_twentieth_call_of_an_outage_and_not_before() -> None:
    circuit = Circuit()
    assert failing(circuit, 19) == "closed"
    assert failing(circuit, 1) == "open"
    assert circuit.enter("p", START).wait_ms == 15_000


@pytest.mark.parametrize(
    ("good", "bad", "word"), [(11, 9, "closed"), (10, 10, "open"), (5, 14, "closed"), (6, 14, "open")]
)
def test_half_of_at_least_twenty_must_have_failed(good: int, bad: int, word: str) -> None:
    circuit = Circuit()
    failing(circuit, good, outcome="ok")
    assert failing(circuit, bad) == word


def test_what_is_half_a_minute_old_is_forgotten() -> None:
    circuit = Circuit()
    failing(circuit, 19)
    assert failing(circuit, 1, START + 31_000) == "closed"
    assert failing(circuit, 19, START + 31_000) == "open"


def test_an_outage_of_a_busy_endpoint_is_seen_within_twenty_calls_too() -> None:
    circuit = Circuit()
    failing(circuit, 5000, outcome="ok")
    assert failing(circuit, 19, START + 1000) == "closed"
    assert failing(circuit, 1, START + 1000) == "open"


def test_failed_probes_double_the_wait_up_to_five_minutes_and_a_success_resets_it() -> None:
    circuit, now, waits = Circuit(), START, []
    failing(circuit, 20)
    for _ in range(7):
        waits.append(circuit.enter("p", now).wait_ms)
        now += waits[-1]
        assert circuit.enter("p", now).word == "probe"
        assert circuit.tell("p", True, "failed", now).word == "open"
    assert waits == [15_000, 30_000, 60_000, 120_000, 240_000, 300_000, 300_000]
    now += 300_000
    assert circuit.enter("p", now).word == "probe"
    assert circuit.tell("p", True, "ok", now).word == "closed"
    failing(circuit, 20, now)
    assert circuit.enter("p", now).wait_ms == 15_000


def test_calls_of_an_earlier_time_say_nothing_of_this_one() -> None:
    circuit = Circuit()
    before = str(circuit.generation)
    failing(circuit, 20)
    assert circuit.enter("p", START + 15_000).word == "probe"
    circuit.tell("p", True, "ok", START + 15_000)
    for _ in range(50):
        assert circuit.tell(before, False, "failed", START + 16_000).word == "ignored"
    assert circuit.enter("q", START + 16_000).word == "closed"


def test_a_probe_that_nobody_knows_the_end_of_is_given_back() -> None:
    circuit = Circuit()
    failing(circuit, 20)
    assert circuit.enter("p", START + 15_000).word == "probe"
    assert circuit.enter("q", START + 15_000).word == "open"
    circuit.tell("p", True, "unknown", START + 15_001)
    assert circuit.enter("q", START + 15_002).word == "probe"
    assert circuit.tell("p", True, "ok", START + 15_003).word == "ignored"


@given(st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from(["ok", "failed", "unknown"])), max_size=300))
def test_there_is_one_probe_at_a_time_and_none_before_its_time(steps: list[tuple[int, Outcome]]) -> None:
    """`live` holds probes whose lease has not run out; every one of them is told of later, or dies."""
    rules, now = Rules(), START
    circuit = Circuit(rules)
    live: dict[str, int] = {}
    opened_until = 0
    for at, (pause, outcome) in enumerate(steps):
        now += pause
        live = {name: until for name, until in live.items() if now < until}
        verdict = circuit.enter(f"p{at}", now)
        if verdict.word == "closed":
            for _ in range(7):
                told = circuit.tell(verdict.generation, False, outcome, now)
                opened_until = now + told.wait_ms if told.word == "open" else opened_until
        elif verdict.word == "probe":
            assert not live and now >= opened_until
            live[f"p{at}"] = now + rules.lease_ms
        elif live and pause % 3 == 0:
            name = live.popitem()[0]
            told = circuit.tell(name, True, outcome, now)
            opened_until = now + told.wait_ms if outcome == "failed" else 0
