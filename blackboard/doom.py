"""Removing blobs that nothing refers to, at once, while others may be putting and referring to the very same bytes.

Who refers to a blob puts it first, or finds it there, and then commits. In between it may be removed; and which boards refer
to it is known by partition, in no one step. So a removal marks the blob in every partition where nothing refers to it
(`doom.lua`): from then on no commit may. Only when all are marked the bytes go, and the marks with them. What stays, for ten
minutes, is that it went: a commit that refers to the blob is refused (`doomed`) until it names that removal, which says that
the blob was looked for, or put again, after it had gone. Nobody takes ten minutes from a put to its commit.

The mark in partition 0 is taken first: of two who remove the same blob one waits there.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256 as digest
from typing import NamedTuple, Protocol, TypeVar

from blackboard import doors, keys
from blackboard.blobs import Blobs
from blackboard.coalesce import Coalescer, repeatable, resent
from blackboard.entries import Commit, Put
from blackboard.errors import StorageUnavailable

T = TypeVar("T")

MARKED_MS = 30_000
"""How long a mark stands of somebody who died removing a blob."""
REMOVING_S = 10.0
"""How long the removal itself may take."""
SURE_S = 10.0
"""A blob is not removed on marks that are older."""
REMEMBERED_MS = 600_000
PATIENCE_S = 5.0
"""How long a commit waits for a removal that is under way, and a removal for another one."""


class BlobErased(StorageUnavailable):
    """A blob that a commit refers to was removed a moment ago, and its bytes are not at hand: send them again."""


class Mark(NamedTuple):
    """Why a commit was refused: a blob is being removed (`mark` None), or was."""

    sha256: str
    mark: str | None


class Keeper(Protocol):
    """The part of the blob store that a refused commit needs."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256."""

    async def has(self, sha256: str) -> bool:
        """Whether the blob is there."""


async def assured(
    blobs: Keeper, commit: Commit, step: Callable[[Mapping[str, str]], Awaitable[T | Sequence[Mark]]]
) -> T:
    """Make a commit's `step` until none of its blobs is in doubt.

    `step` takes the marks to name, and answers those that it was refused for. Raises BlobErased.
    """
    seen: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while True:
        answer = await step(seen)
        if not isinstance(answer, list):
            return answer  # type: ignore[return-value]
        if loop.time() >= until:
            raise BlobErased("a blob that is referred to is being removed", hint="try again in a moment")
        if any(mark is None for _, mark in answer):
            await asyncio.sleep(random.uniform(0.01, 0.05))
            continue
        for sha256, mark in answer:
            if not await blobs.has(sha256):
                await _put_again(blobs, commit, sha256)
            seen[sha256] = mark


async def _put_again(blobs: Keeper, commit: Commit, sha256: str) -> None:
    own = (write.value for write in commit.writes if isinstance(write, Put))
    for data in (*commit.bytes, *own):
        if digest(data).hexdigest() == sha256:
            await blobs.put(data)
            return
    raise BlobErased("a document with these bytes was erased a moment ago", hint="send it again")


def marks_of(text: str) -> list[Mark]:
    """What `commit.lua` answers as `doomed`."""
    rows = [line.split("|") for line in text.split("\n")[1:]]
    return [Mark(sha256, mark if word == "gone" else None) for word, sha256, mark in rows]


class Removals:
    """`line(partition)` carries a partition's commands. Every method may raise StorageUnavailable."""

    def __init__(self, line: Callable[[int], Coalescer], blobs: Blobs, partitions: int) -> None:
        self._line = line
        self._blobs = blobs
        self._partitions = partitions

    async def remove(self, sha256: str) -> bool:
        """Remove a blob unless a board refers to it; whether it is gone. Nothing is left half done for long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            began, token = loop.time(), secrets.token_hex(8)
            all = range(await self._ever())
            said = await self._doom(0, sha256, token)
            if said == "doomed":
                said = max(await asyncio.gather(*(self._doom(p, sha256, token) for p in all)), key=_WEIGHT.index)
            if said == "doomed" and loop.time() - began <= SURE_S:
                await self._delete(sha256)
                await asyncio.gather(*(self._undoom(p, sha256, token, removed=True) for p in all))
                return True
            await asyncio.gather(*(self._undoom(p, sha256, token, removed=False) for p in all))
            if said == "referred":
                return False
            if loop.time() >= until:
                raise StorageUnavailable("somebody else is removing a blob", hint="try again in a moment")
            await asyncio.sleep(random.uniform(0.02, 0.1))

    async def collect(self, partition: int, grace: float) -> int:
        """Remove what nothing in the partition refers to and nobody put for `grace` seconds; how many."""
        line = self._line(partition)
        orphans: list[bytes] = await repeatable(line.issue(("ZRANGE", keys.orphans(partition), 0, 255)))
        removed = 0
        for sha256 in (orphan.decode() for orphan in orphans):
            age = await self._blobs.age(sha256)
            if age is not None and age >= grace:
                removed += await self.remove(sha256)
            elif age is not None and not await self._is_referred(sha256):
                continue
            await line.issue(("ZREM", keys.orphans(partition), sha256))
        return removed

    async def _is_referred(self, sha256: str) -> bool:
        partitions = range(await self._ever())
        found = (repeatable(self._line(p).issue(("HEXISTS", keys.blobs(p), sha256))) for p in partitions)
        return any(await asyncio.gather(*found))

    async def _ever(self) -> int:
        call = doors.widen(keys.PARTITIONS, count=self._partitions)
        return int(await repeatable(self._line(0).run(call)))

    async def _doom(self, partition: int, sha256: str, token: str) -> str:
        call = doors.doom(
            keys.blobs(partition), keys.doomed(partition), sha256=sha256, token=token, ttl_ms=MARKED_MS,
            keep_ms=REMEMBERED_MS,
        )  # fmt: skip
        reply: bytes = await resent(lambda: self._line(partition).run(call))
        return reply.decode()

    async def _undoom(self, partition: int, sha256: str, token: str, *, removed: bool) -> None:
        call = doors.undoom(
            keys.orphans(partition), keys.doomed(partition), sha256=sha256, token=token, removed=removed
        )
        await resent(lambda: self._line(partition).run(call))

    async def _delete(self, sha256: str) -> None:
        try:
            async with asyncio.timeout(REMOVING_S):
                await self._blobs.delete(sha256)
        except TimeoutError:
            raise StorageUnavailable("the blob store does not answer", hint="try again later") from None


_WEIGHT = ("doomed", "busy", "referred")
"""What the partitions' answers come to: the last of these."""
