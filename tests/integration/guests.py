"""A whole service with third parties' sources, entered through its HTTP door."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import orjson

from blackboard import Source
from blackboard.registry import find_sources
from controller.bootstrap import Service, open_service
from controller.settings import Settings
from tests.fleet import ended, promises
from tests.listening import listening

HOSTILE = Path(__file__).parent / "plugins" / "hostile.py"


@cache
def found(folder: Path = HOSTILE.parent) -> dict[str, Source]:
    """The sources of a folder, as `--plugins` finds them."""
    sources, broken = find_sources((), plugins=(folder,))
    assert not broken
    return {source.name: source for source in sources}


def guest(name: str, **more: Any) -> Source:
    """One of them, altered."""
    return replace(found()[name], **more)


@dataclass
class Open:
    """A running service and a client of it."""

    service: Service
    client: httpx2.AsyncClient

    async def submit(self, filename: str, *sources: str, text: str = "some text") -> str:
        """A board's id."""
        body = {"text": text, "filename": filename, "sources": list(sources)}
        answer = await self.client.post("/v1/documents", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def end(self, board: str) -> dict[str, Any]:
        """How a board ended, once it has; what is promised of every board holds."""
        head = await ended(self.service.store, board)
        await promises(self.service.store, board)
        return {"status": head["status"], **orjson.loads(head["outcome"])}

    async def run(self, filename: str, *sources: str) -> dict[str, Any]:
        """Submit, and wait for the end."""
        return await self.end(await self.submit(filename, *sources))

    async def values(self, board: str, level: str) -> list[Any]:
        """What stands on a level."""
        answer = await self.client.get(f"/v1/boards/{board}/entries", params={"level": level})
        assert answer.status_code == 200, answer.text
        return [each["value"] for each in answer.json()["items"]]


@asynccontextmanager
async def opened(url: str, data: Path, *sources: Source, **more: Any) -> AsyncIterator[Open]:
    """Controller, worker and HTTP in this process; behind it no process and no file is left."""
    before = children()
    # Of its own, where the test has not seen to that: others' guests, in other processes, have rooms beside it.
    rooms = Path(tempfile.tempdir) if tempfile.tempdir else data / "rooms"
    rooms.mkdir(parents=True, exist_ok=True)
    saved, tempfile.tempdir = tempfile.tempdir, str(rooms)
    words = {"lease_s": 3, "sweep_s": 0.3, "check_s": 0.5, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 1, **more}
    settings = Settings(redis_url=url, data_dir=data, **words)
    try:
        async with open_service(settings, sources=sources) as service, listening(service) as (_, client, _):
            yield Open(service, client)
    finally:
        tempfile.tempdir = saved
    assert children() <= before
    assert not list(rooms.glob("blackboard-guest-*"))


def children() -> set[int]:
    """Processes that this one started, zombies included."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(path.parent.name))
    return found
