"""What each operation needs of a key. Every route under /v1 is in this table: a test walks them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.access import Scope

NEEDS: Final[Mapping[str, Scope]] = {
    "documents.submit": "submit",
    "boards.list": "read",
    "boards.get": "read",
    "boards.log": "read",
    "boards.bundle": "read",
    "boards.why": "read",
    "boards.diff": "read",
    "boards.events": "read",
    "events.watch": "read",
    "boards.report": "read",
    "boards.calls": "read",
    "activations.list": "read",
    "boards.cancel": "submit",
    "boards.retry": "submit",
    "boards.fork": "submit",
    "boards.backfill": "submit",
    "boards.erase": "admin",
    "boards.approve": "contribute",
    "entries.list": "read",
    "entries.get": "read",
    "entries.put": "contribute",
    "entries.delete": "contribute",
    "boards.commit": "contribute",
    "activations.claim": "contribute",
    "activations.renew": "contribute",
    "activations.commit": "contribute",
    "blobs.get": "read",
    "sources.list": "read",
    "sources.get": "read",
    "sources.put": "admin",
    "sources.delete": "admin",
    "spending.get": "read",
    "capabilities.get": "read",
    "keys.create": "admin",
    "keys.list": "admin",
    "keys.get": "admin",
    "keys.revoke": "admin",
    "keys.rotate": "admin",
    "webhooks.create": "admin",
    "webhooks.list": "admin",
    "webhooks.get": "admin",
    "webhooks.change": "admin",
    "webhooks.delete": "admin",
    "webhooks.rotate": "admin",
    "webhooks.test": "admin",
    "webhooks.deliveries": "admin",
    "webhooks.delivery": "admin",
    "webhooks.redeliver": "admin",
    "metrics.get": "operate",
}
OPEN: Final = frozenset({"health.live", "health.ready", "problems.explain"})
"""Operations that ask for no key."""
