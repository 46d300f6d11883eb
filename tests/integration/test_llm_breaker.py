"""The fleet's breaker on a real server: the same machine as the pure one, one probe among many, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from blackboard.coalesce import Coalescer
from blackboard.embedded import Server
from knowledge_sources.llm.breaker import ENTER, TELL, FleetBreaker
from knowledge_sources.llm.calls import CallFailed
from knowledge_sources.llm.circuit import Circuit, Outcome, Rules, Verdict
from knowledge_sources.llm.ports import Endpoint, Pass
from tests.llm_shared import Away, Clock, lifetimes, line_to

MODEL = Endpoint("http://one.test", "m")
RULES = Rules()


@pytest.fixture
async def lines(redis_url: str) -> AsyncIterator[list[Coalescer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(line_to(redis_url)) for _ in range(4)]


@pytest.fixture
async def fleet(lines: list[Coalescer]) -> AsyncIterator[tuple[list[FleetBreaker], Clock]]:
    clock = Clock()
    breakers = [FleetBreaker(line, clock=clock) for line in lines]
    yield breakers, clock
    for one in breakers:
        await one.close()


async def call(breaker: FleetBreaker, outcome: Outcome, times: int = 1) -> None:
    for _ in range(times):
        await breaker.tell(await breaker.enter(MODEL), outcome)


async def entered(breaker: FleetBreaker) -> Pass | float:
    """A pass, or for how long there is none."""
    try:
        return await breaker.enter(MODEL)
    except CallFailed as failed:
        assert failed.kind == "upstream-down" and failed.billed == "no" and failed.retry_after_s
        return failed.retry_after_s


async def test_failures_of_all_processes_add_up(fleet: tuple[list[FleetBreaker], Clock]) -> None:
    breakers, clock = fleet
    for one in breakers:
        await call(one, "failed", 5)
    assert await entered(breakers[3]) == 15
    clock.pass_s(1)  # what the others keep for a second
    for one in breakers:
        assert await entered(one) == 14
    state = await breakers[0].state(MODEL)
    assert (state.state, state.until, state.times, state.shared) == ("open", clock.now + 14_000, 1, True)
    assert state.since == clock.now - 1000


async def test_exactly_one_of_many_becomes_the_probe(fleet: tuple[list[FleetBreaker], Clock]) -> None:
    breakers, clock = fleet
    await call(breakers[0], "failed", 20)
    clock.pass_s(15)
    found = await asyncio.gather(*(entered(one) for one in breakers for _ in range(25)))
    probes = [one for one in found if isinstance(one, Pass)]
    assert len(probes) == 1 and probes[0].probe
    assert (await breakers[1].state(MODEL)).probing
    prober = next(one for one in breakers if probes[0].token in one._beats)
    await prober.tell(probes[0], "ok")
    clock.pass_s(1)
    for one in breakers:
        await call(one, "ok")
    state = await breakers[2].state(MODEL)
    assert (state.state, state.calls, state.failures, state.times, state.probing) == ("closed", 4, 0, 0, False)


async def test_a_probe_that_is_not_heard_of_gives_its_place_to_one_other(lines: list[Coalescer]) -> None:
    clock = Clock()
    killed, *others = [FleetBreaker(line, clock=clock) for line in lines]
    await call(killed, "failed", 20)
    clock.pass_s(15)
    first = await killed.enter(MODEL)
    await killed.close()
    for one in others:
        wait = await entered(one)
        assert isinstance(wait, float) and 0 < wait <= RULES.lease_ms / 1000
    clock.pass_s(RULES.lease_ms / 1000)
    found = [await entered(one) for one in others]
    assert [isinstance(one, Pass) for one in found] == [True, False, False]
    await killed.tell(first, "ok")
    assert (await others[0].state(MODEL)).state == "half-open", "the lease was another's by then"
    for one in others:
        await one.close()


async def test_a_probe_keeps_its_lease_while_its_call_runs(lines: list[Coalescer]) -> None:
    rules = Rules(open_ms=1, lease_ms=200)
    prober, other = (FleetBreaker(line, rules=rules) for line in lines[:2])
    await call(prober, "failed", 20)

    async def probe() -> Pass:
        while not isinstance(found := await entered(prober), Pass):
            await asyncio.sleep(0.002)
        return found

    leave = await probe()
    for _ in range(12):
        await asyncio.sleep(0.05)
        other._known.clear()
        assert isinstance(await entered(other), float)
    await prober.tell(leave, "unknown")
    other._known.clear()
    assert isinstance(await entered(other), Pass)
    await other.close()


async def test_what_stands_is_kept_by_the_server_and_every_key_goes_away(redis_url: str) -> None:
    clock = Clock()
    async with line_to(redis_url) as line:
        await call(FleetBreaker(line, clock=clock), "failed", 20)
    async with line_to(redis_url) as line:
        assert await entered(FleetBreaker(line, clock=clock)) == 15
    found = await lifetimes(redis_url)
    assert found and all(0 < seconds <= 3600 for seconds in found.values()), found


async def test_while_the_server_is_away_a_process_goes_by_what_it_saw(lines: list[Coalescer]) -> None:
    clock, door = Clock(), Away.before(lines[0])
    here, there = FleetBreaker(door, clock=clock), FleetBreaker(lines[1], clock=clock)
    await call(there, "failed", 20)
    assert await entered(here) == 15
    door.away = True
    clock.pass_s(10)
    assert await entered(here) == 5, "an open one stays open"
    assert (await here.state(MODEL)).shared is False
    clock.pass_s(5)
    leave = await entered(here)
    assert isinstance(leave, Pass) and leave.probe
    await here.tell(leave, "ok")
    await call(here, "failed", 20)
    assert await entered(here) == 15
    door.away = False
    clock.pass_s(1)
    leave = await entered(here)
    assert isinstance(leave, Pass) and leave.probe, "the fleet's word counts again: half-open"
    await here.tell(leave, "ok")
    assert (await there.state(MODEL)).state == "closed"


STEPS = st.lists(
    st.tuples(
        st.integers(0, 9000), st.sampled_from(["enter", "tell", "late", "probe"]),
        st.sampled_from(["ok", "failed", "failed", "unknown"]), st.integers(1, 8),
    ),
    max_size=60,
)  # fmt: skip


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_scripts_are_the_pure_machine(steps: list[tuple[int, str, Outcome, int]], server: Server) -> None:
    """Answer by answer, over random calls of random outcomes at random times."""
    rules = Rules(calls=6)
    told = (rules.window_ms, rules.calls, rules.percent, rules.open_ms, rules.most_ms)
    circuit, now, probe, generations = Circuit(rules), Clock().now, "none", ["0"]
    with Redis(unix_socket_path=server.url.removeprefix("unix://")) as client:
        client.flushall()

        def both(script: Any, pure: Verdict, *args: Any) -> Verdict:
            word, generation, wait, times = client.eval(script.text, 1, "k", *args, now)
            assert Verdict(word.decode(), generation.decode(), int(wait), int(times)) == pure
            return pure

        for at, (pause, step, outcome, times) in enumerate(steps):
            now += pause
            if step == "enter":
                found = both(ENTER, circuit.enter(f"p{at}", now), f"p{at}", rules.lease_ms)
                probe = f"p{at}" if found.word == "probe" else probe
                generations.append(found.generation)
            elif step == "probe":
                both(TELL, circuit.tell(probe, True, outcome, now), probe, 1, outcome, *told)
            else:
                for _ in range(times):
                    token = generations[-1] if step == "tell" else generations[0]
                    both(TELL, circuit.tell(token, False, outcome, now), token, 0, outcome, *told)
