"""A tenant's stream: every change of its boards once, over any disconnects and processes, and nothing of anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackboard import following
from blackboard.blobs import Blobs
from blackboard.cursors import ID, Cursor, Sealer
from blackboard.feed import Feed
from blackboard.memory import MemoryStore
from blackboard.messages import Lens
from blackboard.ports import Store
from blackboard.store import RedisStore, open_store
from controller.access import Admitted, Caller, Scope
from controller.settings import Settings
from tests.integration.serving import Event, Small, parse
from tests.listening import listening
from tests.making import activation, agenda, end, new_board, person, put, source, until

NDJSON = {"accept": "application/x-ndjson"}
EVENTS = "/v1/events"
Seen = list[tuple[str, int, str]]


class ByName:
    """A gate where a tenant's name is its key."""

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """See access.Gate."""
        tenant = authorization[0].removeprefix("Bearer ")
        return Admitted(Caller(tenant, f"person:{tenant}", frozenset({"read"}), key=f"k-{tenant}"))


@dataclass
class Door:
    """A service and a client of it."""

    service: Small
    server: Any
    client: httpx2.AsyncClient

    async def some(
        self, tenant: str, least: int, last: str = "", params: Any = None, headers: Any = None
    ) -> list[Event]:
        """What comes until there are as many changes, and the connection is cut."""
        asked = {"authorization": f"Bearer {tenant}", **({"Last-Event-ID": last} if last else {}), **(headers or {})}
        async with self.client.stream("GET", EVENTS, params=params, headers=asked) as answer:
            assert answer.status_code == 200, await answer.aread()
            chunks, text, form = answer.aiter_raw(), b"", lines_in if headers else parse
            while True:
                text += await anext(chunks)
                found = form(text[: text.rfind(b"\n") + 1])
                if len(changes(found)) >= least and found and last_id(found):
                    return found


def lines_in(text: bytes) -> list[Event]:
    """A stream of JSON lines."""
    shown = [orjson.loads(line) for line in text.splitlines()]
    return [Event(each.get("id", ""), each["event"], each.get("data")) for each in shown]


def changes(events: list[Event]) -> Seen:
    """The changes among events."""
    return [
        (each.data["board"], each.data["revision"], each.event) for each in events if each.data and "board" in each.data
    ]


def last_id(events: list[Event]) -> str:
    """Where to resume."""
    return next((event.id for event in reversed(events) if event.id), "")


async def logged(store: Store, *boards: str) -> Seen:
    """Every change there was."""
    return [(board, record.revision, record.type) for board in boards for record in await store.log(board)]


def in_order(seen: Seen, expected: Seen) -> bool:
    """Each once, and every board's in its order."""
    boards = {board for board, _, _ in expected}
    return sorted(seen) == sorted(expected) and all(
        [each for each in seen if each[0] == board] == [each for each in expected if each[0] == board]
        for board in boards
    )


@asynccontextmanager
async def opened(store: Store, **more: Any) -> AsyncIterator[Door]:
    service = Small(store, store.blobs, Settings(_env_file=None, **more), gate=ByName())  # type: ignore[attr-defined,call-arg]
    try:
        async with listening(service) as (server, client, _):
            yield Door(service, server, client)
    finally:
        await service.feed.close()


@pytest.fixture
async def door(redis_store: RedisStore) -> AsyncIterator[Door]:
    async with opened(redis_store) as door:
        yield door


async def _is(value: bool) -> bool:
    return value


async def lively(store: Store, board: str, number: int) -> None:
    """A change of one kind or another, or a refused one."""
    if number % 4 == 0:
        await person(store, board, put("page/0001"), checks=(("page/0001", 999),), note=True)
    elif number % 4 == 1:
        await agenda(store, board, activation(f"a{number}", source="ocr"))
        await store.claim(board, f"a{number}", nonce=f"w{number}", lease_ms=60_000, worker="w")
    else:
        await source(store, board, "ocr", put(f"page/{number:04}", number))


