"""What a tenant does with its webhooks: make, change, rotate, try, look at what was delivered, ask for it again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from blackboard.errors import UsageError
from controller.sealing import Sealer
from controller.values import InvalidValue
from controller.webhooks import messages, signing
from controller.webhooks.interest import Interest
from controller.webhooks.records import (
    CALLBACKS,
    ENDS,
    TEST,
    Delivery,
    Webhook,
    WebhookGone,
    callbacks_id,
    lane_of,
    new_delivery_id,
    new_webhook_id,
)
from controller.webhooks.storage import HookStore

OVERLAP_S: Final = 86_400
"""How long the secret before the last rotation signs as well, where nothing else is said."""
PORTION: Final = 200


class Checker(Protocol):
    """The part of the way out that is asked beforehand."""

    def check(self, url: str) -> None:
        """Raises UrlNotAllowed."""


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook, and its secret where it is told, once."""

    webhook: Webhook
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"Told({self.webhook.id})"


class Webhooks:
    """Every method may raise StorageError; those on one webhook WebhookGone, also for another tenant's."""

    def __init__(self, store: HookStore, sealer: Sealer, interest: Interest, egress: Checker) -> None:
        self.store = store
        self.sealer = sealer
        self._egress = egress
        self.interest = interest

    async def create(
        self, tenant: str, url: str, *, events: Sequence[str] = (), description: str = "", secret: str = ""
    ) -> Told:
        """Its secret is told here and never again. Raises UrlNotAllowed, InvalidValue, WebhookExists, TooManyWebhooks."""
        self._egress.check(url)
        id, now = new_webhook_id(), await self.store.now()
        plain = signing.given(secret) if secret else signing.new_secret()
        webhook = Webhook(
            id, tenant, url, tuple(dict.fromkeys(events)) or ENDS, description, created=now, changed=now,
            secret=self.sealer.seal(plain, id),
        )  # fmt: skip
        await self.store.put(webhook, "new")
        await self.interest.refresh()
        return Told(webhook, plain)

    async def all(self, tenant: str) -> list[Webhook]:
        """Oldest first; without the callbacks."""
        return [each for each in await self.store.webhooks(tenant) if each.url]

    async def get(self, tenant: str, id: str) -> Webhook:
        """One, or the tenant's callbacks."""
        found = await self.store.webhook(callbacks_id(tenant) if id == CALLBACKS else id)
        if found is None or found.tenant != tenant or (id != CALLBACKS and not found.url):
            raise WebhookGone("there is no such webhook")
        return found

    async def change(self, tenant: str, id: str, given: Mapping[str, Any]) -> Webhook:
        """`url`, `events`, `description`, `enabled`, where given. Enabling forgets what it was disabled for.

        Raises as `create` does.
        """
        found = await self._own(tenant, id)
        if "url" in given:
            self._egress.check(given["url"])
        changed = replace(found, **given, changed=await self.store.now())
        fields = {name: text for name, text in changed.fields().items() if name in given or name == "changed"}
        if given.get("enabled"):
            changed = replace(changed, reason="", failing=0)
            fields |= {"reason": "", "failing": ""}
        await self.store.write(changed, fields, wants=changed.wants, url=changed.url)
        await self.interest.refresh()
        return changed

    async def delete(self, tenant: str, id: str) -> None:
        """What waits to be delivered goes with it."""
        found = await self._own(tenant, id)
        if not await self.store.drop(found.id, tenant):
            raise WebhookGone("there is no such webhook")
        await self.interest.refresh()

    async def rotate(self, tenant: str, id: str, *, secret: str = "", overlap_s: int = OVERLAP_S) -> Told:
        """Take another secret; the one before signs as well for a while. The first one of the tenant's callbacks, too.

        Raises InvalidValue for a secret that is none.
        """
        plain = signing.given(secret) if secret else signing.new_secret()
        now = await self.store.now()
        hook = callbacks_id(tenant) if id == CALLBACKS else id
        sealed = self.sealer.seal(plain, hook)
        if id == CALLBACKS and await self.store.webhook(hook) is None:
            first = Webhook(hook, tenant, "", ENDS, created=now, changed=now, secret=sealed)
            await self.store.put(first, "either")
            await self.interest.refresh()
            return Told(first, plain)
        found = await self.get(tenant, id)
        until = now + overlap_s * 1000 if overlap_s else 0
        rotated = replace(
            found, secret=sealed, previous=found.secret if until else "", previous_until=until, changed=now
        )
        names = ("secret", "previous", "previous_until", "changed")
        await self.store.write(rotated, {name: text for name, text in rotated.fields().items() if name in names})
        return Told(rotated, plain)

    async def test(self, tenant: str, id: str) -> Delivery:
        """Send a `webhook.test`, once, also to one that is disabled; what it comes to is among its deliveries."""
        found = await self._own(tenant, id)
        text = messages.body(TEST, await self.store.now(), {"webhook": found.id})
        delivery = Delivery(new_delivery_id(), found.id, lane_of(tenant, found.id), "", TEST, "", text)
        await self.store.deliver(delivery)
        return await self._delivery(found, delivery.id)

    async def deliveries(self, tenant: str, id: str, *, after: str = "", limit: int = 50) -> tuple[list[Delivery], str]:
        """A page, newest first, and the cursor of the next one ("" at the end). Raises UsageError for a cursor that is
        none."""
        found = await self.get(tenant, id)
        ids = await self.store.listed(found.id, after, limit + 1)
        if ids is None:
            raise UsageError("the cursor is not one that this listing gave")
        shown = await asyncio.gather(*map(self.store.delivery, ids[:limit]))
        return [each for each in shown if each is not None], ids[limit - 1] if len(ids) > limit else ""

    async def delivery(self, tenant: str, id: str, delivery: str) -> Delivery:
        """One."""
        return await self._delivery(await self.get(tenant, id), delivery)

    async def redeliver(self, tenant: str, id: str, delivery: str) -> int:
        """Send one again, now; 1."""
        found = await self.get(tenant, id)
        if not await self.store.again(await self._delivery(found, delivery)):
            raise WebhookGone("there is no such delivery")
        return 1

    async def redeliver_failed(self, tenant: str, id: str, since: int) -> int:
        """Send again what failed for good and was made since then (milliseconds since 1970); how many."""
        found = await self.get(tenant, id)
        ids, count = await self.store.since(found.id, since), 0
        for at in range(0, len(ids), PORTION):
            rows = await asyncio.gather(*map(self.store.delivery, ids[at : at + PORTION]))
            failed = [row for row in rows if row is not None and row.status == "failed" and row.type != TEST]
            count += sum(await asyncio.gather(*map(self.store.again, failed)))
        return count

    async def check_callback(self, tenant: str, url: str) -> None:
        """Whether a board may be submitted with this callback. Raises UrlNotAllowed, InvalidValue."""
        self._egress.check(url)
        if not self.interest.callbacks(tenant):
            await self.interest.refresh()
        if not self.interest.callbacks(tenant):
            raise InvalidValue(
                [("/callback", "there is no secret to sign it with: POST /v1/webhooks/callbacks/rotate draws one")]
            )

    async def _own(self, tenant: str, id: str) -> Webhook:
        """One with an address of its own."""
        found = await self.get(tenant, id)
        if not found.url:
            raise WebhookGone("there is no such webhook")
        return found

    async def _delivery(self, webhook: Webhook, id: str) -> Delivery:
        found = await self.store.delivery(id)
        if found is None or found.webhook != webhook.id:
            raise WebhookGone("there is no such delivery")
        return found


async def reseal(store: HookStore, sealer: Sealer) -> tuple[int, int]:
    """Seal every secret under the key that seals now: how many were changed, and how many were so already.

    A secret that is rotated meanwhile is left to whoever rotates it. Raises SecretUnreadable, StorageError.
    """
    changed = fine = 0
    _, tenants = await store.tenants()
    for tenant in tenants:
        for webhook in await store.webhooks(tenant):
            kept = {"secret": webhook.secret, "previous": webhook.previous}
            stale = {name: sealed for name, sealed in kept.items() if sealed and not sealer.current(sealed)}
            if not stale:
                fine += 1
                continue
            again = {name: sealer.seal(sealer.open(sealed, webhook.id), webhook.id) for name, sealed in stale.items()}
            now = await store.webhook(webhook.id)
            if now is not None and (now.secret, now.previous) == (webhook.secret, webhook.previous):
                await store.write(webhook, again)
                changed += 1
    return changed, fine
