"""The benchmark of watching, small: it runs to its end, and finds nothing lost."""

from __future__ import annotations

import pytest

from benchmarks.watch import of_blackboard, of_floor, table


@pytest.mark.long
async def test_a_small_crowd_is_served_cut_off_and_served_again() -> None:
    floor, ours = await of_floor(5, 50, 2), await of_blackboard(5, 50, 2)
    for result in (floor, ours):
        assert result.deliveries >= 50
        assert result.gaps == result.doubles == result.refused == result.lost == 0
        assert result.p50_ms <= result.p99_ms <= result.max_ms
    assert ours.kb_each < 200
    assert len(table([floor, ours]).splitlines()) == 3
