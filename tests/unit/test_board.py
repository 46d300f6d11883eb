"""Folding: what a log may say, and what it may not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blackboard.board import Board, apply, fold
from blackboard.entries import Activation, Header
from blackboard.errors import LogError
from blackboard.events import LogRecord

LIVE = "{}|live|0|d|1|1|ocr||"
GONE = "{}|gone|0||0|0|ocr||"


def record(revision: int, type: str = "board.changed", n: int = 0, **more: object) -> LogRecord:
    return replace(LogRecord(revision, n, 7, type, "x", "i"), **more)  # type: ignore[arg-type]


CREATED = record(1, "board.created", head={"status": "open", "tenant": "acme"})


def test_each_record_takes_the_board_one_revision_further() -> None:
    log = [
        CREATED,
        record(2, entries={"page/1": LIVE.format(1)}, values={"page/1": b"1"}, agenda={"a1": b"pending|0||{}"}),
        record(2, "contribution.refused", n=1),
        record(3, entries={"page/1": LIVE.format(2)}, values={"page/1": b"2"}, agenda={"a1": b"running|1||{}"}),
        record(4, entries={"page/1": GONE.format(3)}),
        record(5, "board.completed", head={"status": "completed"}),
    ]
    assert [fold("b", log, at=at).values.get("page/1") for at in range(1, 6)] == [None, b"1", b"2", None, None]
    board = fold("b", log)
    assert (board.revision, board.status, board.ended) == (5, "completed", True)
    assert board.head == {"status": "completed", "tenant": "acme", "revision": "5"}
    assert board.header("page/1") == Header(3, False, False, "", 0, 0.0, "ocr", "")
    assert board.header("page/2") is None
    assert board.activation("a1") == Activation("a1", "running", 1, (), {})
    assert board.activation("a2") is None


def test_a_fork_brings_versions_and_tombstones_with_it() -> None:
    begun = record(
        1,
        "board.created",
        entries={"page/1": LIVE.format(7), "page/2": GONE.format(2)},
        values={"page/1": b"1", "page/2": b"0"},
    )
    board = fold("b", [begun, record(2, entries={"page/2": LIVE.format(3)}, values={"page/2": b"2"})])
    assert board.values == {"page/1": b"1", "page/2": b"2"}


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ([record(2)], "jumps"),
        ([CREATED, record(3)], "jumps"),
        ([CREATED, CREATED], "jumps"),
        ([CREATED, record(2, n=1)], "stands behind"),
        ([CREATED, record(2, "board.failed", head={"status": "failed"}), record(3)], "follows the end"),
        ([CREATED, record(2, entries={"page/1": LIVE.format(2)}, values={"page/1": b"1"})], "version 2"),
        ([CREATED, record(2, entries={"page/1": LIVE.format(1)})], "without its value"),
    ],
)
def test_a_log_that_cannot_be(log: list[LogRecord], says: str) -> None:
    with pytest.raises(LogError, match=says):
        fold("b", log)


def test_a_revision_beyond_the_log() -> None:
    with pytest.raises(LogError, match="ends at revision 1"):
        fold("b", [CREATED], at=2)


def test_notes_change_nothing() -> None:
    board = Board("b")
    apply(board, CREATED)
    before = (dict(board.head), dict(board.entries))
    apply(board, record(1, "contribution.refused", n=4, head={"status": "failed"}, entries={"page/1": LIVE.format(1)}))
    assert (board.head, board.entries) == before