async def test_every_change_once_and_nothing_of_others(door: Door, redis_store: RedisStore) -> None:
    watching = [asyncio.create_task(door.some(tenant, count)) for tenant, count in (("acme", 35), ("other", 14))]
    await until(lambda: _is(door.service.streams.here == 2))
    await until(lambda: _is(bool(door.service.feed.tenants._cursors)))
    boards: dict[str, list[str]] = {"acme": [], "other": []}
    for tenant, count in (("acme", 5), ("other", 2)):
        for _ in range(count):
            boards[tenant].append(await new_board(redis_store, tenant=tenant))
    for number in range(4):
        for board in [*boards["acme"], *boards["other"]]:
            await lively(redis_store, board, number)
    for board in [*boards["acme"], *boards["other"]]:
        await end(redis_store, board)
    acme, other = await asyncio.gather(*watching)
    assert in_order(changes(acme), await logged(redis_store, *boards["acme"]))
    assert in_order(changes(other), await logged(redis_store, *boards["other"]))
    assert acme[0].event == "stream.bookmark"
    ends = [event.data for event in acme if event.event == "board.completed"]
    assert [each["status"] for each in ends] == ["completed"] * 5
    assert set(ends[0]) == {"board", "revision", "type", "status", "at"}
    for created in (event.data for event in acme if event.event == "board.created"):
        assert abs(created["at"] - (await redis_store.log(created["board"]))[0].at) <= 1000


async def test_resuming_at_every_place_in_any_process(redis_store: RedisStore, redis_url: str) -> None:
    other_store = await open_store(redis_url, Blobs.at("memory://"))
    async with opened(redis_store) as one, opened(other_store) as two:
        begun = await one.some("acme", 0)
        boards = [await new_board(redis_store, tenant=("acme", "acme", "other")[n % 3]) for n in range(9)]
        for number in range(3):
            for board in boards:
                await lively(redis_store, board, number)
        mine = [board for at, board in enumerate(boards) if at % 3 < 2]
        expected = await logged(redis_store, *mine)
        all = await one.some("acme", len(expected), last_id(begun))
        assert in_order(changes(all), expected)
        events = [event for event in all if event.data.get("board")]
        for at, event in enumerate(events[:-1]):
            rest = await (one, two)[at % 2].some("acme", len(events) - at - 1, event.id)
            assert sorted(changes([*events[: at + 1], *rest])) == sorted(expected)
        # Nobody else can use them, and learns nothing from them.
        stolen = await two.some("other", 0, events[0].id)
        assert stolen[0].event == "reset"
        assert {each["board"] for each in stolen[0].data["boards"]} == set(boards) - set(mine)
    await other_store.close()


async def test_cut_off_over_and_over_while_it_happens(door: Door, redis_store: RedisStore) -> None:
    last = last_id(await door.some("acme", 0))
    board = await new_board(redis_store, tenant="acme")
    seen: Seen = []
    for number in range(10):
        await lively(redis_store, board, number)
        found = await door.some("acme", 1, last)
        seen, last = seen + changes(found), last_id(found)
    expected = await logged(redis_store, board)
    seen += changes(await door.some("acme", len(expected) - len(seen), last))
    assert seen == expected
    await until(lambda: _is(door.service.streams.here == 0))
    assert not door.service.feed.tenants._rooms


async def test_types_and_lines(door: Door, redis_store: RedisStore) -> None:
    begun = last_id(await door.some("acme", 0))
    board = await new_board(redis_store, tenant="acme")
    for number in range(8):
        await lively(redis_store, board, number)
    await end(redis_store, board)
    asked = {"type": "board.created,board.completed"}
    found = await door.some("acme", 2, begun, asked, NDJSON)
    assert [event.event for event in found] == ["board.created", "board.completed"]
    live = asyncio.create_task(door.some("acme", 1, params=asked, headers=NDJSON))
    await until(lambda: _is(door.service.streams.here == 1 and bool(door.service.feed.tenants._cursors)))
    await asyncio.sleep(0.05)
    await lively(redis_store, await new_board(redis_store, tenant="acme"), 2)
    assert [event.event for event in await live] == ["stream.bookmark", "board.created"]


