"""How much waits for work: what back-pressure, metrics and readiness are decided by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What waits in one queue of a source. `oldest_s`: for how long the oldest of it has been due."""

    source: str
    version: str
    waiting: int
    oldest_s: float
    priority: str = ""
    """`interactive` or `batch`; "": both."""


@dataclass(frozen=True, slots=True)
class Standing:
    """All queues at one moment. `limit`: how much may wait in all before more work is refused; 0: any number."""

    queues: Sequence[QueueLoad] = ()
    limit: int = 0

    @property
    def waiting(self) -> int:
        """Wake-ups that wait, in all queues."""
        return sum(queue.waiting for queue in self.queues)

    @property
    def overloaded(self) -> bool:
        """Whether new documents, and boards that would go on, are refused for now."""
        return bool(self.limit) and self.waiting > self.limit


class Load(Protocol):
    """Looks at the queues."""

    async def look(self) -> Standing:
        """At most a second old: however many ask, the server is asked once a second. Raises StorageError."""
