"""How many workers a source wants: from none while nothing waits, to as many as keep up and work off the queue."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.measures import MOST, OTHER, Counter, Histogram
from controller.pace import MEMORY_S, SOON_S, Pace, wanted

COUNTS = st.integers(0, 100_000)


def test_nobody_serves_it_yet() -> None:
    assert wanted(None, 0, 0, 1) == 0
    assert wanted(None, 5, 0, 1) == 1


def test_others_know_better() -> None:
    assert wanted(None, 5, 2, 1) is None


def test_a_queue_is_to_be_worked_off_within_a_minute() -> None:
    pace = Pace(mean_s=2.0)
    # 300 of two seconds each are 600 seconds of work: ten workers of one slot, five of two.
    assert wanted(pace, 300, 1, 1) == math.ceil(300 * 2 / SOON_S) == 10
    assert wanted(pace, 300, 1, 2) == 5


def test_busy_workers_are_kept_and_idle_ones_let_go() -> None:
    pace = Pace()
    pace.step(0.0, 4)
    pace.took(1.0)
    pace.step(10 * MEMORY_S)
    assert round(pace.busy, 3) == 4
    assert wanted(pace, 0, 3, 4) == 3, "each of three workers has its four slots in use"
    pace.step(10 * MEMORY_S, -4)
    pace.step(20 * MEMORY_S)
    assert pace.busy < 0.001
    assert wanted(pace, 0, 3, 4) == 0


def test_what_has_not_ended_yet_keeps_its_workers() -> None:
    pace = Pace()
    pace.step(0.0, 1)
    assert wanted(pace, 0, 2, 1) == 2


@settings(deadline=None)
@given(COUNTS, COUNTS, st.integers(1, 50), st.integers(1, 64), st.floats(0.001, 100), st.floats(0, 64))
def test_more_that_waits_never_wants_fewer(
    some: int, more: int, workers: int, slots: int, mean: float, busy: float
) -> None:
    pace = Pace(busy=busy, mean_s=mean)
    few, many = wanted(pace, some, workers, slots), wanted(pace, some + more, workers, slots)
    assert few is not None and many is not None
    assert 0 <= few <= many


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from([-1, 1])), max_size=50))
def test_busyness_stays_within_what_ran(steps: list[tuple[float, int]]) -> None:
    pace, now, most = Pace(), 0.0, 0
    for seconds, change in steps:
        now += seconds
        pace.step(now, change)
        most = max(most, pace.running)
        assert 0 <= pace.busy <= most + 1e-9


def test_labels_are_bounded() -> None:
    counter, histogram = Counter("c", "c", ("a", "b")), Histogram("h", "h", ("a",), (1.0,))
    for number in range(3 * MOST):
        counter.add(str(number), "x")
        histogram.observe(0.5, str(number))
    assert len(counter.values) == len(histogram.values) == MOST + 1
    assert counter.values[OTHER, OTHER] == 2 * MOST
    assert histogram.values[OTHER,] == [2 * MOST, 0, MOST]
