"""Named objects beside the blobs: the same on a disk and in an object store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blackboard.areas import Area
from blackboard.blobs import Blobs
from blackboard.errors import StorageUnavailable, UsageError


@pytest.fixture(params=["disk", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs.at(tmp_path if request.param == "disk" else "memory://")


@pytest.fixture
def area(blobs: Blobs) -> Area:
    return blobs.area("things")


async def test_what_is_put_is_found_by_its_name(area: Area) -> None:
    assert await area.get("a/b") is None and not await area.has("a/b")
    assert await area.names("a") == []
    await area.put("a/b", b"one")
    await area.put("a/b", b"two")
    await area.put("a/c/d", b"")
    await area.put("ab/c", b"three")
    assert await area.get("a/b") == b"two" and await area.get("a/c/d") == b""
    assert await area.has("a/c/d")
    assert await area.names("a") == ["a/b", "a/c/d"]
    for _ in range(2):
        await area.delete("a/b")
    assert await area.names("a") == ["a/c/d"]


async def test_areas_and_blobs_are_apart(blobs: Blobs, area: Area) -> None:
    sha256 = await blobs.put(b"a document")
    other = blobs.area("others")
    await area.put("x", b"1")
    await other.put("x", b"2")
    assert (await area.get("x"), await other.get("x")) == (b"1", b"2")
    await area.tidy(0)
    assert await area.get("x") is None and await other.get("x") == b"2"
    assert await blobs.get(sha256) == b"a document"


async def test_only_what_is_old_goes(area: Area) -> None:
    for name in ("a/b", "a/c/d", "e"):
        await area.put(name, b"x")
    assert await area.tidy(3600) == 0
    assert await area.tidy(0) == 3
    assert await area.tidy(0) == 0


async def test_a_disk_keeps_neither_empty_folders_nor_half_written_files(tmp_path: Path) -> None:
    area = Blobs.at(tmp_path).area("things")
    await area.put("old/b", b"x")
    await area.put("new/b", b"x")
    half = tmp_path / "things" / "old" / "c#1"
    half.write_bytes(b"half")
    for path in (half, half.with_name("b")):
        os.utime(path, (1, 1))
    assert await area.tidy(60) == 2
    os.utime(tmp_path / "things" / "old", (1, 1))
    assert await area.tidy(60) == 0
    assert [path.name for path in (tmp_path / "things").iterdir()] == ["new"]


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a b", "a\n", "ä", "x" * 129])
async def test_other_names_are_refused(area: Area, name: str) -> None:
    with pytest.raises(UsageError):
        await area.put(name, b"")


async def test_a_store_that_fails_says_so(tmp_path: Path) -> None:
    area = Blobs.at(tmp_path).area("things")
    (tmp_path / "things").write_text("a file")
    for attempt in (area.put("a/b", b""), area.get("a/b"), area.has("a/b")):
        with pytest.raises(StorageUnavailable):
            await attempt
