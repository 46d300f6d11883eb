"""Hand-written parts of a gateway: each does what its port says, in memory, and remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from blackboard.errors import SpendingCapped
from blackboard.models import Caller
from knowledge_sources.llm.attempts import Attempts, Shared
from knowledge_sources.llm.calls import CallFailed, Delta, Reply, Request, Usage
from knowledge_sources.llm.gateway import Gateway, Link
from knowledge_sources.llm.ports import Endpoint, Pass, Permit, Reservation, Row
from knowledge_sources.llm.prefixes import Prefixes
from knowledge_sources.llm.settings import ModelSettings

CALLER = Caller("acme", "3-" + "a" * 26, "act", 1, "summary_model", "board")
USAGE = Usage(input=100, output=20, cache_read=50)
HEADERS = {"anthropic-ratelimit-requests-remaining": "10"}


def reply(text: str = "{}", *, stop_reason: str = "end_turn", usage: Usage = USAGE) -> Reply:
    """A whole answer."""
    return Reply(text, stop_reason, "m-1", usage, "req_1", HEADERS)


@dataclass
class FakeTransport:
    """Says what it is told to, one after the other; the last one again and again."""

    says: Sequence[Reply | CallFailed | Callable[[Request], Awaitable[Reply]]] = (reply(),)
    base_url: str = "http://one"
    pieces: int = 3
    seen: list[Request] = field(default_factory=list)
    counted: list[Request] = field(default_factory=list)
    counts: int | None = None
    closed: bool = False

    async def send(self, request: Request, *, deadline_s: float, on_delta: Delta | None = None) -> Reply:
        self.seen.append(request)
        said = self.says[min(len(self.seen), len(self.says)) - 1]
        if isinstance(said, CallFailed):
            raise said
        if callable(said):
            said = await said(request)
        if on_delta is not None:
            step = -(-len(said.text) // self.pieces)
            for start in range(0, len(said.text), step):
                await on_delta(said.text[start : start + step])
                await asyncio.sleep(0)
        return said

    async def count(self, request: Request) -> int | None:
        self.counted.append(request)
        return self.counts

    async def close(self) -> None:
        self.closed = True


@dataclass
class FakeLimits:
    open: set[str] = field(default_factory=set)
    told: list[tuple[str, Any, Mapping[str, str]]] = field(default_factory=list)
    refuse: CallFailed | None = None
    given: int = 0

    async def acquire(self, endpoint: Endpoint, *, input_tokens: int, output_tokens: int, patience_s: float) -> Permit:
        if self.refuse is not None:
            raise self.refuse
        self.given += 1
        self.open.add(str(self.given))
        return Permit(str(self.given), endpoint, input_tokens, output_tokens)

    async def settle(self, permit: Permit, usage: Usage | None, headers: Mapping[str, str]) -> None:
        self.open.remove(permit.id)
        self.told.append(("settled", usage, headers))

    async def throttle(self, permit: Permit, retry_after_s: float | None, headers: Mapping[str, str]) -> None:
        self.open.remove(permit.id)
        self.told.append(("throttled", retry_after_s, headers))


@dataclass
class FakeBreaker:
    told: list[tuple[str, str]] = field(default_factory=list)
    entered: int = 0
    refuse: dict[str, CallFailed] = field(default_factory=dict)

    async def enter(self, endpoint: Endpoint) -> Pass:
        if endpoint.model in self.refuse:
            raise self.refuse[endpoint.model]
        self.entered += 1
        return Pass(endpoint, probe=False)

    async def tell(self, leave: Pass, outcome: Literal["ok", "failed", "unknown"]) -> None:
        self.told.append((leave.endpoint.model, outcome))


@dataclass
class FakeCaps:
    cap: int = 10**15
    open: dict[str, int] = field(default_factory=dict)
    settled: list[int] = field(default_factory=list)
    budgets: list[int | None] = field(default_factory=list)

    async def reserve(self, caller: Caller, nano: int, *, board_cap_nano: int | None = None) -> Reservation:
        self.budgets.append(board_cap_nano)
        if sum(self.settled) + sum(self.open.values()) + nano > self.cap:
            raise SpendingCapped("the board's cap is reached")
        id = str(len(self.settled) + len(self.open))
        self.open[id] = nano
        return Reservation(id, caller, nano, "20261121")

    async def settle(self, reservation: Reservation, nano: int) -> None:
        assert nano <= self.open.pop(reservation.id)
        self.settled.append(nano)

    async def spent(self, caller: Caller) -> Mapping[str, int]:
        return {"board": sum(self.settled)}


class FakePrices:
    """A thousand nano-dollars for a token in, five for one out, a tenth for one read from the prompt cache."""

    def worst(self, model: str, input_tokens: int, max_output_tokens: int) -> int | None:
        return None if model == "unpriced" else input_tokens * 1250 + max_output_tokens * 5000

    def cost(self, model: str, usage: Usage) -> int | None:
        return usage.input * 1000 + usage.cache_read * 100 + usage.cache_write * 1250 + usage.output * 5000

    def saved(self, model: str, usage: Usage) -> int | None:
        return usage.cache_read * 900 - usage.cache_write * 250


@dataclass
class FakeLedger:
    rows: dict[str, Row] = field(default_factory=dict)

    async def begin(self, row: Row) -> None:
        assert row.id not in self.rows
        self.rows[row.id] = row

    async def end(self, row: Row) -> None:
        self.rows[row.id] = row

    def outcomes(self) -> list[str]:
        return [row.outcome for row in self.rows.values()]


@dataclass
class FakeAnswers:
    kept: dict[str, Reply] = field(default_factory=dict)

    async def once(self, key: str, caller: Caller, make: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        if key in self.kept:
            return self.kept[key], True
        self.kept[key] = made = await make()
        return made, False

    async def forget(self, board: str) -> None:
        self.kept.clear()


@dataclass
class FakeRecordings:
    kept: dict[str, Reply] = field(default_factory=dict)
    put_: list[str] = field(default_factory=list)

    async def get(self, request: Request) -> Reply | None:
        return self.kept.get(request.digest)

    async def put(self, request: Request, reply: Reply) -> None:
        self.put_.append(request.digest)


@dataclass
class Heard:
    """A hearer that remembers."""

    usd: float = 0.0
    tokens: int = 0
    text: str = ""
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    recordings: list[bytes | None] = field(default_factory=list)

    def spent(self, usd: float, tokens: int) -> None:
        self.usd += usd
        self.tokens += tokens

    def streamed(self, text: str) -> None:
        self.text += text

    async def called(self, body: Mapping[str, Any], recording: bytes | None) -> None:
        self.calls.append(body)
        self.recordings.append(recording)


class Parts:
    """A gateway over a chain of fake servers: `Parts({"m-1": transport})`."""

    def __init__(
        self, chain: Mapping[str, FakeTransport], recordings: FakeRecordings | None = None, **more: Any
    ) -> None:
        self.settings = ModelSettings(backoff_s=0.001, backoff_most_s=0.002, **more)
        self.limits, self.breaker, self.caps, self.ledger = FakeLimits(), FakeBreaker(), FakeCaps(), FakeLedger()
        self.answers, self.heard = FakeAnswers(), Heard()
        shared = Shared(self.limits, self.breaker, self.caps, FakePrices(), self.ledger, Prefixes(None))

        async def as_it_is(request: Request) -> Request:
            return request

        links = [
            Link(Attempts(transport, shared, self.settings, as_it_is), model) for model, transport in chain.items()
        ]
        self.gateway = Gateway(
            lambda: links,
            answers=self.answers,
            ledger=self.ledger,
            prices=FakePrices(),
            settings=self.settings,
            recordings=recordings,
        )
        self.model = self.gateway.of_run(CALLER, self.heard)

    def at_rest(self) -> bool:
        """Whether nothing is held."""
        return not self.limits.open and not self.caps.open and len(self.breaker.told) == self.breaker.entered
