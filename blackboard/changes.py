"""Reading the activity of many partitions: one blocking read for all of them, or polling where a read cannot span slots."""

from __future__ import annotations

import asyncio
from typing import Any

from blackboard import keys, wire
from blackboard.coalesce import Sender
from blackboard.errors import StorageUnavailable
from blackboard.ports import Change

LONGEST_BLOCK = 2000
"""Milliseconds; well under the time after which a silent connection is given up."""


class ChangeReader:
    """Reads on a connection of its own. On Cluster no read spans slots: there it polls, more slowly while nothing happens."""

    def __init__(self, sender: Sender, *, cluster: bool) -> None:
        self._sender = sender
        self._cluster = cluster

    async def read(self, cursors: dict[int, str], *, block_ms: int, count: int) -> dict[int, list[Change]]:
        """See ports.Store.activity. Raises StorageUnavailable."""
        loop = asyncio.get_running_loop()
        end = loop.time() + block_ms / 1000
        pause = 0.005
        while True:
            left = max(0, int((end - loop.time()) * 1000))
            found = await self._read(cursors, min(left, LONGEST_BLOCK), count)
            if found or left == 0:
                return found
            if self._cluster:
                await asyncio.sleep(min(pause, left / 1000))
                pause = min(pause * 2, 0.05)

    async def _read(self, cursors: dict[int, str], block_ms: int, count: int) -> dict[int, list[Change]]:
        asked: list[list[Any]]
        if self._cluster:
            asked = [["XREAD", "COUNT", count, "STREAMS", keys.activity(p), at] for p, at in cursors.items()]
        else:
            wait = ["BLOCK", block_ms] if block_ms else []
            asked = [["XREAD", "COUNT", count, *wait, "STREAMS", *map(keys.activity, cursors), *cursors.values()]]
        found: dict[int, list[Change]] = {}
        for reply in await self._sender.send(asked):
            if isinstance(reply, BaseException):
                raise StorageUnavailable(f"activity cannot be read: {reply}") from reply
            for key, rows in reply or ():
                partition = int(key[key.index(b"{") + 1 : key.index(b"}")])
                found[partition] = wire.changes_of(rows)
        return found
