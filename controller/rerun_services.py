"""What a source that runs again is handed besides its inputs: recorded bytes and child boards, and nobody to hear of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.contract import Progress
from blackboard.downloads import Downloaded
from blackboard.entries import level_of
from blackboard.errors import PermanentFailure
from blackboard.levels import Child, Upload
from controller.bench_boards import NoBoards
from controller.rerun_log import Recorded


class Bytes(Protocol):
    """Bytes that the recorded board refers to."""

    async def get(self, sha256: str) -> bytes:
        """Raises BlobMissing or BlobCorrupt."""


class BytesOf:
    """`contract.Blobs` from the recorded board's bytes."""

    def __init__(self, kept: Bytes | None) -> None:
        self._kept = kept

    async def get(self, sha256: str) -> bytes:
        """See contract.Blobs."""
        if self._kept is not None:
            with suppress(BlobMissing, BlobCorrupt):
                return await self._kept.get(sha256)
        raise PermanentFailure(
            f"no bytes with the SHA-256 {sha256} are at hand",
            hint="name the data directory that holds them with --data",
        )


class RecordedBoards:
    """`contract.Boards` that opens none: it answers what the activation was answered then."""

    def __init__(self, recorded: Recorded) -> None:
        children = [wrote.value for key, wrote in recorded.wrote.items() if wrote and level_of(key) == Child.level]
        self._children = [Child.model_validate_json(value) for value in children]

    async def open(
        self,
        data: bytes,
        *,
        filename: str | None = None,
        declared_type: str | None = None,
        goal: Sequence[str] = (),
        sources: Sequence[str] = (),
        name: str | None = None,
    ) -> Child:
        """See contract.Boards."""
        new = await NoBoards("rerun").open(data, filename=filename, declared_type=declared_type, name=name)
        same = (child for child in self._children if (child.sha256, child.filename) == (new.sha256, new.filename))
        return next((child for child in same if name in (None, child.name)), new)


class RecordedDownloads:
    """`downloads.Downloads` that goes nowhere: it answers what was fetched then."""

    def __init__(self, recorded: Recorded) -> None:
        uploads = [wrote.value for key, wrote in recorded.wrote.items() if wrote and level_of(key) == Upload.level]
        self._uploads = [Upload.model_validate_json(value) for value in uploads]

    async def get(self, url: str, progress: Progress | None = None) -> Downloaded:
        """See downloads.Downloads."""
        if not self._uploads:
            raise PermanentFailure("nothing was fetched then, and a rerun fetches nothing")
        was = self._uploads[0]
        return Downloaded(was.sha256, was.size, was.filename, was.declared_type)


class Unheard:
    """`models.Hearer` for calls that nobody pays for and nobody watches."""

    def spent(self, usd: float, tokens: int) -> None:
        """See models.Hearer."""

    def streamed(self, text: str) -> None:
        """See models.Hearer."""

    async def called(self, body: Mapping[str, Any], recording: bytes | None) -> None:
        """See models.Hearer."""
