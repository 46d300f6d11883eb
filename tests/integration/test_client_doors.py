"""The Python client at the doors of a whole service: keys, webhooks, filters, erasure, a document's bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from blackboard.client import Put, Retract
from blackboard.errors import BoardGone, ConflictError, Forbidden, InvalidValue, Unauthorized, UrlNotAllowed, UsageError
from tests.fleet import until
from tests.integration.doors import V1, Door, door
from tests.speaking import KINDS, speaking


@pytest.fixture
async def served(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    """A service that analyses small texts."""
    async with door(redis_url, tmp_path, *V1, roles="controller worker", egress_allow=("127.0.0.1/32",)) as served:
        yield served


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest, served: Door) -> AsyncIterator[Any]:
    """A client of either kind."""
    async with speaking(request.param, served.base) as client:
        yield client


async def test_a_text_is_analysed_and_erased(client: Any) -> None:
    handle = await client.submit(text="one of 2024\ntwo of 2025", filename="years.txt")
    result = await handle.result(timeout=20)
    assert (result.status, result.partial, result.report) == ("completed", True, {})
    assert [entry.value["text"] for entry in result.contributions["year"]] == ["2024", "2025"]
    types = [event.type async for event in handle.events(level="sum")]
    assert types == ["contribution.committed", "board.completed"]
    seen = [event async for event in handle.events(snapshot=True)]
    assert [event.type for event in seen] == ["board.snapshot"] and seen[0].ends
    sha256 = (await client.entry(handle.id, "upload/original")).value["sha256"]
    assert await client.blob(handle.id, sha256) == b"one of 2024\ntwo of 2025"
    with pytest.raises(BoardGone, match="no such blob"):
        await client.blob(handle.id, "0" * 64)
    again = await client.retry(handle.id)
    assert again.id != handle.id and again.parent.startswith(handle.id)
    await client.erase(handle.id)
    with pytest.raises(BoardGone):
        await client.board(handle.id)


async def test_keys(served: Door, client: Any) -> None:
    root = await client.keys.create("root", scopes=["read", "submit", "contribute", "admin"])
    assert (root.status, root.tenant, "secret" in repr(root), root.secret in repr(root)) == (
        "active",
        "default",
        False,
        False,
    )

    async def closed() -> bool:
        try:
            await client.sources()
        except Unauthorized:
            return True
        return False

    await until(closed)
    for kind in KINDS:
        async with speaking(kind, served.base, root.secret) as known:
            reader = await known.keys.create(f"reader-{kind}", scopes=["read"], expires_in_s=600, requests_per_minute=3)
            assert [key.name async for key in known.keys.list()][-1] == reader.name
            async with speaking(kind, served.base, reader.secret) as reading:
                await reading.sources()
                with pytest.raises(Forbidden) as refused:
                    await reading.submit(text="Not mine to submit.")
                assert refused.value.slug == "forbidden" and refused.value.request_id
            fresh = await known.keys.rotate(reader.id, overlap_s=0)
            assert fresh.id == reader.id and fresh.secret not in ("", reader.secret)
            with pytest.raises(ConflictError) as taken:
                await known.keys.create(f"reader-{kind}")
            assert taken.value.slug == "key-exists"
            await known.keys.revoke(reader.id)
            assert (await known.keys.get(reader.id)).status == "revoked"
            with pytest.raises(BoardGone, match="no such key"):
                await known.keys.get("nothing")


async def test_webhooks(client: Any) -> None:
    made = await client.webhooks.create("http://127.0.0.1:9/hook", events=["board.completed"], description="mine")
    assert made.secret.startswith("whsec_") and made.secret not in repr(made)
    with pytest.raises(ConflictError) as taken:
        await client.webhooks.create("http://127.0.0.1:9/hook")
    assert taken.value.slug == "webhook-exists"
    with pytest.raises((UrlNotAllowed, InvalidValue)):
        await client.webhooks.create("http://10.0.0.1/hook")
    assert [hook.id async for hook in client.webhooks.list()] == [made.id]
    assert not (await client.webhooks.change(made.id, enabled=False)).enabled
    assert (await client.webhooks.get(made.id)).description == "mine"
    assert (await client.webhooks.rotate(made.id)).secret != made.secret
    tried = await client.webhooks.test(made.id)
    async with asyncio.timeout(15):
        while (found := await client.webhooks.delivery(made.id, tried.id)).status == "pending":
            await asyncio.sleep(0.05)
    assert (found.status, found.attempts[0]["error"]) == ("failed", "unreachable")
    assert [delivery.id async for delivery in client.webhooks.deliveries(made.id)] == [tried.id]
    assert await client.webhooks.redeliver(made.id, delivery=tried.id) == 1
    with pytest.raises(UsageError):
        await client.webhooks.redeliver(made.id)
    await client.webhooks.delete(made.id)
    with pytest.raises(BoardGone, match="no such webhook"):
        await client.webhooks.get(made.id)


async def test_several_entries_in_one_step(client: Any) -> None:
    handle = await client.submit(text="one of 2024\ntwo of 2025", hold="review")
    async for _ in handle.events(level="sum"):
        break
    before = {entry.key: entry.version for entry in await client.entries(handle.id, "year")}
    fixed = {"number": 1, "text": "1924", "by": "ann"}
    made = await client.commit(handle.id, Put("year/0001", fixed, confidence=0.9), Retract("year/0002"), checks=before)
    assert [(entry["key"], entry["changed"]) for entry in made.entries] == [("year/0001", True), ("year/0002", True)]
    with pytest.raises(ConflictError) as moved:
        await client.commit(handle.id, Retract("year/0001"), checks={"year/0001": before["year/0001"], "year/0007": 3})
    assert [(each["key"], each["expected"], each["actual"]) for each in moved.value.mismatches] == [
        ("year/0001", 1, 2), ("year/0007", 3, 0),
    ]  # fmt: skip
    with pytest.raises(InvalidValue) as off:
        await client.commit(handle.id, Put("year/0001", {"number": "one"}))
    assert off.value.errors[0][0].startswith("/writes/0/value")
    await client.approve(handle.id)
    result = await handle.result(timeout=20)
    assert [entry.value["text"] for entry in result.contributions["year"]] == ["1924"]


async def test_all_boards_at_once(served: Door, client: Any) -> None:
    open_one = await client.submit(text="one of 2024", hold="review")
    seen: list[Any] = []
    async with aclosing(client.watch(snapshot=True, type="board.created,board.completed")) as changes:
        async for change in changes:
            seen.append(change)
            if change.type == "boards.snapshot":
                assert [board["board"] for board in change.boards] == [open_one.id]
                submitted = await served.submit("two of 2025")
            if change.type == "board.completed":
                break
    assert [(change.type, change.board) for change in seen[1:]] == [
        ("board.created", submitted), ("board.completed", submitted),
    ]  # fmt: skip
    assert (seen[-1].status, seen[-1].record) == ("completed", None)
    async with aclosing(client.watch(after=seen[1].id, type="board.created,board.completed")) as changes:
        assert (await anext(changes)).type == "board.completed"
