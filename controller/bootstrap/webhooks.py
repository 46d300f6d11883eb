"""Webhooks put together: who listens, and, beside a controller, who tells them."""

from __future__ import annotations

from contextlib import AsyncExitStack

from blackboard.egress import Egress
from blackboard.store import RedisStore
from controller.announcing import Announcer
from controller.bootstrap.running import follow, run
from controller.sealing import sealer_of
from controller.settings import Settings
from controller.webhooks.interest import Interest
from controller.webhooks.registry import Webhooks
from controller.webhooks.storage import HookStore


def open_webhooks(settings: Settings, store: RedisStore) -> Webhooks:
    """What the door and the commands need of them. Raises UsageError."""
    hooks = HookStore(store.line(0))
    sealer = sealer_of(settings.secret_key, settings.secret_key_file, settings.data_dir)
    return Webhooks(hooks, sealer, Interest(hooks), Egress(settings.egress_allow))


async def follow_webhooks(webhooks: Webhooks, stack: AsyncExitStack) -> None:
    """Learn which tenants listen, before the first board begins or ends here, and from then on. Raises UsageError."""
    webhooks.sealer.check()
    await webhooks.interest.refresh()
    follow(webhooks.interest.follow(), stack)


def start_telling(webhooks: Webhooks, boards: RedisStore, settings: Settings, stack: AsyncExitStack) -> Announcer:
    """Deliver from now on; what makes deliveries of what a controller sweeps."""
    from controller.webhooks.announcer import Announcer as ToDeliveries
    from controller.webhooks.courier import EgressCourier
    from controller.webhooks.deliverer import Deliverer

    courier = EgressCourier(settings.egress_allow, timeout_s=settings.webhook_timeout_s)
    stack.push_async_callback(courier.close)
    deliverer = Deliverer(
        webhooks.store,
        webhooks.sealer,
        courier,
        lease_ms=settings.lease_ms,
        poll_s=settings.poll_s,
        pace=settings.webhook_pace,
    )
    run(deliverer.serve(), deliverer.stop, stack)
    return ToDeliveries(boards, webhooks.store, kick=deliverer.kick)
