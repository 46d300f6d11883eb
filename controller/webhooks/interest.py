"""Which tenants listen, known to every process that commits a beginning or an end: at most a moment old."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from blackboard.errors import StorageError
from controller.announcing import CREATED, What
from controller.webhooks.storage import HookStore

log = structlog.get_logger(__name__)

REFRESH_S = 0.5
STAMP = "webhooks"
"""Of a head whose tenant listened when the board was made: who ends it may not have heard of a new webhook yet."""


class Interest:
    """See announcing.Interest. Boards without anybody who listens are not delayed by as much as a command."""

    def __init__(self, store: HookStore) -> None:
        self._store = store
        self._edition = -1
        self._letters: dict[str, str] = {}

    def due(self, what: What, head: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
        """See announcing.Interest. Boards for parts of documents are not announced, their parents are."""
        if "opened_by" in head:
            return ()
        letters = self._letters.get(head.get("tenant", ""), "")
        wanted = "c" in letters if what == CREATED else "e" in letters or bool(head.get("callback")) or STAMP in head
        return ((what, 0),) if wanted else ()

    def stamp(self, tenant: str) -> dict[str, str]:
        """Head fields of a new board of this tenant."""
        return {STAMP: "1"} if "e" in self._letters.get(tenant, "") else {}

    def callbacks(self, tenant: str) -> bool:
        """Whether the tenant has a secret to sign callbacks with."""
        return "k" in self._letters.get(tenant, "")

    async def refresh(self) -> None:
        """Ask what changed. Raises StorageError."""
        if await self._store.edition() != self._edition:
            self._edition, self._letters = await self._store.tenants()

    async def follow(self) -> None:
        """Keep asking, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except StorageError as error:
                log.debug("webhooks.unread", error=str(error))
