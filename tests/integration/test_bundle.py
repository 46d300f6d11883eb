"""All of a board in one file: what is in it, that it is whole or nothing, and that it replays without a server."""

from __future__ import annotations

import zipfile
from pathlib import Path

import httpx2
import orjson
import pytest

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.bundle import Bundle, name_of, pack
from blackboard.errors import BoardGone, LogError, UsageError
from blackboard.ports import Store
from blackboard.replay import read_log, verify
from blackboard.store import RedisStore
from tests.integration.serving import Served, serving
from tests.making import end, put, source

TEXT = "The rent is 900 EUR."
LARGE = "x" * 300_000


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


async def ended(served: Served) -> str:
    """A board with a document and a value in the blob store, and many records."""
    board = await served.submit(TEXT)
    store = served.service.store
    for number in range(250):
        await source(store, board, "pages", put("page/0001", {"number": number}))
    await source(store, board, "pages", put("page/0002", LARGE))
    await end(store, board)
    return board


async def test_it_holds_the_log_and_every_blob_and_replays(store: Store, tmp_path: Path) -> None:
    async with serving(store) as served:
        board = await ended(served)
        answer = await served.client.get(f"/v1/boards/{board}/bundle")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.headers["content-disposition"] == f'attachment; filename="{board}.zip"'
        assert answer.headers["etag"] == '"253-0"'
        log = (await served.client.get(f"/v1/boards/{board}/log")).content
        again = await served.client.get(f"/v1/boards/{board}/bundle")
        assert again.content == answer.content, "the same board makes the same bytes"
        stored = await store.projection(board)
        assert (await served.client.delete(f"/v1/boards/{board}")).status_code == 204
    path = tmp_path / "anything.zip"
    path.write_bytes(answer.content)
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        assert packed.read("log.jsonl") == log
    bundle = Bundle(path)
    assert (bundle.board, bundle.manifest["records"], bundle.manifest["last"]) == (board, 253, "253-0")
    assert (len(bundle.blobs), bundle.manifest["missing"]) == (2, [])
    assert TEXT.encode() in [await bundle.get(sha256) for sha256 in bundle.blobs]
    with pytest.raises(BlobMissing):
        await bundle.get("0" * 64)
    bundle.close()
    assert verify(name_of(path), read_log(path), stored) == stored


async def test_what_is_lost_is_named(redis_store: RedisStore, tmp_path: Path) -> None:
    async with serving(redis_store) as served:
        board = await served.submit(TEXT)
        (sha256,) = await redis_store.refs(board)
        await redis_store.blobs.delete(sha256)
        path = tmp_path / "b.zip"
        path.write_bytes((await served.client.get(f"/v1/boards/{board}/bundle")).content)
    bundle = Bundle(path)
    assert (bundle.blobs, bundle.manifest["missing"]) == ([], [sha256])
    bundle.close()


async def test_one_that_is_cut_by_an_erasure_does_not_look_whole(store: Store, tmp_path: Path) -> None:
    async with serving(store) as served:
        board = await ended(served)
        parts = pack(store, store.blobs, board, await store.tip(board))  # type: ignore[attr-defined]
        first = await anext(parts)
        assert (await served.client.delete(f"/v1/boards/{board}")).status_code == 204
        with pytest.raises(BoardGone):
            async for part in parts:
                first += part
    (tmp_path / "b.zip").write_bytes(first)
    with pytest.raises(LogError, match="cut or corrupt"):
        Bundle(tmp_path / "b.zip")


async def test_the_connection_ends_where_it_is_cut(redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(redis_store) as served:
        board, whole = await ended(served), redis_store.log

        async def gone(board: str, after: str = "0-0", *, count: int | None = None) -> list[object]:
            return list(await whole(board, after, count=count)) if after == "0-0" else []

        monkeypatch.setattr(redis_store, "log", gone)
        for path in ("bundle", "log"):
            with pytest.raises(httpx2.RemoteProtocolError):
                await served.client.get(f"/v1/boards/{board}/{path}")


ALTERED: list[tuple[str, bytes | None, str]] = [
    ("manifest.json", b"[]", "is not a bundle"),
    ("manifest.json", b"{", "damaged"),
    (
        "manifest.json",
        orjson.dumps({"format": "blackboard-bundle", "board": "x", "blobs": {}, "version": 9}),
        "9",
    ),
    ("manifest.json", None, "holds no manifest.json"),
    ("log.jsonl", None, "holds no log.jsonl"),
    ("log.jsonl", b"{}\n", "line 1"),
]


class TestOthers:
    @pytest.fixture
    async def path(self, redis_store: RedisStore, tmp_path: Path) -> Path:
        """A bundle."""
        async with serving(redis_store) as served:
            answer = await served.client.get(f"/v1/boards/{await served.submit(TEXT)}/bundle")
        path = tmp_path / "b.zip"
        path.write_bytes(answer.content)
        return path

    async def test_other_bytes_are_found_out(self, path: Path) -> None:
        _altered(path, "blobs/", b"The rent is 950 EUR.")
        bundle = Bundle(path)
        with pytest.raises(BlobCorrupt):
            await bundle.get(bundle.blobs[0])
        bundle.close()

    async def test_what_is_no_bundle(self, path: Path) -> None:
        whole = path.read_bytes()
        for member, content, says in ALTERED:
            path.write_bytes(whole)
            _altered(path, member, content)
            with pytest.raises(LogError, match=says):
                list(read_log(path))

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no file"):
            Bundle(tmp_path / "none.zip")


def _altered(path: Path, member: str, content: bytes | None) -> None:
    """The same archive with one member changed, or without it."""
    with zipfile.ZipFile(path) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in members.items():
            if not name.startswith(member):
                packed.writestr(name, data)
            elif content is not None:
                packed.writestr(name, content)
