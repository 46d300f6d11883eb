"""Registrations of sources that run elsewhere, as the server keeps them: texts by name, and an edition counting changes."""

from __future__ import annotations

from typing import Any

from blackboard import doors, keys, wire
from blackboard.coalesce import Coalescer, repeatable

EDITION = "#edition"


class Registrations:
    """Every method may raise StorageUnavailable or StorageFull."""

    def __init__(self, line: Coalescer) -> None:
        self._line = line

    async def edition(self) -> int:
        """How often a registration was changed so far."""
        return int(await self._asked(("HGET", keys.SOURCES, EDITION)) or 0)

    async def all(self) -> tuple[int, dict[str, bytes]]:
        """The edition, and every registration by the source's name."""
        found = wire.named(await self._asked(("HGETALL", keys.SOURCES)))
        return int(found.pop(EDITION, 0)), found

    async def put(self, source: str, text: bytes, *, edition: int) -> int:
        """Keep a registration (no text: remove it); the new edition, or 0 when another change came first.

        A lost connection leaves open whether it was kept: read again.
        """
        answer: int = await self._line.run(doors.register(keys.SOURCES, edition=edition, source=source, text=text))
        return answer

    async def now(self) -> int:
        """The server's clock, milliseconds since 1970."""
        seconds, micros = await self._asked(("TIME",))
        return int(seconds) * 1000 + int(micros) // 1000

    async def _asked(self, command: Any) -> Any:
        return await repeatable(self._line.issue(command))
