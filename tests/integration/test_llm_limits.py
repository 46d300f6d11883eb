"""The limits as the gateway uses them: waiting, giving up, what is told when the server is away, and what is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from blackboard.coalesce import Coalescer
from blackboard.embedded import start_server
from blackboard.store import RedisStore
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.calls import CallFailed, Usage
from knowledge_sources.llm.limits import FleetLimits
from knowledge_sources.llm.limits_state import Level
from knowledge_sources.llm.ports import Endpoint, Permit
from knowledge_sources.llm.settings import ModelSettings
from tests.llm_shared import Away, Clock, lifetimes, line_to
from tests.making import until

URL = "http://one.test"
MODEL = Endpoint(URL, "m")


def given(**limits: Any) -> ModelSettings:
    return ModelSettings(base_url=URL, **limits)


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Coalescer]:
    async with line_to(redis_url) as found:
        yield found


async def take(limits: FleetLimits, input: int = 10, output: int = 10, patience_s: float = 0) -> Permit | CallFailed:
    """A permit, or why there is none."""
    try:
        return await limits.acquire(MODEL, input_tokens=input, output_tokens=output, patience_s=patience_s)
    except CallFailed as failed:
        assert failed.billed == "no"
        return failed


async def test_waiting_ends_when_another_call_does_in_the_order_of_coming(line: Coalescer) -> None:
    fleet = [FleetLimits(line, given(concurrency=1)) for _ in range(3)]
    permit = await take(fleet[0])
    assert isinstance(permit, Permit)
    served: list[int] = []

    async def call(number: int) -> None:
        limits = fleet[number % 3]
        found = await take(limits, patience_s=10)
        assert isinstance(found, Permit)
        served.append(number)
        await limits.settle(found, Usage(5, 5), {})

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(call(number))

            async def seen(count: int = number + 1) -> bool:
                return (await fleet[0].state(MODEL)).waiting == count

            await until(seen)
        assert not served
        await fleet[0].settle(permit, Usage(5, 5), {})
    assert served == list(range(6))
    state = await fleet[1].state(MODEL)
    assert (state.waiting, state.under_way, state.processes) == (0, 0, 3)


async def test_nobody_waits_for_what_will_take_longer(line: Coalescer) -> None:
    limits = FleetLimits(line, given(requests_per_minute=1), clock=Clock())
    permit = await take(limits)
    assert isinstance(permit, Permit)
    await limits.settle(permit, Usage(5, 5), {})
    start = time.monotonic()
    failed = await take(limits, patience_s=20)
    assert isinstance(failed, CallFailed) and failed.kind == "throttled"
    assert failed.retry_after_s is not None and 59 < failed.retry_after_s < 80
    assert time.monotonic() - start < 5


async def test_a_429_holds_for_everybody_and_is_not_waited_out(line: Coalescer) -> None:
    clock = Clock()
    one, other = (FleetLimits(line, given(), clock=clock) for _ in range(2))
    held, permit = await take(other), await take(one, 100)
    assert isinstance(permit, Permit) and isinstance(held, Permit)
    await one.throttle(permit, 45.0, {})
    failed = await take(other, patience_s=20)
    assert isinstance(failed, CallFailed) and failed.retry_after_s is not None and 45 <= failed.retry_after_s < 57
    state = await other.state(MODEL)
    assert state.closed_until == clock.now + 45_000
    assert (state.requests.used, state.input_tokens.used) == (2, 10), "its tokens were never read"
    clock.pass_s(45)
    assert isinstance(await take(other), Permit)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 10),
        (
            {
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-21T10:00:33Z",
            },
            33,
        ),
    ],
)
async def test_a_429_that_does_not_say_until_when(line: Coalescer, headers: dict[str, str], seconds: int) -> None:
    clock = Clock()
    limits = FleetLimits(line, given(), clock=clock)
    permit = await take(limits)
    assert isinstance(permit, Permit)
    await limits.throttle(permit, None, headers)
    assert (await limits.state(MODEL)).closed_until == clock.now + seconds * 1000


async def test_a_question_larger_than_the_limit_is_refused_for_good(line: Coalescer) -> None:
    failed = await take(FleetLimits(line, given(input_tokens_per_minute=1000)), 1001, patience_s=20)
    assert isinstance(failed, CallFailed) and failed.kind == "request"
    assert "1,001" in str(failed) and "1,000" in str(failed)


async def test_what_headers_say_is_shown_and_shared(line: Coalescer) -> None:
    clock = Clock()
    one, other = (FleetLimits(line, given(concurrency=9), clock=clock) for _ in range(2))
    permit = await take(one)
    assert isinstance(permit, Permit)
    headers = {
        "date": "Sat, 21 Nov 2026 10:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "20",
        "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:30Z",
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "1000",
    }
    await one.settle(permit, Usage(4, 7, cache_read=1000, cache_write=2), headers)
    state = await other.state(MODEL)
    assert (state.models, state.concurrency, state.under_way, state.closed_until) == ("m", 9, 0, None)
    assert (state.requests.used, state.requests.limit, state.requests.left) == (1, 50, 20)
    assert (state.input_tokens.used, state.input_tokens.limit, state.input_tokens.left) == (6, 1000, 994)
    assert (state.output_tokens.used, state.output_tokens.limit, state.output_tokens.left) == (7, None, None)
    clock.pass_s(31)
    assert (await other.state(MODEL)).requests.left == 49
    clock.pass_s(40)
    assert (await other.state(MODEL)).requests == Level(0, 50, 50)


async def test_who_is_cancelled_leaves_nothing_behind(line: Coalescer) -> None:
    limits = FleetLimits(line, given(concurrency=1))
    permit = await take(limits)
    assert isinstance(permit, Permit)
    waiting = asyncio.create_task(take(limits, patience_s=20))

    async def seen() -> bool:
        return (await limits.state(MODEL)).waiting == 1

    async def gone() -> bool:
        return (await limits.state(MODEL)).waiting == 0

    await until(seen)
    waiting.cancel()
    await until(gone)
    await limits.settle(permit, Usage(), {})
    assert isinstance(await take(limits), Permit)
    await limits.close()


async def test_while_the_server_is_away_each_process_lives_on_its_share(line: Coalescer) -> None:
    clock, door = Clock(), Away.before(line)
    limits = FleetLimits(door, given(requests_per_minute=800, concurrency=200), clock=clock)
    first = await take(limits)
    assert isinstance(first, Permit)
    door.away = True
    found = [await take(limits) for _ in range(20)]
    permits = [one for one in found if isinstance(one, Permit)]
    assert len(permits) == 5, "an eighth of a twentieth"
    assert all(isinstance(one, CallFailed) and one.kind == "throttled" for one in found[5:])
    clock.pass_s(30)
    for permit in (first, *permits):
        await limits.settle(permit, Usage(1, 1), {})
    assert not isinstance(await take(limits), Permit)
    clock.pass_s(33)
    assert isinstance(await take(limits), Permit)


async def test_a_429_holds_while_the_server_is_away(line: Coalescer) -> None:
    clock, door = Clock(), Away.before(line)
    limits = FleetLimits(door, given(concurrency=100), clock=clock)
    permit = await take(limits)
    assert isinstance(permit, Permit)
    door.away = True
    await limits.throttle(permit, 30.0, {})
    failed = await take(limits)
    assert isinstance(failed, CallFailed) and failed.retry_after_s is not None and failed.retry_after_s >= 30
    clock.pass_s(30)
    assert isinstance(await take(limits), Permit)
    await limits.close()


async def test_it_comes_back_and_tells_what_could_not_be_told(line: Coalescer) -> None:
    door = Away.before(line)
    limits, other = FleetLimits(door, given(concurrency=1)), FleetLimits(line, given(concurrency=1))
    permit = await take(limits)
    assert isinstance(permit, Permit)
    door.away = True
    await limits.settle(permit, Usage(1, 1), {})
    assert not isinstance(await take(other), Permit)
    door.away = False
    found = await take(other, patience_s=10)
    assert isinstance(found, Permit)
    await other.settle(found, Usage(), {})

    async def asked() -> bool:
        return isinstance(await take(limits), Permit) and (await other.state(MODEL)).under_way == 1

    await until(asked)
    await limits.close()


async def test_a_grant_whose_answer_was_lost_is_given_back(line: Coalescer) -> None:
    door = Away.before(line)
    limits, other = FleetLimits(door, given(requests_per_minute=1)), FleetLimits(line, given(requests_per_minute=1))
    door.lost = True
    failed = await take(limits)
    assert isinstance(failed, CallFailed)
    door.lost = False

    async def free() -> bool:
        state = await other.state(MODEL)
        return (state.under_way, state.requests.used) == (0, 0)

    await until(free)
    assert isinstance(await take(other), Permit)
    await limits.close()


async def test_every_key_goes_away_by_itself(line: Coalescer, redis_url: str) -> None:
    limits = FleetLimits(line, given(concurrency=1, requests_per_minute=5))
    permit = await take(limits)
    assert isinstance(permit, Permit)
    assert not isinstance(await take(limits), Permit)
    await limits.settle(permit, Usage(), {"anthropic-ratelimit-requests-limit": "5"})
    found = await lifetimes(redis_url)
    assert {key.split(":")[2] for key in found} == {"limits", "queue", "tickets"}
    assert isinstance(await take(limits), Permit)
    found |= await lifetimes(redis_url)
    assert {key.split(":")[2] for key in found} == {"limits", "queue", "tickets", "permits"}
    assert all(0 < seconds <= 3600 for seconds in found.values()), found


async def test_what_was_used_outlives_the_server(tmp_path: Path) -> None:
    """Killed, and started again on what it had written."""
    clock, set_ = Clock(), given(requests_per_minute=3, concurrency=3)
    first = await start_server(tmp_path)
    try:
        async with line_to(first.url) as line:
            limits = FleetLimits(line, set_, clock=clock)
            held = await take(limits)
            throttled = await take(limits)
            assert isinstance(held, Permit) and isinstance(throttled, Permit)
            await limits.throttle(throttled, 30.0, {})
            breaker = FleetBreaker(line, clock=clock)
            for _ in range(20):
                await breaker.tell(await breaker.enter(MODEL), "failed")
            # The server writes to disk once a second: what it had not written, it may lose.
            assert (await line.issue(("WAITAOF", 1, 0, 10_000)))[0] == 1
    finally:
        first.kill()
    second = await start_server(tmp_path)
    try:
        async with line_to(second.url) as line:
            limits = FleetLimits(line, set_, clock=clock)
            state = await limits.state(MODEL)
            assert (state.under_way, state.requests.used, state.closed_until) == (1, 2, clock.now + 30_000)
            with pytest.raises(CallFailed, match="out of order"):
                await FleetBreaker(line, clock=clock).enter(MODEL)
            clock.pass_s(30)
            assert isinstance(await take(limits), Permit)
            assert not isinstance(await take(limits), Permit)
            await limits.settle(held, Usage(), {})
    finally:
        await second.stop()


@pytest.mark.cluster
async def test_it_is_the_same_on_a_cluster(cluster_store: RedisStore) -> None:
    line, clock = cluster_store.line(0), Clock()
    limits, breaker = FleetLimits(line, given(requests_per_minute=2), clock=clock), FleetBreaker(line, clock=clock)
    permits = [await take(limits) for _ in range(3)]
    assert [isinstance(one, Permit) for one in permits] == [True, True, False]
    assert isinstance(permits[0], Permit)
    await limits.settle(permits[0], Usage(1, 1), {})
    state = await limits.state(MODEL)
    assert (state.under_way, state.requests.used, state.requests.left) == (1, 2, 0)
    for _ in range(20):
        await breaker.tell(await breaker.enter(MODEL), "failed")
    assert (await breaker.state(MODEL)).state == "open"
    clock.pass_s(15)
    leave = await breaker.enter(MODEL)
    assert leave.probe
    await breaker.tell(leave, "ok")
    assert (await breaker.state(MODEL)).state == "closed"
