"""What a check comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check. `warn` does not fail the whole."""

    check: str
    state: State
    said: str
    hint: str = ""
