"""The circuit breaker of each endpoint, for the whole fleet: whoever calls learns within a second what all calls came to.

Rules and their source: `circuit.py`. The state is one hash per endpoint, changed by two scripts on the server's clock, so
it survives every process, and exactly one probe is under way however many ask: its lease is renewed while its call runs, runs
out when its process dies, and comes back when nobody can say how the call went.

While the server that holds the state is away, a process goes by what it saw itself: its own calls, and the last word of the
fleet. That may open later than the fleet would and send one probe from each process; an open breaker stays open.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal

from blackboard import keys, wire
from blackboard.coalesce import Coalescer
from blackboard.doors import Argument, Script
from blackboard.errors import StorageError
from knowledge_sources.llm.calls import CallFailed
from knowledge_sources.llm.circuit import SLOTS, Circuit, Outcome, Rules, Verdict
from knowledge_sources.llm.ports import Endpoint, Pass

PACKAGE: Final = "knowledge_sources.llm"
ENTER = Script("breaker_enter", ("breaker",), ("probe", "lease_ms", "now"), PACKAGE)
TELL = Script(
    "breaker_tell",
    ("breaker",),
    ("token", "probe", "outcome", "window_ms", "calls", "percent", "open_ms", "most_ms", "now"),
    PACKAGE,
)
FRESH_MS: Final = 1000
"""How long an answer is gone by without asking again."""
MOST_PROBE_S: Final = 700
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What is known of an endpoint. Times are milliseconds since 1970; None: never, or not open."""

    endpoint: Endpoint
    state: Literal["closed", "open", "half-open"]
    since: int | None
    until: int | None
    """When an open one lets a probe through."""
    probing: bool
    times: int
    """How often in a row it has opened."""
    calls: int
    """In the window, while closed."""
    failures: int
    shared: bool
    """False: the server is away, and this is what this process saw."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the last answer said, by this process's clock."""

    fresh_until: int
    verdict: Verdict
    open_until: int


