"""What a worker hands to the sources it runs, besides their inputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from blackboard import blobs as blob_store
from blackboard import contract
from blackboard.contract import Source
from blackboard.entries import Activation
from blackboard.errors import PermanentFailure, StorageError
from blackboard.models import LanguageModel, Models
from blackboard.ports import Store
from blackboard.registry import settings_of
from blackboard.sourcelog import loggers
from controller.fenced import Ledger
from controller.hearing import RecordOf, RunHearer, caller_of
from controller.opening import Opener

Refers = Callable[[str, str], Awaitable[bool]]
"""(board, SHA-256) -> whether the board refers to these bytes."""
PAID = {contract.Spending, LanguageModel}
"""Who asks for one of these may cost something."""


class BlobReader:
    """`contract.Blobs` for one run: the bytes of the board it runs for, because all tenants' lie in one store.

    An entry's `sha256` may be what anybody wrote there.
    """

    def __init__(self, blobs: blob_store.Blobs, board: str, refers: Refers) -> None:
        self._blobs, self._board, self._refers = blobs, board, refers

    async def get(self, sha256: str) -> bytes:
        """See contract.Blobs."""
        if not await self._refers(self._board, sha256):
            raise PermanentFailure("the board has no such bytes", hint="only what was submitted with it can be read")
        try:
            return await self._blobs.get(sha256)
        except (blob_store.BlobMissing, blob_store.BlobCorrupt) as error:
            raise PermanentFailure(f"the document's bytes are lost: {error}", hint="submit it again") from error


class BoundProgress:
    """`contract.Progress` of one activation: at most five messages a second, sent from any thread."""

    def __init__(self, store: Store, board: str, activation: Activation) -> None:
        self._store, self._board = store, board
        self._said = {
            "type": "activation.progressed",
            "activation": activation.id,
            "source": activation.data["source"],
            "binding": activation.data["binding"],
        }
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._sending: set[asyncio.Task[None]] = set()

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """See contract.Progress."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.2
            message = orjson.dumps({**self._said, "done": done, "total": total, "note": note})
            self._loop.call_soon_threadsafe(self._send, message)

    def _send(self, message: bytes) -> None:
        task = self._loop.create_task(self._publish(message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _publish(self, message: bytes) -> None:
        with suppress(StorageError):
            await self._store.publish(self._board, message)


class HandsIn:
    """What every source is handed that asks for it.

    `services`: type -> what the process has for all activations; `record`: who puts a model's calls on boards' logs.
    """

    def __init__(
        self,
        store: Store,
        blobs: blob_store.Blobs,
        refers: Refers,
        sources: Sequence[Source],
        services: Mapping[Any, Any],
        opener: Opener | None,
        models: Models | None,
        record: RecordOf | None,
    ) -> None:
        self._store = store
        self._opener = opener
        self._models = models
        self._record = record
        self._blobs = blobs
        self._refers = refers
        self._services: dict[Any, Any] = dict(services)
        for source in sources:
            if source.trusted:
                self._services.update(settings_of(source))

    async def of_run(
        self, source: Source, board: str, activation: Activation, spent: Ledger | None
    ) -> Mapping[Any, Any]:
        """For one activation. Raises StorageError."""
        wanted = set(source.injected.values())
        own = loggers(source.injected, source=source.name, board=board, binding=str(activation.data["binding"]))
        if contract.Blobs in wanted:
            own[contract.Blobs] = BlobReader(self._blobs, board, self._refers)
        if contract.Progress in wanted:
            own[contract.Progress] = BoundProgress(self._store, board, activation)
        if contract.Boards in wanted and self._opener is not None:
            own[contract.Boards] = self._opener.of_run(source.name, board, activation)
        if spent is not None:
            own[contract.Spending] = spent
            if LanguageModel in wanted and self._models is not None:
                own[LanguageModel] = await self._model(self._models, board, activation, spent)
        return {**self._services, **own} if own else self._services

    async def _model(self, models: Models, board: str, activation: Activation, spent: Ledger) -> LanguageModel:
        caller = await caller_of(self._store, board, activation)
        record = None if self._record is None else self._record(caller)
        return models.of_run(caller, RunHearer(self._store, caller, spent, record))
