"""A model's calls on a board's log: each once, none after the end, kept and collected with the board, found again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard.blobs import BlobMissing, Blobs
from blackboard.entries import Commit
from blackboard.errors import StorageUnavailable
from blackboard.events import from_json, to_json
from blackboard.memory import MemoryStore
from blackboard.models import Caller
from blackboard.ports import Store
from blackboard.replay import verify_board
from blackboard.store import RedisStore, open_store
from controller.bench import opening
from controller.commands.telling import what
from controller.recording import record_call, recorder
from knowledge_sources.llm.calls import Reply, Request, Usage
from knowledge_sources.llm.recordings import BoardRecordings, Watched

ASKED = Request("model", {"max_tokens": 10, "messages": [{"role": "user", "content": "What colour?"}]}, "colours@1")


def reply(text: str) -> Reply:
    return Reply(text, "end_turn", "model", Usage(1000, 20, 800, 0), "req_1")


def body(call: str, **more: Any) -> dict[str, Any]:
    """As the gateway says it."""
    return {
        "call": call,
        "request": ASKED.digest,
        "prompt": ASKED.prompt,
        "model": "model",
        "outcome": "answered",
        "activation": "claims.1",
        "source": "claims",
        "binding": "page/0001",
        "tokens": {"input": 1000, "output": 20, "cache_read": 800, "cache_write": 0},
        "usd": 0.0123,
        "latency_ms": 812,
        **more,
    }


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    blobs = Blobs.at(tmp_path / "blobs")
    made: Store
    if request.param == "memory":
        made = MemoryStore(blobs, grace=0)
    else:
        made = await open_store(redis_url, blobs, check=False)
        made._grace = 0
    yield made
    await made.close()


@pytest.fixture
async def caller(store: Store) -> Caller:
    board = store.new_id("acme")
    head = {**opening(), "incarnation": "1"}
    await store.commit(board, Commit("board.created", "test", mode="person", create=True, head=head))
    return Caller("acme", board, "claims.1", 2, "claims", "page/0001")


def blobs_of(store: Store) -> Blobs:
    assert isinstance(store, MemoryStore | RedisStore)
    return store.blobs


async def test_a_call_lands_once_and_its_answer_is_found(store: Store, caller: Caller) -> None:
    blobs = blobs_of(store)
    record = recorder(store, blobs)(caller)
    for _ in range(2):
        await record(body("c1"), reply("blue").packed())
    await record(body("c2", outcome="failed", failure="upstream-down: 529", usd=None), None)
    log = await store.log(caller.board)
    assert [each.type for each in log] == ["board.created", "llm.called", "llm.called"]
    assert (await verify_board(store, caller.board)) is not None, "fold and projection are equal"
    records = [from_json(to_json(each)) for each in log]
    assert records == log
    assert records[1].say()["epoch"] == 2 and "recording" not in records[2].say()
    watched = Watched(BoardRecordings(records, blobs))
    assert await watched.get(ASKED) == reply("blue")
    other = Request("model", {"max_tokens": 1})
    assert await watched.get(other) is None and await watched.get(other) is None
    assert watched.missing == [other.digest]
    # Whichever model is asked, the question is the same.
    assert await watched.get(Request("another", ASKED.body)) == reply("blue")


async def test_an_activation_gets_its_own_answer_back(store: Store, caller: Caller) -> None:
    blobs = blobs_of(store)
    for call, activation, text in (("1", "a", "blue"), ("2", "b", "red"), ("3", "a", "green"), ("4", "b", "grey")):
        await record_call(store, blobs, caller, body(call, activation=activation), reply(text).packed())
    recordings = BoardRecordings(await store.log(caller.board), blobs)
    for activation, text in (("a", "green"), ("b", "grey"), ("", "grey"), ("c", "grey")):
        assert await recordings.of(activation).get(ASKED) == reply(text)
    assert len(recordings) == 1


async def test_nothing_follows_the_end_and_nothing_is_left_of_it(store: Store, caller: Caller, tmp_path: Path) -> None:
    blobs = blobs_of(store)
    await store.commit(
        caller.board, Commit("board.completed", "controller", head={"status": "completed", "outcome": "{}"})
    )
    await record_call(store, blobs, caller, body("late"), reply("blue").packed())
    gone = Caller("acme", store.new_id("acme"), source="claims")
    await record_call(store, blobs, gone, body("gone"), reply("blue").packed())
    assert [each.type for each in await store.log(caller.board)][-1] == "board.completed"
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_recordings_live_as_long_as_their_board(store: Store, caller: Caller, tmp_path: Path) -> None:
    blobs = blobs_of(store)
    await record_call(store, blobs, caller, body("1"), reply("blue").packed())
    (said,) = [each.say() for each in await store.log(caller.board) if each.type == "llm.called"]
    await store.collect(0)
    kept = orjson.loads(await blobs.get(said["recording"]))
    assert (kept["board"], kept["call"], kept["reply"]["text"]) == (caller.board, "1", "blue")
    await store.commit(caller.board, Commit("board.cancelled", "controller", head={"status": "cancelled"}))
    assert await store.retire(caller.board)
    with pytest.raises(BlobMissing):
        await blobs.get(said["recording"])


async def test_it_changes_nothing_a_decision_looks_at(store: Store, caller: Caller) -> None:
    before = await store.projection(caller.board)
    await record_call(store, blobs_of(store), caller, body("1"), reply("blue").packed())
    after = await store.projection(caller.board)
    assert before is not None and after is not None
    assert after.revision == before.revision + 1
    after.head["revision"] = before.head["revision"]
    assert after == before


class Broken:
    """Blobs that cannot be written."""

    async def put(self, data: bytes) -> str:
        raise StorageUnavailable("no")

    async def delete(self, sha256: str) -> None:
        raise AssertionError("there is nothing to remove")


async def test_a_source_never_fails_because_of_it(store: Store, caller: Caller) -> None:
    await record_call(store, Broken(), caller, body("1"), reply("blue").packed())
    await record_call(store, Broken(), caller, {}, None)
    await store.close()
    await record_call(store, Blobs.at("memory://"), Caller("acme", "nonsense"), body("1"), reply("x").packed())


async def test_a_person_reads_it_in_one_line(store: Store, caller: Caller) -> None:
    record = recorder(store, blobs_of(store))(caller)
    await record(body("1"), reply("blue").packed())
    await record(body("2", outcome="failed", failure="upstream-down: 529", usd=None, tokens={}), None)
    await record(body("3", outcome="cache", saved_usd=0.0123, usd=0.0), reply("blue").packed())
    assert [what(each) for each in await store.log(caller.board)][1:] == [
        "claims on page/0001 asked model (colours@1): answered, 1,800 tokens in (800 of them cached), 20 out, $0.0123",
        "claims on page/0001 asked model (colours@1): failed (upstream-down: 529), cost unknown",
        "claims on page/0001 asked model (colours@1): cache, 1,800 tokens in (800 of them cached), 20 out, $0.0123 saved",
    ]
