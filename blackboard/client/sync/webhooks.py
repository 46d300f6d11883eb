"""Webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blackboard.client import managing as ask
from blackboard.client.results import Delivery, Webhook
from blackboard.client.sync.connection import Connection


class Webhooks:
    """`client.webhooks`. Secrets are told once, by what makes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self, url: str, *, events: Sequence[str] = (), description: str = "", secret: str | None = None
    ) -> Webhook:
        """A new webhook with its `secret`, which is drawn if none is given. `events`: empty for how boards end.

        Raises ConflictError where there is one for the address, UrlNotAllowed.
        """
        asked = {"url": url, "events": list(events), "description": description, "secret": secret}
        return self._connection.send(ask.make_webhook(asked))

    def list(self) -> Iterator[Webhook]:
        """All webhooks, oldest first."""
        return self._connection.pages(ask.webhooks())

    def get(self, id: str) -> Webhook:
        """One webhook."""
        return self._connection.send(ask.webhook(id))

    def change(
        self,
        id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given; enabling one forgets why it was disabled."""
        chosen = None if events is None else list(events)
        asked = {"url": url, "events": chosen, "description": description, "enabled": enabled}
        return self._connection.send(ask.change_webhook(id, asked))

    def delete(self, id: str) -> None:
        """It is gone, with its deliveries."""
        self._connection.send(ask.delete_webhook(id))

    def rotate(self, id: str, *, secret: str | None = None, overlap_s: int | None = None) -> Webhook:
        """Another `secret`; for the overlap, a day if none is given, messages carry two signatures."""
        return self._connection.send(ask.rotate_webhook(id, secret, overlap_s))

    def test(self, id: str) -> Delivery:
        """Send a test message; what becomes of it is in `delivery`."""
        return self._connection.send(ask.test_webhook(id))

    def deliveries(self, id: str, *, page: int = 100) -> Iterator[Delivery]:
        """All deliveries of the last 14 days, newest first. Asked for `page` at a time, as they are read."""
        return self._connection.pages(ask.deliveries(id, page))

    def delivery(self, id: str, delivery: str) -> Delivery:
        """One delivery."""
        return self._connection.send(ask.delivery(id, delivery))

    def redeliver(self, id: str, *, delivery: str | None = None, since: int | None = None) -> int:
        """Deliver one again, or all that failed since a time (milliseconds since 1970); how many there are."""
        return self._connection.send(ask.redeliver(id, delivery, since))
