"""A whole service in the test's own event loop: controller, worker and HTTP over one real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from blackboard.contract import Source
from controller.bootstrap import Service, open_service
from controller.settings import Settings
from tests.fleet import until
from tests.listening import listening


@dataclass
class Whole:
    """A running service and a client of it."""

    service: Service
    client: httpx2.AsyncClient
    base: str

    async def submit(self, text: str = "Some text.", **options: Any) -> str:
        """A board's id."""
        answer = await self.client.post("/v1/documents", json={"text": text, **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ended(self, board: str, seconds: float = 25.0) -> Any:
        """The board once it has ended."""

        async def look() -> Any:
            found = await self.get(f"/v1/boards/{board}")
            return found if found["status"] != "open" else None

        return await until(look, seconds)

    async def activations(self, board: str) -> list[dict[str, Any]]:
        """Who worked on what."""
        found: list[dict[str, Any]] = (await self.get(f"/v1/boards/{board}/activations"))["items"]
        return found


@asynccontextmanager
async def whole(url: str, data: Path, sources: Sequence[Source] | None = None, **more: Any) -> AsyncIterator[Whole]:
    """Everything in one process, in a hurry. `sources`: instead of the installed ones."""
    words = {"lease_s": 3, "sweep_s": 0.3, "check_s": 0.5, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 1, **more}
    settings = Settings(_env_file=None, redis_url=url, data_dir=data, **words)  # type: ignore[call-arg]
    async with open_service(settings, sources=sources) as service, listening(service) as (_, client, base):
        yield Whole(service, client, base)
