"""Watching over HTTP: resume at every place, a clean end, resets, and many watchers for the price of one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.errors import StorageUnavailable
from blackboard.memory import MemoryStore
from blackboard.store import RedisStore, open_store
from controller.http import streaming
from controller.http import streams as door
from controller.http.streaming import RETRY_MS
from tests.integration.serving import Event, Served, parse, serving, watch
from tests.making import end, person, put, until


@pytest.fixture
async def served(redis_store: RedisStore) -> AsyncIterator[Served]:
    """A service on a real server."""
    async with serving(redis_store, limit_streams=500) as served:
        yield served


async def fill(served: Served, board: str, records: int = 48) -> None:
    """Records with a refused one here and there, and the end."""
    store = served.service.store
    for number in range(records):
        await person(store, board, put(f"page/{number % 5:04}", number), id=f"c{number}")
        if number % 16 == 1:
            await person(store, board, put("page/0000"), checks=(("page/0000", 999),), note=True)
    await end(store, board)


async def ids_of(served: Served, board: str) -> list[str]:
    """Every id of a board's log."""
    return [f"{record.incarnation}.{record.id}" for record in await served.service.store.log(board)]


def ids(events: list[Event]) -> list[str]:
    """The ids of events that have one."""
    return [event.id for event in events if event.id]


async def test_a_stream_in_full(served: Served) -> None:
    board = await served.submit()
    await fill(served, board)
    answer = await served.client.get(f"/v1/boards/{board}/events")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    retry = re.match(rb"retry: (\d+)\n\n", answer.content)
    assert retry is not None and RETRY_MS[0] <= int(retry[1]) <= RETRY_MS[1]
    events = parse(answer.content)
    assert ids(events) == await ids_of(served, board)
    lines = (await served.client.get(f"/v1/boards/{board}/log")).text.splitlines()
    assert (events[-1].event, events[-1].id, events.pop().data) == ("stream.closing", "", {"reason": "finished"})
    assert [event.data for event in events] == [httpx2.Response(200, text=line).json() for line in lines]


async def test_resuming_at_every_place(served: Served) -> None:
    board = await served.submit()
    await fill(served, board)
    all = await ids_of(served, board)
    assert len(all) == 53
    for at, last in enumerate(all[:-1]):
        status, events = await watch(served.client, board, last)
        assert (status, ids(events)) == (200, all[at + 1 :])
    assert await watch(served.client, board, all[-1]) == (204, [])


