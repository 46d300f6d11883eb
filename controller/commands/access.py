"""Where `show`, `log`, `why` and `replay` read from: the data directory (or the server the settings name), or a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blackboard.board import Board
from blackboard.entries import Header
from blackboard.errors import BoardGone
from blackboard.events import LogRecord
from blackboard.messages import Position
from blackboard.writing import referred
from controller.commands.options import settings_from
from controller.commands.stream import Message, messages

if TYPE_CHECKING:
    from controller.bootstrap import Service
    from controller.commands.client import Client


class Access(Protocol):
    """What reading a board takes. Every method raises BoardGone for a board nobody knows."""

    async def log(self, board: str) -> list[LogRecord]:
        """All records, notes included."""

    async def projection(self, board: str) -> Board | None:
        """What the server keeps beside the log; None where that cannot be seen."""

    async def value(self, folded: Board, key: str) -> bytes:
        """A live entry's value as JSON, where a reference may stand for it on the folded board."""

    async def blob(self, board: str, sha256: str) -> bytes:
        """Bytes that a board refers to. Raises BlobMissing or BlobCorrupt."""

    async def why(self, board: str) -> list[dict[str, Any]]:
        """Why each source acted or did not."""


class Local:
    """Boards on the server that the settings name."""

    def __init__(self, service: Service) -> None:
        self._service = service

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

    def __init__(self, client: Client) -> None:
        self._client = client

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
        return await self._client.value(folded.id, key, Header.parse(folded.entries[key]).version)

    async def blob(self, board: str, sha256: str) -> bytes:
        """See Access."""
        return await self._client.blob(board, sha256)

    async def why(self, board: str) -> list[dict[str, Any]]:
        """See Access."""
        return await self._client.why(board)


class Nearby:
    """What `watch` asks of a service, answered from the data directory: see Client."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def board(self, id: str) -> dict[str, Any]:
        """See Client."""
        return (await self._service.desk.view(id)).show()

    async def events(self, id: str, after: str = "") -> AsyncIterator[Message]:
        """See Client. The stream outlives an outage of the server by itself."""
        chunks = self._service.feed.subscribe(id, Position.parse(after) if after else None)
        async for message in messages(chunks):
            yield message


@asynccontextmanager
async def nearby(data: Path) -> AsyncIterator[Nearby]:
    """Watch boards of a data directory (or of the server the settings name) with no HTTP service."""
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        yield Nearby(service)


@asynccontextmanager
async def access(
    url: str, data: Path | None, *, sources: bool = False, plugins: list[Path] | None = None
) -> AsyncIterator[Access]:
    """Read from the service at `url`, else from what the settings name. `sources`: whether they are loaded (`why` asks)."""
    if url:
        from controller.commands.client import Client

        async with Client(url) as client:
            yield Remote(client)
        return
    from controller.bootstrap import open_service

    settings = settings_from(data, plugins=plugins)
    async with open_service(settings, roles=frozenset(), sources=None if sources else ()) as service:
        yield Local(service)
