"""Every watcher sees every record once and in order, wherever it starts, however slow it is, whatever the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard import ring as rings
from blackboard.blobs import Blobs
from blackboard.channel import Channel
from blackboard.entries import Commit
from blackboard.errors import BoardGone, StorageUnavailable, UsageError
from blackboard.events import LogRecord
from blackboard.feed import Feed
from blackboard.memory import MemoryStore
from blackboard.messages import PING, PLAIN, START, Item, Place, Position, message_of
from blackboard.ports import Store
from tests.integration.serving import Event, parse
from tests.making import consistent, end, new_board, person, put, until


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
async def feed(store: Store) -> AsyncIterator[Feed]:
    """A feed that is closed behind the test."""
    feed = Feed(store, ping_s=60)
    yield feed
    await feed.close()


async def seen(feed: Feed, board: str, after: Position | None = None) -> list[Event]:
    """A stream to its end."""
    return parse(b"".join([chunk async for chunk in feed.subscribe(board, after)]))


async def expected(store: Store, board: str) -> list[str]:
    """The ids of a board's records."""
    return [f"{record.incarnation}.{record.id}" for record in await store.log(board)]


async def busy_board(store: Store, records: int = 50) -> str:
    """An ended board with notes between its records."""
    board = await new_board(store)
    for number in range(records):
        await person(store, board, put(f"page/{number % 7:04}", number), id=f"c{number}")
        if number % 5 == 0:
            refused = await person(store, board, put("page/0000"), checks=(("page/0000", 999),), note=True)
            assert refused.status == "conflict"
    await end(store, board)
    return board


async def test_a_watcher_resumes_at_every_place(store: Store, feed: Feed) -> None:
    board = await busy_board(store)
    ids = await expected(store, board)
    assert len(ids) > 60
    assert [event.id for event in await seen(feed, board)] == ids
    for at, id in enumerate(ids):
        assert [event.id for event in await seen(feed, board, Position.parse(id))] == ids[at + 1 :]
    assert feed.watchers == 0


async def test_many_watch_while_it_happens(store: Store, feed: Feed) -> None:
    board = await new_board(store)
    watching = [asyncio.create_task(seen(feed, board)) for _ in range(50)]
    for number in range(40):
        await person(store, board, put("page/0001", number), id=f"c{number}")
        if number % 10 == 3:
            await person(store, board, put("page/0001"), checks=(("page/0001", 999),), note=True)
            watching.append(asyncio.create_task(seen(feed, board)))
    await end(store, board)
    ids = await expected(store, board)
    for events in await asyncio.gather(*watching):
        assert [event.id for event in events] == ids


async def test_data_is_the_record(store: Store, feed: Feed) -> None:
    board = await new_board(store)
    await person(store, board, put("page/0001", {"text": "line\nbreak \u2028"}))
    await end(store, board)
    _, log = await consistent(store, board)
    events = await seen(feed, board)
    assert [event.event for event in events] == [record.type for record in log]
    assert events[1].data["values"]["page/0001"] == {"text": "line\nbreak \u2028"}
    assert events[1].data["revision"] == 2


async def test_a_watcher_that_is_left_behind_reads_the_log(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "MOST_MESSAGES", 8)
    board = await new_board(store)
    slow = feed.subscribe(board)
    first = await anext(slow)
    quick = asyncio.create_task(seen(feed, board))
    for number in range(100):
        await person(store, board, put("page/0001", number), id=f"c{number}")
    await end(store, board)
    ids = await expected(store, board)
    assert [event.id for event in await quick] == ids
    async with aclosing(slow):
        rest = b"".join([chunk async for chunk in slow])
    assert [event.id for event in parse(first + rest)] == ids


async def test_what_waits_is_joined_and_bounded(store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "MOST_BYTES", 20_000)
    monkeypatch.setattr(rings, "CHUNK", 5_000)
    board = await new_board(store)
    slow = feed.subscribe(board)
    chunks = [await anext(slow)]
    for number in range(200):
        await person(store, board, put("page/0001", "x" * 300 + str(number)), id=f"c{number}")
    await end(store, board)
    ids = await expected(store, board)
    held = feed._taps[board].channel(PLAIN)
    await until(lambda: _true(held.ended))
    assert held._size <= 20_000
    async with aclosing(slow):
        chunks += [chunk async for chunk in slow]
    assert [event.id for event in parse(b"".join(chunks))] == ids
    assert len(chunks) < 40


async def _true(value: bool) -> bool:
    return value


@pytest.mark.parametrize("id", ["0000.1-0", "i1.999-0", "i1.1-7", "i1.2-99999"])
async def test_a_place_outside_the_history_gets_a_reset(store: Store, feed: Feed, id: str) -> None:
    board = await new_board(store)
    await person(store, board, put("page/0001", "one"))
    stream = feed.subscribe(board, Position.parse(id))
    (reset,) = parse(await anext(stream))
    assert (reset.event, reset.id) == ("reset", "i1.2-0")
    assert reset.data["values"] == {"page/0001": "one"}
    assert reset.data["entries"]["page/0001"]["version"] == "1"
    assert reset.data["head"]["status"] == "open"
    await end(store, board)
    assert [event.id for event in parse(b"".join([chunk async for chunk in stream]))] == ["i1.3-0"]


async def test_after_the_end_nothing_follows(store: Store, feed: Feed) -> None:
    board = await busy_board(store, 3)
    last = (await expected(store, board))[-1]
    assert await seen(feed, board, Position.parse(last)) == []
    (reset,) = await seen(feed, board, Position("other", START))
    assert (reset.event, reset.id) == ("reset", last)


