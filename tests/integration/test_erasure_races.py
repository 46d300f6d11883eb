"""Erasures against submissions of the very same bytes: whoever is told 202 has a document, whatever was erased meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from blackboard import doom
from blackboard.blobs import Blobs
from blackboard.doom import BlobErased
from blackboard.memory import MemoryStore
from blackboard.ports import Store
from blackboard.store import RedisStore, open_store
from tests.integration.serving import serving
from tests.making import end, new_board, person, put

TEXT = "The very same bytes.\n" * 20
LARGE = "x" * 300_000


class Died(BaseException):
    """A process did."""


class Dawdling(Blobs):
    """A blob store that is in no hurry, so that others come between any two steps."""

    async def age(self, sha256: str) -> float | None:
        """As ever, and then a pause: what was found may be gone by now."""
        found = await super().age(sha256)
        await asyncio.sleep(random.uniform(0, 0.004))
        return found

    async def delete(self, sha256: str) -> None:
        """After a pause."""
        await asyncio.sleep(random.uniform(0, 0.004))
        await super().delete(sha256)


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose blobs dawdle."""
    blobs = Dawdling.at(tmp_path / "blobs")
    if request.param == "memory":
        yield MemoryStore(blobs)
        return
    store = await open_store(redis_url, blobs)
    yield store
    await store.close()


class TestOverHttp:
    async def test_no_board_is_without_its_document(self, redis_url: str, tmp_path: Path) -> None:
        """Two processes' worth of stores on one server; half of the submissions are files, whose bytes are not at hand."""
        stores = [await open_store(redis_url, Dawdling.at(tmp_path / "blobs")) for _ in range(2)]
        answers: list[int] = []
        try:
            async with serving(stores[0]) as one, serving(stores[1]) as two:
                clients = (one.client, two.client)
                await asyncio.gather(*(_submitter(clients[n % 2], stores[n % 2], n, answers) for n in range(8)))
                # The bytes go with the last that refer to them, and come with the next.
                for client in clients:
                    for item in (await client.get("/v1/boards?limit=200")).json()["items"]:
                        assert (await client.delete(f"/v1/boards/{item['id']}")).status_code == 204
            assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
        finally:
            for store in stores:
                await store.close()
        assert set(answers) <= {202, 204, 503}
        assert answers.count(202) > answers.count(503)
        assert answers.count(204) > 15


async def _submitter(client: httpx2.AsyncClient, store: RedisStore, n: int, answers: list[int]) -> None:
    for _ in range(8):
        if n % 4 < 2:
            answer = await client.post("/v1/documents", json={"text": TEXT})
        else:
            answer = await client.post("/v1/documents", files={"file": ("a.txt", TEXT.encode())})
        answers.append(answer.status_code)
        if answer.status_code != 202:
            continue
        id = answer.json()["id"]
        sha256 = (await client.get(f"/v1/boards/{id}/entries/upload/original")).json()["value"]["sha256"]
        await asyncio.sleep(random.uniform(0, 0.01))
        assert await store.blobs.get(sha256) == TEXT.encode()
        answers.append((await client.delete(f"/v1/boards/{id}")).status_code)


