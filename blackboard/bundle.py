"""All of a board in one file, which replays offline: its log, and every blob that it refers to.

A zip archive, written and read as a stream of its members:

`log.jsonl`       the exact log, one record a line, as `GET /v1/boards/{id}/log` gives it
`blobs/<sha256>`  documents, values above 256 KiB, and what models answered
`manifest.json`   what it is, and what is in it; written last, so that what has one is whole

Nothing is unpacked by name, and every blob is held against its SHA-256 when it is read. Child boards are boards, and bundles,
of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, Final, Protocol

import orjson

from blackboard.blobs import SHA256, BlobCorrupt, BlobMissing
from blackboard.errors import BoardGone, LogError, UsageError
from blackboard.events import lines_of
from blackboard.log_pages import log_pages
from blackboard.ports import Store

FORMAT: Final = "blackboard-bundle"
VERSION: Final = 1
LOG: Final = "log.jsonl"
MANIFEST: Final = "manifest.json"
MAGIC: Final = b"PK\x03\x04"
MOST_MANIFEST: Final = 64 * 1024**2
MOST_BLOB: Final = 2 * 1024**3
LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the same board makes the same bytes."""


class Giver(Protocol):
    """The part of the blob store that a bundle needs."""

    async def get(self, sha256: str) -> bytes:
        """Raises BlobMissing or BlobCorrupt."""


async def pack(store: Store, blobs: Giver, board: str, tip: tuple[int, int]) -> AsyncIterator[bytes]:
    """A board up to the record `tip`, in pieces. Blobs that are lost are named in the manifest.

    Raises BoardGone where it is erased meanwhile: what came until then is no bundle.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as packed:
        digest, count, head = hashlib.sha256(), 0, await store.head(board) or {}
        with packed.open(_member(LOG, zipfile.ZIP_DEFLATED), "w", force_zip64=True) as out:
            async for records in log_pages(store, board, tip):
                lines = lines_of(records)
                digest.update(lines)
                count += len(records)
                await asyncio.to_thread(out.write, lines)
                yield sink.taken()
        sizes, missing = {}, []
        for sha256 in await store.refs(board):
            try:
                data = await blobs.get(sha256)
            except (BlobMissing, BlobCorrupt):
                missing.append(sha256)
                continue
            sizes[sha256] = len(data)
            await asyncio.to_thread(packed.writestr, _member(f"blobs/{sha256}", zipfile.ZIP_STORED), data)
            yield sink.taken()
        if await store.head(board) is None:
            raise BoardGone("the board was erased while it was read")
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "board": board,
            "incarnation": head.get("incarnation", ""),
            "last": f"{tip[0]}-{tip[1]}",
            "records": count,
            "log_sha256": digest.hexdigest(),
            "blobs": sizes,
            "missing": missing,
        }
        packed.writestr(_member(MANIFEST, zipfile.ZIP_DEFLATED), orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    yield sink.taken()


def _member(name: str, how: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, LONG_AGO)
    member.compress_type = how
    member.external_attr = 0o644 << 16
    return member


class _Sink(io.RawIOBase):
    """Where the archive is written to: takes bytes, and hands them on. It cannot go back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Takes a copy."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        """What was written since."""
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole


class Bundle:
    """A bundle in a file; close it. `get` is what replaying asks of a blob store."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError when there is no such file, and LogError when it is no bundle, or cut."""
        self._name = path.name
        try:
            self._packed = zipfile.ZipFile(path)
        except FileNotFoundError as error:
            raise UsageError(f"there is no file {path}") from error
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
        except zipfile.BadZipFile as error:
            raise LogError(f"{path.name} is cut or corrupt: {error}", hint="export it again") from error
        try:
            self.manifest = self._manifest()
        except BaseException:
            self.close()
            raise

    @property
    def board(self) -> str:
        """The board's id."""
        return str(self.manifest["board"])

    @property
    def blobs(self) -> list[str]:
        """SHA-256 of what is in it."""
        return sorted(self.manifest["blobs"])

    def log(self) -> IO[bytes]:
        """The log's lines."""
        return self._open(LOG)

    async def get(self, sha256: str) -> bytes:
        """Raises BlobMissing, or BlobCorrupt when the bytes are not those that the name promises."""
        if not SHA256.match(sha256) or f"blobs/{sha256}" not in self._packed.NameToInfo:
            raise BlobMissing(f"the blob {sha256} is not in {self._name}")
        return await asyncio.to_thread(self._checked, sha256)

    def close(self) -> None:
        """Idempotent."""
        self._packed.close()

    def _checked(self, sha256: str) -> bytes:
        if self._packed.getinfo(f"blobs/{sha256}").file_size > MOST_BLOB:
            raise BlobCorrupt(f"the blob {sha256} in {self._name} is larger than {MOST_BLOB:,} bytes")
        try:
            with self._open(f"blobs/{sha256}") as opened:
                data = opened.read(MOST_BLOB)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BlobCorrupt(f"the blob {sha256} in {self._name} is damaged: {error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BlobCorrupt(f"the blob {sha256} in {self._name} holds other bytes", hint="export it again")
        return data

    def _manifest(self) -> dict[str, Any]:
        try:
            with self._open(MANIFEST) as opened:
                found = orjson.loads(opened.read(MOST_MANIFEST))
        except (zipfile.BadZipFile, zlib.error, EOFError, orjson.JSONDecodeError) as error:
            raise LogError(f"the manifest of {self._name} is damaged: {error}", hint="export it again") from error
        is_one = isinstance(found, dict) and found.get("format") == FORMAT and isinstance(found.get("blobs"), dict)
        if not is_one or not isinstance(found.get("board"), str):
            raise LogError(f"{self._name} is not a bundle of a board", hint="`blackboard export ID` makes one")
        if found.get("version") != VERSION:
            raise LogError(f"{self._name} is of version {found.get('version')}, this reads {VERSION}")
        return dict(found)

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._packed.open(name)
        except KeyError:
            raise LogError(f"{self._name} holds no {name}: it is not a bundle of a board") from None
        except (NotImplementedError, RuntimeError) as error:  # a method, or a password, that nobody here has
            raise LogError(f"{self._name} cannot be read: {error}") from error


def is_bundle(path: Path) -> bool:
    """Whether a file's first bytes say that it is one."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def name_of(path: Path) -> str:
    """The id of the board in an exported file: as a bundle says, else after the file's name. Raises as Bundle does."""
    if not is_bundle(path):
        return path.name.removesuffix(".gz").removesuffix(".jsonl")
    bundle = Bundle(path)
    bundle.close()
    return bundle.board
