"""Watching with a lens: filters, JSON lines, a snapshot to begin with, how many may watch, and who is too slow."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackboard import channel as channels
from blackboard import following
from blackboard.blobs import Blobs
from blackboard.board import fold
from blackboard.errors import TooManyStreams
from blackboard.events import LogRecord, from_json
from blackboard.feed import Feed
from blackboard.memory import MemoryStore
from blackboard.messages import Lens, Position, mark_of, place_of
from blackboard.ports import Store
from blackboard.store import RedisStore, open_store
from controller.http import streaming
from controller.streams import COUNT, Streams
from tests.integration.serving import Event, Served, parse, serving
from tests.making import activation, agenda, end, new_board, person, put, source, until

NDJSON = {"accept": "application/x-ndjson"}
WORDS = ("level", "source", "type")


@pytest.fixture
async def served(redis_store: RedisStore) -> AsyncIterator[Served]:
    """A service on a real server."""
    async with serving(redis_store) as served:
        yield served


@pytest.fixture
async def small(memory_store: MemoryStore) -> AsyncIterator[Served]:
    """A service in memory."""
    async with serving(memory_store) as served:
        yield served


async def mixed_board(store: Store) -> str:
    """Records of several types, levels and sources, a note among them, and the end."""
    board = await new_board(store, tenant="default")
    for number in range(6):
        await source(store, board, "ocr", put(f"page/{number:04}", number))
        await source(store, board, "claims", put(f"claim/{number:04}", number), put("extra/0001", number))
        await agenda(store, board, activation(f"a{number}", source="ocr", binding=f"layer/{number:04}"))
        await person(store, board, put(f"page/{number:04}"), checks=((f"page/{number:04}", 99),), note=True)
    await end(store, board)
    return board


def wanted(log: list[LogRecord], **filters: str) -> list[str]:
    """The ids of the records that the filters let through, by the words of the documentation."""
    asked = {name: set(words.split(",")) for name, words in filters.items()}
    return [
        f"{record.incarnation}.{record.id}"
        for record, mark in ((record, mark_of(record)) for record in log)
        if record.is_terminal
        or (
            record.type in asked.get("type", {record.type})
            and mark.sources & asked.get("source", mark.sources)
            and (mark.levels & asked["level"] if "level" in asked else True)
        )
    ]


def records_in(events: list[Event]) -> list[str]:
    """The ids of events that are records."""
    return [event.id for event in events if event.id and not event.event.startswith("stream.")]


def lines_in(text: bytes) -> list[Event]:
    """A stream of JSON lines."""
    shown = [orjson.loads(line) for line in text.splitlines()]
    return [Event(each.get("id", ""), each["event"], each.get("data")) for each in shown]


FILTERS = [
    {"level": "page"},
    {"level": "page,claim"},
    {"source": "ocr"},
    {"source": "person:ann"},
    {"type": "contribution.committed"},
    {"type": "contribution.refused,controller.decided"},
    {"level": "claim", "source": "ocr"},
    {"level": "page", "source": "ocr", "type": "contribution.committed"},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_a_filtered_stream_has_what_passes_and_the_end(small: Served, filters: dict[str, str]) -> None:
    store = small.service.store
    board = await mixed_board(store)
    log = await store.log(board)
    expected = wanted(log, **filters)
    assert 1 <= len(expected) < len(log)
    url = f"/v1/boards/{board}/events"
    events = parse((await small.client.get(url, params=filters)).content)
    assert records_in(events) == expected
    assert (events[-2].event, events[-1].event) == ("board.completed", "stream.closing")
    for last in (f"{record.incarnation}.{record.id}" for record in log[:-1]):
        # What was left out has an id, too: a watcher may name any place.
        answer = await small.client.get(url, params=filters, headers={"Last-Event-ID": last})
        at = [f"{record.incarnation}.{record.id}" for record in log].index(last)
        assert records_in(parse(answer.content)) == wanted(log[at + 1 :], **filters)
    done = await small.client.get(url, params=filters, headers={"Last-Event-ID": expected[-1]})
    assert done.status_code == 204


def test_what_a_record_is_of() -> None:
    claimed = LogRecord(2, 0, 0, "activation.claimed", "w1", "i", agenda={"a": b'running|1||{"source":"ocr"}'})
    assert mark_of(claimed).sources == {"w1", "ocr"}
    body = orjson.dumps({"mismatches": [{"key": "page/0001", "expected": "1", "actual": "2"}]})
    assert mark_of(LogRecord(2, 1, 0, "contribution.refused", "ocr", "i", body=body)).levels == {"page"}


async def test_many_lenses_share_what_is_alike(served: Served) -> None:
    store = served.service.store
    board = await new_board(store, tenant="default")
    url = f"/v1/boards/{board}/events"
    asked = [*FILTERS, {}] * 3
    watching = [asyncio.create_task(served.client.get(url, params=filters)) for filters in asked]
    await until(lambda: _is(served.service.feed.watchers == len(asked)))
    tap = served.service.feed._taps[board]
    assert len(tap.channels) == len(FILTERS) + 1
    for number in range(20):
        await source(store, board, ("ocr", "claims")[number % 2], put(f"page/{number:04}", number))
        await source(store, board, "claims", put(f"claim/{number:04}", number))
    await end(store, board)
    log = await store.log(board)
    for filters, answer in zip(asked, await asyncio.gather(*watching), strict=True):
        assert records_in(parse(answer.content)) == wanted(log, **filters)
    assert served.service.feed.watchers == 0


async def _is(value: bool) -> bool:
    return value


async def test_bookmarks_move_the_place_to_resume_at(
    memory_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "BOOKMARK_EVERY", 10)
    async with serving(memory_store) as served:
        board = await new_board(memory_store, tenant="default")
        url = f"/v1/boards/{board}/events"
        watching = asyncio.create_task(served.client.get(url, params={"source": "ocr"}))
        await until(lambda: _is(served.service.feed.watchers == 1))
        for number in range(35):
            await source(memory_store, board, "claims", put("claim/0001", number))
        await end(memory_store, board)
        events = parse((await watching).content)
        assert records_in(events) == ["i1.37-0"]
        marks = [event for event in events if event.event == "stream.bookmark"]
        assert len(marks) >= 3
        assert marks[0].data == {"revision": int(marks[0].id[3:-2])}
        for mark in marks:
            answer = await served.client.get(url, headers={"Last-Event-ID": mark.id})
            assert records_in(parse(answer.content))[0] == f"i1.{mark.data['revision'] + 1}-0"


async def test_an_idle_filtered_stream_lives_by_bookmarks(memory_store: MemoryStore) -> None:
    async with serving(memory_store, ping_s=0.1) as served:
        board = await mixed_board_open(memory_store)
        url = f"/v1/boards/{board}/events"
        for headers, form in (({}, parse), (NDJSON, lines_in)):
            async with served.client.stream("GET", url, params={"level": "none"}, headers=headers) as answer:
                chunks, text = answer.aiter_raw(), b""
                while text.count(b"ping") < 2:
                    text += await anext(chunks)
                await person(memory_store, board, put("page/0001", text.hex()))
                while text.count(b"stream.bookmark") < 2:
                    text += await anext(chunks)
            await asyncio.sleep(0)
            events = [event for event in form(text[: text.rindex(b"\n") + 1]) if event.event != "ping"]
            assert {event.event for event in events} == {"stream.bookmark"}
            assert events[-1].id == f"i1.{(await memory_store.head(board))['revision']}-0"  # type: ignore[index]


async def mixed_board_open(store: Store) -> str:
    board = await new_board(store, tenant="default")
    await person(store, board, put("page/0001", "one"))
    return board


async def test_lines_say_what_events_say(served: Served) -> None:
    board = await mixed_board(served.service.store)
    url = f"/v1/boards/{board}/events"
    events = await served.client.get(url)
    lines = await served.client.get(url, headers=NDJSON)
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert lines.headers["vary"] == events.headers["vary"] == "Accept"
    assert lines_in(lines.content) == parse(events.content)
    log = await served.service.store.log(board)
    data = [orjson.dumps(event.data) for event in lines_in(lines.content)[:-1]]
    assert [from_json(each) for each in data] == log
    middle = f"{log[3].incarnation}.{log[3].id}"
    rest = await served.client.get(url, headers={**NDJSON, "Last-Event-ID": middle})
    assert lines_in(rest.content) == parse(events.content)[4:]


@pytest.mark.parametrize(
    ("accept", "lines"),
    [
        ("application/x-ndjson", True),
        ("application/ndjson", True),
        ("application/x-ndjson, */*;q=0.1", True),
        ("text/event-stream, application/x-ndjson;q=0.5", False),
        ("application/x-ndjson;q=0, */*", False),
        ("application/x-ndjson;q=high", False),
        ("text/event-stream", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
async def test_accept_decides_the_form(small: Served, accept: str, lines: bool) -> None:
    board = await mixed_board(small.service.store)
    answer = await small.client.get(f"/v1/boards/{board}/events", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/x-ndjson" if lines else "text/event-stream")


async def test_a_snapshot_then_what_follows(served: Served) -> None:
    store = served.service.store
    board = await new_board(store, tenant="default")
    stop = asyncio.Event()

    async def writing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await person(store, board, put(f"page/{number % 5:04}", number))
        await end(store, board)

    writer = asyncio.create_task(writing())
    url = f"/v1/boards/{board}/events"
    watching = []
    for _ in range(10):
        watching.append(asyncio.create_task(served.client.get(url, params={"snapshot": "true"})))
        await asyncio.sleep(0.02)
    await until(lambda: _is(served.service.feed.watchers == 10))
    stop.set()
    await writer
    log = await store.log(board)
    for answer in await asyncio.gather(*watching):
        first, *rest = parse(answer.content)
        assert (first.event, first.id) == ("board.snapshot", f"i1.{first.data['revision']}-0")
        at = first.data["revision"]
        assert records_in(rest) == [f"i1.{record.id}" for record in log[at:]]
        then = fold(board, log[:at])
        assert first.data["values"] == {key: orjson.loads(value) for key, value in then.values.items()}
        assert first.data["head"] == then.head


async def test_a_snapshot_of_what_has_ended_and_after_it_nothing(small: Served) -> None:
    board = await mixed_board(small.service.store)
    url = f"/v1/boards/{board}/events?snapshot=true&level=page"
    events = parse((await small.client.get(url)).content)
    assert [event.event for event in events] == ["board.snapshot", "stream.closing"]
    # A browser comes back to the same address; the header says where it was.
    again = await small.client.get(url, headers={"Last-Event-ID": events[0].id})
    assert again.status_code == 204
    log = await small.service.store.log(board)
    resumed = await small.client.get(url, headers={"Last-Event-ID": f"i1.{log[4].id}"})
    assert records_in(parse(resumed.content)) == wanted(log[5:], level="page")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("level=Page", "level"),
        ("level=", "level"),
        ("level=page,,claim", "level"),
        ("level=" + ",".join(["page"] * 51), "level"),
        ("source=a b", "source"),
        ("type=contribution", "type"),
        ("type=board.snapshot", "type"),
        ("snapshot=1", "snapshot"),
        ("snapshot=true&after=i1.1-0", "snapshot"),
        ("after=x", "after"),
        ("level=page&level=claim", "level"),
        ("levels=page", None),
    ],
)
async def test_parameters_that_are_off(small: Served, query: str, name: str | None) -> None:
    board = await mixed_board(small.service.store)
    answer = await small.client.get(f"/v1/boards/{board}/events?{query}")
    shown = answer.json()
    assert (answer.status_code, shown["type"].rpartition("/")[2]) == (400, "invalid-parameter")
    assert shown.get("parameter") == name


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that ends at once."""
    monkeypatch.setattr(following, "BLOCK_MS", 10)


