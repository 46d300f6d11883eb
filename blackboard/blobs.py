"""Bytes by their SHA-256: documents, large values, recordings.

One object per blob, under `<first two hex digits>/<sha256>`. A put either makes the whole object or nothing (obstore writes
to a temporary name or a multipart upload first). What is read is verified against its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, from_url

from blackboard.areas import Area
from blackboard.errors import DocumentTooComplex, StorageError, StorageUnavailable, UsageError

SHA256 = re.compile(r"[0-9a-f]{64}\Z")
FRESH = 300.0
"""Seconds; an object older than this is written again by a put, so that its age tells when it was last wanted."""
PART_BYTES = 5 << 20
"""The smallest part of a multipart upload that S3 takes."""
PARTS_UNDER_WAY = 2
"""A stream is held in memory for so many parts and one more; obstore's own default is twelve of ten megabytes."""


class BlobMissing(StorageError):
    """The blob store holds no such object."""

    slug = "blob-missing"


class BlobCorrupt(StorageError):
    """An object's bytes are not those its name promises."""

    slug = "blob-corrupt"


class Blobs:
    """Content-addressed bytes in an object store. Every method may raise StorageUnavailable."""

    def __init__(self, store: ObjectStore, directory: Path | None = None) -> None:
        """`directory`: where a store on the local disk keeps its files."""
        self._store = store
        self._directory = directory

    @classmethod
    def at(cls, where: str | Path) -> Blobs:
        """A directory (made if missing), `memory://`, or a URL obstore knows (`s3://bucket/prefix`, `gs://`, `az://`, `file://`).

        Raises UsageError for a URL nobody knows.
        """
        if isinstance(where, Path) or "://" not in where:
            directory = Path(where).expanduser().resolve()
            directory.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(directory), directory)
        if where.startswith("memory://"):
            return cls(MemoryStore())
        if where.startswith("file://"):
            return cls.at(Path(where.removeprefix("file://")))
        try:
            return cls(from_url(where))
        except (BaseError, ValueError) as error:
            raise UsageError(
                f"{where!r} is not a place for blobs: {error}", hint="a directory, s3://bucket or memory://"
            ) from error

    def area(self, name: str) -> Area:
        """A folder of named objects in the same place. No name of an area is two hexadecimal digits, or `incoming`."""
        return Area(self._store, name, self._directory / name if self._directory is not None else None)

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256 in hexadecimal. Putting what is there already is cheap."""
        sha256 = hashlib.sha256(data).hexdigest()
        age = await self.age(sha256)
        if age is None or age > FRESH:
            try:
                await obstore.put_async(self._store, _path(sha256), data)
            except (BaseError, OSError) as error:
                raise _unavailable(error) from error
        return sha256

    async def put_stream(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[str, int]:
        """Keep what a stream yields without holding it in memory: SHA-256 and size.

        Raises DocumentTooComplex once it exceeds `limit` bytes, and whatever the stream raises; nothing is kept then.
        """
        digest, size = hashlib.sha256(), 0
        passing = f"incoming/{secrets.token_hex(16)}"
        broken: list[BaseException] = []

        async def metered() -> AsyncIterator[bytes]:
            nonlocal size
            try:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise DocumentTooComplex(
                            f"more than {limit:,} bytes", hint="send a smaller file or raise the limit"
                        )
                    digest.update(chunk)
                    yield chunk
            except BaseException as error:
                broken.append(error)
                raise

        try:
            await self._write(passing, metered())
            sha256 = digest.hexdigest()
            await obstore.rename_async(self._store, passing, _path(sha256))
        except (BaseError, OSError) as error:
            if error in broken:
                raise
            raise _unavailable(error) from error
        finally:
            await self._forget(passing)
        return sha256, size

    async def _write(self, path: str, chunks: AsyncIterator[bytes]) -> None:
        writer = obstore.open_writer_async(self._store, path, buffer_size=PART_BYTES, max_concurrency=PARTS_UNDER_WAY)
        try:
            async for chunk in chunks:
                if chunk:
                    await writer.write(chunk)
        finally:
            # After a failure too: else parts of a multipart upload would stay. What it makes is forgotten then.
            await writer.close()

    async def tidy(self, older_than: float = 86_400.0) -> int:
        """Remove what streams that a crash cut off left behind, `older_than` seconds ago or more; how many."""
        if self._directory is not None:
            # The local store hides unfinished files from its own listing.
            return await asyncio.to_thread(_tidy_directory, self._directory / "incoming", older_than)
        removed = 0
        try:
            async for batch in obstore.list(self._store, "incoming"):
                for meta in batch:
                    if (datetime.now(UTC) - meta["last_modified"]).total_seconds() >= older_than:
                        await self._forget(meta["path"])
                        removed += 1
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return removed

    async def _forget(self, path: str) -> None:
        try:
            await obstore.delete_async(self._store, path)
        except (BaseError, OSError):
            return

    async def get(self, sha256: str) -> bytes:
        """The bytes. Raises BlobMissing, or BlobCorrupt when they do not match their name."""
        try:
            found = await obstore.get_async(self._store, _path(sha256))
            data = bytes(await found.bytes_async())
        except FileNotFoundError as error:
            raise BlobMissing(
                f"the blob {sha256} is not there", hint="was its board erased, or the blob directory moved?"
            ) from error
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        if len(data) > 1 << 20:
            actual = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        else:
            actual = hashlib.sha256(data).hexdigest()
        if actual != sha256:
            raise BlobCorrupt(f"the blob {sha256} holds other bytes (SHA-256 {actual})", hint="restore it from a copy")
        return data

    async def has(self, sha256: str) -> bool:
        """Whether the blob is there."""
        return await self.age(sha256) is not None

    async def age(self, sha256: str) -> float | None:
        """Seconds since the blob was last put, or None if it is not there."""
        try:
            meta = await obstore.head_async(self._store, _path(sha256))
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        return (datetime.now(UTC) - meta["last_modified"]).total_seconds()

    async def delete(self, sha256: str) -> None:
        """Remove the blob; nothing happens if it is not there."""
        try:
            await obstore.delete_async(self._store, _path(sha256))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error


def _path(sha256: str) -> str:
    if not SHA256.match(sha256):
        raise UsageError(f"{sha256[:80]!r} is not a SHA-256")
    return f"{sha256[:2]}/{sha256}"


def _unavailable(error: BaseException) -> StorageUnavailable:
    return StorageUnavailable(f"the blob store failed: {error}")


def _tidy_directory(directory: Path, older_than: float) -> int:
    removed = 0
    for path in directory.iterdir() if directory.is_dir() else ():
        try:
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue  # its stream has just ended
    return removed
