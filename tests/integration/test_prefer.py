"""`Prefer: wait=N`: one answer that waits for the board's end; and which boards go first where not all can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from blackboard.ports import Store
from blackboard.store import RedisStore
from tests.integration.doors import Door, door, lines, slow
from tests.integration.serving import Served, serving
from tests.making import end, until

LONG = {"Prefer": "wait=60"}


@pytest.fixture
async def served(redis_store: RedisStore) -> AsyncIterator[Served]:
    async with serving(redis_store) as served:
        yield served


def waiting(served: Served, **headers: str) -> asyncio.Task[httpx2.Response]:
    return asyncio.create_task(
        served.client.post("/v1/documents", json={"text": "x"}, headers={**LONG, **headers}, timeout=30)
    )


async def watched(served: Served, count: int) -> list[str]:
    """The boards, once so many wait."""

    async def look() -> bool:
        return served.service.feed.watchers == count

    await until(look)
    return [item["id"] for item in (await served.client.get("/v1/boards?limit=200")).json()["items"]]


async def finish(store: Store, board: str) -> None:
    assert (await end(store, board)).ok


async def test_it_is_answered_at_the_board_s_end(served: Served) -> None:
    asked = waiting(served)
    (board,) = await watched(served, 1)
    assert not asked.done()
    await finish(served.service.store, board)
    answer = await asked
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, board, "completed")
    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.headers["etag"] == '"2"'
    assert "retry-after" not in answer.headers
    await watched(served, 0)
    # A retry waits as well; what has ended is not waited for.
    again = asyncio.create_task(served.client.post(f"/v1/boards/{board}/retry", headers=LONG, timeout=30))
    fork = (await watched(served, 1))[0]
    await finish(served.service.store, fork)
    assert (await again).json()["status"] == "completed"


async def test_it_is_answered_in_time_though_nothing_ended(served: Served) -> None:
    began = time.monotonic()
    answer = await served.client.post("/v1/documents", json={"text": "x"}, headers={"Prefer": "respond-async, wait=1"})
    assert 0.9 < time.monotonic() - began < 10
    assert (answer.status_code, answer.json()["status"]) == (202, "open")
    assert answer.headers["preference-applied"] == "wait=1"
    assert answer.headers["retry-after"] == "1"
    await watched(served, 0)


async def test_a_preference_that_cannot_be_read_is_none(served: Served) -> None:
    for value in ("wait", "wait=", "wait=-1", "wait=x", "wait=1.5", "handling=strict", "wait=99999999999", "await=7"):
        answer = await served.client.post("/v1/documents", json={"text": "x"}, headers={"Prefer": value})
        assert (answer.status_code, answer.headers.get("preference-applied")) == (202, None), value
    for value in ("wait=0", 'Wait="0"; x=1', "wait=0, wait=60"):
        answer = await served.client.post("/v1/documents", json={"text": "x"}, headers={"Prefer": value})
        assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0"), value


async def test_it_goes_with_a_key(served: Served) -> None:
    key = {"Idempotency-Key": '"a"'}
    first = waiting(served, **key)
    (board,) = await watched(served, 1)
    # The first request's work is done: its answer is out for whoever asks again, who may wait as well.
    plain = await served.client.post("/v1/documents", json={"text": "x"}, headers=key)
    assert (plain.status_code, plain.json()["status"], plain.headers["idempotency-replayed"]) == (202, "open", "true")
    again = waiting(served, **key)
    await watched(served, 2)
    await finish(served.service.store, board)
    answers = await asyncio.gather(first, again)
    assert {answer.json()["status"] for answer in answers} == {"completed"}
    assert {answer.headers.get("preference-applied") for answer in answers} == {"wait=60"}


async def test_many_cost_no_connection_to_the_server(served: Served, redis_store: RedisStore) -> None:
    async def connections() -> int:
        return len(await redis_store._commands.client_list())

    first = waiting(served)
    await watched(served, 1)
    before = await connections()
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=served.base, timeout=60, limits=limits) as client:
        asked = [client.post("/v1/documents", json={"text": "x"}, headers=LONG) for _ in range(100)]
        others = [asyncio.create_task(each) for each in asked]
        boards = await watched(served, 101)
        # A subscription's connection to the server is shared by all boards, however many there are.
        assert await connections() <= before + 1
        await asyncio.gather(*(finish(served.service.store, board) for board in boards))
        answers = await asyncio.gather(first, *others)
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(202, "completed")}


async def test_who_leaves_is_forgotten(served: Served) -> None:
    body = b'{"text": "x"}'
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(
        b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nPrefer: wait=60\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    boards = await watched(served, 1)
    writer.close()
    assert await watched(served, 0) == boards


async def test_a_service_that_stops_says_how_far_it_is(served: Served) -> None:
    asked = waiting(served)
    (board,) = await watched(served, 1)
    served.server.stop()
    answer = await asked
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, board, "open")


async def test_whom_somebody_waits_for_goes_before_the_rest(redis_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with door(redis_url, tmp_path, slow(lines, gate), roles="controller worker", slots=1) as opened:
        first = await opened.submit("busy", priority="batch")
        await until(lambda: _running(opened, first))
        batch = [await opened.submit(f"batch {n}", priority="batch") for n in range(4)]

        async def queued() -> bool:
            return await opened.service.queue.depth("lines", "1") == 4

        await until(queued)
        urgent = await opened.submit("urgent", priority="interactive")

        async def all_queued() -> bool:
            return await opened.service.queue.depth("lines", "1") == 5

        await until(all_queued)
        gate.set()
        ended = {board: (await opened.ended(board)) for board in (first, urgent, *batch)}
        claims = {board: await _claimed_at(opened, board) for board in ended}
        assert claims[first] < claims[urgent] < min(claims[board] for board in batch)


async def _running(opened: Door, board: str) -> bool:
    return ("lines", "1", "upload/original", "running") in await opened.runs(board)


async def _claimed_at(opened: Door, board: str) -> int:
    items = (await opened.get(f"/v1/boards/{board}/activations"))["items"]
    return int(items[0]["claimed_at"])
