"""What the server saw of one call, and what it did about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from tests.models import tokens


@dataclass
class Call:
    """One request. It is recorded before it is answered."""

    number: int
    """From 1."""
    at: float
    """Seconds since 1970."""
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    request_id: str
    fault: str = ""
    """The fault it met."""
    status: int = 0
    """0 where no answer was begun."""
    answer: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    """As it was reported; what a call cost that was cut is here, too."""
    finished: bool = False
    """Whether the whole answer was sent."""

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """The body, decoded; empty where it is no JSON object."""
        try:
            found = orjson.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def header(self, name: str) -> str:
        """The last of that name."""
        return dict(self.headers).get(name.lower(), "")

    @property
    def account(self) -> str:
        """Whose key it was sent with."""
        return self.header("authorization").removeprefix("Bearer ").strip() or self.header("x-api-key")

    @property
    def model(self) -> str:
        """The model asked."""
        return str(self.said.get("model", ""))

    @property
    def streamed(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.said.get("stream"))

    @property
    def prefix(self) -> bytes:
        """Its bytes up to and with the last cache breakpoint."""
        return tokens.prefix(self.said)

    def shown(self) -> dict[str, Any]:
        """As JSON, for tests in other processes."""
        return {
            "number": self.number,
            "at": self.at,
            "path": self.path,
            "headers": dict(self.headers),
            "body": self.body.decode("utf-8", "replace"),
            "request_id": self.request_id,
            "fault": self.fault,
            "status": self.status,
            "answer": self.answer,
            "usage": self.usage,
            "finished": self.finished,
        }
