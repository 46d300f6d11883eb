"""Eight real processes at one limiter and at one breaker, and what is left of those that are killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from redis import Redis

from blackboard.embedded import Server
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.calls import CallFailed
from knowledge_sources.llm.limits import FleetLimits
from tests.llm_hammer import LIMITS, MODEL, RULES, WINDOW_S, start
from tests.llm_shared import Clock, line_to
from tests.making import until

PROCESSES = 8
SECONDS = 12.0 if "BLACKBOARD_FAULT_RUNS" in os.environ else 3.0


def fleet(role: str, url: str, seconds: float) -> list[dict[str, Any]]:
    """What all processes of a role said."""
    running = [start(role, url, seconds) for _ in range(PROCESSES)]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * PROCESSES
    return [orjson.loads(line) for text in said for line in text.splitlines()]


def most_in_a_window(uses: Iterable[tuple[int, int]], length_us: int) -> int:
    """The most that any window holds."""
    rows, inside, most, first = sorted(uses), 0, 0, 0
    for at, amount in rows:
        inside += amount
        while rows[first][0] <= at - length_us:
            inside -= rows[first][1]
            first += 1
        most = max(most, inside)
    return most


def most_at_once(calls: Iterable[tuple[int, int]]) -> int:
    """The most calls under way at a time; one that ends makes room for one that begins in the same microsecond."""
    steps = sorted((at, change) for start, end in calls for at, change in ((start, 1), (end, -1)))
    now = most = 0
    for _, change in steps:
        now += change
        most = max(most, now)
    return most


@pytest.fixture(scope="module")
def said(server: Server) -> list[dict[str, Any]]:
    """What eight processes said of the calls they made."""
    with Redis(unix_socket_path=server.url.removeprefix("unix://")) as client:
        client.flushall()
    return fleet("both", server.url, SECONDS)


@pytest.mark.long
def test_eight_processes_stay_within_every_limit(said: list[dict[str, Any]], record_property: Any) -> None:
    """Windows are compressed; times are the server's, read in the same batch as the grant."""
    calls = [one for one in said if one["role"] == "hammer"]
    length = int(WINDOW_S * 1_000_000)
    limits = {
        "requests": LIMITS.requests_per_minute,
        "input": LIMITS.input_tokens_per_minute,
        "output": LIMITS.output_tokens_per_minute,
    }
    found = {
        "requests": most_in_a_window(((one["at"], 1) for one in calls), length),
        "input": most_in_a_window(((one["at"], one["input"]) for one in calls), length),
        "output": most_in_a_window(((one["end"], one["output"]) for one in calls), length),
    }
    at_once = most_at_once((one["at"], one["end"]) for one in calls)
    lasted = (max(one["at"] for one in calls) - min(one["at"] for one in calls)) / length
    sys.stdout.write(f"{len(calls)} calls in {lasted:.1f} windows; most {found} of {limits}; {at_once} at once\n")
    for name, limit in limits.items():
        record_property(f"most_{name}", found[name] / limit)
        assert found[name] <= limit * 1.05, name
    assert at_once <= LIMITS.concurrency
    assert max(found[name] / limit for name, limit in limits.items()) > 0.6, "the limits were never tried"


@pytest.mark.long
def test_an_outage_costs_twenty_calls_and_one_probe_at_a_time(said: list[dict[str, Any]]) -> None:
    calls = [one for one in said if one["role"] == "outage"]
    ordinary = [one for one in calls if not one["probe"]]
    probes = sorted((one["at"], one["end"]) for one in calls if one["probe"])
    sys.stdout.write(f"{len(ordinary)} calls until everybody knew, then {len(probes)} probes\n")
    # Each process may have one call under way when the twentieth opens the breaker.
    assert 20 <= len(ordinary) < 20 + PROCESSES
    assert probes
    assert most_at_once(probes) == 1
    waits = [RULES.open_ms * 1000, RULES.open_ms * 2000, RULES.most_ms * 1000]
    for at, (before, later) in enumerate(pairwise(probes)):
        assert later[0] - before[1] >= waits[min(at + 1, 2)]


async def test_room_held_by_a_process_that_was_killed_comes_back(redis_url: str) -> None:
    process = start("hold", redis_url, 60)
    assert process.stdout is not None and process.stdout.readline()
    process.kill()
    process.communicate()
    clock = Clock()
    async with line_to(redis_url) as line:
        limits = FleetLimits(line, LIMITS, clock=clock)

        async def room() -> bool:
            try:
                await limits.acquire(MODEL, input_tokens=1, output_tokens=1, patience_s=0)
            except CallFailed:
                return False
            return True

        assert not await room()
        assert (await limits.state(MODEL)).under_way == LIMITS.concurrency
        clock.pass_s(699)
        assert not await room()
        clock.pass_s(1)
        assert await room()
        await limits.close()


async def test_a_probe_that_was_killed_is_followed_by_another(redis_url: str) -> None:
    async with line_to(redis_url) as line:
        breaker = FleetBreaker(line, rules=RULES)
        for _ in range(20):
            await breaker.tell(await breaker.enter(MODEL), "failed")
        process = start("probe", redis_url, 60)
        assert process.stdout is not None
        assert orjson.loads(process.stdout.readline()) == {"probe": True}
        with pytest.raises(CallFailed):
            await FleetBreaker(line, rules=RULES).enter(MODEL)
        process.kill()
        process.communicate()

        async def taken() -> bool:
            try:
                leave = await breaker.enter(MODEL)
            except CallFailed:
                return False
            assert leave.probe
            await breaker.tell(leave, "ok")
            return True

        await until(taken)
        assert (await breaker.state(MODEL)).state == "closed"
        await breaker.close()
