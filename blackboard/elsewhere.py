"""What serving sources that run elsewhere asks of the server besides the store's port: small reads, and idle clocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blackboard import keys, wire
from blackboard.coalesce import Coalescer, repeatable
from blackboard.entries import Activation
from blackboard.ports import LeaseRow


class Elsewhere:
    """`line(partition)` carries a partition's commands. Every method may raise StorageUnavailable."""

    def __init__(self, line: Callable[[int], Coalescer]) -> None:
        self._line = line

    async def activation(self, board: str, activation: str) -> Activation | None:
        """One record of a board's agenda; None when there is none, or no board."""
        stored = await self._asked(board, "HGET", keys.keys_of(board).agenda, activation)
        return None if stored is None else Activation.parse(activation, stored)

    async def lease(self, board: str, activation: str) -> LeaseRow | None:
        """A running activation's lease."""
        stored = await self._asked(board, "HGET", keys.keys_of(board).leases, activation)
        if stored is None:
            return None
        expiry, nonce, _, at = stored.decode().split("|")
        return LeaseRow(int(expiry), nonce, int(at))

    async def headers(self, board: str) -> dict[str, str]:
        """Every entry's header, without the values."""
        return wire.texts(await self._asked(board, "HGETALL", keys.keys_of(board).entries))

    async def refers(self, board: str, sha256: str) -> bool:
        """Whether the board refers to a blob."""
        return bool(await self._asked(board, "SISMEMBER", keys.keys_of(board).refs, sha256))

    async def stir(self, board: str, activation: str, epoch: int, idle_s: float) -> None:
        """Start the idle clock of a claimed activation, or start it anew."""
        await self._asked(board, "SET", keys.idle(board, activation), epoch, "PX", max(1, int(idle_s * 1000)))

    async def is_idle(self, board: str, activation: str, epoch: int) -> bool:
        """Whether the clock has run out."""
        found = await self._asked(board, "GET", keys.idle(board, activation))
        return found is None or int(found) != epoch

    async def rest(self, board: str, activation: str) -> None:
        """The activation is over: its clock goes."""
        await self._asked(board, "DEL", keys.idle(board, activation))

    async def forget(self, board: str) -> None:
        """No clock of the board goes on."""
        names = [name.decode() for name in await self._asked(board, "HKEYS", keys.keys_of(board).agenda)]
        for first in range(0, len(names), 500):
            await self._asked(board, "UNLINK", *(keys.idle(board, name) for name in names[first : first + 500]))

    async def _asked(self, board: str, *command: Any) -> Any:
        return await repeatable(self._line(keys.partition_of(board)).issue(command))
