"""What the gateway is put together from. Each port has one real adapter; tests put their own behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from knowledge_sources.llm.calls import Caller, Delta, Reply, Request, Usage


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at a server: what limits, breakers and prices go by."""

    base_url: str
    model: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server was found to do. Where something is missing, the gateway does without."""

    messages: bool = True
    streaming: bool = True
    schema_output: bool = True
    """`output_config.format` with a JSON schema."""
    count_tokens: bool = True
    documents: bool = True
    """Document blocks in user turns; without, text blocks with a frame around."""
    pictures: bool = True
    caching: bool = True
    """Cache use is reported. Nobody says whether it happens otherwise."""
    notes: tuple[str, ...] = ()


class Transport(Protocol):
    """One attempt over the wire. Raises CallFailed, classified, and nothing else but CancelledError."""

    @property
    def base_url(self) -> str:
        """The server asked."""

    async def send(self, request: Request, *, deadline_s: float, on_delta: Delta | None = None) -> Reply:
        """A whole answer; streamed where `on_delta` is given or the answer may be long."""

    async def count(self, request: Request) -> int | None:
        """Input tokens as the server counts them; None where it does not."""

    async def close(self) -> None:
        """End connections."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Room for one call under the limits. `id` settles it."""

    id: str
    endpoint: Endpoint
    input_tokens: int
    output_tokens: int


class Limits(Protocol):
    """Requests, input and output tokens a minute and concurrency, of the whole fleet, per account and class of models."""

    async def acquire(self, endpoint: Endpoint, *, input_tokens: int, output_tokens: int, patience_s: float) -> Permit:
        """Wait for room. Raises CallFailed(throttled, retry_after_s, billed="no") when it would take longer.

        Raises CallFailed(request, billed="no") for a question that is larger than a minute's limit.
        """

    async def settle(self, permit: Permit, usage: Usage | None, headers: Mapping[str, str]) -> None:
        """The call is over: give back what it did not use, and learn from the headers (they only lower a level)."""

    async def throttle(self, permit: Permit, retry_after_s: float | None, headers: Mapping[str, str]) -> None:
        """The server said 429: nothing more until then. Settles the permit too."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to call. `probe`: the one call that finds out whether a server is back."""

    endpoint: Endpoint
    probe: bool
    token: str = ""


class Breaker(Protocol):
    """Per endpoint, for the whole fleet. Falls back to what this process saw where Redis is away."""

    async def enter(self, endpoint: Endpoint) -> Pass:
        """Raises CallFailed(upstream-down, retry_after_s, billed="no") while it is open."""

    async def tell(self, leave: Pass, outcome: Literal["ok", "failed", "unknown"]) -> None:
        """How the call went; `unknown` gives a probe back."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one attempt."""

    id: str
    caller: Caller
    nano: int
    day: str
    """UTC, `yyyymmdd`."""


class Caps(Protocol):
    """What may be spent: by a board, by a tenant in a day, by everybody in a day."""

    async def reserve(self, caller: Caller, nano: int, *, board_cap_nano: int | None = None) -> Reservation:
        """Set the worst case aside. Raises SpendingCapped, and Deferred where others' reservations under way are in the way.

        `board_cap_nano`: the board's own budget where it is below the settings'.
        """

    async def settle(self, reservation: Reservation, nano: int) -> None:
        """What it came to: never more than was reserved; the whole reservation where nobody knows. Idempotent."""

    async def spent(self, caller: Caller) -> Mapping[str, int]:
        """Nano-dollars so far, reservations included: `board`, `tenant_day`, `day`."""


class Prices(Protocol):
    """What tokens cost."""

    def worst(self, model: str, input_tokens: int, max_output_tokens: int) -> int | None:
        """The most a call may cost, nano-dollars; None where nobody knows the model's price."""

    def cost(self, model: str, usage: Usage) -> int | None:
        """What a call did cost."""

    def saved(self, model: str, usage: Usage) -> int | None:
        """What reading from the prompt cache saved, less what writing to it cost more."""


Outcome = Literal["answered", "cache", "recording", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the ledger: an attempt the server may have seen, or an answer that needed none."""

    id: str
    at: int
    caller: Caller
    endpoint: Endpoint
    request: str
    """Digest of the question."""
    prompt: str
    outcome: Outcome
    usage: Usage
    nano: int | None
    """None: nobody knows the price. For `unknown`, what was reserved."""
    saved_nano: int = 0
    """By the prompt cache, or, for an answer that needed no call, what the call had cost."""
    failure: str = ""
    """`kind: message` of a failed attempt."""
    request_id: str = ""
    latency_ms: int = 0


class Ledger(Protocol):
    """Every call and every cache hit."""

    async def begin(self, row: Row) -> None:
        """An attempt is about to be sent: it stands as `unknown` until it is ended, should this process die."""

    async def end(self, row: Row) -> None:
        """How it went; takes the place of what `begin` wrote under the same id."""


class Answers(Protocol):
    """Exact answers, and one asker at a time for each."""

    async def once(self, key: str, caller: Caller, make: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        """The kept answer and True; or what `make` gets and False, while everybody else in the fleet waits for it.

        It is kept before it is returned. What `make` raises is raised to its caller alone; the next one waiting takes over.
        """

    async def forget(self, board: str) -> None:
        """Remove the answers that only this board asked for."""


class Recordings(Protocol):
    """Answers of earlier runs, by the question's digest: a board's log, or a cassette."""

    async def get(self, request: Request) -> Reply | None:
        """The recorded answer."""

    async def put(self, request: Request, reply: Reply) -> None:
        """Record it, where recording is asked for."""