STEPS = st.lists(st.sampled_from(["ocr", "claims", "note", "agenda", "ann"]), min_size=1, max_size=40)


@given(STEPS, st.sampled_from([{}, *FILTERS]), st.lists(st.integers(0, 12), max_size=12), st.booleans())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("restless")
async def test_any_disconnects_give_each_once(
    steps: list[str], filters: dict[str, str], cuts: list[int], lines: bool
) -> None:
    """Whoever comes back with the last id it saw gets 1..terminal of what passes, each once, wherever it was cut off."""
    store = MemoryStore(Blobs.at("memory://"))
    feed = Feed(store, ping_s=0.1)
    board = await new_board(store)
    lens = Lens(*(frozenset(filters[name].split(",") if name in filters else ()) for name in WORDS), lines)
    form = lines_in if lines else parse
    seen: list[str] = []
    last: Position | None = None
    for cut in cuts:
        for _ in range(cut):
            await one_step(store, board, steps.pop() if steps else "ann")
        async with aclosing(feed.subscribe(board, last, lens=lens)) as chunks:
            for _ in range(await _more(store, board, filters, last)):
                got = form(await anext(chunks))
                seen += records_in(got)
                last = next((Position.parse(event.id) for event in reversed(got) if event.id), last)
    await end(store, board)
    rest = [event async for chunk in feed.subscribe(board, last, lens=lens) for event in form(chunk)]
    assert seen + records_in(rest) == wanted(await store.log(board), **filters)
    await feed.close()


