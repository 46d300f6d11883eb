"""A webhook, a delivery and an attempt, and the forms in which they are kept. Times are milliseconds since 1970."""

from __future__ import annotations

import secrets
from base64 import b32encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal, get_args

import orjson

from blackboard.errors import ConflictError, UsageError

Event = Literal["board.completed", "board.failed", "board.cancelled", "board.created"]
TEST: Final = "webhook.test"
ENDS: Final[tuple[Event, ...]] = ("board.completed", "board.failed", "board.cancelled")
EVENTS: Final[tuple[Event, ...]] = get_args(Event)
Status = Literal["pending", "delivered", "failed"]

CALLBACKS: Final = "callbacks"
"""The name, for each tenant, of what sends to the addresses given with single boards."""
TIMES: Final = ("created", "changed", "previous_until", "failing", "delivered")
MOST_WEBHOOKS: Final = 50
CALLBACK_LANES: Final = 8
"""A tenant may name any number of hosts, but not fill the list of what is due with them."""
MOST_ATTEMPTS: Final = 50
"""Attempts of one delivery that are shown; more come about only by asking for it again and again."""


class WebhookGone(UsageError):
    """There is no such webhook or delivery, or it is another tenant's."""

    slug = "not-found"


class WebhookExists(ConflictError):
    """The tenant has a webhook for this address."""

    slug = "webhook-exists"


class TooManyWebhooks(ConflictError):
    """The tenant has as many webhooks as it may."""

    slug = "too-many-webhooks"


def _word(data: bytes) -> str:
    return b32encode(data).decode().rstrip("=").lower()


def new_webhook_id() -> str:
    """A fresh id with 128 random bits."""
    return f"wh_{_word(secrets.token_bytes(16))}"


def callbacks_id(tenant: str) -> str:
    """Under which a tenant's callbacks are kept."""
    return f"cb_{_word(blake2b(tenant.encode(), digest_size=16).digest())}"


def lane_of(tenant: str, webhook: str, host: str = "") -> str:
    """What one slow receiver may hold up: a webhook, or a tenant's callbacks to a few hosts. Whose it is goes first."""
    whose = blake2b(tenant.encode(), digest_size=6).hexdigest()
    part = f".{blake2b(host.encode(), digest_size=2).digest()[0] % CALLBACK_LANES}" if host else ""
    return f"{whose}.{webhook}{part}"


def delivery_id(*words: str) -> str:
    """The same for the same words, so that what is announced twice is delivered once. It is sent as `webhook-id`."""
    return f"msg_{_word(blake2b(chr(0).join(words).encode(), digest_size=16).digest())}"


def new_delivery_id() -> str:
    """A fresh one."""
    return f"msg_{_word(secrets.token_bytes(16))}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a tenant is told of its boards. Secrets are sealed."""

    id: str
    tenant: str
    url: str
    """"" for the tenant's callbacks: each of their deliveries says its own."""
    events: tuple[str, ...] = ENDS
    description: str = ""
    enabled: bool = True
    reason: str = ""
    """Why it was disabled, where the service did that."""
    created: int = 0
    changed: int = 0
    secret: str = field(default="", repr=False)
    previous: str = field(default="", repr=False)
    """The secret before the last rotation, and until when it signs as well."""
    previous_until: int = 0
    failing: int = 0
    """Since when nothing was delivered, though it was tried; 0: not so."""
    delivered: int = 0
    """When something was delivered last."""

    @classmethod
    def parse(cls, id: str, kept: Mapping[str, str]) -> Webhook:
        """From the hash that is kept."""
        times = {name: int(kept.get(name, 0)) for name in TIMES}
        return cls(
            id,
            kept["tenant"],
            kept.get("url", ""),
            tuple(kept.get("events", "").split()),
            kept.get("description", ""),
            kept.get("enabled") == "1",
            kept.get("reason", ""),
            secret=kept.get("secret", ""),
            previous=kept.get("previous", ""),
            **times,
        )

    def fields(self) -> dict[str, str]:
        """The hash that is kept, without what attempts write into it. "" where there is nothing to keep."""
        return {
            "tenant": self.tenant,
            "url": self.url,
            "events": " ".join(self.events),
            "description": self.description,
            "enabled": "1" if self.enabled else "",
            "reason": self.reason,
            "created": str(self.created),
            "changed": str(self.changed),
            "secret": self.secret,
            "previous": self.previous,
            "previous_until": str(self.previous_until or ""),
        }

    @property
    def wants(self) -> str:
        """What it listens for, in letters: `e` ends of boards, `c` their creation, `k` callbacks."""
        if not self.url:
            return "k"
        if not self.enabled:
            return ""
        return ("e" if set(ENDS) & set(self.events) else "") + ("c" if "board.created" in self.events else "")

    def sees(self, type: str, at: int) -> bool:
        """Whether it is told of something of this type that happened then."""
        return bool(self.url) and self.enabled and type in self.events and self.created <= at


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try. `status`: of the answer, 0 without one; `error`: "" where the answer was a good one."""

    at: int
    ms: int
    status: int = 0
    error: str = ""

    def json(self) -> str:
        """The form that is kept."""
        return orjson.dumps({"at": self.at, "ms": self.ms, "status": self.status, "error": self.error}).decode()


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something to send, and how that went."""

    id: str
    webhook: str
    lane: str
    url: str
    """Where to, if that is not the webhook's own address."""
    type: str
    board: str
    body: str = field(repr=False)
    status: Status = "pending"
    created: int = 0
    next: int = 0
    """When it is tried next; 0: it is not."""
    count: int = 0
    """Attempts made."""
    round: int = 0
    """Attempts made before it was last asked for again."""
    attempts: tuple[Attempt, ...] = ()

    @classmethod
    def parse(cls, id: str, kept: Mapping[str, str]) -> Delivery:
        """From the hash that is kept."""
        numbers = sorted(int(name[2:]) for name in kept if name.startswith("a:"))
        rows: list[dict[str, Any]] = [orjson.loads(kept[f"a:{number}"]) for number in numbers]
        return cls(
            id,
            kept["webhook"],
            kept["lane"],
            kept.get("url", ""),
            kept["type"],
            kept.get("board", ""),
            kept["body"],
            kept["status"],  # type: ignore[arg-type]
            int(kept["created"]),
            int(kept.get("next", 0)),
            int(kept["attempts"]),
            int(kept["round"]),
            tuple(Attempt(**row) for row in rows),
        )

    def fields(self) -> dict[str, str]:
        """What is kept of a new one."""
        return {
            "webhook": self.webhook,
            "lane": self.lane,
            "url": self.url,
            "type": self.type,
            "board": self.board,
            "body": self.body,
        }
