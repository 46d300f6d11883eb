"""Webhooks and deliveries as the server keeps them. See `controller.webhooks` for the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Literal

from blackboard import doors, keys, wire
from blackboard.coalesce import Coalescer, resent
from blackboard.doors import Script
from blackboard.errors import OutcomeUnknown, StorageUnavailable
from controller.webhooks.records import (
    MOST_ATTEMPTS,
    MOST_WEBHOOKS,
    Attempt,
    Delivery,
    Status,
    TooManyWebhooks,
    Webhook,
    WebhookExists,
    WebhookGone,
    lane_of,
)

PUT = Script(
    "hook_put",
    ("hook", "tenant", "edition"),
    ("mode", "id", "owner", "url", "wants", "most", "fields"),
    "controller",
)
DROP = Script(
    "hook_drop", ("hook", "tenant", "edition", "lane", "lanes", "log"), ("id", "owner", "lane_name"), "controller"
)
DELIVER = Script(
    "hook_deliver",
    ("hook", "delivery", "lane", "lanes", "log"),
    ("id", "lane_name", "keep_ms", "most", "fields"),
    "controller",
)
TAKE = Script("hook_take", ("lane", "lanes"), ("lane_name", "limit", "lease_ms"), "controller")
SETTLE = Script(
    "hook_settle",
    ("hook", "delivery", "lane", "lanes"),
    ("id", "lane_name", "attempt", "status", "delay_ms", "healthy", "most"),
    "controller",
)
AGAIN = Script("hook_again", ("hook", "delivery", "lane", "lanes", "log"), ("id", "lane_name", "keep_ms"), "controller")
SCRIPTS: Final = (PUT, DROP, DELIVER, TAKE, SETTLE, AGAIN)

KEEP_MS: Final = 14 * 86_400_000
"""How long a delivery is kept; all its attempts take about three days."""
MOST_KEPT: Final = 10_000
"""Deliveries of one webhook that are listed."""
LANES: Final = keys.hooks("due", "all")
EDITION: Final = keys.hooks("edition", "all")


class HookStore:
    """Every method may raise StorageUnavailable or StorageFull."""

    def __init__(self, line: Coalescer) -> None:
        self._line = line

    # -- webhooks ------------------------------------------------------------------------------------------------------

    async def put(self, webhook: Webhook, mode: Literal["new", "change", "either"]) -> None:
        """Keep it. Raises WebhookExists, TooManyWebhooks, and WebhookGone where there is none to change."""
        await self._put(webhook.id, webhook.tenant, mode, webhook.url, webhook.wants, webhook.fields())

    async def write(self, webhook: Webhook, fields: Mapping[str, str], *, wants: str = "-", url: str = "-") -> None:
        """Change some fields alone ("" removes one). Raises WebhookGone, and for another `url` WebhookExists."""
        await self._put(webhook.id, webhook.tenant, "change", url, wants, fields)

    async def _put(self, id: str, tenant: str, mode: str, url: str, wants: str, fields: Mapping[str, str]) -> None:
        of = (keys.hooks("hook", id), keys.hooks("tenant", tenant), EDITION)
        # Only a change may be made twice: a new webhook would meet itself.
        call = PUT.on(of, mode, id, tenant, url, wants, MOST_WEBHOOKS, *_counted(fields))
        answer = await (self._line.run(call) if mode == "new" else resent(lambda: self._line.run(call)))
        if answer == b"exists":
            raise WebhookExists("there is a webhook for this address already")
        if answer == b"full":
            raise TooManyWebhooks(f"there may be {MOST_WEBHOOKS} webhooks")
        if answer == b"gone":
            raise WebhookGone("there is no such webhook")

    async def drop(self, id: str, tenant: str) -> bool:
        """Remove it with its deliveries; False if there is none."""
        log = keys.hooks("log", id)
        gone = await self._read(self._line.issue(("ZRANGE", log, 0, -1)))
        lane = lane_of(tenant, id)
        of = (
            keys.hooks("hook", id), keys.hooks("tenant", tenant), EDITION, keys.hooks("due", lane), LANES, log,
        )  # fmt: skip
        there = bool(await self._read(self._line.run(DROP.on(of, id, tenant, lane))))
        for at in range(0, len(gone) if there else 0, 500):
            await self._read(
                self._line.issue(("UNLINK", *(keys.hooks("delivery", each.decode()) for each in gone[at : at + 500])))
            )
        return there

    async def webhook(self, id: str) -> Webhook | None:
        """By its id, whoever's it is."""
        kept = wire.texts(await self._read(self._line.issue(("HGETALL", keys.hooks("hook", id)))))
        return Webhook.parse(id, kept) if "tenant" in kept else None

    async def webhooks(self, tenant: str) -> list[Webhook]:
        """A tenant's, its callbacks among them, oldest first."""
        ids = await self._read(self._line.issue(("HKEYS", keys.hooks("tenant", tenant))))
        found = await asyncio.gather(*(self.webhook(id.decode()) for id in ids))
        return sorted((each for each in found if each is not None), key=lambda each: (each.created, each.id))

    async def edition(self) -> int:
        """How often a webhook was changed so far."""
        return int(await self._read(self._line.issue(("HGET", EDITION, "#"))) or 0)

    async def tenants(self) -> tuple[int, dict[str, str]]:
        """The edition, and what each tenant listens for, in letters."""
        found = wire.texts(await self._read(self._line.issue(("HGETALL", EDITION))))
        edition = int(found.pop("#", 0))
        return edition, {name[2:]: letters for name, letters in found.items()}

    # -- deliveries ----------------------------------------------------------------------------------------------------

    async def deliver(self, delivery: Delivery) -> bool:
        """Schedule it for now. False where one of this id is there, or the webhook is gone."""
        of = (*self._of(delivery), keys.hooks("log", delivery.webhook))
        call = DELIVER.on(of, delivery.id, delivery.lane, KEEP_MS, MOST_KEPT, *_counted(delivery.fields()))
        return bool(await self._read(resent(lambda: self._line.run(call))))

    async def delivery(self, id: str) -> Delivery | None:
        """With all its attempts."""
        kept = wire.texts(await self._read(self._line.issue(("HGETALL", keys.hooks("delivery", id)))))
        return Delivery.parse(id, kept) if "body" in kept else None

    async def listed(self, webhook: str, after: str, limit: int) -> list[str] | None:
        """Ids of deliveries behind one of them, newest first; None where that one is not there."""
        log, first = keys.hooks("log", webhook), 0
        if after:
            rank = await self._read(self._line.issue(("ZREVRANK", log, after)))
            if rank is None:
                return None
            first = int(rank) + 1
        found = await self._read(self._line.issue(("ZREVRANGE", log, first, first + limit - 1)))
        return [id.decode() for id in found]

    async def since(self, webhook: str, at: int) -> list[str]:
        """Ids of the deliveries made since then, oldest first."""
        found = await self._read(self._line.issue(("ZRANGE", keys.hooks("log", webhook), at, "+inf", "BYSCORE")))
        return [id.decode() for id in found]

    async def again(self, delivery: Delivery) -> bool:
        """Schedule it anew, for now. False where it is gone."""
        of = (*self._of(delivery), keys.hooks("log", delivery.webhook))
        return bool(await self._read(self._line.run(AGAIN.on(of, delivery.id, delivery.lane, KEEP_MS))))

    async def lanes(self, skip: int, limit: int) -> list[str]:
        """Lanes in which something is due, the longest first."""
        command = ("ZRANGE", LANES, "-inf", await self.now(), "BYSCORE", "LIMIT", skip, limit)
        return [lane.decode() for lane in await self._read(self._line.issue(command))]

    async def take(self, lane: str, limit: int, lease_ms: int) -> list[str]:
        """Ids of due deliveries, which are this taker's until the lease runs out."""
        call = TAKE.on((keys.hooks("due", lane), LANES), lane, limit, lease_ms)
        return [id.decode() for id in await self._read(self._line.run(call))]

    async def renew(self, lane: str, ids: Sequence[str], lease_ms: int) -> None:
        """Keep what was taken for another lease."""
        await self._read(self._line.run(doors.snooze(keys.hooks("due", lane), delay_ms=lease_ms, members=list(ids))))

    async def settle(
        self, delivery: Delivery, attempt: Attempt, status: Status, *, delay_ms: int = 0, healthy: bool | None = None
    ) -> int:
        """Keep what an attempt came to. Since when nothing was delivered to the webhook; 0: not so."""
        word = "" if healthy is None else "1" if healthy else "0"
        args = (delivery.id, delivery.lane, attempt.json(), status, delay_ms, word, MOST_ATTEMPTS)
        call = SETTLE.on(self._of(delivery), *args)
        return int(await self._read(resent(lambda: self._line.run(call))))

    async def forget(self, lane: str, id: str) -> None:
        """Take what is gone off its lane."""
        await self._read(self._line.issue(("ZREM", keys.hooks("due", lane), id)))

    async def now(self) -> int:
        """The server's clock."""
        seconds, micros = await self._read(self._line.issue(("TIME",)))
        return int(seconds) * 1000 + int(micros) // 1000

    @staticmethod
    def _of(delivery: Delivery) -> tuple[str, str, str, str]:
        return (
            keys.hooks("hook", delivery.webhook),
            keys.hooks("delivery", delivery.id),
            keys.hooks("due", delivery.lane),
            LANES,
        )

    async def _read(self, reply: Awaitable[Any]) -> Any:
        try:
            return await reply
        except OutcomeUnknown as error:
            # Reads, and steps that may be made twice: there is no outcome to be unsure of.
            raise StorageUnavailable(str(error)) from error


def _counted(fields: Mapping[str, str]) -> list[str | int]:
    return [len(fields), *(word for pair in fields.items() for word in pair)]
