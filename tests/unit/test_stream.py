"""Event streams taken apart, wherever they are cut; and what tables make of an outcome."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import orjson
from hypothesis import given
from hypothesis import strategies as st

from blackboard.board import Board
from blackboard.client.stream import Event, events_in
from blackboard.events import LogRecord
from blackboard.messages import PING, message_of, progress_of, state_of
from controller.commands.console import columns, coverage_table

CREATED = LogRecord(1, 0, 5, "board.created", "ann", "abc", head={"status": "open", "filename": "é.pdf"})
ENDED = LogRecord(2, 0, 9, "board.completed", "controller", "abc", head={"status": "completed"})
WIRE = (
    b"retry: 2000\n\n"
    + message_of(CREATED).sse
    + PING
    + progress_of(b'{"source":"ocr"}')[1].sse
    + message_of(ENDED).sse
)


async def parsed(*chunks: bytes) -> list[Event]:
    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [message async for message in events_in(given())]


@given(st.lists(st.floats(0, 1), max_size=8).map(sorted), st.booleans())
async def test_chunks_may_be_cut_anywhere(cuts: list[float], crlf: bool) -> None:
    wire = WIRE.replace(b"\n", b"\r\n") if crlf else WIRE
    edges = [0, *(int(cut * len(wire)) for cut in cuts), len(wire)]
    found = await parsed(*(wire[one:two] for one, two in pairwise(edges)))
    assert [(message.id, message.type) for message in found] == [
        ("abc.1-0", "board.created"),
        ("", "progress"),
        ("abc.2-0", "board.completed"),
    ]
    assert [message.record for message in found] == [CREATED, None, ENDED]
    assert [message.ends for message in found] == [False, False, True]


async def test_a_cut_within_the_last_line_end_delays_nothing() -> None:
    wire = WIRE.replace(b"\n", b"\r\n")
    for left in range(1, 5):
        found = await parsed(wire[:-left], wire[-left:])
        assert [message.id for message in found] == ["abc.1-0", "", "abc.2-0"]


async def test_what_is_unfinished_is_dropped() -> None:
    assert [message.id for message in await parsed(WIRE[:-1])] == ["abc.1-0", ""]


async def test_a_reset_ends_when_the_board_had_ended() -> None:
    for status, ends in (("open", False), ("failed", True)):
        chunk = state_of(Board("0-a", {"incarnation": "abc", "revision": "7", "status": status}), 9).sse
        (message,) = await parsed(chunk)
        assert (message.record, message.ends, message.id) == (None, ends, "abc.7-0")
        assert orjson.loads(message.raw)["head"]["status"] == status


def test_columns_line_up() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")], header=("x", "y", "z")) == "x    y   z\na    bb  c\naaa  b"
    assert columns([]) == ""


def test_the_grid_marks_pages_and_counts_many() -> None:
    few = coverage_table({"intake": {"board": "done"}, "ocr": {"1": "skipped", "3": "failed"}})
    assert few.splitlines()[0].split() == ["source", "board", "pages", "1-3"]
    assert few.splitlines()[1].split() == ["intake", "✓"]
    assert few.splitlines()[2].endswith("· ✗")
    many = coverage_table({"ocr": {**{str(page): "done" for page in range(1, 99)}, "99": "failed"}})
    assert "98 done, 1 failed (99)" in many
