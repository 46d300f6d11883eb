"""Whole services behind real HTTP servers, with small sources that come in versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from blackboard import All, Blobs, Each, Level, Source, Upload, knowledge_source
from blackboard.events import ENDED
from controller.bootstrap import Service, open_service
from controller.settings import Settings
from tests.fleet import until
from tests.listening import listening

TEXT = "one of 2024\ntwo of 2025\nthree of 2026"
QUICK = {
    "lease_s": 1.5, "sweep_s": 0.2, "check_s": 0.3, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 5, "adopt_s": 60,
}  # fmt: skip


class Line(Level):
    """A line of the text."""

    named_by = ("number",)
    number: int
    text: str


class Year(Level):
    """A year in a line, and which version of the source found it."""

    named_by = ("number",)
    number: int
    text: str
    by: str


class Sum(Level):
    """How many years there are."""

    years: int
    by: str


@knowledge_source(required=True)
async def lines(upload: Each[Upload], blobs: Blobs) -> list[Line]:
    """The lines of the text."""
    text = (await blobs.get(upload.sha256)).decode()
    return [Line(number=number, text=line) for number, line in enumerate(text.split("\n"), 1)]


@knowledge_source(carries={"number": "number"})
async def years(line: Each[Line]) -> list[Year]:
    """Version 1."""
    return [Year(number=line.number, text=word, by="1") for word in line.text.split() if word.isdigit()]


@knowledge_source(version="2", name="years", carries={"number": "number"})
async def years_2(line: Each[Line]) -> list[Year]:
    """Version 2 says `AD`, and leaves the second line out."""
    found = [word for word in line.text.split() if word.isdigit() and line.number != 2]
    return [Year(number=line.number, text=f"AD {word}", by="2") for word in found]


@knowledge_source()
async def count(years: All[Year]) -> Sum:
    """How many."""
    return Sum(years=len(years), by=",".join(sorted({year.by for year in years})))


@knowledge_source(name="years", carries={"number": "number"}, attempts=1)
async def failing_years(line: Each[Line]) -> list[Year]:
    """Always fails."""
    raise ValueError(f"line {line.number} is beyond me")


V1 = (lines, years, count)
V2 = (lines, years_2, count)


def without(*names: str, of: tuple[Source, ...] = V1) -> tuple[Source, ...]:
    """The sources but these."""
    return tuple(source for source in of if source.name not in names)


def slow(source: Source, gate: asyncio.Event) -> Source:
    """The same, waiting for a gate."""

    async def waiting(**given: Any) -> Any:
        await gate.wait()
        return await source.function(**given)

    return replace(source, function=waiting)


@dataclass
class Door:
    """A service and a client of its HTTP server."""

    service: Service
    client: httpx2.AsyncClient
    base: str

    async def submit(self, text: str = TEXT, **options: Any) -> str:
        """A board's id."""
        answer = await self.client.post("/v1/documents", json={"text": text, **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str, **params: Any) -> Any:
        """JSON that must be there."""
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def board(self, id: str) -> dict[str, Any]:
        """A board."""
        found: dict[str, Any] = await self.get(f"/v1/boards/{id}")
        return found

    async def ended(self, id: str) -> dict[str, Any]:
        """A board once it has ended."""

        async def look() -> dict[str, Any] | None:
            board = await self.board(id)
            return board if board["status"] in ENDED else None

        found: dict[str, Any] = await until(look)
        return found

    async def values(self, id: str, level: str, **params: Any) -> dict[str, Any]:
        """Key -> value of a level."""
        found = await self.get(f"/v1/boards/{id}/entries", level=level, **params)
        return {item["key"]: item["value"] for item in found["items"]}

    async def reason(self, id: str, words: str) -> dict[str, Any]:
        """The first reason that says this, once it is given."""

        async def look() -> dict[str, Any] | None:
            reasons = (await self.get(f"/v1/boards/{id}/why"))["reasons"]
            return next((reason for reason in reasons if words in reason["reason"]), None)

        found: dict[str, Any] = await until(look, 10)
        return found

    async def runs(self, id: str) -> list[tuple[str, str, str, str]]:
        """(source, version, binding, status) of every activation of the board, in order of appearance."""
        items = (await self.get(f"/v1/boards/{id}/activations"))["items"]
        return [(item["source"], item["version"], item["binding"], item["status"]) for item in items]

    async def log(self, id: str) -> bytes:
        """The whole log as it is handed out."""
        return (await self.client.get(f"/v1/boards/{id}/log")).content


@asynccontextmanager
async def door(url: str, data: Path, *sources: Source, roles: str = "controller", **more: Any) -> AsyncIterator[Door]:
    """A service with an HTTP server on a free port."""
    settings = Settings(redis_url=url, data_dir=data, **{**QUICK, **more})
    async with (
        open_service(settings, roles=frozenset(roles.split()), sources=sources) as service,
        listening(service) as (_, client, base),
    ):
        yield Door(service, client, base)


@asynccontextmanager
async def worker(url: str, data: Path, *sources: Source, **more: Any) -> AsyncIterator[Service]:
    """A worker of its own, without a door."""
    settings = Settings(redis_url=url, data_dir=data, **{**QUICK, **more})
    async with open_service(settings, roles=frozenset({"worker"}), sources=sources) as service:
        yield service