async def test_progress_carries_no_id(store: Store, feed: Feed) -> None:
    board = await new_board(store)
    stream = feed.subscribe(board)
    assert [event.id for event in parse(await anext(stream))] == ["i1.1-0"]
    told: asyncio.Task[bytes] = asyncio.ensure_future(anext(stream))
    while not told.done():
        # Nobody says when a subscription stands, and what is published before is lost.
        await store.publish(board, b'{"done": 1,\n"total": 3}')
        await asyncio.sleep(0.01)
    assert b'event: progress\ndata: {"done": 1, "total": 3}\n\n' in told.result()
    assert b"id:" not in told.result()
    await stream.aclose()


async def test_an_idle_stream_says_that_it_is_alive(store: Store) -> None:
    feed = Feed(store, ping_s=0.05)
    board = await new_board(store)
    stream = feed.subscribe(board)
    await anext(stream)
    assert await anext(stream) == PING
    assert (await anext(stream)).startswith(PING)
    await stream.aclose()
    await feed.close()


async def test_finishing_ends_streams_at_once(store: Store, feed: Feed) -> None:
    board = await new_board(store)
    watching = [asyncio.create_task(seen(feed, board)) for _ in range(5)]
    await until(lambda: _true(feed.watchers == 5))
    feed.finish()
    async with asyncio.timeout(1):
        await asyncio.gather(*watching)
    assert await seen(feed, board) == []
    await feed.close()


async def test_unknown_boards_are_gone(store: Store, feed: Feed) -> None:
    with pytest.raises(BoardGone):
        await anext(feed.subscribe(store.new_id("acme")))


async def test_records_of_other_processes_arrive(redis_store: Any, redis_url: str) -> None:
    from blackboard.store import open_store

    other = await open_store(redis_url, Blobs.at("memory://"))
    feed = Feed(redis_store, ping_s=60)
    board = await new_board(other)
    watching = asyncio.create_task(seen(feed, board))
    await until(lambda: _true(feed.watchers == 1))
    for number in range(10):
        await person(other, board, put("page/0001", number), id=f"c{number}")
    await end(other, board)
    async with asyncio.timeout(5):
        assert [event.id for event in await watching] == await expected(other, board)
    await feed.close()
    await other.close()


class Flaky(MemoryStore):
    """Its reads fail as often as told."""

    failures = 0

    async def log(self, board: str, after: str = "0-0", *, count: int | None = None) -> list[LogRecord]:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("away")
        return await super().log(board, after, count=count)


async def test_a_stream_outlives_an_outage() -> None:
    store = Flaky(Blobs.at("memory://"))
    feed = Feed(store, ping_s=60)
    board = await new_board(store)
    watching = asyncio.create_task(seen(feed, board))
    await until(lambda: _true(feed.watchers == 1))
    store.failures = 3
    await person(store, board, put("page/0001"))
    await end(store, board)
    assert [event.id for event in await watching] == ["i1.1-0", "i1.2-0", "i1.3-0"]
    assert store.failures == 0
    await feed.close()


async def test_a_history_that_was_replaced_resets_everybody() -> None:
    store = MemoryStore(Blobs.at("memory://"))
    feed = Feed(store, ping_s=60)
    board = await new_board(store)
    for number in range(5):
        await person(store, board, put("page/0001", number), id=f"c{number}")
    streams = [feed.subscribe(board) for _ in range(3)]
    for stream in streams:
        assert parse(await anext(stream))[-1].id == "i1.6-0"
    # The server came back without its tail, and the board went on under a new incarnation.
    shelf = store._shelves.pop(board)
    again = Commit(
        "board.created", "x", id="n", create=True, head={"status": "open", "tenant": "acme", "incarnation": "i2"}
    )
    await store.commit(board, again)
    for number in range(7):
        await person(store, board, put("page/0002", number), id=f"d{number}")
    assert shelf.board.revision == 6
    await end(store, board)
    for stream in streams:
        events = parse(b"".join([chunk async for chunk in stream]))
        assert events[0].event == "reset"
        assert events[0].id.startswith("i2.")
        assert events[0].data["values"]["page/0002"] is not None
    await feed.close()


@pytest.mark.parametrize(
    "text", ["", "abc", "-1", "1-0", "i1.1", "i1.01-0", "i1.-1-0", f"i1.{10**30}-0", "I1.1-0", "i1.1-0 "]
)
def test_ids_that_no_stream_gave(text: str) -> None:
    with pytest.raises(UsageError):
        Position.parse(text)


@given(
    st.lists(st.sampled_from(["record", "note", "ping", "trim"]), max_size=60), st.lists(st.integers(0, 60), max_size=8)
)
@settings(deadline=None)
async def test_reading_from_any_index_gives_what_follows(steps: list[str], starts: list[int]) -> None:
    channel = Channel(Position("i", START))
    written: list[tuple[Place, bytes]] = []
    place = Place(0, 0)
    for step in steps:
        if step == "ping":
            channel.say(PING)
        elif step == "trim":
            channel.trim(300)
        else:
            place = (
                Place(place.revision, place.n + 1)
                if step == "note" and place.revision
                else Place(place.revision + 1, 0)
            )
            record = LogRecord(place.revision, place.n, 0, "board.changed", "x", "i")
            channel.take([Item(record)])
            written.append((place, message_of(record).sse))
    for start in [Place(0, 0), *(written[at][0] for at in starts if at < len(written))]:
        index = channel.find(start)
        if index is None:
            assert start < channel.floor
            continue
        got = b""
        while (found := channel.read(index))[0]:  # type: ignore[index]
            assert found is not None
            got += found[0]
            index = found[1]
        assert got.replace(PING, b"") == b"".join(message for at, message in written if at > start)
