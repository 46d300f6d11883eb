"""Bytes by their digest: whole or not there, verified when read, and nothing left of what failed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from blackboard.blobs import BlobCorrupt, BlobMissing, Blobs
from blackboard.errors import DocumentTooComplex, StorageUnavailable, UsageError


async def stream(*chunks: bytes, fails: BaseException | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
    if fails is not None:
        raise fails


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


@pytest.fixture(params=["directory", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs.at(tmp_path / "blobs" if request.param == "directory" else "memory://")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"page " * 1000, os.urandom(12_000_000)], ids=["none", "one", "small", "large"]
)
async def test_what_was_put_comes_back(blobs: Blobs, data: bytes) -> None:
    sha256 = await blobs.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert await blobs.get(sha256) == data
    assert await blobs.put(data) == sha256
    await blobs.delete(sha256)
    await blobs.delete(sha256)
    assert not await blobs.has(sha256)
    with pytest.raises(BlobMissing):
        await blobs.get(sha256)
    chunks = [data[at : at + 700_001] for at in range(0, len(data), 700_001)]
    assert await blobs.put_stream(stream(b"", *chunks), limit=len(data)) == (sha256, len(data))
    assert await blobs.get(sha256) == data


@pytest.mark.parametrize("size", [10, 15_000_000])
async def test_a_stream_over_the_limit_leaves_nothing(tmp_path: Path, size: int) -> None:
    blobs = Blobs.at(tmp_path)
    with pytest.raises(DocumentTooComplex):
        await blobs.put_stream(stream(*[b"x" * (size // 5)] * 6), limit=size)
    assert files(tmp_path) == []


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), asyncio.CancelledError(), ValueError("bad")])
async def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    blobs = Blobs.at(tmp_path)
    with pytest.raises(type(error)):
        await blobs.put_stream(stream(b"a" * 11_000_000, fails=error), limit=1 << 30)
    assert files(tmp_path) == []


async def test_a_store_that_fails_is_not_the_stream_s_fault(tmp_path: Path) -> None:
    blobs = Blobs.at(tmp_path)
    (tmp_path / "incoming").write_text("a file where a directory should be")
    with pytest.raises(StorageUnavailable):
        await blobs.put_stream(stream(b"a" * 11_000_000), limit=1 << 30)


async def test_many_at_once_put_the_same(tmp_path: Path) -> None:
    blobs = Blobs.at(tmp_path)
    data = os.urandom(100_000)
    found = await asyncio.gather(
        *(blobs.put_stream(stream(data), limit=1 << 20) for _ in range(20)), *(blobs.put(data) for _ in range(20))
    )
    sha256 = hashlib.sha256(data).hexdigest()
    assert set(found) == {(sha256, 100_000), sha256}
    assert files(tmp_path) == [f"{sha256[:2]}/{sha256}"]


async def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    blobs = Blobs.at(tmp_path)
    sha256 = await blobs.put(b"what was read")
    (tmp_path / sha256[:2] / sha256).write_bytes(b"what was written")
    with pytest.raises(BlobCorrupt):
        await blobs.get(sha256)


async def test_what_a_crash_left_is_tidied_away(tmp_path: Path) -> None:
    blobs = Blobs.at(tmp_path)
    sha256 = await blobs.put(b"kept")
    incoming = tmp_path / "incoming"
    incoming.mkdir(exist_ok=True)
    for name, age in (("old", 90_000), ("old#1", 90_000), ("young", 10)):
        (incoming / name).write_bytes(b"x")
        os.utime(incoming / name, (time.time() - age,) * 2)
    assert await blobs.tidy() == 2
    assert files(tmp_path) == [f"{sha256[:2]}/{sha256}", "incoming/young"]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
async def test_only_digests_are_names(blobs: Blobs, name: str) -> None:
    with pytest.raises(UsageError):
        await blobs.get(name)


async def test_a_url_nobody_knows() -> None:
    with pytest.raises(UsageError):
        Blobs.at("carrier-pigeon://coop")
