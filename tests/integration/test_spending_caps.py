"""Reserve, then settle: no cap is ever passed, whatever runs at once, dies, or is said twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from blackboard.errors import Deferred, SpendingCapped
from blackboard.pipe import Pipe
from blackboard.store import RedisStore
from knowledge_sources.llm.calls import NANO, Caller, Usage
from knowledge_sources.llm.caps import LEAST_LEASE_S, SpendingCaps
from knowledge_sources.llm.ledger import RedisLedger, total
from knowledge_sources.llm.ports import Reservation
from tests.spending import BOARD, OTHER, Clock, caller, line_to, row, settings, without_lifetime

CENT = NANO // 100


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Pipe]:
    """To an empty server."""
    async with line_to(redis_url) as line:
        yield line


@pytest.fixture
def clock() -> Clock:
    """The test's own."""
    return Clock()


async def spent(caps: SpendingCaps, whose: Caller | None = None) -> tuple[int, int, int]:
    """Board, tenant's day, day."""
    found = await caps.spent(whose or caller())
    return found["board"], found["tenant_day"], found["day"]


async def test_a_call(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    reservation = await caps.reserve(caller(), 30 * CENT)
    assert (reservation.nano, reservation.day) == (30 * CENT, "20261121")
    assert await spent(caps) == (30 * CENT,) * 3
    await caps.settle(reservation, 12 * CENT)
    assert await spent(caps) == (12 * CENT,) * 3
    levels = await caps.levels("acme", BOARD)
    assert [level.left for level in levels.values()] == [88 * CENT, 988 * CENT, 9988 * CENT]
    assert await without_lifetime(line) == []


async def test_settling_twice_changes_nothing_and_never_exceeds_the_reservation(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    reservation = await caps.reserve(caller(), 30 * CENT)
    with capture_logs() as logs:
        await caps.settle(reservation, 31 * CENT)
    assert [(log["event"], log["cost_usd"]) for log in logs] == [("spending.above_reservation", 0.31)]
    for nano in (0, 5, 30 * CENT):
        await caps.settle(reservation, nano)
    assert await spent(caps) == (30 * CENT,) * 3
    await caps.settle(Reservation("never", caller(), 5, reservation.day), 5)
    assert await spent(caps) == (30 * CENT,) * 3


@pytest.mark.parametrize(
    ("setting", "level", "setting_named"),
    [("board_usd", "the board's", "BOARD_USD"), ("tenant_day_usd", "the tenant's", "TENANT_DAY_USD"),
     ("day_usd", "everybody's", "DAY_USD")],
)  # fmt: skip
async def test_what_cannot_fit_is_refused_with_all_figures(
    line: Pipe, clock: Clock, setting: str, level: str, setting_named: str
) -> None:
    caps = SpendingCaps(line, settings(**{setting: 0.5}), clock=clock)
    await caps.settle(await caps.reserve(caller(), 20 * CENT), 20 * CENT)
    with pytest.raises(SpendingCapped) as refused:
        await caps.reserve(caller(), 30 * CENT + 1)
    said = str(refused.value)
    assert said.startswith(level)
    # Of everybody's day a tenant is told what it asked for, not what others spent.
    for figure in ("0.50 USD", "0.20 USD"):
        assert (figure in said) == (setting != "day_usd")
    assert "0.300000001 USD" in said
    assert f"BLACKBOARD_MODEL_{setting_named}" in refused.value.hint
    assert ("2026-11-22 00:00 UTC" in refused.value.hint) == (level != "the board's")
    # Not a nano more, but to the last one.
    assert (await caps.reserve(caller(), 30 * CENT)).nano == 30 * CENT
    assert await spent(caps) == (50 * CENT,) * 3


async def test_others_under_way_are_waited_for(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    other = await caps.reserve(caller(), 80 * CENT)
    with pytest.raises(Deferred, match="others' calls end first") as later:
        await caps.reserve(caller(), 30 * CENT)
    assert 0 < later.value.after_s <= 5
    await caps.settle(other, 10 * CENT)
    await caps.reserve(caller(), 30 * CENT)
    assert await spent(caps) == (40 * CENT,) * 3


async def test_a_refusal_sets_nothing_aside_anywhere(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(day_usd=0.1), clock=clock)
    with pytest.raises(SpendingCapped):
        await caps.reserve(caller(), 11 * CENT)
    assert await spent(caps) == (0, 0, 0)


async def test_a_board_s_own_budget_only_lowers_its_cap(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    with pytest.raises(SpendingCapped, match=r"the board's cap is 0\.20 USD"):
        await caps.reserve(caller(), 21 * CENT, board_cap_nano=20 * CENT)
    with pytest.raises(SpendingCapped, match=r"the board's cap is 1\.00 USD"):
        await caps.reserve(caller(), 101 * CENT, board_cap_nano=500 * CENT)
    await caps.reserve(caller(), 20 * CENT, board_cap_nano=20 * CENT)


async def test_nothing_may_be_spent_under_a_cap_of_nothing_but_what_is_free_is(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(day_usd=0), clock=clock)
    with pytest.raises(SpendingCapped):
        await caps.reserve(caller(), 1)
    await caps.settle(await caps.reserve(caller(), 0), 0)


async def test_what_belongs_to_no_board_is_held_to_the_day_alone(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    await caps.reserve(caller(board=""), 500 * CENT)
    with pytest.raises(SpendingCapped, match="the tenant's"):
        await caps.reserve(caller(board=""), 1001 * CENT)


async def test_reservations_of_the_dead_lapse_as_spent(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(), clock=clock)
    lost = await caps.reserve(caller(), 80 * CENT)
    with pytest.raises(Deferred):
        await caps.reserve(caller(), 30 * CENT)
    clock.now += LEAST_LEASE_S
    with pytest.raises(SpendingCapped, match=r"0\.80 USD is spent, 0\.00 USD set aside"):
        await caps.reserve(caller(), 30 * CENT)
    assert await spent(caps) == (80 * CENT,) * 3
    # Whoever held it lived after all: what it says is what it came to, once.
    await caps.settle(lost, 5 * CENT)
    await caps.settle(lost, 80 * CENT)
    assert await spent(caps) == (5 * CENT,) * 3
    await caps.reserve(caller(), 95 * CENT)


async def test_the_day_changes_at_midnight_utc(line: Pipe, clock: Clock) -> None:
    caps = SpendingCaps(line, settings(board_usd=100, tenant_day_usd=1), clock=clock)
    clock.now = datetime(2026, 11, 21, 23, 59, 59, 999_000, tzinfo=UTC).timestamp()
    late = await caps.reserve(caller(), 100 * CENT)
    with pytest.raises(Deferred):
        await caps.reserve(caller(), 1)
    clock.now += 0.001
    early = await caps.reserve(caller(), 100 * CENT)
    assert (late.day, early.day) == ("20261121", "20261122")
    # Settled after midnight, it still belongs to the day it was reserved on.
    await caps.settle(late, 40 * CENT)
    await caps.settle(early, 70 * CENT)
    assert await spent(caps) == (110 * CENT, 70 * CENT, 70 * CENT)
    assert (await caps.levels("acme", day="20261121"))["tenant_day"].settled == 40 * CENT


@pytest.mark.parametrize("seed", range(100))
async def test_whatever_runs_at_once_no_cap_is_passed(line: Pipe, seed: int) -> None:
    """Twelve callers on three boards of two tenants through three processes' caps; some die, some settle late or twice."""
    rng = random.Random(seed)
    clock = Clock()
    given = {"board_usd": rng.choice((0.05, 0.3, 1)), "tenant_day_usd": rng.choice((0.4, 0.8)), "day_usd": 1}
    fleet = [SpendingCaps(line, settings(**given), clock=clock) for _ in range(3)]
    ledger = RedisLedger(line)
    whose = [caller(BOARD), caller(OTHER), caller("3-" + "c" * 26, tenant="umbrella")]
    settled: dict[Caller, int] = dict.fromkeys(whose, 0)
    lost: list[Reservation] = []

    async def over() -> None:
        for each in whose:
            for level in (await fleet[0].levels(each.tenant, each.board)).values():
                assert level.settled + level.open <= level.cap

    async def one(caps: SpendingCaps, each: Caller) -> None:
        for _ in range(4):
            worst = rng.randrange(0, 12 * CENT)
            try:
                reservation = await caps.reserve(each, worst)
            except (SpendingCapped, Deferred):
                continue
            begun = row(reservation.id, outcome="unknown", nano=worst, usage=Usage(), whose=each)
            await ledger.begin(begun)
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(0)
            if rng.random() < 0.1:
                lost.append(reservation)  # killed in between
                continue
            cost = rng.randrange(0, worst + 1)
            settled[each] += cost
            await ledger.end(replace(begun, outcome=rng.choice(("answered", "failed")), nano=cost))
            for _ in range(rng.choice((1, 1, 2))):
                await caps.settle(reservation, cost)
            if rng.random() < 0.3:
                await over()

    await asyncio.gather(*(one(rng.choice(fleet), rng.choice(whose)) for _ in range(12)))
    for reservation in lost:
        settled[reservation.caller] += reservation.nano
    clock.now += LEAST_LEASE_S
    for each in whose:
        await fleet[0].settle(await fleet[0].reserve(each, 0), 0)
        levels = await fleet[1].levels(each.tenant, each.board)
        assert [level.open for level in levels.values()] == [0, 0, 0]
        assert levels["board"].settled == settled[each]
        assert levels["tenant_day"].settled == sum(nano for of, nano in settled.items() if of.tenant == each.tenant)
        assert levels["day"].settled == sum(settled.values())
        # What the ledger's lines come to, those of the dead included, is what stands against the caps.
        assert total(await ledger.sums_of_board(each.board)).nano == levels["board"].settled
    sums = [each for each in await ledger.sums("20261121") if not each.board]
    assert total(sums).nano == sum(settled.values())
    assert total(each for each in sums if each.outcome == "unknown").calls == len(lost)
    await over()
    assert await without_lifetime(line) == []


@pytest.mark.cluster
async def test_on_a_cluster(cluster_store: RedisStore) -> None:
    line, clock = cluster_store.line(0), Clock()
    caps, ledger = SpendingCaps(line, settings(alert_usd_per_hour=0.1), clock=clock), RedisLedger(line)
    reservation = await caps.reserve(caller(), 30 * CENT)
    begun = row(reservation.id, outcome="unknown", nano=30 * CENT, usage=Usage())
    await ledger.begin(begun)
    await ledger.end(row(reservation.id, nano=12 * CENT))
    await caps.settle(reservation, 12 * CENT)
    assert await spent(caps) == (12 * CENT,) * 3
    assert [each.nano for each in (await ledger.of_board(BOARD))[0]] == [12 * CENT]
    assert total(await ledger.sums_of_board(BOARD)).calls == 1
    with pytest.raises(Deferred, match="paused"):
        await caps.reserve(caller(), 1)
    assert await caps.pauses() == {"acme": int(clock.now * 1000) + 3_600_000}
    assert await caps.resume("acme") is True
    await caps.reserve(caller(), 1)
