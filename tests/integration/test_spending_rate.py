"""A tenant that spends too fast is paused, once, and told of; others are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from blackboard.errors import Deferred
from blackboard.pipe import Pipe
from knowledge_sources.llm.calls import NANO, Caller
from knowledge_sources.llm.caps import LEAST_LEASE_S, SpendingCaps
from tests.spending import Clock, caller, line_to, settings, without_lifetime

FAST: dict[str, Any] = {"board_usd": 1000, "tenant_day_usd": 1000, "day_usd": 1000, "alert_usd_per_hour": 10}


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Pipe]:
    """To an empty server."""
    async with line_to(redis_url) as line:
        yield line


async def spend(caps: SpendingCaps, usd: float, whose: Caller | None = None) -> None:
    """One call that costs so much."""
    nano = int(usd * NANO)
    await caps.settle(await caps.reserve(whose or caller(), nano), nano)


async def test_a_jump_pauses_a_tenant_and_is_told_once(line: Pipe) -> None:
    clock = Clock()
    fleet = [SpendingCaps(line, settings(**FAST, pause_s=1800), clock=clock) for _ in range(2)]
    under_way = [await fleet[n % 2].reserve(caller(), NANO) for n in range(14)]
    with capture_logs() as logs:
        await asyncio.gather(*(fleet[n % 2].settle(each, NANO) for n, each in enumerate(under_way)))
    assert [(log["event"], log["log_level"], log["tenant"], log["spent_usd"], log["alert_usd_per_hour"],
             log["until"]) for log in logs] == [
        ("spending.paused", "warning", "acme", 11.0, 10.0, "2026-11-21 12:30:00 UTC")
    ]  # fmt: skip
    assert await fleet[1].pauses() == {"acme": int(clock.now * 1000) + 1_800_000}
    for caps in fleet:
        with pytest.raises(Deferred, match="paused until 2026-11-21 12:30:00 UTC") as paused:
            await caps.reserve(caller(), 0)
        assert paused.value.after_s == 60
        assert "spending resume acme" in paused.value.hint
    await spend(fleet[0], 1, caller(tenant="umbrella"))
    clock.now += 1795
    with pytest.raises(Deferred) as paused:
        await fleet[0].reserve(caller(), 0)
    assert paused.value.after_s == 5
    clock.now += 5
    # The hour begins anew: what the pause was for does not pause again.
    with capture_logs() as logs:
        for _ in range(7):
            await spend(fleet[0], 1)
        assert logs == []
        assert await fleet[0].pauses() == {}
        await spend(fleet[0], 1)
    assert [log["event"] for log in logs] == ["spending.paused"]
    assert await without_lifetime(line) == []


async def test_an_alert_that_nobody_heard_is_told_by_whoever_comes_next(line: Pipe) -> None:
    clock = Clock()
    caps = SpendingCaps(line, settings(**FAST), clock=clock)
    reservation = await caps.reserve(caller(), 11 * NANO)

    class Deaf(SpendingCaps):
        """One whose process ends before it can tell."""

        async def _tell(self, caller: Caller, until: int, spent: int) -> None:
            return

    await Deaf(line, settings(**FAST), clock=clock).settle(reservation, 11 * NANO)
    told = []
    for _ in range(4):
        with capture_logs() as logs, pytest.raises(Deferred, match="paused until 2026-11-21 13:00:00"):
            await caps.reserve(caller(), 1)
        told.append([(log["event"], log["spent_usd"]) for log in logs])
        clock.now += 3
    assert told == [[], [], [("spending.paused", 11.0)], []]


async def test_an_hour_is_the_last_sixty_minutes(line: Pipe) -> None:
    clock = Clock()
    caps = SpendingCaps(line, settings(**FAST), clock=clock)
    for _ in range(200):
        await spend(caps, 0.8)
        clock.now += 300
    assert await caps.pauses() == {}
    await spend(caps, 1.3)
    assert list(await caps.pauses()) == ["acme"]


async def test_resuming(line: Pipe) -> None:
    caps = SpendingCaps(line, settings(**FAST), clock=Clock())
    assert await caps.resume("acme") is False
    await spend(caps, 11)
    with capture_logs() as logs:
        assert await caps.resume("acme") is True
        assert await caps.resume("acme") is False
    assert [(log["event"], log["tenant"]) for log in logs] == [("spending.resumed", "acme")]
    await spend(caps, 10)
    await spend(caps, 0.1)
    assert list(await caps.pauses()) == ["acme"]


async def test_no_alert_where_none_is_set(line: Pipe) -> None:
    caps = SpendingCaps(line, settings(**(FAST | {"alert_usd_per_hour": 0})), clock=Clock())
    await spend(caps, 900)
    assert await caps.pauses() == {}


async def test_what_the_dead_had_reserved_counts_once_it_lapses(line: Pipe) -> None:
    clock = Clock()
    caps = SpendingCaps(line, settings(**FAST), clock=clock)
    lost = await caps.reserve(caller(), 11 * NANO)
    clock.now += LEAST_LEASE_S
    with capture_logs() as logs, pytest.raises(Deferred, match="paused"):
        await caps.reserve(caller(), NANO)
    assert [(log["event"], log["spent_usd"]) for log in logs] == [("spending.paused", 11.0)]
    assert (await caps.spent(caller()))["tenant_day"] == 11 * NANO
    await caps.resume("acme")
    with capture_logs() as logs:
        await caps.settle(lost, NANO)
        await spend(caps, 9)
    assert logs == []
