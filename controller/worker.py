"""A worker process: claims activations that it is woken for, runs their sources, keeps their leases.

The lease (15 s, renewed every 5) is ours and lives beside the board; arq's own locks and time-outs play no part. A stopping
worker takes no more, lets what runs finish for a while, and gives the rest back.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import structlog
from arq import ArqRedis

from blackboard import blobs as blob_store
from blackboard.contract import Source
from blackboard.entries import plain_name
from blackboard.errors import StorageError
from blackboard.models import Models
from blackboard.ports import Store
from blackboard.presence import words_of
from controller.activation import Run
from controller.circuit import Circuit
from controller.fenced import Ledger
from controller.handing import PAID, HandsIn, Refers
from controller.hearing import RecordOf
from controller.inputs import Decoder
from controller.isolated import Isolation
from controller.opening import Opener
from controller.push import PushWorker
from controller.queue import CLASSES, Job, Queue, Wake, queue_name
from controller.settings import Settings
from controller.tracing import Runs, begin

log = structlog.get_logger(__name__)

Reason = Literal["drain", "fenced", "cancelled"]
SICK_LAG_S = 5.0
"""A loop this late cannot be trusted with more work: something blocks it."""


@dataclass(slots=True)
class _Running:
    epoch: int
    task: asyncio.Task[Any]
    reason: Reason | None = None


class ActivationWorker:
    """Runs activations of `sources`. `services`: type -> what a source asking for it is handed."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: blob_store.Blobs,
        refers: Refers,
        queue: Queue,
        pool: ArqRedis,
        tokens: Any,
        sources: Sequence[Source],
        slots: Mapping[str, int],
        services: Mapping[Any, Any],
        isolation: Isolation,
        settings: Settings,
        opener: Opener | None = None,
        models: Models | None = None,
        record: RecordOf | None = None,
        spans: Runs | None = None,
    ) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._store = store
        self._queue = queue
        self._pool = pool
        self._tokens = tokens
        self._sources = {source.name: source for source in sources}
        self._serves = words_of((source.name, source.version) for source in sources)
        self._slots = dict(slots)
        self._hands = HandsIn(store, blobs, refers, sources, services, opener, models, record)
        self._isolation = isolation
        self._spans = spans
        self._settings = settings
        self._decoder = Decoder(store)
        self._running: dict[tuple[str, str], _Running] = {}
        self._worker: PushWorker | None = None
        self._stopping = asyncio.Event()
        self._overdue = False
        """The time to finish is up: what is claimed now goes straight back."""
        self._drained = asyncio.Event()
        self._claims = 0
        self._circuit = Circuit()

    @property
    def running(self) -> Sequence[tuple[str, str]]:
        """What it runs now: board and activation."""
        return tuple(self._running)

    @property
    def slots(self) -> Mapping[str, int]:
        """How many activations of each of its sources it runs at a time."""
        return {name: self._slots.get(name, self._settings.slots) for name in self._sources}

    def begin(self, job: Job) -> bool:
        """See queue.LocalWorker."""
        return self._worker is not None and self._worker.begin(job)

    def look(self, queues: AbstractSet[str]) -> None:
        """See queue.LocalWorker."""
        if self._worker is not None:
            self._worker.look(queues)

    async def serve(self) -> None:
        """Work until `stop`. An error of the server ends arq's loop; it is entered again after a jittered pause."""
        await self._attend(self._settings.lease_ms)
        heart = asyncio.create_task(self._beat())
        pause = 0.5
        try:
            # One for good: it counts the slots of what still runs when its loop is entered again.
            worker = self._worker = self._new_worker()
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    await worker.main()
                except Exception as error:  # arq raises what redis raises; the loop must outlive all of it
                    log.warning("worker.interrupted", error=f"{type(error).__name__}: {error}")
                    if time.monotonic() - began > 30:
                        pause = 0.5
                    with suppress(TimeoutError):
                        async with asyncio.timeout(random.uniform(pause / 2, pause)):
                            await self._stopping.wait()
                    pause = min(pause * 2, 10.0)
            # The heart beats until the last activation has ended: one that drains keeps its lease.
            await self._drained.wait()
            await worker.drain(5.0)
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError):
                await heart
            await self._attend(0)
            if self._worker is not None:
                await self._worker.forget()

    async def stop(self) -> None:
        """Take no more, finish what runs within `drain_s`, give back the rest."""
        self._stopping.set()
        try:
            if self._worker is not None:
                await self._worker.drain(self._settings.drain_s)
                self._overdue = True
                for running in self._running.values():
                    running.reason = "drain"
                    running.task.cancel()
                await self._worker.drain(5.0)
        finally:
            self._drained.set()

    def _new_worker(self) -> PushWorker:
        queues = {
            queue_name(name, source.version, priority): (name, self._slots.get(name, self._settings.slots))
            for priority in CLASSES
            for name, source in sorted(self._sources.items())
        }
        return PushWorker(
            self.activate,
            queue=self._queue,
            pool=self._pool,
            tokens=self._tokens,
            queues=queues,
            slots=max(self._settings.slots, sum(self._slots.values())),
            poll_s=self._settings.poll_s,
            name=self.name,
        )

    async def activate(self, board: str, activation: str) -> None:
        """Look at one activation: claim it if it may be claimed, run it, finish it."""
        source = self._sources.get(plain_name(activation.rpartition(".")[0]))
        if source is None or (board, activation) in self._running:
            return
        if self._stopping.is_set():
            # It left its queue as the worker stopped.
            await self._wake_another(source, board, activation)
            return
        begin(board=board, activation=activation)
        self._claims += 1
        nonce = f"{self.name}-{self._claims}"
        claimed = await self._store.claim(
            board, activation, nonce=nonce, lease_ms=self._settings.lease_ms, worker=self.name
        )
        if claimed.status not in ("claimed", "already") or claimed.activation is None:
            # Busy, finished, stale or closed: somebody else's, or the controller's, to see to.
            return
        task = asyncio.current_task()
        assert task is not None
        running = _Running(claimed.activation.epoch, task)
        self._running[board, activation] = running
        spent = Ledger() if PAID & set(source.injected.values()) else None
        run = Run(
            self._store, source, board, claimed.activation, claimed, self._settings.backoff_s,
            {}, self._decoder, self._isolation, spent=spent, circuit=self._circuit,
        )  # fmt: skip
        try:
            # Its queue is that of our version; should it have come some other way, it goes on to where it belongs.
            if self._overdue or claimed.activation.data["version"] != source.version:
                await self._give_back(run)
            else:
                run.services = await self._hands.of_run(source, board, claimed.activation, spent)
                await self._execute(run)
        except asyncio.CancelledError:
            if running.reason is None:
                raise
            task.uncancel()
            if running.reason == "drain":
                await self._give_back(run)
        except StorageError as error:
            # The lease runs out and somebody claims it again.
            log.warning("activation.unfinished", board=board, activation=activation, error=str(error))
        finally:
            del self._running[board, activation]

    async def _execute(self, run: Run) -> None:
        if self._spans is None:
            await run.execute()
            return
        activation, source = run.activation, run.source
        names = (source.name, str(activation.data["version"]))
        async with self._spans.running(run.board, activation.id, *names, activation.epoch) as ended:
            ended(await run.execute())

    async def _give_back(self, run: Run) -> None:
        try:
            if await run.give_back() == "pending":
                source = replace(run.source, version=str(run.data["version"]))
                await self._wake_another(source, run.board, run.activation.id)
        except StorageError as error:
            log.warning("activation.kept", board=run.board, activation=run.activation.id, error=str(error))

    async def _wake_another(self, source: Source, board: str, activation: str) -> None:
        # A number that the controller's own wake-ups will hardly meet.
        wake = Wake(source.name, source.version, CLASSES[0], board, activation, secrets.randbits(48))
        try:
            await self._queue.enqueue([wake])
        except StorageError as error:
            log.warning("wake.unsent", board=board, activation=activation, error=str(error))

    async def _beat(self) -> None:
        """Renew every lease at a third of its length; stop what is no longer ours."""
        interval = self._settings.lease_s / 3
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + interval
            await asyncio.sleep(interval)
            lag = loop.time() - due
            if self._worker is not None and not self._stopping.is_set():
                self._worker.allow_pick_jobs = lag < SICK_LAG_S
            if lag >= SICK_LAG_S:
                log.error(
                    "loop.blocked", lag_s=round(lag, 1), hint="a source blocks the event loop: make it a plain function"
                )
            renewals = (self._renew(*key, running) for key, running in list(self._running.items()))
            await asyncio.gather(self._attend(self._settings.lease_ms), *renewals)

    async def _attend(self, ttl_ms: int) -> None:
        """Say what we serve, for as long as a lease; 0: that we leave."""
        try:
            await self._store.attend(self.name, self._serves, ttl_ms)
        except Exception as error:  # the next beat says it again
            log.warning("presence.unsaid", error=str(error))

    async def _renew(self, board: str, activation: str, running: _Running) -> None:
        try:
            renewal = await self._store.renew(board, activation, running.epoch, lease_ms=self._settings.lease_ms)
        except Exception as error:  # a heart that stops would lose every lease
            log.warning("lease.unrenewed", board=board, activation=activation, error=str(error))
            return
        if renewal != "ok" and not running.task.done():
            running.reason = renewal
            running.task.cancel()
