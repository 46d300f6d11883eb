"""API keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blackboard.client import managing as ask
from blackboard.client.results import Key
from blackboard.client.sync.connection import Connection


class Keys:
    """`client.keys`. Secrets are told once, by what makes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        tenant: str | None = None,
        expires_in_s: float | None = None,
        requests_per_minute: int | None = None,
        streams: int | None = None,
    ) -> Key:
        """A new key with its `secret`; to read, submit and contribute where no scopes are given. Raises Forbidden."""
        asked = {
            "name": name,
            "scopes": None if scopes is None else list(scopes),
            "tenant": tenant,
            "expires_in_s": expires_in_s,
            "requests_per_minute": requests_per_minute,
            "streams": streams,
        }
        return self._connection.send(ask.make_key(asked))

    def list(self, *, tenant: str = "") -> Iterator[Key]:
        """All keys, oldest first, those that ended within the last 30 days among them."""
        return self._connection.pages(ask.keys(tenant))

    def get(self, id: str) -> Key:
        """One key."""
        return self._connection.send(ask.key(id))

    def rotate(self, id: str, *, overlap_s: float | None = None) -> Key:
        """Another `secret`; the old one stays good for the overlap, a day if none is given."""
        return self._connection.send(ask.rotate_key(id, overlap_s))

    def revoke(self, id: str) -> None:
        """It opens nothing any more."""
        self._connection.send(ask.revoke_key(id))
