"""Calls that no board makes, such as those that find out what a server can do: paid for and written down like any other."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

from blackboard.errors import Deferred, ModelFailed, SpendingCapped, StorageError
from knowledge_sources.llm.calls import Caller, CallFailed, Delta, Reply, Request, Usage
from knowledge_sources.llm.counting import Counter
from knowledge_sources.llm.ports import Caps, Endpoint, Ledger, Outcome, Prices, Row
from knowledge_sources.llm.prices import worst_of
from knowledge_sources.llm.probe import Probed

NOBODY: Final = Caller(tenant="", board="", source="probe")


class OwnCalls:
    """A transport whose calls go through the caps and the ledger. Refused there, a call fails as `budget`, unsent."""

    def __init__(self, transport: Probed, caps: Caps, ledger: Ledger, prices: Prices) -> None:
        self._transport = transport
        self._caps = caps
        self._ledger = ledger
        self._prices = prices
        self._counter = Counter()

    @property
    def base_url(self) -> str:
        """See ports.Transport."""
        return self._transport.base_url

    @property
    def tells_of_cache(self) -> bool:
        """See probe.Probed."""
        return self._transport.tells_of_cache

    async def send(self, request: Request, *, deadline_s: float, on_delta: Delta | None = None) -> Reply:
        """See ports.Transport."""
        size = await self._counter.size(request, self._transport)
        try:
            nano = worst_of(self._prices, request.model, size.most, request.max_tokens)
            reservation = await self._caps.reserve(NOBODY, nano)
        except (ModelFailed, SpendingCapped, Deferred) as error:
            raise CallFailed("budget", str(error), billed="no", hint=error.hint) from error
        endpoint = Endpoint(self.base_url, request.model)
        row = Row(
            secrets.token_hex(12), _now(), NOBODY, endpoint, request.digest, request.prompt, "unknown", Usage(), nano
        )
        spent, ended = 0, row
        try:
            try:
                await self._ledger.begin(row)
            except Deferred as error:
                raise CallFailed("budget", str(error), billed="no", hint=error.hint) from error
            spent = nano
            try:
                reply = await self._transport.send(request, deadline_s=deadline_s, on_delta=on_delta)
            except CallFailed as failure:
                spent = self._cost(request.model, failure.usage, 0 if failure.billed == "no" else nano)
                outcome: Outcome = "unknown" if failure.billed == "unknown" else "failed"
                ended = replace(
                    ended, outcome=outcome, usage=failure.usage or Usage(), failure=f"{failure.kind}: {failure}",
                    request_id=failure.request_id,
                )  # fmt: skip
                raise
            spent = self._cost(request.model, reply.usage, nano)
            ended = replace(ended, outcome="answered", usage=reply.usage, request_id=reply.request_id)
            return reply
        finally:
            with suppress(StorageError, Deferred):
                await self._caps.settle(reservation, spent)
            if spent or ended is not row:
                with suppress(StorageError, Deferred):
                    await self._ledger.end(replace(ended, nano=spent, latency_ms=_now() - row.at))

    async def count(self, request: Request) -> int | None:
        """See ports.Transport. Counting costs nothing."""
        return await self._transport.count(request)

    async def close(self) -> None:
        """See ports.Transport."""
        await self._transport.close()

    def _cost(self, model: str, usage: Usage | None, otherwise: int) -> int:
        cost = None if usage is None else self._prices.cost(model, usage)
        return otherwise if cost is None else min(cost, otherwise)


def _now() -> int:
    return time.time_ns() // 1_000_000