async def test_a_snapshot_then_what_follows(door: Door, redis_store: RedisStore) -> None:
    boards = [await new_board(redis_store, tenant="acme") for _ in range(3)]
    await end(redis_store, boards[0])
    foreign = await new_board(redis_store, tenant="other")
    (first,) = await door.some("acme", 0, params={"snapshot": "true"})
    assert (first.event, first.data["complete"]) == ("boards.snapshot", True)
    assert {each["board"]: each["revision"] for each in first.data["boards"]} == dict.fromkeys(boards[1:], 1)
    await lively(redis_store, foreign, 2)
    await lively(redis_store, boards[1], 2)
    await end(redis_store, boards[2])
    after = await door.some("acme", 2, first.id, {"snapshot": "true"})
    assert changes(after) == [(boards[1], 2, "contribution.committed"), (boards[2], 2, "board.completed")] or changes(
        after
    ) == [(boards[2], 2, "board.completed"), (boards[1], 2, "contribution.committed")]


@pytest.mark.parametrize("loss", ["trimmed", "emptied", "cut"])
async def test_lost_history_is_a_reset_with_the_open_boards(door: Door, redis_store: RedisStore, loss: str) -> None:
    board = await new_board(redis_store, tenant="acme")
    for number in range(6):
        await lively(redis_store, board, 2 + number * 4)
    begun = await door.some("acme", 0)
    partition, line = int(board.partition("-")[0]), redis_store.line(0)
    activity = f"bb:{{{partition}}}:activity"
    if loss == "trimmed":
        await lively(redis_store, board, 2)
        await lively(redis_store, board, 3)
        await line.issue(("XTRIM", activity, "MAXLEN", 1))
    elif loss == "emptied":
        await line.issue(("DEL", activity))
    else:
        newest = (await line.issue(("XREVRANGE", activity, "+", "-", "COUNT", 1)))[0][0]
        await line.issue(("XDEL", activity, newest))
        await lively(redis_store, board, 2)
    events = await door.some("acme", 0, last_id(begun))
    head = await redis_store.head(board)
    assert head is not None
    assert events[0].event == "reset"
    (shown,) = events[0].data["boards"]
    assert (shown["board"], shown["revision"], shown["status"]) == (board, int(head["revision"]), "open")
    await end(redis_store, board)
    assert changes(await door.some("acme", 1, events[0].id))[-1][2] == "board.completed"


async def test_a_place_at_the_beginning_survives_until_something_is_trimmed(redis_store: RedisStore) -> None:
    assert await redis_store.activity_holds(dict.fromkeys(range(16), "0-0"))
    board = await new_board(redis_store, tenant="acme")
    for number in range(3):
        await lively(redis_store, board, 2 + number * 4)
    partition = int(board.partition("-")[0])
    assert await redis_store.activity_holds({partition: "0-0"})
    await redis_store.line(0).issue(("XTRIM", f"bb:{{{partition}}}:activity", "MAXLEN", 2))
    assert not await redis_store.activity_holds({partition: "0-0"})


@pytest.mark.parametrize("last", ["abc", "-1", str(10**30), "i1.1-0", "t1.", "t1.abc", "t1." + "a" * 60 + "!"])
async def test_ids_that_no_stream_gave(door: Door, last: str) -> None:
    asked = {"authorization": "Bearer acme"}
    answer = await door.client.get(EVENTS, headers={**asked, "Last-Event-ID": last})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-last-event-id")
    answer = await door.client.get(EVENTS, headers=asked, params={"after": last})
    assert (answer.status_code, answer.json()["parameter"]) == (400, "after")


async def test_ids_of_another_server_are_a_reset(door: Door, redis_store: RedisStore) -> None:
    board = await new_board(redis_store, tenant="acme")
    (event,) = await door.some("acme", 0, Sealer(b"s" * 32).seal("acme", {1: Cursor(5, 0)}))
    assert (event.event, [each["board"] for each in event.data["boards"]]) == ("reset", [board])


@pytest.mark.parametrize("query", ["type=progress", "level=page", "snapshot=yes", "x=1", "type="])
async def test_parameters_that_are_off(door: Door, query: str) -> None:
    answer = await door.client.get(f"{EVENTS}?{query}", headers={"authorization": "Bearer acme"})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-parameter")


