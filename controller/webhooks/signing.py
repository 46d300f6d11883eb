"""Secrets of webhooks, and what is signed with them."""

from __future__ import annotations

import binascii
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from controller.values import InvalidValue

PREFIX: Final = "whsec_"
LEAST, MOST, DRAWN = 24, 64, 32
"""Bytes of a secret."""


def new_secret() -> bytes:
    """A fresh one."""
    return secrets.token_bytes(DRAWN)


def shown(secret: bytes) -> str:
    """As its owner keeps it."""
    return PREFIX + b64encode(secret).decode()


def given(text: str) -> bytes:
    """One that somebody brought. Raises InvalidValue for what is none, or too short or long."""
    try:
        found = b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not LEAST <= len(found) <= MOST:
        raise InvalidValue([("/secret", f"must be `{PREFIX}` and the base64 of {LEAST} to {MOST} bytes")])
    return found


def headers(id: str, body: str, at: datetime, keys: Sequence[bytes]) -> dict[str, str]:
    """What an attempt sends with the body: one signature for each secret. `at`: in UTC."""
    from standardwebhooks import Webhook

    return {
        "content-type": "application/json",
        "user-agent": "Blackboard-Webhooks/1",
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(id, at, body) for key in keys),
    }
