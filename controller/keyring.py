"""The keys there are: made, rotated, revoked, and looked up for every request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import structlog

from blackboard.callers import ALL, Look
from blackboard.errors import ConflictError, UsageError
from controller.credentials import ORDER, Key, digest_of, draw, draw_id, id_in, mark_of, scopes_of, word

log = structlog.get_logger(__name__)

LONGEST_S = 100 * 365 * 86_400
OVERLAP_S = 86_400.0
MOST = 1000
"""Keys of one tenant, those that ended lately among them."""
TRIES = 16
HOW_FIRST = "make one with: echo bb_first_$(openssl rand -hex 24)"


class KeyUnknown(UsageError):
    """There is no such key."""

    slug = "not-found"


class KeyExists(ConflictError):
    """A key of that name is in use."""

    slug = "key-exists"


class KeyEnded(ConflictError):
    """The key was revoked, or has expired."""

    slug = "key-ended"


class TooManyKeys(ConflictError):
    """The tenant can have no more."""

    slug = "too-many-keys"


class Rows(Protocol):
    """Where keys are kept; see blackboard.callers."""

    async def asked(self) -> bool: ...
    async def admit(self, id: str, digest: str, rate: int) -> Look: ...
    async def get(self, id: str) -> dict[str, str]: ...
    async def holder(self, tenant: str, name: str) -> str: ...
    async def all(self, tenant: str = ALL) -> dict[str, dict[str, str]]: ...
    async def keep(
        self, id: str, fields: Mapping[str, str], *, tenant: str, name: str, holder: str, named: bool, edition: int,
        forget_at: int,
    ) -> Literal["kept", "taken", "changed"]: ...  # fmt: skip
    async def is_first(self, id: str) -> bool: ...
    async def mark_first(self, id: str) -> None: ...
    async def pepper(self, *, draw: bool = False) -> bytes: ...
    async def check(self, digest: str = "") -> str: ...
    async def now(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What showing a key came to. `key` is None when it is not good, whatever the reason."""

    look: Look
    key: Key | None