async def _more(store: Store, board: str, filters: dict[str, str], last: Position | None) -> int:
    """How many chunks may be waited for: one where a record is still to come."""
    log = await store.log(board)
    fresh = [record for record in log if last is None or place_of(record) > last.place]
    return min(1, len(wanted(fresh, **filters)))


async def one_step(store: Store, board: str, step: str) -> None:
    if step == "note":
        await person(store, board, put("page/0001"), checks=(("page/0001", 999),), note=True)
    elif step == "agenda":
        await agenda(store, board, activation("a1", source="ocr", binding="x"))
    elif step == "ann":
        await person(store, board, put("page/0002"))
    else:
        await source(store, board, step, put("claim/0001" if step == "claims" else "page/0003", step))


async def test_streams_per_key_over_all_processes(redis_store: RedisStore, redis_url: str) -> None:
    other_store = await open_store(redis_url, Blobs.at("memory://"))
    try:
        async with serving(redis_store, limit_streams=3) as one, serving(other_store, limit_streams=3) as two:
            board = await one.submit()
            url = f"/v1/boards/{board}/events"
            stack = [await _open(served.server.port, url) for served in (one, two, one)]
            refused = await two.client.get(url)
            assert refused.status_code == 429
            assert refused.json()["type"].endswith("/problems/too-many-streams")
            assert refused.headers["retry-after"] == "5"
            counting = asyncio.create_task(one.service.streams.serve())
            stack[0].close()
            await until(lambda: _status(two.server.port, url, 200))
            counting.cancel()
            for left in stack[1:]:
                left.close()
            await until(lambda: _is(one.service.streams.here == two.service.streams.here == 0))
    finally:
        await other_store.close()


