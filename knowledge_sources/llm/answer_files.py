"""Answers in the blob store, where they outlive a server that keeps nothing; and for which boards they were asked.

`answers/kept/<tenant>/<key>`            an answer, sealed
`answers/boards/<board>/<tenant>/<key>`  empty: the board asked for it
`answers/askers/<tenant>/<key>/<board>`  empty: the same the other way round

All of it goes by age. A board's erasure goes by the last two: an answer that another board asked for, too, stays.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from blackboard.areas import Area
from blackboard.errors import StorageUnavailable

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
MOST_NOTED = 8192
NOTED_S = 3600.0
"""What this process noted is not noted again for so long."""
SICK_S = 15.0
"""A blob store that does not answer costs every call its patience: it is left alone for so long."""


class AnswerFiles:
    """Every method may raise StorageUnavailable; for a while after one did, the others do so at once.

    `area`: `Blobs.area("answers")`. `word`: a tenant as part of a path, see `word_of`.
    """

    def __init__(self, area: Area) -> None:
        self._area = area
        self._sick_until = 0.0
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def get(self, tenant: str, key: str) -> bytes | None:
        """What is kept under a key."""
        async with self._well():
            return await self._area.get(f"kept/{word_of(tenant)}/{key}")

    async def put(self, tenant: str, key: str, sealed: bytes) -> None:
        """Keep an answer."""
        async with self._well():
            await self._area.put(f"kept/{word_of(tenant)}/{key}", sealed)

    async def note(self, tenant: str, board: str, key: str) -> None:
        """Remember that the board asked."""
        now = asyncio.get_running_loop().time()
        if not board or self._noted.get((board, key), 0.0) > now:
            return
        async with self._well():
            # In this order: what is found through an answer must be found through its board.
            await self._area.put(f"boards/{word_of(board)}/{word_of(tenant)}/{key}", b"")
            await self._area.put(f"askers/{word_of(tenant)}/{key}/{word_of(board)}", b"")
        self._noted[board, key] = now + NOTED_S
        if len(self._noted) > MOST_NOTED:
            self._noted.popitem(last=False)

    async def is_noted(self, tenant: str, board: str, key: str) -> bool:
        """Whether the board is still remembered; it is not once it was erased."""
        async with self._well():
            return not board or await self._area.has(f"boards/{word_of(board)}/{word_of(tenant)}/{key}")

    async def asked_by(self, board: str) -> list[tuple[str, str]]:
        """(word, key) of the answers a board asked for."""
        found = await self._area.names(f"boards/{word_of(board)}")
        return [(parts[2], parts[3]) for name in found if len(parts := name.split("/")) == 4]

    async def is_shared(self, word: str, key: str, board: str) -> bool:
        """Whether another board asked for it, too."""
        own = f"askers/{word}/{key}/{word_of(board)}"
        return any(name != own for name in await self._area.names(f"askers/{word}/{key}"))

    async def remove(self, word: str, key: str) -> None:
        """Remove an answer."""
        await self._area.delete(f"kept/{word}/{key}")

    async def unnote(self, word: str, key: str, board: str) -> None:
        """Forget that the board asked."""
        self._noted.pop((board, key), None)
        await self._area.delete(f"boards/{word_of(board)}/{word}/{key}")
        await self._area.delete(f"askers/{word}/{key}/{word_of(board)}")

    async def tidy(self, older_than: float) -> int:
        """Remove what is so old; how many objects."""
        # A note may be that much older than the answer it stands for.
        return await self._area.tidy(older_than + 2 * NOTED_S)

    @asynccontextmanager
    async def _well(self) -> AsyncIterator[None]:
        now = asyncio.get_running_loop().time()
        if now < self._sick_until:
            raise StorageUnavailable("the blob store did not answer a moment ago")
        try:
            yield
        except StorageUnavailable:
            self._sick_until = asyncio.get_running_loop().time() + SICK_S
            raise


def word_of(name: str) -> str:
    """A tenant or board as part of a path: itself where it is a plain word, else what cannot be one."""
    return name if PLAIN.match(name) else f"~{sha256(name.encode()).hexdigest()[:40]}"
