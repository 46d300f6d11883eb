"""A process of a fleet that asks for models, as whole processes that tests may kill.

python -m tests.llm_hammer ROLE URL SECONDS [WORDS...]      prints JSON lines
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson

from blackboard.coalesce import Coalescer
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.calls import CallFailed, Usage
from knowledge_sources.llm.circuit import Rules
from knowledge_sources.llm.limits import FleetLimits
from knowledge_sources.llm.ports import Endpoint, Pass
from knowledge_sources.llm.settings import ModelSettings
from tests.llm_shared import Clock, line_to

ROOT = Path(__file__).parents[1]
MODEL = Endpoint("http://one.test", "m")
WINDOW_S = 1.5
LIMITS = ModelSettings(
    base_url=MODEL.base_url, requests_per_minute=60, input_tokens_per_minute=12_000, output_tokens_per_minute=6000,
    concurrency=6,
)  # fmt: skip
RULES = Rules(open_ms=300, most_ms=1200, lease_ms=400)


def say(**words: Any) -> None:
    """One line for whoever started this process."""
    sys.stdout.write(orjson.dumps(words).decode() + "\n")
    sys.stdout.flush()


async def server_time(line: Coalescer) -> int:
    """Microseconds."""
    seconds, micros = await line.issue(("TIME",))
    return int(seconds) * 1_000_000 + int(micros)


async def hammer(line: Coalescer, seconds: float) -> None:
    """Ask far more than the limits allow, on the server's clock in windows of WINDOW_S; every grant with its time."""
    limits, end = FleetLimits(line, LIMITS, window_s=WINDOW_S), time.monotonic() + seconds
    running = set[asyncio.Task[None]]()

    async def run(permit: Any, at: int) -> None:
        await asyncio.sleep(random.expovariate(20))
        usage = Usage(random.randint(0, permit.input_tokens), random.randint(0, permit.output_tokens))
        done = await server_time(line)
        await limits.settle(permit, usage, {})
        say(role="hammer", at=at, input=usage.input, output=usage.output, end=done)

    while time.monotonic() < end:
        clock = asyncio.ensure_future(server_time(line))
        try:
            permit = await limits.acquire(
                MODEL, input_tokens=random.randint(1, 800), output_tokens=random.randint(1, 900), patience_s=0
            )
        except CallFailed as failed:
            assert failed.kind == "throttled"
        else:
            task = asyncio.create_task(run(permit, await clock))
            running.add(task)
            task.add_done_callback(running.discard)
        await clock
        await asyncio.sleep(random.uniform(0, 0.02))
    while running:
        await asyncio.wait(running)
    await limits.close()


async def outage(line: Coalescer, seconds: float) -> None:
    """Call a model that is out of order as often as may be; every call with its time."""
    breaker, end = FleetBreaker(line, rules=RULES), time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            leave = await breaker.enter(MODEL)
        except CallFailed:
            await asyncio.sleep(random.uniform(0, 0.01))
            continue
        start = await server_time(line)
        await asyncio.sleep(random.uniform(0.005, 0.02))
        stop = await server_time(line)
        await breaker.tell(leave, "failed")
        say(role="outage", at=start, end=stop, probe=leave.probe)
    await breaker.close()


async def both(line: Coalescer, seconds: float) -> None:
    """Either at once: processes take longer to start than to make their point."""
    await asyncio.gather(hammer(line, seconds), outage(line, seconds))


async def hold(line: Coalescer, seconds: float) -> None:
    """Take all the room there is, and keep it."""
    limits = FleetLimits(line, LIMITS, clock=Clock())
    for _ in range(LIMITS.concurrency):
        await limits.acquire(MODEL, input_tokens=1, output_tokens=100, patience_s=0)
    say(held=LIMITS.concurrency)
    await asyncio.sleep(seconds)


async def probe(line: Coalescer, seconds: float) -> None:
    """Become the probe, and never end the call."""
    breaker = FleetBreaker(line, rules=RULES)
    leave: Pass | None = None
    while leave is None:
        try:
            leave = await breaker.enter(MODEL)
        except CallFailed:
            await asyncio.sleep(0.01)
    say(probe=leave.probe)
    await asyncio.sleep(seconds)


ROLES: dict[str, Callable[[Coalescer, float], Awaitable[None]]] = {
    "both": both, "hold": hold, "probe": probe,
}  # fmt: skip


def start(role: str, url: str, seconds: float) -> subprocess.Popen[bytes]:
    """A process of a role."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.llm_hammer", role, url, str(seconds)], cwd=ROOT, stdout=subprocess.PIPE
    )


async def main(role: str, url: str, seconds: str) -> None:
    """Run a role."""
    async with line_to(url) as line:
        await ROLES[role](line, float(seconds))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