class Keyring:
    """`pepper`: what is set; "": one is drawn with the first key. Every method may raise StorageError."""

    def __init__(self, rows: Rows, pepper: str = "") -> None:
        self._rows = rows
        self._set = pepper.encode()
        self._drawn = b""

    async def asked(self) -> bool:
        """Whether keys are asked for: since the first was made, and from then on."""
        return await self._rows.asked()

    async def now(self) -> int:
        """The server's clock, ms."""
        return await self._rows.now()

    async def verify(self) -> None:
        """Raises UsageError when the keys there are were made with another pepper than this process has."""
        known = await self._rows.check()
        pepper = await self._pepper()
        if known and mark_of(pepper) != known:
            raise UsageError(
                "the keys on this server were made with another BLACKBOARD_KEY_PEPPER: none of them would be known",
                hint="set the one that every process of this service has, or none if none was set at first",
            )

    async def look(self, text: str, rate: int) -> Looked:
        """Look up what was shown, and take a request from its bucket. `rate`: see `admit.lua`."""
        id = id_in(text)
        digest = digest_of(text, await self._pepper())
        look = await self._rows.admit(id, digest, rate)
        key = Key.parse(id, look.key) if look.key else None
        return Looked(look, key if key is not None and key.admits(digest, look.now) else None)

    async def get(self, id: str) -> Key:
        """Raises KeyUnknown."""
        fields = await self._rows.get(id)
        if not fields:
            raise KeyUnknown("there is no such key", hint="`blackboard keys list` names them")
        return Key.parse(id, fields)

    async def is_active(self, id: str) -> bool:
        """Whether a key opens anything now."""
        fields = await self._rows.get(id)
        return bool(fields) and Key.parse(id, fields).standing(await self._rows.now()) == "active"

    async def all(self, tenant: str = "") -> list[Key]:
        """A tenant's, or with "" everybody's, oldest first; those that ended lately among them."""
        return [Key.parse(id, fields) for id, fields in (await self._rows.all(tenant or ALL)).items()]

    async def create(
        self,
        name: str,
        *,
        tenant: str,
        scopes: Collection[str],
        by: str,
        expires_s: float | None = None,
        rate: int | None = None,
        streams: int | None = None,
    ) -> tuple[Key, str]:
        """A new key, and what its owner shows, told this once. `expires_s`: seconds from now; limits: see Key.

        Raises UsageError, KeyExists, TooManyKeys.
        """
        if expires_s is not None and not 1 <= expires_s <= LONGEST_S:
            raise UsageError(f"a key lasts from 1 to {LONGEST_S} seconds")
        now = await self._rows.now()
        id = draw_id()
        expires = now + int(expires_s * 1000) if expires_s is not None else 0
        words = word(name, "a name"), word(tenant, "a tenant")
        key = Key(id, *words, scopes_of(scopes), now, by, rate=rate, streams=streams)
        if len(await self._rows.all(tenant)) >= MOST:
            raise TooManyKeys(f"a tenant has at most {MOST} keys", hint="keys that ended are forgotten after 30 days")
        text = draw(id)
        return await self._make(replace(key, expires=expires), text), text

    async def rotate(self, id: str, *, overlap_s: float = OVERLAP_S) -> tuple[Key, str]:
        """Give a key another secret; the one it had stays good for the overlap. Raises KeyUnknown, KeyEnded, UsageError."""
        if not 0 <= overlap_s <= 30 * 86_400:
            raise UsageError("the overlap is 0 to 2592000 seconds")
        for _ in range(TRIES):
            key, now = await self.get(id), await self._rows.now()
            if key.standing(now) != "active":
                raise KeyEnded(f"the key {key.name} is {key.standing(now)}", hint="create another")
            text = draw(id)
            changed = replace(
                key,
                digest=digest_of(text, await self._pepper()),
                older=key.digest,
                older_until=now + int(overlap_s * 1000),
                rotated=now,
            )
            if await self._change(changed):
                return changed, text
        raise ConflictError("the key changes too fast", hint="ask again")

    async def revoke(self, id: str) -> Key:
        """From now on it opens nothing; revoked twice it stays as it was. Raises KeyUnknown."""
        for _ in range(TRIES):
            key = await self.get(id)
            if key.revoked:
                return key
            changed = replace(key, revoked=await self._rows.now())
            if await self._change(changed, named=False):
                return changed
        raise ConflictError("the key changes too fast", hint="ask again")

    async def put_first(self, text: str) -> None:
        """See to it that this key, from the settings, was put in place once: for the tenant `default`, with every scope.

        What became of it since (another secret, revoked) stays. Raises UsageError when it is no key.
        """
        id = id_in(text)
        if not id:
            raise UsageError("BLACKBOARD_FIRST_KEY is no key: bb_<id>_<32 letters and digits or more>", hint=HOW_FIRST)
        if await self._rows.is_first(id):
            return
        key = Key(id, f"{id}", "default", scopes_of(ORDER), await self._rows.now(), "settings")
        try:
            await self._make(key, text)
            log.info("keys.first", key=id)
        except KeyExists:
            if not (await self._rows.get(id)):
                raise
        await self._rows.mark_first(id)

    async def _make(self, key: Key, text: str) -> Key:
        pepper = await self._pepper(draw=True)
        made = replace(key, digest=digest_of(text, pepper))
        for _ in range(TRIES):
            holder = await self._rows.holder(key.tenant, key.name)
            fields = await self._rows.get(holder) if holder else {}
            if fields and Key.parse(holder, fields).standing(key.created) == "active":
                raise KeyExists(f"a key called {key.name} is in use", hint="rotate it, revoke it, or choose a name")
            came = await self._keep(made, holder=holder, named=True)
            if came == "kept":
                return replace(made, edition=1)
            if came == "changed":
                raise KeyExists(f"a key with the id {key.id} is there already")
        raise ConflictError("the names change too fast", hint="ask again")

    async def _change(self, key: Key, *, named: bool = True) -> bool:
        # An expired key may have lost its name to another, which keeps it.
        holder = await self._rows.holder(key.tenant, key.name)
        return await self._keep(key, holder=holder, named=named and holder == key.id) == "kept"

    async def _keep(self, key: Key, *, holder: str, named: bool) -> Literal["kept", "taken", "changed"]:
        return await self._rows.keep(
            key.id,
            key.fields(),
            tenant=key.tenant,
            name=key.name,
            holder=holder,
            named=named,
            edition=key.edition,
            forget_at=key.forget_at,
        )

    async def _pepper(self, *, draw: bool = False) -> bytes:
        """What is set, else what was drawn; b"" while nothing was, when no key can be good."""
        pepper = self._set or self._drawn
        if not pepper:
            pepper = self._drawn = await self._rows.pepper(draw=draw)
        if draw and await self._rows.check(mark_of(pepper)) != mark_of(pepper):
            await self.verify()
        return pepper
