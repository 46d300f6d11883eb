"""Boards that a tenant has under way: what submitting asks before it makes one more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from blackboard.errors import NotDurable, OutcomeUnknown, StorageError


class BoardQuota(Protocol):
    """Counts them. Every method may raise StorageError; see `blackboard.quotas`."""

    async def look(self, tenant: str) -> None:
        """Raises TooManyBoards where there is no room right now."""

    async def take(self, tenant: str, board: str) -> None:
        """Count a board that is about to be made. Raises TooManyBoards."""

    async def give_back(self, tenant: str, board: str) -> None:
        """It was not made after all."""


@asynccontextmanager
async def counted(quota: BoardQuota, tenant: str, board: str) -> AsyncIterator[None]:
    """Make a board inside of this. Raises TooManyBoards."""
    await quota.take(tenant, board)
    try:
        yield
    except (OutcomeUnknown, NotDurable):
        raise  # it is there, or may be: that is looked up when there is no room left
    except BaseException:
        with suppress(StorageError):
            await quota.give_back(tenant, board)
        raise
