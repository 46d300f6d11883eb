"""How many boards each tenant has under way: counted exactly, and never for longer than they are.

A board is counted in one step before it is made. That it has ended is not told, but looked up when there is no room left:
so nothing is lost with a process that dies, and where no limit is set, or none is reached, it costs next to nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from blackboard import doors, keys
from blackboard.coalesce import Coalescer, resent
from blackboard.errors import TooManyBoards
from blackboard.events import ENDED

KEEP_MS: Final = 40 * 86_400_000
UNMADE_MS: Final = 60_000
"""How long a board may be counted before it is there."""
SLICE: Final = 256
AGAIN_S: Final = 5.0
REST_S: Final = 0.0001
"""For each board that was looked up in vain, nobody is looked up for so long."""


class Lines(Protocol):
    """The part of the store on Redis that this stands on."""

    def line(self, partition: int) -> Coalescer: ...
    async def now(self) -> int: ...


class BoardQuota:
    """`limit`: boards that each tenant may have under way; 0: any number. Every method may raise StorageError."""

    def __init__(self, lines: Lines, limit: int) -> None:
        self._lines, self._limit = lines, limit
        self._looking: dict[str, asyncio.Task[int]] = {}
        self._rest: dict[str, float] = {}
        """Until when it is known, by the loop's clock, that no board of a tenant has ended."""

    async def look(self, tenant: str) -> None:
        """Raises TooManyBoards where there is no room right now."""
        if not self._limit:
            return
        while await self._lines.line(0).issue(("ZCARD", _key(tenant))) >= self._limit:
            await self._free(tenant)

    async def take(self, tenant: str, board: str) -> None:
        """Count a board that is about to be made. Raises TooManyBoards."""
        if not self._limit:
            return
        call = doors.depart(_key(tenant), board=board, limit=self._limit, keep_ms=KEEP_MS)
        while not await resent(lambda: self._lines.line(0).run(call)):
            await self._free(tenant)

    async def give_back(self, tenant: str, board: str) -> None:
        """It was not made after all."""
        if self._limit:
            await self._lines.line(0).issue(("ZREM", _key(tenant), board))

    async def _free(self, tenant: str) -> None:
        """Forget boards that have ended. However many ask, they are looked up once at a time."""
        looking = self._looking.get(tenant)
        if looking is None and self._rest.get(tenant, 0.0) > asyncio.get_running_loop().time():
            raise self._too_many()
        self._rest.pop(tenant, None)
        if looking is None:
            looking = self._looking[tenant] = asyncio.create_task(self._forget(tenant))
            looking.add_done_callback(lambda _: self._looking.pop(tenant, None))
        if not await asyncio.shield(looking):
            raise self._too_many()

    def _too_many(self) -> TooManyBoards:
        said = f"You have {self._limit} boards under way, which is the limit; some must end first."
        return TooManyBoards(said, after_s=AGAIN_S)

    async def _forget(self, tenant: str) -> int:
        """How many boards have ended, or never came to be, of the first to be found so."""
        line, now = self._lines.line(0), await self._lines.now()
        flat: Sequence[bytes] = await line.issue(("ZRANGE", _key(tenant), 0, -1, "WITHSCORES"))
        since = [(board.decode(), int(float(at))) for board, at in zip(flat[::2], flat[1::2], strict=True)]
        for first in range(0, len(since), SLICE):
            some = since[first : first + SLICE]
            statuses = await asyncio.gather(*(self._status(board) for board, _ in some))
            over = [
                board
                for (board, at), status in zip(some, statuses, strict=True)
                if status in ENDED or (status == "" and now - at > UNMADE_MS)
            ]
            if over:
                await line.issue(("ZREM", _key(tenant), *over))
                return len(over)
        # Who is told no over and over must not keep the server busy with looking.
        self._rest[tenant] = asyncio.get_running_loop().time() + REST_S * len(since)
        return 0 if since else 1

    async def _status(self, board: str) -> str:
        command = ("HGET", keys.keys_of(board).head, "status")
        found: bytes | None = await self._lines.line(keys.partition_of(board)).issue(command)
        return (found or b"").decode()


class NoQuota:
    """Where boards are not counted."""

    async def look(self, tenant: str) -> None:
        """There is room."""

    async def take(self, tenant: str, board: str) -> None:
        """There is room."""

    async def give_back(self, tenant: str, board: str) -> None:
        """Nothing was taken."""


def _key(tenant: str) -> str:
    return keys.access("flight", tenant)
