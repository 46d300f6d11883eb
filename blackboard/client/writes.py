"""What a commit writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Put:
    """Put an entry. `pin`: sources may only suggest beside it from now on."""

    key: str
    value: Any
    confidence: float = 1.0
    pin: bool = True

    def shown(self) -> dict[str, Any]:
        """As it is sent."""
        said = {"op": "put", "key": self.key, "value": self.value, "pin": self.pin}
        return said if self.confidence == 1 else said | {"confidence": self.confidence}


@dataclass(frozen=True, slots=True)
class Retract:
    """Retract an entry, or dismiss a rival."""

    key: str

    def shown(self) -> dict[str, Any]:
        """As it is sent."""
        return {"op": "retract", "key": self.key}
