"""The fixture `live_board`: a service in this process on a server of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson

from blackboard.board import Board
from blackboard.client.stream import events_in
from blackboard.contract import Contribution, Source
from blackboard.entries import Commit, Put
from blackboard.errors import SourceError
from blackboard.levels import Level
from blackboard.registry import configured, find_sources
from controller.bench import opening
from controller.bootstrap import Service, open_service
from controller.desk import Submission
from controller.settings import Settings
from controller.testing.seeds import Seeds, values_of

L = TypeVar("L", bound=Level)


class ServedBoard:
    """See blackboard.testing.LiveBoard. `place`: a folder for the server's data."""

    def __init__(self, place: Path) -> None:
        self._settings = Settings(data_dir=place, redis_url="", queue_url="", blob_url="", drain_s=2.0, only=())
        self._seeds = Seeds()
        self._writes: dict[str, Put] = {}
        self._board = Board("")

    @property
    def id(self) -> str:
        """See blackboard.testing.LiveBoard."""
        return self._board.id

    @property
    def status(self) -> str:
        """See blackboard.testing.LiveBoard."""
        return self._board.status

    @property
    def outcome(self) -> Mapping[str, Any]:
        """See blackboard.testing.LiveBoard."""
        return dict(orjson.loads(self._board.head.get("outcome") or "{}"))

    async def seed(self, *values: Level | Contribution[Any]) -> None:
        """See blackboard.testing.LiveBoard."""
        self._writes |= {put.key: put for put in map(self._seeds.put, values)}

    async def run(self, *sources: Source, raises: bool = True) -> None:
        """See blackboard.testing.LiveBoard."""
        async with self._service([configured(source) for source in sources]) as service:
            board = service.store.new_id("default")
            head = {**opening(), "hold": "", "tenant": "default", "incarnation": secrets.token_hex(6)}
            head["sources"] = orjson.dumps({source.name: source.version for source in service.sources}).decode()
            check = (("check", self._settings.check_ms),)
            writes = tuple(self._writes.values())
            await service.store.commit(
                board,
                Commit("board.created", "test", id="create", mode="person", create=True, head=head, writes=writes, due=check),
            )  # fmt: skip
            await self._end(service, board, raises)

    async def analyze(self, document: str | bytes | Path, *sources: Source, raises: bool = True) -> None:
        """See blackboard.testing.LiveBoard."""
        name = document.name if isinstance(document, Path) else None
        content = await asyncio.to_thread(document.read_bytes) if isinstance(document, Path) else document
        content = content.encode() if isinstance(content, str) else content
        given = {source.name: configured(source) for source in sources}
        installed = {source.name: source for source in find_sources()[0]}
        goal = tuple(dict.fromkeys(kind.level for source in sources for kind in source.outputs))
        async with self._service(list({**installed, **given}.values())) as service:
            sha256 = await service.blobs.put(content)
            view = await service.desk.submit(Submission(sha256=sha256, size=len(content), filename=name, goal=goal))
            await self._end(service, view.id, raises)

    def values(self, kind: type[L]) -> list[L]:
        """See blackboard.testing.LiveBoard."""
        return values_of(self._board, kind)

    @asynccontextmanager
    async def _service(self, sources: Sequence[Source]) -> AsyncIterator[Service]:
        roles = frozenset({"controller", "worker"})
        async with open_service(self._settings, roles=roles, sources=sources) as service:
            yield service

    async def _end(self, service: Service, board: str, raises: bool) -> None:
        """Follow the board to its end and keep what it came to."""
        async for _ in events_in(service.feed.subscribe(board)):
            pass
        found = await service.store.projection(board)
        assert found is not None
        for key, value in found.values.items():
            found.values[key] = await service.store.resolve(value)
        self._board = found
        said = self.outcome
        if raises and said.get("degraded"):
            first = said["degraded"][0]
            raise SourceError(f"{first['source']} failed on {first['binding']}: {first['reason']}")
        if raises and self.status != "completed" and said.get("slug") != "empty":
            raise SourceError(f"the board {self.status}: {said.get('reason')}")
