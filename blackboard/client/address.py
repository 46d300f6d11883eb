"""Where a service is, and what is sent to it with every request. The key goes to that address alone, and is never shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx2

from blackboard.errors import UsageError

DEFAULT_URL: Final = "http://127.0.0.1:8000"
TIMEOUT_S: Final = 30.0
CONNECT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """`url`: scheme, host, port, and a path where the service is not at the root. `repr` does not show the key."""

    url: str
    agent: str
    api_key: str = field(repr=False)
    timeout_s: float = TIMEOUT_S

    @classmethod
    def of(cls, url: str | None, api_key: str | None, agent: str | None, timeout_s: float = TIMEOUT_S) -> Address:
        """From the arguments, else from BLACKBOARD_URL and BLACKBOARD_API_KEY. Raises UsageError."""
        found = url if url is not None else os.environ.get("BLACKBOARD_URL") or DEFAULT_URL
        key = api_key if api_key is not None else os.environ.get("BLACKBOARD_API_KEY", "")
        try:
            parts = urlsplit(found)
            good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or parts.query or parts.fragment:
            raise UsageError(f"{found!r} is not a service's address", hint="like http://127.0.0.1:8000")
        if "@" in parts.netloc:
            # Not repeated: it may hold a password.
            raise UsageError("a service's address holds no user or password", hint="give a key: BLACKBOARD_API_KEY")
        key = key.strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError("the API key holds what no key holds", hint="is it whole, and only it?")
        return cls(found.rstrip("/"), agent or _agent(), key, timeout_s)

    @property
    def headers(self) -> dict[str, str]:
        """Those of every request."""
        return {"user-agent": self.agent, **({"authorization": f"Bearer {self.api_key}"} if self.api_key else {})}

    def timeout(self, more_s: float = 0.0, silence_s: float | None = None) -> httpx2.Timeout:
        """`silence_s`: of a stream."""
        read = self.timeout_s + more_s if silence_s is None else silence_s
        return httpx2.Timeout(self.timeout_s, connect=min(CONNECT_S, self.timeout_s), read=read)


def _agent() -> str:
    from blackboard import __version__

    return f"blackboard-python/{__version__}"
