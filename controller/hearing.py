"""What an activation hears of its calls to a model: its costs, its provenance, pieces for watchers, records for the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from blackboard.entries import Activation
from blackboard.errors import StorageError
from blackboard.models import Caller
from blackboard.ports import Store
from controller.fenced import Ledger
from controller.policy import policy_of

PAUSE_S = 0.1
"""Between two messages of a streamed answer; what comes meanwhile travels with the next."""

Record = Callable[[Mapping[str, Any], bytes | None], Awaitable[None]]
RecordOf = Callable[[Caller], Record]


async def caller_of(store: Store, board: str, activation: Activation) -> Caller:
    """On whose behalf an activation asks. One read of the board's head."""
    head = await store.head(board) or {}
    return Caller(
        tenant=head.get("tenant", ""),
        board=board,
        activation=activation.id,
        epoch=activation.epoch,
        source=str(activation.data["source"]),
        binding=str(activation.data["binding"]),
        budget_usd=policy_of(head.get("policy", "")).budget.usd,
    )


class RunHearer:
    """`models.Hearer` of one activation. `record` puts a call on the board's log."""

    def __init__(self, store: Store, caller: Caller, spent: Ledger, record: Record | None = None) -> None:
        self._store = store
        self._caller = caller
        self._spent = spent
        self._record = record
        self._pieces: list[str] = []
        self._sending: asyncio.Task[None] | None = None

    def spent(self, usd: float, tokens: int) -> None:
        """See Hearer."""
        self._spent(usd, tokens)

    def streamed(self, text: str) -> None:
        """See Hearer."""
        self._pieces.append(text)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    async def called(self, body: Mapping[str, Any], recording: bytes | None) -> None:
        """See Hearer."""
        self._spent.note(body)
        if self._record is not None:
            await self._record(body, recording)

    async def _send(self) -> None:
        try:
            while self._pieces:
                text, self._pieces = "".join(self._pieces), []
                caller = self._caller
                message = {
                    "type": "activation.streamed",
                    "activation": caller.activation,
                    "source": caller.source,
                    "binding": caller.binding,
                    "at": time.time_ns() // 1_000_000,
                    "text": text,
                }
                with suppress(StorageError):
                    await self._store.publish(caller.board, orjson.dumps(message))
                await asyncio.sleep(PAUSE_S)
        finally:
            self._sending = None