async def _open(port: int, url: str) -> socket.socket:
    """A client that asked for a stream, got its head, and reads no further."""
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (await loop.sock_recv(client, 15)).startswith(b"HTTP/1.1 200")
    return client


async def _status(port: int, url: str, status: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    found = int((await reader.readline()).split()[1])
    writer.close()
    return found == status


async def test_what_a_killed_process_had_open_lapses(redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.streams.TTL_MS", 300)
    killed, other = Streams(redis_store.line(0), 2), Streams(redis_store.line(0), 2)
    await redis_store.line(0).issue(("SCRIPT", "LOAD", COUNT.text))
    for _ in range(2):
        await killed.open("k1")
    monkeypatch.setattr("controller.streams.TTL_MS", 60_000)
    with pytest.raises(Exception, match="2 streams"):
        await other.open("k1")
    await other.open("k2")

    async def opened() -> bool:
        try:
            await other.open("k1")
        except Exception:
            return False
        return True

    await until(opened)
    await other.close()
    keys: list[Any] = await redis_store.line(0).issue(("KEYS", "bb:{access}:*"))
    assert keys == []


async def test_a_key_s_own_limit_holds_over_all_processes_where_there_is_no_other(redis_store: RedisStore) -> None:
    one, other = Streams(redis_store.line(0), 0), Streams(redis_store.line(0), 0)
    left = await one.open("k1", 1)
    with pytest.raises(TooManyStreams, match="1 streams"):
        await other.open("k1", 1)
    await other.open("k2")
    counting = asyncio.create_task(one.serve())
    left()

    async def opened() -> bool:
        with suppress(TooManyStreams):
            await other.open("k1", 1)
            return True
        return False

    await until(opened)
    counting.cancel()
    await other.close()
    assert await redis_store.line(0).issue(("KEYS", "bb:{access}:*")) == []


async def test_who_does_not_read_holds_little_and_resumes(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALLED_SOON_S", 0.5)
    async with serving(redis_store, limit_streams=50) as served:
        board = await new_board(redis_store, tenant="default")
        stuck = [await _open(served.server.port, f"/v1/boards/{board}/events") for _ in range(20)]
        await until(lambda: _is(served.service.feed.watchers == 20))
        protocols: Any = list(served.server.server_state.connections)
        most = 0
        for number in range(60):
            await person(redis_store, board, put("page/0001", f"{number}" + "x" * 200_000))
            most = max(most, *(each.transport.get_write_buffer_size() for each in protocols))
        assert 0 < most <= 3 * streaming.PIECE
        # Twelve megabytes were written; what waits for all twenty is less than two streams' worth of that.
        await until(lambda: _is(served.service.feed.watchers == 0))
        assert served.service.streams.here == 0
        loop, text = asyncio.get_running_loop(), b""
        while more := await _received(loop, stuck[0]):
            text += more
        await end(redis_store, board)
        seen = [id.decode() for id in _ids(text)]
        answer = await served.client.get(
            f"/v1/boards/{board}/events", headers={"Last-Event-ID": seen[-1]} if seen else {}
        )
        log = [f"i1.{record.id}" for record in await redis_store.log(board)]
        assert seen + records_in(parse(answer.content)) == log
        for each in stuck:
            each.close()


async def _received(loop: asyncio.AbstractEventLoop, client: socket.socket) -> bytes:
    try:
        return await loop.sock_recv(client, 1 << 20)
    except ConnectionError:
        return b""


def _ids(text: bytes) -> list[bytes]:
    """Ids of the messages that came whole, of a body in pieces."""
    body, rest = b"", text.partition(b"\r\n\r\n")[2]
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        if not size:
            break
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return [block.split(b"id: ", 1)[1].split(b"\n", 1)[0] for block in body.split(b"\n\n")[:-1] if b"id: " in block]


async def test_gone_boards_and_foreign_words(small: Served) -> None:
    unknown = await small.client.get(f"/v1/boards/{small.service.store.new_id('x')}/events?level=page&snapshot=true")
    assert isinstance(unknown, httpx2.Response)
    assert unknown.status_code == 404