class TestStep:
    """Each order of two that meet, one by one."""

    async def test_what_was_put_before_it_went_is_put_again(self, store: Store) -> None:
        blobs: Blobs = store.blobs  # type: ignore[attr-defined]
        first = await _board_with(store, blobs)
        sha256 = await blobs.put(TEXT.encode())  # somebody finds it there
        await _erase(store, first)
        assert not await blobs.has(sha256)
        with pytest.raises(BlobErased):
            await new_board(store, blobs=(sha256,))
        board = await new_board(store, blobs=(sha256,), bytes=(TEXT.encode(),))
        assert await blobs.get(sha256) == TEXT.encode()
        assert (await new_board(store, blobs=(sha256,))) != board, "it is there, so it may be referred to"

    async def test_what_is_there_again_need_not_be_at_hand(self, store: Store) -> None:
        blobs: Blobs = store.blobs  # type: ignore[attr-defined]
        await _erase(store, await _board_with(store, blobs))
        sha256 = await blobs.put(TEXT.encode())
        await new_board(store, blobs=(sha256,))
        assert await blobs.get(sha256) == TEXT.encode()

    async def test_large_values_are_put_again_by_the_store(self, store: Store) -> None:
        blobs: Blobs = store.blobs  # type: ignore[attr-defined]
        board, other = await new_board(store), await new_board(store)
        await person(store, board, put("page/1", LARGE))
        sha256 = await blobs.put(put("page/1", LARGE).value)
        await _erase(store, board)
        assert not await blobs.has(sha256)
        assert (await person(store, other, put("page/1", LARGE))).ok
        assert await blobs.has(sha256)

    async def test_of_a_refused_commit_no_large_value_stays(self, store: Store) -> None:
        blobs: Blobs = store.blobs  # type: ignore[attr-defined]
        board = await new_board(store)
        await _erase(store, board)
        assert (await person(store, board, put("page/1", LARGE))).status == "gone"
        assert not await blobs.has(await _digest(LARGE))

    async def test_nor_a_document_that_was_fetched_for_a_board_that_is_gone(self, store: Store) -> None:
        blobs: Blobs = store.blobs  # type: ignore[attr-defined]
        board = await new_board(store)
        await _erase(store, board)
        sha256 = await blobs.put(TEXT.encode())
        assert (await person(store, board, put("upload/1", "x"), blobs=(sha256,))).status == "gone"
        assert not await blobs.has(sha256)

    async def test_an_open_board_is_not_erased(self, store: Store) -> None:
        board = await new_board(store)
        assert not await store.erase(board)
        assert await store.head(board)

    async def test_a_removal_under_way_is_waited_for(self, redis_url: str, tmp_path: Path) -> None:
        """A commit while the bytes are going, and one by somebody who dies while they do."""
        blobs = Blobs.at(tmp_path)
        store = await open_store(redis_url, blobs)
        try:
            first = await _board_with(store, blobs)
            deleting, go = asyncio.Event(), asyncio.Event()

            class Slow(Blobs):
                async def delete(self, sha256: str) -> None:
                    deleting.set()
                    await go.wait()
                    await super().delete(sha256)

            slow = await open_store(redis_url, Slow.at(tmp_path))
            erasing = asyncio.create_task(_erase(slow, first))
            await deleting.wait()
            submitting = asyncio.create_task(_board_with(store, blobs))
            done, _ = await asyncio.wait({submitting}, timeout=0.3)
            assert not done, "it may not refer to what is about to go"
            go.set()
            await erasing
            await submitting
            assert await blobs.get(await blobs.put(TEXT.encode())) == TEXT.encode()
            await slow.close()
        finally:
            await store.close()

    async def test_two_who_remove_the_same_take_turns(self, redis_url: str, tmp_path: Path) -> None:
        stores = [await open_store(redis_url, Dawdling.at(tmp_path)) for _ in range(2)]
        try:
            for _ in range(4):
                boards = [await _board_with(store, store.blobs) for store in stores]
                await asyncio.gather(*map(_erase, stores, boards))
                assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
        finally:
            for store in stores:
                await store.close()

    async def test_somebody_who_died_removing_blocks_nobody_for_long(
        self, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(doom, "MARKED_MS", 200)

        class Dying(Blobs):
            async def delete(self, sha256: str) -> None:
                raise Died

        dying, store = await open_store(redis_url, Dying.at(tmp_path)), await open_store(redis_url, Blobs.at(tmp_path))
        try:
            first = await _board_with(dying, dying.blobs)
            await end(dying, first)
            removal = doom.Removals(dying.line, dying.blobs, dying.partitions)
            await dying._retire(first)
            with pytest.raises(Died):
                await removal.remove(await _digest_of(TEXT.encode()))
            board = await _board_with(store, store.blobs)
            assert await store.head(board)
            assert await store.blobs.has(await _digest_of(TEXT.encode()))
        finally:
            await dying.close()
            await store.close()


async def _board_with(store: Store, blobs: Blobs) -> str:
    sha256 = await blobs.put(TEXT.encode())
    return await new_board(store, blobs=(sha256,), bytes=(TEXT.encode(),))


async def _erase(store: Store, board: str) -> None:
    await end(store, board)
    assert await store.erase(board)


async def _digest(value: str) -> str:
    return await _digest_of(put("page/1", value).value)


async def _digest_of(data: bytes) -> str:
    return await Blobs.at("memory://").put(data)


@pytest.mark.cluster
async def test_partitions_of_a_cluster_are_asked_one_by_one(cluster_store: RedisStore) -> None:
    """Scripts, and commands on several keys, stay within a slot."""
    blobs = cluster_store.blobs
    boards = [await _board_with(cluster_store, blobs) for _ in range(8)]
    await person(cluster_store, boards[0], put("page/1", LARGE))
    for board in boards[1:]:
        await _erase(cluster_store, board)
    assert await blobs.has(await _digest_of(TEXT.encode()))
    await _erase(cluster_store, boards[0])
    assert not await blobs.has(await _digest_of(TEXT.encode()))
    assert not await blobs.has(await _digest(LARGE))
    again = await _board_with(cluster_store, blobs)
    assert await cluster_store.refs(again) == [await _digest_of(TEXT.encode())]
    assert await blobs.has(await _digest_of(TEXT.encode()))
