"""Tenants of one service: each with a key, and what it may do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from controller.access import SCOPES
from tests.integration.elsewhere import Door, door

OWN = ("read", "submit", "contribute", "admin")


async def tenant(place: Door, name: str, scopes: Sequence[str] = OWN, person: str = "") -> Door:
    """The same service as the owner of a new key sees it. Close its client."""
    _, secret = await place.service.keyring.create(person or f"{name}-1", tenant=name, scopes=scopes, by="test", rate=0)
    headers = {"authorization": f"Bearer {secret}"}
    client = httpx2.AsyncClient(base_url=place.url, headers=headers, timeout=30)
    return Door(place.service, client, place.url)


@asynccontextmanager
async def three(url: str, data: Path, *sources: Any, **settings: Any) -> AsyncIterator[tuple[Door, Door, Door]]:
    """Two tenants, and who operates the service for a third."""
    async with door(url, data, *sources, **settings) as place:
        a, b = await tenant(place, "acme"), await tenant(place, "globex")
        ops = await tenant(place, "house", sorted(SCOPES))
        async with a.client, b.client, ops.client:
            yield a, b, ops
