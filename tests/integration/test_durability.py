"""Power fails: the append-only file ends anywhere. What survives is a prefix of what was acknowledged, and whole.

`BLACKBOARD_FAULT_RUNS` set: 200 cuts instead of 12.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from blackboard.blobs import Blobs
from blackboard.board import fold
from blackboard.embedded import start_server
from blackboard.entries import Header, Retract
from blackboard.events import LogRecord
from blackboard.keys import partition_of
from blackboard.store import RedisStore, open_store
from tests.making import activation, agenda, consistent, end, new_board, person, put, source

LONG = "BLACKBOARD_FAULT_RUNS" in os.environ
CUTS = 200 if LONG else 12


async def analyse(store: RedisStore, turns: int) -> str:
    """A board with every kind of step in its log."""
    board = await new_board(store)
    for turn in range(turns):
        id = f"a{turn}"
        await person(store, board, put("page/1", turn, pin=turn % 2 == 0), id=f"n{turn}")
        await agenda(store, board, activation(id, inputs="page/1@1"), due_ms=60_000)
        claimed = await store.claim(board, id, nonce=id, lease_ms=60_000, worker="w")
        assert claimed.status == "claimed"
        await source(
            store, board, "ocr", put("page/1", turn), put(f"page/t{turn}"), fence=(id, 1), id=f"{id}:1:1", activation=id
        )
        await agenda(store, board, activation(id, "done", 1), fence=(id, 1))
        await source(store, board, "ocr", Retract(f"page/t{turn}", owner="ocr"))
        await person(store, board, checks=(("page/1", 0),), note=True)
    await end(store, board, due=(("retention", 60_000),), id="end")
    return board


async def check(store: RedisStore, board: str, before: list[LogRecord]) -> int:
    """The revision that survived."""
    state = await store.projection(board)
    if state is None:
        assert await store.log(board) == []
        return 0
    state, log = await consistent(store, board)
    assert log == before[: len(log)]
    assert fold(board, before, at=state.revision) == state
    for text in state.entries.values():
        assert Header.parse(text).version > 0
    leases = await store.leases(board)
    running = {id for id, record in state.agenda.items() if record.startswith(b"running|")}
    assert set(leases) == running
    # What was acknowledged and survived is still answered, so sending it again is harmless.
    if not state.ended and (answered := [record for record in log if record.commit.startswith("n")]):
        turn = int(answered[-1].commit[1:])
        again = await person(store, board, put("page/1", turn, pin=turn % 2 == 0), id=f"n{turn}")
        assert again.already
    return state.revision


@pytest.mark.timeout(600 if LONG else 60)
async def test_the_append_only_file_cut_anywhere(tmp_path: Path) -> None:
    original = tmp_path / "o"
    server = await start_server(original)
    store = await open_store(server.url, Blobs.at("memory://"))
    board = await analyse(store, 12)
    before = await store.log(board)
    due, _ = await store.due(partition_of(board))
    assert due > 0
    await store.close()
    await server.stop()

    (tail,) = original.glob("appendonlydir/*.incr.aof")
    size = tail.stat().st_size
    chance = random.Random(11)
    survived = set()
    for cut in [size, size - 1, *(chance.randrange(size) for _ in range(CUTS))]:
        copy = tmp_path / f"c{cut}"
        shutil.copytree(original, copy)
        os.truncate(copy / tail.relative_to(original), cut)
        server = await start_server(copy)
        store = await open_store(server.url, Blobs.at("memory://"))
        try:
            survived.add(await check(store, board, before))
        finally:
            await store.close()
            await server.stop()
        shutil.rmtree(copy)
    assert max(survived) == [record for record in before if not record.is_note][-1].revision
    assert len(survived) > 5


async def test_a_killed_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    server = await start_server(tmp_path)
    store = await open_store(server.url, Blobs.at("memory://"))
    board = await analyse(store, 20)
    before = await consistent(store, board)
    server.kill()
    await store.close()
    server = await start_server(tmp_path)
    store = await open_store(server.url, Blobs.at("memory://"))
    assert await consistent(store, board) == before
    assert (await end(store, board, id="end")).already
    await store.close()
    await server.stop()
