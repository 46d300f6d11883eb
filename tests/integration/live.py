"""A whole service in the test's own event loop, and a client that talks to it over HTTP as anybody would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from blackboard import Source
from controller.bootstrap import ALL_ROLES, Service, open_service
from controller.settings import Settings
from tests.listening import listening

BRISK = {"lease_s": 3, "sweep_s": 0.2, "check_s": 0.5, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 5}


@dataclass
class Live:
    """A running service and its client."""

    service: Service
    client: httpx2.AsyncClient

    async def submit(self, text: str | bytes, filename: str = "", **options: Any) -> str:
        """The new board's id. Bytes travel as a file."""
        if isinstance(text, bytes):
            form = {name: str(value) for name, value in options.items()}
            answer = await self.client.post("/v1/documents", files={"file": (filename, text)}, data=form)
        else:
            answer = await self.client.post("/v1/documents", json={"text": text, **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON at `/v1/<path>`."""
        answer = await self.client.get(f"/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def board(self, id: str) -> dict[str, Any]:
        """One board."""
        found: dict[str, Any] = await self.get(f"boards/{id}")
        return found

    async def until(self, id: str, *statuses: str, seconds: float = 25.0) -> dict[str, Any]:
        """The board once it has ended, or has one of these statuses."""
        end = time.monotonic() + seconds
        while True:
            found = await self.board(id)
            if found["status"] in (statuses or ("completed", "failed", "cancelled")):
                return found
            assert time.monotonic() < end, (found, await self.get(f"boards/{id}/why"))
            await asyncio.sleep(0.02)

    async def until_held(self, id: str, seconds: float = 25.0) -> None:
        """Wait until everything is settled and only approval is missing."""
        end = time.monotonic() + seconds
        while (said := (await self.get(f"boards/{id}/why"))["reasons"][0])["state"] != "held":
            assert time.monotonic() < end, said
            await asyncio.sleep(0.1)


@asynccontextmanager
async def live(
    url: str, data: Path, sources: Iterable[Source] | None = None, roles: frozenset[str] = ALL_ROLES, **more: Any
) -> AsyncIterator[Live]:
    """Everything in one process on a free port; `sources` instead of the installed ones."""
    settings = Settings(redis_url=url, data_dir=data, **{**BRISK, **more})
    async with (
        open_service(settings, roles=roles, sources=None if sources is None else tuple(sources)) as service,
        listening(service) as (_, client, _),
    ):
        yield Live(service, client)
