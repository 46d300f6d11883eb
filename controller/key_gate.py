"""The gate where keys are asked for, and, before there is one, the gate of a service for this machine alone."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from functools import partial

from blackboard.callers import Look
from blackboard.errors import Forbidden, RateLimited, StorageError, Unauthorized
from controller.access import ANYBODY, Admitted, Scope
from controller.credentials import id_in
from controller.keyring import Keyring

EVERY_S = 1.0
"""How old the knowledge may be that no key was made yet."""
STILL_S = 5.0
"""The same of a key whose streams go on."""
MOST_KNOWN = 10_000
_LOCAL = Admitted(ANYBODY, local=True)


class KeyGate:
    """`rate`: requests a minute of keys that say nothing of their own; 0: any number."""

    def __init__(self, keyring: Keyring, rate: int) -> None:
        self._keyring = keyring
        self._rate = rate
        self._asked = False
        self._looked_at = -math.inf
        self._looking: asyncio.Task[bool] | None = None
        self._stood: dict[str, tuple[float, bool]] = {}

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """See Gate."""
        if not authorization and not await self.asks():
            return _LOCAL
        shown = _bearer(authorization)
        if not shown:
            if await self.asks():
                raise Unauthorized("no key was shown")
            return _LOCAL
        found = await self._keyring.look(shown, self._rate)
        if found.key is None:
            # A process learns here at once that the first key was made.
            self._asked = self._asked or found.look.asked
            if self._asked:
                raise Unauthorized("the key is not good")
            return _LOCAL
        self._asked = True
        headers = _headers(found.look)
        if not found.look.taken:
            more = {name.decode(): value.decode() for name, value in headers}
            raise RateLimited(
                "The key's requests are used up for now.", after_s=found.look.next_ms / 1000, headers=more
            )
        if needs not in found.key.scopes:
            raise Forbidden("the key's scopes do not allow it")
        return Admitted(found.key.caller(), headers, still=partial(self._still_good, found.key.id))

    async def _still_good(self, id: str) -> bool:
        """Of a key that was admitted, however many of its streams ask. A server that is away ends none of them."""
        now = time.monotonic()
        known = self._stood.get(id)
        if known is None or now - known[0] > STILL_S:
            # Before the answer is there: those who ask meanwhile go by what was known.
            self._stood[id] = (now, known is None or known[1])
            try:
                self._stood[id] = (now, await self._keyring.is_active(id))
            except StorageError:
                return True
        if len(self._stood) > MOST_KNOWN:
            self._stood = {each: at for each, at in self._stood.items() if now - at[0] <= STILL_S}
        return self._stood.get(id, (now, True))[1]

    async def asks(self) -> bool:
        """Whether keys are asked for, as the server knew at most a second ago. Raises StorageUnavailable."""
        if self._asked:
            return True
        if time.monotonic() - self._looked_at < EVERY_S:
            return False
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
            # Should nobody be left to hear how it failed.
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Shielded: who asked first may go away, and others wait for the same answer.
        return await asyncio.shield(self._looking)

    async def _look(self) -> bool:
        now = time.monotonic()
        self._asked = self._asked or await self._keyring.asked()
        self._looked_at = now
        return self._asked


def _bearer(authorization: Sequence[str]) -> str:
    """The key that is shown; "" where none is, or something else."""
    if len(authorization) != 1:
        return ""
    scheme, _, text = authorization[0].partition(" ")
    text = text.strip(" ")
    return text if scheme.lower() == "bearer" and id_in(text) else ""


def _headers(look: Look) -> Sequence[tuple[bytes, bytes]]:
    """draft-ietf-httpapi-ratelimit-headers-10. `t`: seconds until all requests are there again."""
    if not look.rate:
        return ()
    left = f'"default";r={look.left};t={math.ceil(look.full_ms / 1000)}'
    return ((b"ratelimit-policy", f'"default";q={look.rate};w=60'.encode()), (b"ratelimit", left.encode()))