async def test_cut_off_and_resumed_over_and_over(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    seen: list[str] = []
    for number in range(25):
        for _ in range(number % 3 + 1):
            await person(store, board, put("page/0001", number))
        headers = {"Last-Event-ID": seen[-1]} if seen else {}
        async with served.client.stream("GET", f"/v1/boards/{board}/events", headers=headers) as answer:
            chunks, text = answer.aiter_raw(), b""
            while not ids(parse(text)):
                text += await anext(chunks)
        # The client has dropped the connection, whatever was still on its way.
        seen += ids(parse(text))
    await end(store, board)
    _, events = await watch(served.client, board, seen[-1])
    assert seen + ids(events) == await ids_of(served, board)
    assert await watch(served.client, board, ids(events)[-1]) == (204, [])
    await until(lambda: _is(served.service.feed.watchers == 0))


async def _is(value: bool) -> bool:
    return value


async def test_the_header_wins_over_the_parameter(served: Served) -> None:
    board = await served.submit()
    await fill(served, board, 5)
    all = await ids_of(served, board)
    events = parse((await served.client.get(f"/v1/boards/{board}/events?after={all[3]}")).content)
    assert ids(events) == all[4:]
    answer = await served.client.get(f"/v1/boards/{board}/events?after={all[3]}", headers={"Last-Event-ID": all[1]})
    assert ids(parse(answer.content)) == all[2:]


@pytest.mark.parametrize("last", ["{}.99999-0", "0123456789ab.1-0", "{}.1-5"])
async def test_places_outside_the_history(served: Served, last: str) -> None:
    board = await served.submit()
    await fill(served, board, 5)
    all = await ids_of(served, board)
    status, events = await watch(served.client, board, last.replace("{}", all[0].partition(".")[0]))
    assert (status, [event.event for event in events]) == (200, ["reset", "stream.closing"])
    assert events[0].id == all[-1]
    assert events[0].data["head"]["status"] == "completed"
    assert await watch(served.client, board, events[0].id) == (204, [])


async def test_pings_and_progress(memory_store: MemoryStore) -> None:
    async with serving(memory_store, ping_s=0.1) as served:
        board = await served.submit()
        async with served.client.stream("GET", f"/v1/boards/{board}/events") as answer:
            text = b""
            async for chunk in answer.aiter_raw():
                text += chunk
                if b"event: progress" not in text:
                    # Nobody says when a subscription stands; what is published before is lost.
                    await memory_store.publish(board, b'{"done":1,"total":2}')
                elif text.endswith(b": ping\n\n"):
                    break
        progress = next(event for event in parse(text) if event.event == "progress")
        assert (progress.id, progress.data) == ("", {"done": 1, "total": 2})


async def raw_watch(port: int, board: str, last: str = "", begun: asyncio.Barrier | None = None) -> bytes:
    """A stream to its end over a bare connection: 200 of them cost less than as many clients.

    `begun`: where to wait for others once the first message is here.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    resume = f"Last-Event-ID: {last}\r\n" if last else ""
    writer.write(f"GET /v1/boards/{board}/events HTTP/1.1\r\nHost: x\r\n{resume}Connection: close\r\n\r\n".encode())
    seen = b""
    if begun is not None:
        seen = await reader.readuntil(b"\n\n")
        await begun.wait()
    body, rest = b"", (seen + await reader.read()).partition(b"\r\n\r\n")[2]
    while rest and not rest.startswith(b"0\r\n"):
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    assert rest == b"0\r\n\r\n", "the body is not complete"
    writer.close()
    return body


async def test_two_hundred_watch_one_board(served: Served) -> None:
    board = await served.submit()
    watching = [asyncio.create_task(raw_watch(served.server.port, board)) for _ in range(200)]
    await until(lambda: _is(served.service.feed.watchers == 200))
    await fill(served, board)
    expected = await ids_of(served, board)
    for text in await asyncio.gather(*watching):
        assert ids(parse(text)) == expected


async def test_a_client_that_does_not_read_holds_nothing_back(served: Served) -> None:
    board = await served.submit()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
    writer.write(f"GET /v1/boards/{board}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readline()
    store = served.service.store
    for number in range(100):
        await person(store, board, put("page/0001", f"{number}" + "x" * 100_000))
    await end(store, board)
    expected = await ids_of(served, board)
    _, events = await watch(served.client, board)
    assert ids(events) == expected
    rest = await _drain(reader)
    assert rest.count(b"\nid: ") == len(expected)
    writer.close()


async def test_a_client_that_never_reads_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALLED_S", 0.2)
    monkeypatch.setattr(streaming, "STALLED_SOON_S", 0.2)
    board = await served.submit()
    _, writer = await asyncio.open_connection("127.0.0.1", served.server.port, limit=1024)
    writer.write(f"GET /v1/boards/{board}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await until(lambda: _is(served.service.feed.watchers == 1))
    for number in range(150):  # more than the socket's buffers hold
        await person(served.service.store, board, put("page/0001", f"{number}" + "x" * 200_000))
    await until(lambda: _is(served.service.feed.watchers == 0))
    writer.close()


async def _drain(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while not found.endswith(b"\r\n0\r\n\r\n"):
        found += await reader.read(1 << 20)
    return found


async def test_a_process_streams_to_so_many_only(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MOST_STREAMS", 1)
    board = await served.submit()
    async with served.client.stream("GET", f"/v1/boards/{board}/events") as answer:
        chunks = answer.aiter_raw()  # once nobody holds it, the client hangs up
        await anext(chunks)
        await until(lambda: _is(served.service.feed.watchers == 1))
        refused = await served.client.get(f"/v1/boards/{board}/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")


async def test_leaving_is_noticed(served: Served) -> None:
    board = await served.submit()
    feed = served.service.feed
    async with served.client.stream("GET", f"/v1/boards/{board}/events") as answer:
        chunks = answer.aiter_raw()  # once nobody holds it, the client hangs up
        await anext(chunks)
        await until(lambda: _is(feed.watchers == 1))
    await until(lambda: _is(feed.watchers == 0))
    assert not feed._taps


async def test_stopping_ends_streams_with_a_complete_body(memory_store: MemoryStore) -> None:
    async with serving(memory_store) as served:
        board = await served.submit()
        everybody = asyncio.Barrier(21)
        watching = [asyncio.create_task(raw_watch(served.server.port, board, begun=everybody)) for _ in range(20)]
        await asyncio.wait_for(everybody.wait(), 10)
        began = time.perf_counter()
        served.server.handle_exit(signal.SIGTERM, None)
        texts = await asyncio.gather(*watching)
        assert time.perf_counter() - began < 2
        for text in texts:
            created, closing = parse(text)
            assert (created.event, closing.event, closing.data) == (
                "board.created",
                "stream.closing",
                {"reason": "shutdown"},
            )


PROGRAM = """
import asyncio, sys
from blackboard.blobs import Blobs
from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.errors import StorageUnavailable
from blackboard.memory import MemoryStore
from controller.http.app import create_app
from controller.http.server import serve
from controller.settings import Settings
from tests.integration.serving import Small

async def main():
    store = MemoryStore(Blobs.at("memory://"))
    service = Small(store, store.blobs, Settings(_env_file=None))
    ready = asyncio.Event()
    serving = asyncio.create_task(serve(create_app(service), "127.0.0.1", 0, ready=ready, uds=sys.argv[1]))
    await ready.wait()
    print("ready", flush=True)
    await serving
    await service.feed.close()
    print("drained", flush=True)

asyncio.run(main())
"""


@pytest.mark.long
async def test_a_signal_ends_streams_and_leaves_time_to_drain(tmp_path: Path) -> None:
    socket = tmp_path / "http.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(socket), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    transport = httpx2.AsyncHTTPTransport(uds=str(socket))
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        board = (await client.post("/v1/documents", json={"text": "a"})).json()["id"]
        async with client.stream("GET", f"/v1/boards/{board}/events") as answer:
            chunks: Any = answer.aiter_raw()
            text = b""
            while not ids(parse(text)):
                text += await anext(chunks)
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                # A body that is cut off raises here.
                text += b"".join([chunk async for chunk in chunks])
    assert len(ids(parse(text))) == 1
    assert await process.stdout.readline() == b"drained\n"
    assert await process.wait() == 0


async def test_streams_outlive_the_server(tmp_path: Path) -> None:
    running = await start_server(tmp_path, options=("--appendfsync", "always"))
    store = await open_store(running.url, Blobs.at("memory://"))
    try:
        async with serving(store) as served:
            board = await served.submit()
            watching = [asyncio.create_task(raw_watch(served.server.port, board)) for _ in range(5)]
            await until(lambda: _is(served.service.feed.watchers == 5))
            await person(store, board, put("page/0001", "before"))
            running.kill()
            running = await start_server(tmp_path, options=("--appendfsync", "always"))
            await until(lambda: _written(store, board))
            await end(store, board)
            expected = await ids_of(served, board)
            for text in await asyncio.gather(*watching):
                assert ids(parse(text)) == expected
            assert len(expected) == 4
    finally:
        await store.close()
        await running.stop()


async def _written(store: RedisStore, board: str) -> bool:
    with contextlib.suppress(StorageUnavailable):
        return (await person(store, board, put("page/0001", "after"), id="after")).ok
    return False
