"""Small named objects beside the content-addressed blobs: for what must be found again by name, and may be lost.

An area is a folder of the blob store. Names are words joined by `/`; a put makes the whole object or nothing. Nothing here
is counted or referred to: what is not wanted any more goes by its age.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from blackboard.errors import StorageUnavailable, UsageError

NAME = re.compile(r"[A-Za-z0-9~][A-Za-z0-9._~-]{0,127}(/[A-Za-z0-9~][A-Za-z0-9._~-]{0,127}){0,7}\Z")


class Area:
    """Objects by name. Every method may raise StorageUnavailable, also after `patience_s` seconds without an answer."""

    def __init__(
        self, store: ObjectStore, prefix: str, directory: Path | None = None, *, patience_s: float = 10.0
    ) -> None:
        """`directory`: where a store on the local disk keeps the files of `prefix`."""
        self._store = store
        self._prefix = prefix
        self._directory = directory
        self._patience_s = patience_s

    async def put(self, name: str, data: bytes) -> None:
        """Keep the bytes, in place of what was there."""
        try:
            async with asyncio.timeout(self._patience_s):
                await obstore.put_async(self._store, self._path(name), data)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def get(self, name: str) -> bytes | None:
        """The bytes; None when there are none."""
        try:
            async with asyncio.timeout(self._patience_s):
                found = await obstore.get_async(self._store, self._path(name))
                return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def has(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            async with asyncio.timeout(self._patience_s):
                await obstore.head_async(self._store, self._path(name))
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return True

    async def delete(self, name: str) -> None:
        """Remove it; nothing happens if it is not there."""
        try:
            async with asyncio.timeout(self._patience_s):
                await obstore.delete_async(self._store, self._path(name))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def names(self, folder: str) -> list[str]:
        """Names of all objects in a folder, however deep, in order."""
        path = self._path(folder)
        found: list[str] = []
        try:
            async for batch in obstore.list(self._store, path):
                found += [str(meta["path"])[len(self._prefix) + 1 :] for meta in batch]
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return sorted(found)

    async def tidy(self, older_than: float) -> int:
        """Remove what was put `older_than` seconds ago or more, and what a crash left half written; how many."""
        if self._directory is not None:
            # The local store hides unfinished files from its own listing, and leaves empty folders behind.
            return await asyncio.to_thread(_tidy_directory, self._directory, older_than)
        removed = 0
        try:
            async for batch in obstore.list(self._store, self._prefix):
                old = [
                    str(meta["path"])
                    for meta in batch
                    if (datetime.now(UTC) - meta["last_modified"]).total_seconds() >= older_than
                ]
                if old:
                    await obstore.delete_async(self._store, old)
                    removed += len(old)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return removed

    def _path(self, name: str) -> str:
        if not NAME.match(name):
            raise UsageError(f"{name[:80]!r} is not the name of an object")
        return f"{self._prefix}/{name}"


def _unavailable(error: BaseException) -> StorageUnavailable:
    return StorageUnavailable(f"the blob store failed: {error or type(error).__name__}")


def _tidy_directory(directory: Path, older_than: float) -> int:
    removed = 0
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            path = Path(folder, name)
            try:
                if time.time() - path.stat().st_mtime >= older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # somebody else tidies, too
        try:
            # A put may just have made it for what it is about to write: it has a while.
            if Path(folder) != directory and time.time() - Path(folder).stat().st_mtime >= older_than:
                Path(folder).rmdir()
        except OSError:
            continue  # not empty
    return removed
