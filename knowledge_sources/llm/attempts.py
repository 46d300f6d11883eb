"""One attempt at a model: leave of the breaker, room under the limits, money set aside, a line in the ledger, then the wire.

Whatever happens, all of them hear of it, cancellation included: what nobody knows the outcome of is settled as spent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from blackboard.errors import Deferred, StorageError
from blackboard.models import Caller, Hearer
from knowledge_sources.llm.calls import NANO, CallFailed, Delta, Reply, Request, Usage
from knowledge_sources.llm.counting import Counter, Size, check_room
from knowledge_sources.llm.ports import (
    Breaker,
    Caps,
    Endpoint,
    Ledger,
    Limits,
    Pass,
    Permit,
    Prices,
    Reservation,
    Row,
    Transport,
)
from knowledge_sources.llm.prefixes import Prefixes
from knowledge_sources.llm.prices import worst_of
from knowledge_sources.llm.settings import ModelSettings
from knowledge_sources.llm.telling import told, usd

log = structlog.get_logger(__name__)

STORAGE_AWAY_S = 5.0
"""When to ask again after the server that keeps the ledger could not be reached."""


@dataclass(slots=True)
class Asking:
    """Who asks, who hears of it, and what makes an answer one."""

    caller: Caller
    hearer: Hearer
    check: Callable[[Reply], None]
    """Raises CallFailed("output") for an answer that is not what was asked for."""
    on_delta: Delta | None = None
    begun: bool = False
    """Whether watchers have read a part of the answer: it is not asked for anew behind their backs."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the fleet shares."""

    limits: Limits
    breaker: Breaker
    caps: Caps
    prices: Prices
    ledger: Ledger
    prefixes: Prefixes


@dataclass(slots=True)
class _Open:
    """What an attempt holds while it is under way."""

    asking: Asking
    leave: Pass
    permit: Permit
    reservation: Reservation
    row: Row
    began: float


