"""API keys as the server keeps them: a hash for each, an index for each tenant, a bucket of requests, the pepper."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from blackboard import doors, keys, wire
from blackboard.coalesce import Coalescer, repeatable

ASKED = keys.access("asked", "keys")
DRAWN = keys.access("pepper", "drawn")
CHECK = keys.access("pepper", "check")
ALL = "*"
"""What stands for all tenants; no tenant's name holds it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a key found. `key`: its fields, {} where there is none; times in ms.

    `taken`: whether its bucket held a request; `left`: how many it holds now; `full_ms`: until it is full again;
    `next_ms`: until it holds one; `rate`: requests a minute, 0: any number.
    """

    asked: bool
    now: int
    taken: bool
    left: int
    full_ms: int
    next_ms: int
    rate: int
    key: Mapping[str, str]


class KeyRows:
    """Every method may raise StorageUnavailable or StorageFull."""

    def __init__(self, line: Coalescer) -> None:
        self._line = line

    async def asked(self) -> bool:
        """Whether there is, or ever was, a key."""
        return bool(await self._asked("EXISTS", ASKED))

    async def admit(self, id: str, digest: str, rate: int) -> Look:
        """Look a key up and take from its bucket, in one round trip."""
        call = doors.admit(keys.access("key", id), keys.access("bucket", id), ASKED, digest=digest, rate=rate)
        asked, now, taken, left, full_ms, next_ms, rate, fields = await self._line.run(call)
        found = wire.texts(fields)
        return Look(bool(asked), int(now), bool(taken), int(left), int(full_ms), int(next_ms), int(rate), found)

    async def get(self, id: str) -> dict[str, str]:
        """A key's fields; {} where there is none."""
        return wire.texts(await self._asked("HGETALL", keys.access("key", id)))

    async def holder(self, tenant: str, name: str) -> str:
        """The id of the key that has a name, "" where none has."""
        found = await self._asked("HGET", keys.access("tenant", tenant), name)
        return "" if found is None else found.decode()

    async def all(self, tenant: str = ALL) -> dict[str, dict[str, str]]:
        """Every key of a tenant (of all) by id, oldest first. Ids whose key was forgotten leave the index."""
        index = keys.access("ids", tenant)
        ids = [id.decode() for id in await self._asked("ZRANGE", index, 0, -1)]
        found = dict(zip(ids, await asyncio.gather(*map(self.get, ids)), strict=True))
        gone = [id for id, fields in found.items() if not fields]
        if gone:
            await self._asked("ZREM", index, *gone)
        return {id: fields for id, fields in found.items() if fields}

    async def keep(
        self,
        id: str,
        fields: Mapping[str, str],
        *,
        tenant: str,
        name: str,
        holder: str,
        named: bool,
        edition: int,
        forget_at: int,
    ) -> Literal["kept", "taken", "changed"]:
        """Make or change a key; the arguments are those of `keep_key.lua`.

        A lost connection leaves open whether it was kept: read again.
        """
        places = (keys.access("ids", tenant), keys.access("ids", ALL), ASKED)
        answer: bytes = await self._line.run(
            doors.keep_key(
                keys.access("key", id),
                keys.access("tenant", tenant),
                *places,
                id=id,
                name=name,
                holder=holder,
                named=named,
                edition=edition,
                forget_at=forget_at,
                fields=fields,
            )
        )
        return answer.decode()  # type: ignore[return-value]

    async def is_first(self, id: str) -> bool:
        """Whether a key of this id was put in place when a process started."""
        return bool(await self._asked("HEXISTS", ASKED, f"first:{id}"))

    async def mark_first(self, id: str) -> None:
        """Remember that, for ever: a first key that was revoked must not come back with the next start."""
        await self._asked("HSET", ASKED, f"first:{id}", "1")

    async def pepper(self, *, draw: bool = False) -> bytes:
        """The pepper that was drawn here; b"" where none was. `draw`: draw it now."""
        if draw:
            await self._asked("SET", DRAWN, secrets.token_hex(32), "NX")
        return await self._asked("GET", DRAWN) or b""

    async def check(self, digest: str = "") -> str:
        """What tells the pepper of the keys there are; "" where none was used yet. `digest`: what to keep if so."""
        if digest:
            await self._asked("SET", CHECK, digest, "NX")
        found = await self._asked("GET", CHECK)
        return "" if found is None else found.decode()

    async def now(self) -> int:
        """The server's clock, milliseconds since 1970."""
        seconds, micros = await self._asked("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def _asked(self, *command: Any) -> Any:
        return await repeatable(self._line.issue(command))
