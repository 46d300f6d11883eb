"""Where `show`, `log`, `why` and `replay` read from: the data directory (or the server the settings name), or a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from blackboard.board import Board
from blackboard.entries import Header
from blackboard.errors import BoardGone, ServiceError
from blackboard.events import LogRecord
from blackboard.messages import Position
from blackboard.ports import BoardRow
from blackboard.writing import referred
from controller.access import DEFAULT_TENANT
from controller.commands.options import client_of, settings_from
from controller.kin import children_of
from controller.views import BoardView

if TYPE_CHECKING:
    from blackboard.client import AsyncBlackboard, Event, results
    from controller.bootstrap import Service


PAGE = 200


class Access(Protocol):
    """What reading a board takes. Every method raises BoardGone for a board nobody knows."""

    async def boards(self, limit: int, *, children: bool, parent: str) -> list[dict[str, Any]]:
        """The newest boards, as `GET /v1/boards` lists them."""

    async def log(self, board: str) -> list[LogRecord]:
        """All records, notes included."""

    async def projection(self, board: str) -> Board | None:
        """What the server keeps beside the log; None where that cannot be seen."""

    async def value(self, folded: Board, key: str) -> bytes:
        """A live entry's value as JSON, where a reference may stand for it on the folded board."""

    async def blob(self, board: str, sha256: str) -> bytes:
        """Bytes that a board refers to. Raises BlobMissing or BlobCorrupt."""

    async def bundle(self, board: str) -> bytes:
        """All of the board in one file."""

    async def why(self, board: str) -> list[dict[str, Any]]:
        """Why each source acted or did not."""


class Local:
    """Boards on the server that the settings name."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def boards(self, limit: int, *, children: bool, parent: str) -> list[dict[str, Any]]:
        """See Access."""
        store = self._service.store
        if parent:
            folded = await self.projection(parent)
            below = [child.board for _, child in children_of(folded).values()] if folded else []
            heads = await asyncio.gather(*map(store.head, below[:limit]))
            return [BoardView(id, head).show() for id, head in zip(below, heads, strict=False) if head]
        found: list[BoardRow] = []
        before = ""
        while len(found) < limit:
            page = min(limit - len(found), PAGE)
            rows, before = await store.boards(DEFAULT_TENANT, before=before, limit=page, children=children)
            found += rows
            if not before:
                break
        return [BoardView(row.id, row.head).show() for row in found]

    async def log(self, board: str) -> list[LogRecord]:
        """See Access."""
        records = await self._service.store.log(board)
        if not records:
            raise self._gone(board)
        return records

    async def projection(self, board: str) -> Board | None:
        """See Access."""
        found = await self._service.store.projection(board)
        if found is None:
            raise self._gone(board)
        return found

    async def value(self, folded: Board, key: str) -> bytes:
        """See Access."""
        return await self._service.store.resolve(folded.values[key])

    async def blob(self, board: str, sha256: str) -> bytes:
        """See Access."""
        return await self._service.blobs.get(sha256)

    async def bundle(self, board: str) -> bytes:
        """See Access."""
        from blackboard.bundle import pack

        tip = await self._service.store.tip(board)
        if tip == (0, 0):
            raise self._gone(board)
        return b"".join([part async for part in pack(self._service.store, self._service.blobs, board, tip)])

    async def why(self, board: str) -> list[dict[str, Any]]:
        """See Access."""
        reasons = await self._service.why(board)
        if reasons is None:
            raise self._gone(board)
        return [asdict(reason) for reason in reasons]

    def _gone(self, board: str) -> BoardGone:
        where = self._service.settings.redis_url or self._service.settings.data_dir
        return BoardGone(
            f"there is no board {board} in {where}",
            hint="is --data (or BLACKBOARD_DATA_DIR, BLACKBOARD_URL) what it was when the board was made? "
            "Ended boards are removed after BLACKBOARD_RETENTION_S",
        )


class Remote:
    """Boards of a running service."""

    def __init__(self, client: AsyncBlackboard) -> None:
        self._client = client

    async def boards(self, limit: int, *, children: bool, parent: str) -> list[dict[str, Any]]:
        """See Access."""
        found: list[dict[str, Any]] = []
        async for board in self._client.boards(children=children, parent=parent, page=min(limit, PAGE)):
            found.append(dict(board.raw))
            if len(found) == limit:
                break
        return found

    async def log(self, board: str) -> list[LogRecord]:
        """See Access."""
        return await self._client.log(board)

    async def projection(self, board: str) -> Board | None:
        """See Access."""
        return None

    async def value(self, folded: Board, key: str) -> bytes:
        """See Access."""
        stored = folded.values[key]
        if not referred(stored):
            return stored
        found = await self._client.entry(folded.id, key, version=Header.parse(folded.entries[key]).version)
        return orjson.dumps(found.value)

    async def blob(self, board: str, sha256: str) -> bytes:
        """See Access."""
        from blackboard.blobs import BlobCorrupt, BlobMissing

        try:
            return await self._client.blob(board, sha256)
        except BoardGone as error:
            raise BlobMissing(f"{self._client.url} has no blob {sha256} for the board {board}") from error
        except ServiceError as error:
            raise BlobCorrupt(f"{self._client.url}: {error}") from error

    async def bundle(self, board: str) -> bytes:
        """See Access."""
        return await self._client.bundle(board)

    async def why(self, board: str) -> list[dict[str, Any]]:
        """See Access."""
        return await self._client.why(board)


class Nearby:
    """What `watch` asks of a service, answered from the data directory: see AsyncBlackboard."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def board(self, id: str) -> results.Board:
        """See AsyncBlackboard."""
        from blackboard.client.results import board_of

        return board_of((await self._service.desk.view(id)).show())

    async def events(self, id: str, *, after: str = "") -> AsyncIterator[Event]:
        """See AsyncBlackboard. The stream outlives an outage of the server by itself."""
        from blackboard.client.stream import events_in

        chunks = self._service.feed.subscribe(id, Position.parse(after) if after else None)
        async for event in events_in(chunks):
            yield event


@asynccontextmanager
async def nearby(data: Path) -> AsyncIterator[Nearby]:
    """Watch boards of a data directory (or of the server the settings name) with no HTTP service."""
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        yield Nearby(service)


@asynccontextmanager
async def access(
    url: str, data: Path | None, api_key: str = "", *, sources: bool = False, plugins: list[Path] | None = None
) -> AsyncIterator[Access]:
    """Read from the service at `url`, else from what the settings name. `sources`: whether they are loaded (`why` asks)."""
    if url:
        async with client_of(url, api_key) as client:
            yield Remote(client)
        return
    from controller.bootstrap import open_service

    settings = settings_from(data, plugins=plugins)
    async with open_service(settings, roles=frozenset(), sources=None if sources else ()) as service:
        yield Local(service)
