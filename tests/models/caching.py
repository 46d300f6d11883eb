"""The prompt cache: whole prefixes up to a breakpoint, for each account and model, for five minutes after their last use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.models.tokens import blocks, count

LIFE_S = 300.0


@dataclass(frozen=True)
class Use:
    """Input tokens of one request by what they cost."""

    input: int
    read: int
    written: int


class PromptCache:
    """`floor`: shorter prefixes are silently not cached, as with the real server's 512 to 4,096 tokens.

    `schema_counts`: the schema asked for stands before everything else, so that another one finds nothing cached.
    """

    def __init__(self, clock: Callable[[], float], *, floor: int = 0, schema_counts: bool = False) -> None:
        self._clock = clock
        self._floor = floor
        self._schema_counts = schema_counts
        self._until: dict[str, float] = {}

    def use(self, account: str, body: Mapping[str, Any]) -> Use:
        """Look a request up, and keep its prefixes from now on."""
        now, total = self._clock(), count(body)
        first = repr((body.get("output_config") or {}).get("format")) if self._schema_counts else ""
        digest = sha256(f"{account}\0{body.get('model')}\0{first}".encode())
        so_far = read = marked = 0
        kept: list[str] = []
        for block in blocks(body):
            digest.update(block.canonical)
            so_far += block.tokens
            if not block.breakpoint or so_far < self._floor:
                continue
            marked = so_far
            key = digest.hexdigest()
            kept.append(key)
            if self._until.get(key, 0.0) > now:
                read = so_far
        for key in kept:
            self._until[key] = now + LIFE_S
        return Use(input=total - marked, read=read, written=marked - read)

    def clear(self) -> None:
        """Forget everything."""
        self._until.clear()
