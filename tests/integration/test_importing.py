"""Boards from bundles: the same contents elsewhere, and nothing that did not come with the file."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard.blobs import Blobs
from blackboard.board import fold
from blackboard.bundle import Bundle
from blackboard.entries import Commit
from blackboard.errors import LogError
from blackboard.memory import MemoryStore
from blackboard.ports import Store
from blackboard.replay import read_log
from blackboard.store import RedisStore
from blackboard.writing import reference
from controller.importing import import_bundle, log_holds
from tests.integration.serving import Served, serving
from tests.making import activation, agenda, person, put, source

LARGE = {"number": 2, "text": "x" * 300_000}
OUTCOME = {"slug": "completed", "reason": "all is settled", "cost_usd": 0.5}


async def exported(served: Served, path: Path, *, ended: bool = True) -> str:
    """A board with a document, a large value, a person's entry, a tombstone and an agenda; it is in the file, too."""
    store = served.service.store
    board = await served.submit("The document.", filename="a.txt")
    await source(store, board, "pages", put("page/0001", {"number": 1}), put("page/0002", LARGE))
    await person(store, board, put("page/0001", {"number": 1, "text": "corrected"}, pin=True))
    answer = await served.client.delete(f"/v1/boards/{board}/entries/page/0002", headers={"If-Match": "*"})
    assert answer.status_code == 204
    await source(store, board, "pages", put("page/0003", LARGE))
    data: dict[str, Any] = {
        "source": "pages",
        "version": "1",
        "config": "",
        "binding": "document/1",
        "n": 1,
        "round": 1,
    }
    await agenda(store, board, activation("pages.1", "done", 1, **data), activation("pages.2", "failed", 1, **data))
    if ended:
        head = {"status": "completed", "outcome": orjson.dumps(OUTCOME).decode()}
        await store.commit(board, Commit("board.completed", "controller", head=head, body=OUTCOME))
    path.write_bytes((await served.client.get(f"/v1/boards/{board}/bundle")).content)
    return board


async def imported(store: Store, blobs: Blobs, path: Path) -> str:
    """Into a store; for another tenant."""
    bundle = Bundle(path)
    try:
        assert log_holds(bundle)
        return await import_bundle(
            store, blobs, bundle, list(read_log(path)), tenant="here", check_ms=1000, keep_ms=1000
        )
    finally:
        bundle.close()


async def test_what_had_ended_is_as_it_was(redis_store: RedisStore, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    elsewhere = MemoryStore(Blobs.at("memory://"))
    async with serving(elsewhere) as served:
        old = await elsewhere.projection(await exported(served, path))
    assert old is not None
    board = await imported(redis_store, redis_store.blobs, path)
    new = await redis_store.projection(board)
    assert new is not None
    assert (new.entries, new.values, new.agenda) == (old.entries, old.values, old.agenda)
    assert (new.head["status"], new.head["outcome"], new.head["tenant"]) == ("completed", old.head["outcome"], "here")
    assert new.head["parent"] == f"{old.id}@{old.revision}"
    assert fold(board, await redis_store.log(board)) == new
    for sha256 in await redis_store.refs(board):
        assert await redis_store.blobs.has(sha256)
    assert len(await redis_store.refs(board)) == 2
    assert orjson.loads(await redis_store.resolve(new.values["page/0003"])) == LARGE


async def test_what_was_open_goes_on(redis_store: RedisStore, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    async with serving(redis_store) as served:
        await exported(served, path, ended=False)
    board = await imported(redis_store, redis_store.blobs, path)
    new = await redis_store.projection(board)
    assert new is not None
    assert (new.head["status"], set(new.agenda)) == ("open", {"pages.1"}), "what had failed is decided anew"


async def test_nobody_is_told_and_nothing_is_above_or_below(redis_store: RedisStore, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    async with serving(redis_store) as served:
        store = served.service.store
        board = await served.submit("x")
        more = {"callback": "{}", "webhooks": "{}", "children": "1"}
        await store.commit(board, Commit("board.changed", "x", head=more))
        path.write_bytes((await served.client.get(f"/v1/boards/{board}/bundle")).content)
    head = await redis_store.head(await imported(redis_store, redis_store.blobs, path))
    assert head is not None
    assert not head.keys() & {"callback", "webhooks", "children", "opened_by", "top"}


async def test_bytes_that_did_not_come_with_it_are_out_of_reach(redis_store: RedisStore, tmp_path: Path) -> None:
    """A forged value refers to somebody's document: whoever may look at the board could read it."""
    path, secret = tmp_path / "b.zip", b"Somebody else's."
    await redis_store.blobs.put(secret)
    async with serving(redis_store) as served:
        board = await exported(served, path)
    log = [record async for record in _records(redis_store, board)]
    forged = reference(hashlib.sha256(secret).hexdigest(), len(secret)).decode()
    lines = [line.replace('{"number":1,"text":"corrected"}', forged) for line in log]
    assert lines != log
    _altered(path, "".join(lines).encode())
    with pytest.raises(LogError, match="not in it"):
        await imported(redis_store, redis_store.blobs, path)
    assert (await redis_store.boards("here"))[0] == []


FORGED = (
    ('"status":"done"', '"status":"do ne"'),
    ('"pages.1"', '"pages|1"'),
    ('"pin":"1"', '"pin":"x"'),
    ('"owner":"pages"', '"owner":"pa\\nges"'),
    ('"page/0003"', '"page/00\\n03"'),
    ('"sources":"{', '"sources":"['),
)


async def test_what_no_script_could_take_apart(redis_store: RedisStore, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    async with serving(redis_store) as served:
        board = await exported(served, path)
    log = "".join([record async for record in _records(redis_store, board)])
    for was, becomes in FORGED:
        assert was in log
        _altered(path, log.replace(was, becomes).encode())
        with pytest.raises(LogError):
            await imported(redis_store, redis_store.blobs, path)
    assert (await redis_store.boards("here"))[0] == []


async def test_a_log_that_is_not_the_manifests(redis_store: RedisStore, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    async with serving(redis_store) as served:
        board = await exported(served, path)
    log = [record async for record in _records(redis_store, board)]
    _altered(path, "".join(log[:-1]).encode(), honest=False)
    bundle = Bundle(path)
    assert not log_holds(bundle)
    bundle.close()


async def _records(store: Store, board: str) -> Any:
    from blackboard.events import to_json

    for record in await store.log(board):
        yield to_json(record).decode() + "\n"


def _altered(path: Path, log: bytes, *, honest: bool = True) -> None:
    """Another log in the same archive; `honest`: with a manifest that says so."""
    with zipfile.ZipFile(path) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    manifest = orjson.loads(members["manifest.json"])
    if honest:
        manifest["log_sha256"] = hashlib.sha256(log).hexdigest()
    members |= {"log.jsonl": log, "manifest.json": orjson.dumps(manifest)}
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in members.items():
            packed.writestr(name, data)
