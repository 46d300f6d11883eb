"""What an API key is: how it is written, drawn, digested and judged. Pure but for the drawing.

`bb_<id>_<secret>`: the id names the key everywhere, the secret is shown once. What is kept is HMAC-SHA-256 of the whole
under a pepper, so that who reads the server's data can use none of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from blackboard.errors import UsageError
from controller.access import SCOPES, Caller, Scope

KEY = re.compile(r"bb_([a-z0-9]{4,32})_([A-Za-z0-9]{32,128})\Z", re.ASCII)
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", re.ASCII)
"""What a key and a tenant may be called."""
ORDER: tuple[Scope, ...] = ("read", "submit", "contribute", "admin", "operate")
KEPT_MS = 30 * 86_400_000
"""How long a key that was revoked or expired is still listed."""
Standing = Literal["active", "expired", "revoked"]


def id_in(text: str) -> str:
    """The id in a key, "" when it is none."""
    found = KEY.match(text)
    return found[1] if found is not None else ""


def draw_id() -> str:
    """A fresh id of 80 random bits."""
    return _base32(10)


def draw(id: str) -> str:
    """A fresh key with that id and 160 random bits."""
    return f"bb_{id}_{_base32(20)}"


def digest_of(text: str, pepper: bytes) -> str:
    """What is kept of a key."""
    return hmac.new(pepper, text.encode(), hashlib.sha256).hexdigest()


def mark_of(pepper: bytes) -> str:
    """What tells a pepper from another without telling it."""
    return hmac.new(pepper, b"which pepper this is", hashlib.sha256).hexdigest()[:32]


def word(text: str, what: str) -> str:
    """The text, if a key or a tenant (`what`) may be called so. Raises UsageError."""
    if not WORD.match(text):
        raise UsageError(f"{what} is 1 to 63 letters, digits, '.', '_' and '-', a letter or digit first")
    return text


def scopes_of(names: Collection[str]) -> frozenset[Scope]:
    """Raises UsageError for a scope there is not, and for none at all."""
    unknown = [name for name in names if name not in SCOPES]
    if unknown or not names:
        raise UsageError(
            f"there is no scope {', '.join(unknown)}" if unknown else "a key needs a scope",
            hint=f"there are {', '.join(ORDER)}",
        )
    return frozenset(names)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. Times in ms since 1970, 0: never. `rate`: requests a minute; `streams`: open at a time;
    None: as is set for all.

    `used` is at most a minute behind. `digest` is the secret's, `older` that of the one before, good until `older_until`.
    `by`: who made it; `edition` counts its changes.
    """

    id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    created: int
    by: str
    digest: str = ""
    expires: int = 0
    revoked: int = 0
    rotated: int = 0
    older: str = ""
    older_until: int = 0
    rate: int | None = None
    streams: int | None = None
    used: int = 0
    edition: int = 0

    @classmethod
    def parse(cls, id: str, fields: Mapping[str, str]) -> Key:
        """From what is kept."""
        numbers = ("created", "expires", "revoked", "rotated", "older_until", "used", "edition")
        return cls(
            id,
            name=fields["name"],
            tenant=fields["tenant"],
            scopes=frozenset(name for name in ORDER if name in fields["scopes"].split(",")),
            by=fields.get("by", ""),
            digest=fields["digest"],
            older=fields.get("older", ""),
            rate=_limit(fields, "rate"),
            streams=_limit(fields, "streams"),
            **{name: int(fields.get(name) or 0) for name in numbers},
        )

    def fields(self) -> dict[str, str]:
        """As it is kept; what the server counts by itself is left out."""
        found = {
            "name": self.name,
            "tenant": self.tenant,
            "scopes": ",".join(self.names),
            "by": self.by,
            "digest": self.digest,
        }
        for name in ("rate", "streams"):
            if (limit := getattr(self, name)) is not None:
                found[name] = str(limit)
        if self.older:
            found["older"] = self.older
        for name in ("created", "expires", "revoked", "rotated", "older_until"):
            if number := getattr(self, name):
                found[name] = str(number)
        return found

    @property
    def names(self) -> tuple[Scope, ...]:
        """Its scopes, the least first."""
        return tuple(name for name in ORDER if name in self.scopes)

    @property
    def forget_at(self) -> int:
        """When it leaves the server; 0: not as it stands."""
        ends = [at for at in (self.revoked, self.expires) if at]
        return min(ends) + KEPT_MS if ends else 0

    def standing(self, now: int) -> Standing:
        """How it stands."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and self.expires <= now else "active"

    def admits(self, digest: str, now: int) -> bool:
        """Whether what was shown is this key, now. Every comparison takes as long as any."""
        latest = hmac.compare_digest(self.digest, digest)
        before = hmac.compare_digest(self.older, digest) and self.older_until > now
        return (latest or before) and self.standing(now) == "active"

    def caller(self) -> Caller:
        """Who shows it."""
        return Caller(self.tenant, f"person:{self.name}", self.scopes, self.id, self.streams)

    def show(self, now: int) -> dict[str, Any]:
        """For people and programs; nothing in it opens anything. None: never, or as is set for all."""
        return {
            "id": self.id,
            "name": self.name,
            "tenant": self.tenant,
            "scopes": list(self.names),
            "status": self.standing(now),
            "created": self.created,
            "created_by": self.by,
            "expires": self.expires or None,
            "last_used": self.used or None,
            "rotated": self.rotated or None,
            "overlap_until": self.older_until if self.older_until > now else None,
            "revoked": self.revoked or None,
            "requests_per_minute": self.rate,
            "streams": self.streams,
        }


def _limit(fields: Mapping[str, str], name: str) -> int | None:
    return int(fields[name]) if fields.get(name) else None


def _base32(size: int) -> str:
    return b32encode(secrets.token_bytes(size)).decode().lower().rstrip("=")
