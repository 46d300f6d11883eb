"""What was put off comes back one behind the other, never sooner than it was told, and never much later."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from controller.circuit import LEAST_S, LONGEST_S, SPACING_S, SPREAD_S, Circuit


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def circuit(seed: int = 1) -> tuple[Circuit, Clock]:
    clock = Clock()
    return Circuit(clock, random.Random(seed).uniform), clock


@given(
    after=st.lists(st.floats(0.5, 400.0), min_size=1, max_size=40),
    steps=st.lists(st.floats(0, 5), min_size=40, max_size=40),
    seed=st.integers(0, 100),
)
def test_never_sooner_than_told_and_never_much_later(after: list[float], steps: list[float], seed: int) -> None:
    row, clock = circuit(seed)
    for wait, step in zip(after, steps, strict=False):
        clock.now += step
        assert wait <= row.delay("reviser", "the model is away", wait, 0) <= wait * 1.25 + SPREAD_S


def test_many_that_wait_for_the_same_come_back_spread_out() -> None:
    row, _ = circuit()
    back = sorted(row.delay("claims", f"the breaker is open for {n / 7:.1f} s", 15.0, 0) for n in range(400))
    assert back[0] >= 15.0
    most = max(sum(start <= each < start + 1 for each in back) for start in back)
    assert most <= 1 / SPACING_S + 1
    assert back[-1] <= 15.0 * 1.25 + 400 * SPACING_S


def test_a_long_row_is_spread_evenly_and_ends() -> None:
    row, _ = circuit()
    back = [row.delay("claims", "away", 1.0, 0) for _ in range(3000)]
    assert max(back) <= 1.25 + SPREAD_S
    assert max(sum(start <= each < start + 1 for each in back) for start in range(1, 61)) <= 3 * 3000 / SPREAD_S


def test_other_reasons_and_sources_wait_in_rows_of_their_own() -> None:
    row, _ = circuit()
    for _ in range(100):
        row.delay("claims", "away", 1.0, 0)
    assert row.delay("claims", "paused", 1.0, 0) <= 1.25
    assert row.delay("summary", "away", 1.0, 0) <= 1.25


@given(said=st.sampled_from([0.0, -5.0, math.nan, -math.inf]), times=st.integers(0, 10_000))
def test_at_once_is_not_at_once(said: float, times: int) -> None:
    row, _ = circuit()
    assert LEAST_S * 2 ** min(times, 5) <= row.delay("claims", "away", said, times) <= 4.1


def test_for_ever_is_not_for_ever() -> None:
    row, _ = circuit()
    assert row.delay("claims", "away", math.inf, 0) <= LONGEST_S * 1.25


def test_rows_are_forgotten() -> None:
    row, _ = circuit()
    for n in range(5000):
        row.delay(f"s{chr(97 + n % 26)}", "x" * (n % 3000), 1.0, 0)
    assert len(row._last) <= 1000
