"""The words of a model call: who asks, what is sent, what comes back, and how it fails.

Money is counted in whole billionths of a dollar (`nano`): a token costs thousands of them, and sums of integers do not depend
on their order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

from blackboard.errors import BlackboardError
from blackboard.models import Caller

__all__ = ["FINISHED", "NANO", "CallFailed", "Caller", "Delta", "FailureKind", "Reply", "Request", "Usage"]

NANO: Final = 1_000_000_000
"""Of them make a dollar."""

FINISHED: Final = frozenset({"end_turn", "stop_sequence", "tool_use"})
"""Reasons to stop that mean that an answer is whole. None is a stream that was cut."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them. `input` is what was neither read from nor written to the prompt cache."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def total_input(self) -> int:
        """All tokens that went in."""
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.total_input + self.output


@dataclass(frozen=True)
class Request:
    """One question. `body`: the server's words (system, messages, max_tokens, output_config) without the model's name."""

    model: str
    body: Mapping[str, Any]
    prompt: str = ""
    """`name@digest` of the task."""
    shared_bytes: int = 0
    """Length of the part before the cache breakpoint, in bytes of JSON; 0 where there is none."""
    repairs: str = ""
    """Digest of the question that this one asks once more: its answer is kept as an answer to that."""

    @cached_property
    def canonical(self) -> bytes:
        """The body, the same bytes for the same question."""
        return orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the question, whichever model or server is asked: what recordings are found by."""
        return self.repairs or sha256(self.canonical).hexdigest()

    @property
    def max_tokens(self) -> int:
        """The longest answer it allows."""
        return int(self.body["max_tokens"])

    def key(self, tenant: str, base_url: str) -> str:
        """What an exact answer is kept under: never shared between tenants, servers or models."""
        parts = (tenant, base_url, self.model, self.digest)
        return sha256(b"\0".join(part.encode() for part in parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back of one call that worked: a whole answer, in the server's words."""

    text: str
    stop_reason: str
    model: str
    usage: Usage
    request_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The rate-limit headers, `retry-after` and `date`, lower case. Not kept in caches and recordings."""

    def packed(self) -> bytes:
        """As caches and recordings keep it."""
        usage = self.usage
        return orjson.dumps(
            {
                "text": self.text,
                "stop_reason": self.stop_reason,
                "model": self.model,
                "usage": [usage.input, usage.output, usage.cache_read, usage.cache_write],
                "request_id": self.request_id,
            }
        )

    @classmethod
    def unpacked(cls, data: bytes) -> Reply:
        """The reverse. Raises ValueError for anything else."""
        try:
            said = orjson.loads(data)
            usage = Usage(*map(int, said["usage"]))
            return cls(str(said["text"]), str(said["stop_reason"]), str(said["model"]), usage, str(said["request_id"]))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"this is no reply: {error}") from error


FailureKind = Literal[
    "upstream-down",
    "throttled",
    "budget",
    "config",
    "request",
    "output",
    "transient",
]
"""What may be done about it: see `CallFailed`."""


class CallFailed(BlackboardError):
    """One attempt failed. Never leaves the gateway as it is.

    upstream-down: the server or the way to it is broken; tried again, and counted by the breaker
    throttled:     too much at once; later, after `retry_after_s`; not counted
    budget:        the provider's spend limit; no retry, the provider is closed for a while
    config:        key, permission or model are wrong; no retry, the provider is closed until told otherwise
    request:       the question itself is at fault; no retry
    output:        refused, cut at max_tokens, not valid; one repair. `stop_reason` and `text` say what came
    transient:     408, 409, 499; tried again twice

    `billed`: whether it may have cost something. `unknown` when nobody can say: it is settled at the whole reservation.
    """

    slug = "model-call-failed"

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        billed: Literal["no", "yes", "unknown"] = "unknown",
        usage: Usage | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        stop_reason: str = "",
        text: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.stop_reason = stop_reason
        self.text = text
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.billed = billed
        self.usage = usage
        self.request_id = request_id
        self.headers: Mapping[str, str] = headers or {}


Delta = Callable[[str], Awaitable[None]]
"""Takes a piece of a streamed answer."""
