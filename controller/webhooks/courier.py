"""One attempt over the network, and the one word for how it went."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final, Protocol

from blackboard.egress import Egress, EgressFailed
from blackboard.errors import UrlNotAllowed
from controller.webhooks.schedule import retry_after_s, word

if TYPE_CHECKING:
    import httpx2

MOST_READ: Final = 64 << 10
"""Bytes of an answer's body that are read, to let the receiver finish. None is kept."""


@dataclass(frozen=True, slots=True)
class Came:
    """How an attempt went. `error`: "" for a good answer, else `status`, `redirect`, `timeout`, `blocked`, `unreachable`."""

    status: int
    error: str
    ms: int
    retry_after_s: float = 0.0


class Courier(Protocol):
    """Takes a message to its receiver."""

    async def carry(self, url: str, headers: Mapping[str, str], body: bytes) -> Came:
        """Never raises for what the receiver does."""


class EgressCourier:
    """Goes out through the checked door."""

    def __init__(self, allow: Sequence[str] = (), *, timeout_s: float, egress: Egress | None = None) -> None:
        """`allow`: see Egress; `egress`: one of the caller's instead."""
        self._allow = allow
        self._timeout_s = timeout_s
        self._egress = egress
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        """Close what was opened here."""
        if self._client is not None:
            await self._client.aclose()

    def _open(self) -> Egress:
        if self._egress is None:
            # Not before there is something to send: its TLS context takes tens of milliseconds to make.
            self._client = open_client()
            self._egress = Egress(self._allow, client=self._client)
        return self._egress

    async def carry(self, url: str, headers: Mapping[str, str], body: bytes) -> Came:
        """See Courier."""
        began, status, after = time.monotonic(), 0, 0.0
        error = ""
        try:
            async with self._open().request(
                "POST", url, headers=headers, content=body, timeout_s=self._timeout_s
            ) as answer:
                status, error = answer.status, word(answer.status)
                after = retry_after_s(answer.headers.get("retry-after", ""), datetime.now(UTC))
                # The status has said it: what becomes of the body changes nothing.
                with suppress(EgressFailed):
                    async for _ in answer.chunks(MOST_READ):
                        pass
        except UrlNotAllowed:
            error = "blocked"
        except EgressFailed as failed:
            if not status:
                error = "timeout" if failed.timed_out else "unreachable"
        return Came(status, error, round((time.monotonic() - began) * 1000), after)


def open_client() -> httpx2.AsyncClient:
    """One TLS context for all attempts, and nothing else shared between them.

    A connection kept alive would be found again by its address, whatever host its certificate was checked for.
    """
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client
