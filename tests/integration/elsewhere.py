"""A whole service behind a real server, and what sources that run elsewhere say to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from blackboard import All, Each, Page, Report, Upload, knowledge_source
from controller.bootstrap import ALL_ROLES, Service, open_service
from controller.settings import Settings
from tests.fleet import until
from tests.listening import listening

TEXTS = ("Signed on 2024-03-01 and 2025-06-30.", "NOTHING here.", "Due on 2026-01-15.")
SCHEMA = {
    "type": "object",
    "properties": {"iso": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, "page": {"type": "integer"}},
    "required": ["iso", "page"],
    "additionalProperties": False,
}
DATES: dict[str, Any] = {
    "version": "1",
    "inputs": [{"parameter": "page", "kind": "each", "levels": ["page"]}],
    "outputs": [{"level": "date_mention", "schema": SCHEMA}],
    "timeout_s": 60,
}


@knowledge_source(required=True)
async def sheets(upload: Each[Upload]) -> list[Page]:
    """The same pages, whatever the document."""
    return [Page(number=number, text=text) for number, text in enumerate(TEXTS, 1)]


@knowledge_source()
async def closing(pages: All[Page]) -> Report:
    """A report of almost nothing."""
    return Report(title="t", kind="txt", pages=len(pages), pages_read=len(pages), words=1)


@dataclass
class Door:
    """A service and a client of it."""

    service: Service
    client: httpx2.AsyncClient
    url: str

    async def put(self, name: str = "dates", **changes: Any) -> httpx2.Response:
        """Register a source that finds dates."""
        return await self.client.put(f"/v1/sources/{name}", json={**DATES, **changes})

    async def submit(self, **options: Any) -> str:
        """A board's id."""
        answer = await self.client.post("/v1/documents", json={"text": "x", **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def claim(self, *sources: str, wait_s: float = 10, worker: str = "w1") -> httpx2.Response:
        """A long poll."""
        body = {"sources": list(sources or ("dates",)), "wait_s": wait_s, "worker": worker}
        return await self.client.post("/v1/activations/claim", json=body)

    async def task(self, *sources: str, worker: str = "w1") -> dict[str, Any]:
        """A claimed activation."""
        answer = await self.claim(*sources, worker=worker)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    async def renew(self, task: dict[str, Any], **more: Any) -> httpx2.Response:
        """Keep the lease."""
        return await self.client.post(
            task["links"]["renew"], json={"board": task["board"], "epoch": task["epoch"], **more}
        )

    async def commit(self, task: dict[str, Any], n: int, *found: dict[str, Any], **more: Any) -> httpx2.Response:
        """Contribute values of `date_mention`."""
        body = {"board": task["board"], "epoch": task["epoch"], "n": n, **more}
        if found:
            body["entries"] = [{"level": "date_mention", "value": value} for value in found]
        return await self.client.post(task["links"]["commits"], json=body)

    async def work(self, task: dict[str, Any]) -> httpx2.Response:
        """Do what the source is for, in one commit."""
        (page,) = task["inputs"]["page"]
        words = page["value"]["text"].replace(".", " ").split()
        number = page["value"]["number"]
        dates = [{"iso": word, "page": number} for word in words if word[:2] == "20"]
        return await self.commit(task, 1, *dates, status="done")

    async def board(self, id: str) -> dict[str, Any]:
        """The board now."""
        return dict((await self.client.get(f"/v1/boards/{id}")).json())

    async def ended(self, id: str) -> dict[str, Any]:
        """The board once it has ended."""

        async def look() -> dict[str, Any] | None:
            found = await self.board(id)
            return found if found["status"] != "open" else None

        found: dict[str, Any] = await until(look)
        return found

    async def entries(self, id: str, level: str = "date_mention") -> dict[str, Any]:
        """Key -> value."""
        answer = await self.client.get(f"/v1/boards/{id}/entries", params={"level": level})
        return {item["key"]: item["value"] for item in answer.json()["items"]}


@asynccontextmanager
async def door(
    url: str, data: Path, *sources: Any, roles: frozenset[str] = ALL_ROLES, **settings: Any
) -> AsyncIterator[Door]:
    """A running service and its HTTP server; ends in good order."""
    options = {"sweep_s": 0.5, "check_s": 1, "wake_grace_s": 1, "backoff_s": 0.05, "lease_s": 2, **settings}
    configured = Settings(_env_file=None, redis_url=url, data_dir=data, **options)  # type: ignore[call-arg]
    async with (
        open_service(configured, roles=roles, sources=sources or (sheets, closing)) as service,
        listening(service, timeout=40) as (_, client, base),
    ):
        yield Door(service, client, base)