async def test_many_dashboards_share_one_reader(door: Door, redis_store: RedisStore) -> None:
    watching = [asyncio.create_task(door.some("acme", 12)) for _ in range(30)]
    tenants = door.service.feed.tenants
    await until(lambda: _is(door.service.streams.here == 30 and bool(tenants._cursors)))
    await asyncio.sleep(0.1)
    assert sum(len(room.rings) for room in tenants._rooms.values()) == 1
    assert len(tenants._tasks) == 2
    board = await new_board(redis_store, tenant="acme")
    for number in range(11):
        await source(redis_store, board, "ocr", put("page/0001", number))
    expected = await logged(redis_store, board)
    for events in await asyncio.gather(*watching):
        assert changes(events) == expected


async def test_idle_streams_live_by_bookmarks_and_end_with_a_word(memory_store: MemoryStore) -> None:
    async with opened(memory_store, ping_s=0.1) as door:
        asked = {"authorization": "Bearer acme"}
        async with door.client.stream("GET", EVENTS, headers=asked) as answer:
            chunks, text = answer.aiter_raw(), b""
            while text.count(b"stream.bookmark") < 3:
                text += await anext(chunks)
            door.server.stop()
            text += b"".join([chunk async for chunk in chunks])
        events = parse(text)
        assert {event.event for event in events[:-1]} == {"stream.bookmark"}
        assert (events[-1].event, events[-1].data) == ("stream.closing", {"reason": "shutdown"})


@given(st.dictionaries(st.integers(0, 1023), st.tuples(st.integers(0, 2**42), st.integers(0, 2**20)), max_size=40))
def test_ids_hold_any_vector_for_one_tenant(vector: dict[int, tuple[int, int]]) -> None:
    cursors = {partition: Cursor(*at) for partition, at in vector.items()}
    sealer = Sealer(b"s" * 32)
    id = sealer.seal("acme", cursors)
    assert ID.match(id)
    assert sealer.open("acme", id) == {partition: at for partition, at in cursors.items() if at != (0, 0)}
    assert sealer.open("other", id) is None
    assert Sealer(b"t" * 32).open("acme", id) is None


STEPS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11)), max_size=40)


@given(st.lists(st.tuples(STEPS, st.booleans()), min_size=1, max_size=6), st.sampled_from(["", "board.changed"]))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_disconnects_give_each_once(
    monkeypatch: pytest.MonkeyPatch, turns: list[tuple[list[tuple[int, int]], bool]], type: str
) -> None:
    """Two processes take turns; whoever comes back with the last id it saw misses nothing and sees nothing twice."""
    monkeypatch.setattr(following, "BLOCK_MS", 10)
    monkeypatch.setattr("blackboard.tenants.BLOCK_MS", 10)
    store = MemoryStore(Blobs.at("memory://"), partitions=3)
    feeds = [Feed(store, ping_s=0.2), Feed(store, ping_s=0.2)]
    boards = [await new_board(store, tenant=("acme", "other")[n % 2]) for n in range(6)]
    before = len(await logged(store, *boards[::2]))
    lens, seen, last = Lens(types=frozenset({type} if type else ())), [], ""
    for steps, first in turns:
        async with aclosing(feeds[first].tenants.subscribe("acme", last, lens=lens)) as chunks:
            got = parse(await anext(chunks)) if not last else []
            for at, (board, number) in enumerate(steps):
                await lively(store, boards[board], number)
                if at == len(steps) // 2 and board % 2 == 0 and number % 4 in (2, 3) and not type:
                    got += parse(await anext(chunks))
        seen += changes(got)
        last = last_id(got) or last
    rest: Seen = []
    expected = [each for each in (await logged(store, *boards[::2])) if not type or each[2] == type]
    expected = [each for each in expected if each[2] != "board.created"]
    async with aclosing(feeds[0].tenants.subscribe("acme", last, lens=lens)) as chunks:
        while len(seen) + len(rest) < len(expected):
            rest += changes(parse(await anext(chunks)))
    assert in_order(seen + rest, expected)
    assert before == 3
    for feed in feeds:
        await feed.close()
