"""What stands on a board, with values that lie in the blob store brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from blackboard.board import Board
from blackboard.entries import Header, is_shadow, level_of
from blackboard.ports import Store
from controller.views import entry_view

PAGE = 200
"""Records of a log read at a time."""
AT_ONCE = 16
"""Large values fetched from the blob store at a time."""


async def entries_of(store: Store, board: Board, level: str | None = None) -> list[dict[str, Any]]:
    """Live entries in key order, of one level or of all; never of the side space."""
    keys = sorted(key for key in board.values if not is_shadow(key) and level in (None, level_of(key)))
    values = await resolved(store, (board.values[key] for key in keys))
    return [entry_view(key, Header.parse(board.entries[key]), value) for key, value in zip(keys, values, strict=True)]


async def resolved(store: Store, values: Iterable[bytes]) -> list[bytes]:
    """The values themselves, where blob references stand for them."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(value: bytes) -> bytes:
        if not value.startswith(b'{"$blob"'):
            return value
        async with turns:
            return await store.resolve(value)

    return list(await asyncio.gather(*map(one, values)))