class FleetBreaker:
    """See `ports.Breaker`. `clock`: milliseconds, for tests; else the server's, and this process's for what it keeps."""

    def __init__(self, line: Coalescer, *, rules: Rules | None = None, clock: Clock | None = None) -> None:
        self._line = line
        self._rules = rules or Rules()
        self._clock = clock
        self._circuits: dict[Endpoint, Circuit] = {}
        self._known: dict[Endpoint, _Known] = {}
        self._beats: dict[str, asyncio.Task[None]] = {}

    async def enter(self, endpoint: Endpoint) -> Pass:
        """See ports.Breaker."""
        known = self._known.get(endpoint)
        now = self._now()
        if known is not None and now < known.fresh_until:
            verdict, wait_ms = known.verdict, known.open_until - now
        else:
            name = secrets.token_hex(8)
            verdict = await self._entered(endpoint, name)
            wait_ms = verdict.wait_ms
            if verdict.word == "probe":
                self._beats[name] = asyncio.create_task(self._beat(endpoint, name))
                return Pass(endpoint, True, name)
            self._keep(endpoint, verdict)
        if verdict.word == "open":
            raise _refused(endpoint, wait_ms)
        return Pass(endpoint, False, f"{verdict.generation}|{self._circuit(endpoint).generation}")

    async def tell(self, leave: Pass, outcome: Outcome) -> None:
        """See ports.Breaker. What it comes to is known here at once, elsewhere within a second."""
        shared, _, own = (leave.token, "", leave.token) if leave.probe else leave.token.partition("|")
        if leave.probe and (beat := self._beats.pop(leave.token, None)) is not None:
            beat.cancel()
        circuit = self._circuit(leave.endpoint)
        verdict = circuit.tell(own, leave.probe, outcome, self._now())
        rules = self._rules
        try:
            verdict = await self._run(
                TELL, leave.endpoint, shared, int(leave.probe), outcome,
                rules.window_ms, rules.calls, rules.percent, rules.open_ms, rules.most_ms,
            )  # fmt: skip
        except StorageError:
            pass
        else:
            self._absorb(circuit, verdict)
        if verdict.word == "ignored" and verdict.wait_ms > 0:
            verdict = replace(verdict, word="open")
        if verdict.word != "ignored":
            self._keep(leave.endpoint, verdict)

    async def state(self, endpoint: Endpoint) -> BreakerState:
        """What is known of an endpoint now."""
        try:
            now, said = await self._read(endpoint)
        except StorageError:
            return self._own_state(endpoint)
        until = int(said["until"]) if "until" in said else None
        probing = "probe" in said and now < int(said["probe_until"])
        first = now * SLOTS // self._rules.window_ms - SLOTS
        counts = [(field[0], int(field[2:]), int(count)) for field, count in said.items() if field[1:2] == ":"]
        good, bad = (sum(count for kind, slot, count in counts if kind == one and slot > first) for one in "of")
        return BreakerState(
            endpoint, _word(until, now), int(said["since"]) if "since" in said else None, until, probing,
            int(said.get("times", 0)), good + bad, bad, shared=True,
        )  # fmt: skip

    async def close(self) -> None:
        """Stop renewing the leases of probes that nobody told the end of."""
        beats = list(self._beats.values())
        self._beats.clear()
        for beat in beats:
            beat.cancel()
        await asyncio.gather(*beats, return_exceptions=True)

    async def _entered(self, endpoint: Endpoint, name: str) -> Verdict:
        circuit = self._circuit(endpoint)
        try:
            verdict = await self._run(ENTER, endpoint, name, self._rules.lease_ms)
        except StorageError:
            return circuit.enter(name, self._now())
        self._absorb(circuit, verdict)
        if verdict.word == "probe":
            circuit.enter(name, self._now())
        return verdict

    def _absorb(self, circuit: Circuit, verdict: Verdict) -> None:
        """The fleet knows better than one process."""
        if verdict.word == "closed":
            circuit.close()
        elif verdict.word in ("open", "probe"):
            circuit.hold(verdict.wait_ms, verdict.times, self._now())

    def _keep(self, endpoint: Endpoint, verdict: Verdict) -> None:
        now = self._now()
        fresh = FRESH_MS if verdict.word == "closed" else min(FRESH_MS, verdict.wait_ms)
        self._known[endpoint] = _Known(now + fresh, verdict, now + verdict.wait_ms)

    async def _beat(self, endpoint: Endpoint, name: str) -> None:
        """Keep the lease while the probe's call runs, for as long as any call may."""
        for _ in range(int(MOST_PROBE_S * 4000 / self._rules.lease_ms)):
            await asyncio.sleep(self._rules.lease_ms / 4000)
            try:
                if (await self._run(ENTER, endpoint, name, self._rules.lease_ms)).word != "probe":
                    return
            except StorageError:
                continue

    async def _run(self, script: Script, endpoint: Endpoint, *args: Argument) -> Verdict:
        now = "" if self._clock is None else self._clock()
        word, generation, wait_ms, times = await self._line.run(script.of(_key(endpoint), *args, now))
        return Verdict(word.decode(), generation.decode(), int(wait_ms), int(times))

    async def _read(self, endpoint: Endpoint) -> tuple[int, Mapping[str, str]]:
        clock = self._line.issue(("TIME",))
        said = wire.texts(await self._line.issue(("HGETALL", _key(endpoint))))
        seconds, micros = await clock
        return int(seconds) * 1000 + int(micros) // 1000 if self._clock is None else self._clock(), said

    def _own_state(self, endpoint: Endpoint) -> BreakerState:
        circuit, now = self._circuit(endpoint), self._now()
        good, bad = circuit.good.total(), circuit.bad.total()
        probing = bool(circuit.probe) and now < circuit.probe_until
        return BreakerState(
            endpoint,
            _word(circuit.ends, now),
            None,
            circuit.ends,
            probing,
            circuit.times,
            good + bad,
            bad,
            shared=False,
        )

    def _circuit(self, endpoint: Endpoint) -> Circuit:
        return self._circuits.setdefault(endpoint, Circuit(self._rules))

    def _now(self) -> int:
        return int(time.time() * 1000) if self._clock is None else self._clock()


def _word(until: int | None, now: int) -> Literal["closed", "open", "half-open"]:
    if until is None:
        return "closed"
    return "open" if now < until else "half-open"


def _key(endpoint: Endpoint) -> str:
    words = f"{endpoint.base_url.rstrip('/')}\0{endpoint.model}"
    return keys.llm("breaker", sha256(words.encode()).hexdigest()[:32])


def _refused(endpoint: Endpoint, wait_ms: int) -> CallFailed:
    wait_s = max(wait_ms, 1) / 1000
    return CallFailed(
        "upstream-down",
        f"{endpoint.model} at {endpoint.base_url} is out of order; it is asked again in {wait_s:.0f} s",
        retry_after_s=wait_s,
        billed="no",
    )
