"""What can be asked of keys and webhooks: a call for each operation."""

from __future__ import annotations

from typing import Any

from blackboard.client.calls import Answer, Call, Paged, json_body, page_of, path_of
from blackboard.client.results import Delivery, Key, Webhook, delivery_of, key_of, webhook_of

PAGE = 200


def make_key(asked: dict[str, Any]) -> Call[Key]:
    """A new key."""
    return Call("POST", path_of("keys"), lambda it: key_of(it.object()), body=_given(asked), noun="tenant")


def keys(tenant: str) -> Call[Paged[Key]]:
    """The first page of keys."""
    return Call("GET", path_of("keys"), page_of(key_of), params={"limit": PAGE, "tenant": tenant}, noun="tenant")


def key(id: str) -> Call[Key]:
    """One key."""
    return Call("GET", path_of("keys", id), lambda it: key_of(it.object()), noun="key")


def rotate_key(id: str, overlap_s: float | None) -> Call[Key]:
    """Another secret."""
    body = _given({"overlap_s": overlap_s})
    return Call("POST", path_of("keys", id, "rotate"), lambda it: key_of(it.object()), body=body, noun="key")


def revoke_key(id: str) -> Call[None]:
    """The end of a key."""
    return Call("DELETE", path_of("keys", id), Answer.nothing, noun="key", harmless=True)


def make_webhook(asked: dict[str, Any]) -> Call[Webhook]:
    """A new webhook."""
    return Call("POST", path_of("webhooks"), lambda it: webhook_of(it.object()), body=_given(asked), noun="tenant")


def webhooks() -> Call[Paged[Webhook]]:
    """All webhooks."""
    return Call("GET", path_of("webhooks"), page_of(webhook_of), noun="tenant")


def webhook(id: str) -> Call[Webhook]:
    """One webhook."""
    return Call("GET", path_of("webhooks", id), lambda it: webhook_of(it.object()), noun="webhook")


def change_webhook(id: str, asked: dict[str, Any]) -> Call[Webhook]:
    """What is changed is what is given."""
    path, read = path_of("webhooks", id), lambda it: webhook_of(it.object())
    return Call("PATCH", path, read, body=_given(asked), noun="webhook", harmless=True)


def delete_webhook(id: str) -> Call[None]:
    """The end of a webhook and its deliveries."""
    return Call("DELETE", path_of("webhooks", id), Answer.nothing, noun="webhook")


def rotate_webhook(id: str, secret: str | None, overlap_s: int | None) -> Call[Webhook]:
    """Another secret."""
    body = _given({"secret": secret, "overlap_s": overlap_s})
    return Call(
        "POST", path_of("webhooks", id, "rotate"), lambda it: webhook_of(it.object()), body=body, noun="webhook"
    )


def test_webhook(id: str) -> Call[Delivery]:
    """A test message."""
    return Call("POST", path_of("webhooks", id, "test"), lambda it: delivery_of(it.object()), noun="webhook")


def deliveries(id: str, limit: int) -> Call[Paged[Delivery]]:
    """The first page of a webhook's deliveries."""
    path = path_of("webhooks", id, "deliveries")
    return Call("GET", path, page_of(delivery_of), params={"limit": limit}, noun="webhook")


def delivery(id: str, delivery: str) -> Call[Delivery]:
    """One delivery."""
    path = path_of("webhooks", id, "deliveries", delivery)
    return Call("GET", path, lambda it: delivery_of(it.object()), noun="delivery")


def redeliver(id: str, delivery: str | None, since: int | None) -> Call[int]:
    """How many are made again."""
    path, body = path_of("webhooks", id, "redeliver"), _given({"delivery": delivery, "since": since})
    return Call("POST", path, lambda it: int(it.object().get("redelivered", 0)), body=body, noun="delivery")


def _given(asked: dict[str, Any]) -> bytes:
    return json_body({name: value for name, value in asked.items() if value is not None})