class Attempts:
    """Attempts at the models of one server. `adapt`: a question as this server can take it."""

    def __init__(
        self,
        transport: Transport,
        shared: Shared,
        settings: ModelSettings,
        adapt: Callable[[Request], Awaitable[Request]],
    ) -> None:
        self.transport = transport
        self._shared = shared
        self._settings = settings
        self._adapt = adapt
        self._counter = Counter()
        self._closing: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Wait until every attempt has settled, and end the connections."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.transport.close()

    async def size(self, request: Request) -> Size:
        """Input tokens of a question."""
        return await self._counter.size(request, self.transport)

    async def attempt(self, request: Request, asking: Asking) -> Reply:
        """A whole, checked answer. Raises CallFailed, SpendingCapped, Deferred, ModelFailed."""
        asked = await self._adapt(request)
        size = await self.size(asked)
        check_room(size, asked.max_tokens, self._settings.context_tokens)
        async with self._shared.prefixes.turn(asked, self.transport.base_url):
            # The ledger and the recordings speak of the question as it was asked, not as this server had to be asked.
            held = await self._begin(asked, request.digest, size, asking)
            return await self._send(asked, held)

    async def _begin(self, asked: Request, digest: str, size: Size, asking: Asking) -> _Open:
        shared, caller = self._shared, asking.caller
        endpoint = Endpoint(self.transport.base_url, asked.model)
        worst = worst_of(shared.prices, asked.model, size.most, asked.max_tokens)
        leave = await shared.breaker.enter(endpoint)
        try:
            permit = await shared.limits.acquire(
                endpoint,
                input_tokens=size.likely,
                output_tokens=asked.max_tokens,
                patience_s=self._settings.patience_s,
            )
            try:
                budget = None if caller.budget_usd is None else int(caller.budget_usd * NANO)
                reservation = await shared.caps.reserve(caller, worst, board_cap_nano=budget)
                try:
                    row = Row(
                        id=reservation.id,
                        at=_now(),
                        caller=caller,
                        endpoint=endpoint,
                        request=digest,
                        prompt=asked.prompt,
                        outcome="unknown",
                        usage=Usage(),
                        nano=worst,
                    )
                    await shared.ledger.begin(row)
                except BaseException:
                    await _quietly(shared.caps.settle(reservation, 0))
                    raise
            except BaseException:
                await _quietly(shared.limits.settle(permit, Usage(), {}))
                raise
        except StorageError as error:
            await _quietly(shared.breaker.tell(leave, "unknown"))
            raise Deferred(
                f"no model is asked while nothing can be written down: {error}", after_s=STORAGE_AWAY_S
            ) from error
        except BaseException:
            await _quietly(shared.breaker.tell(leave, "unknown"))
            raise
        return _Open(asking, leave, permit, reservation, row, time.monotonic())

    async def _send(self, asked: Request, held: _Open) -> Reply:
        reply: Reply | None = None
        failure: CallFailed | None = None
        try:
            reply = await self.transport.send(
                asked, deadline_s=self._settings.total_timeout_s, on_delta=held.asking.on_delta
            )
            held.asking.check(reply)
            return reply
        except CallFailed as error:
            failure = error
            raise
        finally:
            # To its end, though whoever asked is gone.
            closing = asyncio.ensure_future(self._close(held, reply, failure))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.shield(closing)

    async def _close(self, held: _Open, reply: Reply | None, failure: CallFailed | None) -> None:
        shared = self._shared
        usage = reply.usage if reply is not None else failure.usage if failure is not None else None
        headers = reply.headers if reply is not None else failure.headers if failure is not None else {}
        if failure is not None and failure.kind == "throttled":
            await _quietly(shared.limits.throttle(held.permit, failure.retry_after_s, headers))
        else:
            free = Usage() if failure is not None and failure.billed == "no" else None
            await _quietly(shared.limits.settle(held.permit, usage or free, headers))
        await _quietly(shared.breaker.tell(held.leave, _health(reply, failure)))
        row = self._ended(held, reply, failure, usage)
        assert row.nano is not None
        # In this order: a process that dies in between leaves a call that is reserved too long, not one without its line.
        await _quietly(shared.ledger.end(row))
        await _quietly(shared.caps.settle(held.reservation, row.nano))
        held.asking.hearer.spent(usd(row.nano), row.usage.total)
        await held.asking.hearer.called(told(row), reply.packed() if reply is not None and failure is None else None)

    def _ended(self, held: _Open, reply: Reply | None, failure: CallFailed | None, usage: Usage | None) -> Row:
        """The ledger's line. Money nobody knows the fate of is taken to be spent, all that was set aside."""
        model, most = held.row.endpoint.model, held.reservation.nano
        nano = most
        if usage is not None:
            cost = self._shared.prices.cost(model, usage)
            nano = most if cost is None else min(cost, most)
            if cost is not None and cost > most:
                log.error("spending.above_reservation", model=model, cost_usd=usd(cost), reserved_usd=usd(most))
        elif failure is not None and failure.billed == "no":
            nano = 0
        unknown = reply is None and (failure is None or (failure.billed == "unknown" and usage is None))
        said = "" if failure is None else f"{failure.kind}: {failure}"
        if reply is None and failure is None:
            said = "cancelled while it was under way"
        return replace(
            held.row,
            outcome="answered" if failure is None and reply is not None else "unknown" if unknown else "failed",
            usage=usage or Usage(),
            nano=nano,
            saved_nano=(self._shared.prices.saved(model, usage) or 0) if usage is not None else 0,
            failure=said,
            request_id=reply.request_id if reply is not None else failure.request_id if failure is not None else "",
            latency_ms=int((time.monotonic() - held.began) * 1000),
        )


def _health(reply: Reply | None, failure: CallFailed | None) -> Literal["ok", "failed", "unknown"]:
    if reply is not None:
        return "ok"
    if failure is None:
        return "unknown"
    return "failed" if failure.kind == "upstream-down" else "ok"


async def _quietly(step: Awaitable[object]) -> None:
    """What is given back may be lost with the server: it lapses by itself."""
    with suppress(StorageError):
        await step


def _now() -> int:
    return time.time_ns() // 1_000_000
