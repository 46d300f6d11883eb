"""Folding, comparing and verifying logs, from memory and from files."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.entries import Activation, AgendaWrite, Commit, Put, Retract
from blackboard.errors import LogError, ReplayDiverged, UsageError
from blackboard.events import LogRecord, to_json
from blackboard.memory import MemoryStore
from blackboard.replay import check_values, diff, differences, fold, read_log, steps, verify, verify_board

HEAD = {"status": "open", "tenant": "default", "incarnation": "0123456789ab"}


async def board_of(changes: list[Commit]) -> tuple[MemoryStore, str, list[LogRecord]]:
    store = MemoryStore(Blobs.at("memory://"))
    id = store.new_id("default")
    first = Commit("board.created", "person:ann", id="one", mode="person", create=True, head=HEAD)
    for change in (first, *changes):
        assert (await store.commit(id, change)).ok
    return store, id, await store.log(id)


def put(key: str, value: object, by: str = "text", confidence: float = 1.0) -> Commit:
    return Commit("contribution.committed", by, mode="source", writes=(Put(key, orjson.dumps(value), confidence),))


def some_changes() -> list[Commit]:
    running = Activation("text.abc", "pending", 0, (), {"source": "text", "binding": "board", "n": 1})
    return [
        put("page/0001", {"text": "één"}),
        put("page/0001", {"text": "two"}, confidence=0.5),
        put("page/0002", {"text": "x" * 300_000}),
        Commit("controller.decided", "controller", agenda=(AgendaWrite(running),)),
        Commit("contribution.committed", "text", mode="source", writes=(Retract("page/0001"),)),
        put("page/0001", {"text": "three"}),
        Commit("board.completed", "controller", head={"status": "completed", "outcome": '{"slug":"complete"}'}),
    ]


def written(path: Path, records: list[LogRecord], *, packed: bool = False) -> Path:
    data = b"".join(to_json(record) + b"\n" for record in records)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


@pytest.mark.parametrize("packed", [False, True])
async def test_an_exported_log_folds_to_the_same_bytes(tmp_path: Path, packed: bool) -> None:
    store, id, records = await board_of(some_changes())
    read = list(read_log(written(tmp_path / "log", records, packed=packed)))
    assert read == records
    stored = await store.projection(id)
    assert stored is not None
    assert verify(id, read, stored) == stored
    assert await verify_board(store, id) == stored


async def test_a_board_nobody_knows_is_none() -> None:
    store, _, _ = await board_of([])
    assert await verify_board(store, store.new_id("default")) is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(), st.booleans()), max_size=12), st.data())
async def test_any_two_revisions_differ_by_exactly_what_was_written(
    writes: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    changes = []
    for name, value, gone in writes:
        write = Retract(f"page/{name}") if gone else Put(f"page/{name}", orjson.dumps(value % 5))
        changes.append(Commit("contribution.committed", "controller", writes=(write,)))
    store, id, records = await board_of(changes)
    assert await verify_board(store, id) == fold(id, records)
    low = data.draw(st.integers(1, len(records)))
    high = data.draw(st.integers(low, len(records)))
    before, after = fold(id, records, at=low), fold(id, records, at=high)
    touched = {key for record in records[low:high] for key in record.entries}
    found = diff(before, after)
    assert {change.key for change in found.entries} == touched
    assert (found.start, found.end) == (low, high)
    for change in found.entries:
        assert (change.kind == "retracted") == (change.key not in after.values)
        assert change.value == after.values.get(change.key)


async def test_steps_walk_through_every_record() -> None:
    _, id, records = await board_of(some_changes())
    revisions = [(record.revision, board.revision) for record, board in steps(id, records)]
    assert revisions == [(n, n) for n in range(1, len(records) + 1)]


async def test_diff_as_plain_data() -> None:
    _, id, records = await board_of(some_changes())
    shown = orjson.loads(orjson.dumps(diff(fold(id, records, at=1), fold(id, records)).to_json()))
    assert shown["head"]["status"] == ["open", "completed"]
    assert shown["activations"] == {"text.abc": [None, "pending"]}
    first = shown["entries"][0]
    assert (first["key"], first["kind"], first["from_version"], first["to_version"]) == ("page/0001", "added", 0, 4)
    assert first["value"] == {"text": "three"}


async def test_the_first_difference_is_named() -> None:
    store, id, records = await board_of(some_changes())
    stored = await store.projection(id)
    assert stored is not None
    stored.values["page/0001"] = b'{"text":"thrEe"}'
    del stored.agenda["text.abc"]
    with pytest.raises(ReplayDiverged, match=r"value page/0001: differs from byte 12 on.*and 1 more"):
        verify(id, records, stored)
    assert [each.where for each in differences(fold(id, records), stored)] == ["value page/0001", "activation text.abc"]


async def test_a_changed_value_in_a_file_is_found() -> None:
    _, id, records = await board_of(some_changes()[:1])
    board = fold(id, records)
    check_values(board)
    forged = [records[0], replace(records[1], values={"page/0001": b'{"text":"eeen"}'})]
    with pytest.raises(ReplayDiverged, match="value page/0001: version 1 is not what its header promises"):
        verify(id, forged)


async def test_mixed_logs_are_refused() -> None:
    _, id, records = await board_of(some_changes()[:2])
    with pytest.raises(ReplayDiverged, match="incarnation"):
        verify(id, [records[0], replace(records[1], incarnation="ba9876543210"), records[2]])


async def test_a_gap_and_a_record_behind_the_end_are_refused() -> None:
    _, id, records = await board_of(some_changes())
    with pytest.raises(LogError, match="jumps from revision 1 to 3"):
        verify(id, [records[0], *records[2:]])
    with pytest.raises(LogError, match="follows the end"):
        verify(id, [*records, replace(records[-1], revision=records[-1].revision + 1)])


async def test_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    _, _, records = await board_of(some_changes())
    path = written(tmp_path / "log.jsonl", records)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + b"\n" + lines[2][:40])
    with pytest.raises(LogError, match=r"log\.jsonl, line 4: a line is not a log record"):
        list(read_log(path))


async def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    _, _, records = await board_of(some_changes())
    path = written(tmp_path / "log.gz", records, packed=True)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LogError, match="cut or corrupt"):
        list(read_log(path))


async def test_caps(tmp_path: Path) -> None:
    _, _, records = await board_of(some_changes())
    path = written(tmp_path / "log.gz", records, packed=True)
    with pytest.raises(UsageError, match="larger than 400 bytes"):
        list(read_log(path, max_bytes=400))
    with pytest.raises(UsageError, match="line 1: longer than 30 bytes"):
        list(read_log(path, max_line=30))


def test_no_file_and_no_records(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        list(read_log(tmp_path / "none"))
    (tmp_path / "empty").write_bytes(b"\n\n")
    with pytest.raises(LogError, match="holds no records"):
        list(read_log(tmp_path / "empty"))
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_log(tmp_path))


def test_missing_on_one_side() -> None:
    one, two = Board("0-a", values={"a/b": b"1"}), Board("0-a", head={"status": "open"})
    assert [str(each) for each in differences(one, two)] == [
        "head status: the log has none, the server has 'open'",
        "value a/b: the server has none, the log has '1'",
    ]
