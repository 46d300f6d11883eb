"""Keys that make a POST that is sent again have one effect."""

from __future__ import annotations

import secrets
from typing import Final

from blackboard.errors import UsageError

LONGEST: Final = 255


def once(key: str | None = None) -> dict[str, str]:
    """The header, with a key drawn here if none is given. Raises UsageError for one that no service takes."""
    chosen = secrets.token_urlsafe(24) if key is None else key
    if not 0 < len(chosen) <= LONGEST or not chosen.isascii() or not chosen.isprintable() or {'"', "\\"} & set(chosen):
        raise UsageError(f"an idempotency key is 1 to {LONGEST} printable ASCII characters without quotes")
    return {"idempotency-key": f'"{chosen}"'}
