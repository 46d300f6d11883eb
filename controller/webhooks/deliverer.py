"""Makes deliveries: takes what is due with a lease, tries it, keeps what it came to.

However many processes do this, and whichever of them is lost: what was taken is due again when its lease runs out, so a
message may arrive twice, with the same `webhook-id`, and is never lost.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from blackboard.errors import StorageError
from controller.sealing import Sealer, SecretUnreadable
from controller.webhooks import schedule, signing
from controller.webhooks.courier import Came, Courier
from controller.webhooks.records import TEST, Attempt, Delivery, Status, Webhook
from controller.webhooks.storage import HookStore

log = structlog.get_logger(__name__)

MOST = 256
"""Attempts of one process at a time."""
PER_LANE = 4
"""Of these, to one receiver: a slow one holds up nobody else."""
PER_TENANT = 32
"""Of these, for one tenant, however many slow receivers it has."""
PAGE = 256
"""Lanes that are looked at together."""
GONE = 410


@dataclass(slots=True)
class Deliverer:
    """`pace`: what the waits between attempts are multiplied by."""

    store: HookStore
    sealer: Sealer
    courier: Courier
    lease_ms: int
    poll_s: float
    pace: float = 1.0
    _busy: dict[str, str] = field(default_factory=dict, init=False)
    """Delivery under way -> its lane."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _stopping: bool = field(default=False, init=False)

    def kick(self) -> None:
        """Look at once."""
        self._news.set()

    async def stop(self) -> None:
        """Take nothing more."""
        self._stopping = True
        self._news.set()

    async def serve(self) -> None:
        """Until `stop`; then what is under way is given a moment, and what does not end by then another process tries."""
        keeping = asyncio.create_task(self._keep())
        try:
            while not self._stopping:
                self._news.clear()
                try:
                    await self._look()
                except StorageError as error:
                    log.warning("webhooks.interrupted", error=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(random.uniform(self.poll_s / 2, self.poll_s)):
                        await self._news.wait()
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=2)
        finally:
            for task in (keeping, *self._tasks):
                task.cancel()
            await asyncio.gather(keeping, *self._tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Start as many attempts as there is room for."""
        seen, lanes = 0, [""]
        here = Counter(self._busy.values())
        theirs = Counter(map(_whose, self._busy.values()))
        while len(self._busy) < MOST and lanes:
            # Lanes that are full stay at the head of the list: look past them.
            lanes = await self.store.lanes(seen, PAGE)
            seen += len(lanes)
            for lane in lanes:
                room = min(PER_LANE - here[lane], PER_TENANT - theirs[_whose(lane)], MOST - len(self._busy))
                for id in await self.store.take(lane, room, self.lease_ms) if room > 0 else ():
                    if id not in self._busy:
                        here[lane] += 1
                        theirs[_whose(lane)] += 1
                        self._start(lane, id)

    def _start(self, lane: str, id: str) -> None:
        self._busy[id] = lane
        task = asyncio.create_task(self._attempt(lane, id))
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            self._busy.pop(id, None)
            self._news.set()

        task.add_done_callback(ended)

    async def _keep(self) -> None:
        """Renew the leases of what is under way."""
        while True:
            await asyncio.sleep(self.lease_ms / 3000)
            lanes: dict[str, list[str]] = {}
            for id, lane in self._busy.items():
                lanes.setdefault(lane, []).append(id)
            with suppress(StorageError):
                await asyncio.gather(*(self.store.renew(lane, ids, self.lease_ms) for lane, ids in lanes.items()))

    # -- one attempt ---------------------------------------------------------------------------------------------------

    async def _attempt(self, lane: str, id: str) -> None:
        try:
            delivery = await self.store.delivery(id)
            webhook = await self.store.webhook(delivery.webhook) if delivery is not None else None
            if delivery is None or webhook is None:
                await self.store.forget(lane, id)
                return
            at = await self.store.now()
            came = await self._try(delivery, webhook, at)
            self._busy.pop(id, None)  # else a lease renewed a moment later would undo what is settled here
            await self._settle(delivery, webhook, Attempt(at, came.ms, came.status, came.error), came)
        except StorageError as error:
            # The lease runs out, and somebody tries again.
            log.warning("webhook.unsettled", delivery=id, error=str(error))
        except Exception:
            log.exception("webhook.broken", delivery=id)

    async def _try(self, delivery: Delivery, webhook: Webhook, at: int) -> Came:
        if webhook.url and not webhook.enabled and delivery.type != TEST:
            return Came(0, "disabled", 0)
        kept = [webhook.secret, *([webhook.previous] if webhook.previous_until > at else [])]
        try:
            keys = [self.sealer.open(sealed, webhook.id) for sealed in kept if sealed]
        except SecretUnreadable as error:
            log.error("webhook.secret_unreadable", webhook=webhook.id, error=str(error))
            return Came(0, "secret-unreadable", 0)
        sent = signing.headers(delivery.id, delivery.body, datetime.now(UTC), keys)
        return await self.courier.carry(delivery.url or webhook.url, sent, delivery.body.encode())

    async def _settle(self, delivery: Delivery, webhook: Webhook, attempt: Attempt, came: Came) -> None:
        status, delay_ms = self._next(delivery, came)
        tells = delivery.type != TEST and bool(webhook.url) and came.error not in ("disabled", "secret-unreadable")
        healthy = (not came.error) if tells else None
        since = await self.store.settle(delivery, attempt, status, delay_ms=delay_ms, healthy=healthy)
        say = log.info if came.error else log.debug
        say(
            "webhook.attempted", webhook=webhook.id, delivery=delivery.id, status=came.status, error=came.error,
            ms=came.ms, comes_to=status,
        )  # fmt: skip
        if healthy is not False or status != "failed":
            return
        if came.status == GONE:
            await self._disable(webhook, "the receiver answered 410 Gone")
        elif since and since <= _first(delivery, attempt):
            last = came.error if not came.status else f"status {came.status}"
            began = datetime.fromtimestamp(since / 1000, UTC)
            await self._disable(webhook, f"nothing could be delivered since {began:%Y-%m-%d %H:%M} UTC; last: {last}")

    def _next(self, delivery: Delivery, came: Came) -> tuple[Status, int]:
        if not came.error:
            return "delivered", 0
        if delivery.type == TEST or came.status == GONE or came.error == "disabled":
            return "failed", 0
        made = delivery.count + 1 - delivery.round
        wait = schedule.wait_s(made, random.random, pace=self.pace, asked_s=came.retry_after_s)
        return ("failed", 0) if wait is None else ("pending", round(wait * 1000))

    async def _disable(self, webhook: Webhook, reason: str) -> None:
        with suppress(Exception):
            await self.store.write(webhook, {"enabled": "", "reason": reason}, wants="")
            log.warning("webhook.disabled", webhook=webhook.id, reason=reason)


def _whose(lane: str) -> str:
    return lane.partition(".")[0]


def _first(delivery: Delivery, last: Attempt) -> int:
    """When the first attempt since it was last asked for was settled, at the latest; by the server's clock."""
    attempts = [*delivery.attempts, last]
    made = delivery.count + 1 - delivery.round
    first = attempts[-min(made, len(attempts))]
    return first.at + first.ms + 1000
