"""Rows, columns and the text made of them."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.reading_order import (
    COLUMN_GAP,
    Piece,
    in_columns,
    reading_order,
    row_text,
    rows,
    skew,
    topological,
)


def piece(text: str, x: float, y: float, *, width: float | None = None, height: float = 20, turn: float = 0.0) -> Piece:
    """A piece whose top left corner is at x, y on a page that is then turned by `turn` radians about its origin."""
    right = x + (width if width is not None else 10 * len(text))
    cos, sin = math.cos(turn), math.sin(turn)
    corners = ((x, y), (right, y), (right, y + height), (x, y + height))
    a, b, c, d = ((px * cos - py * sin, px * sin + py * cos) for px, py in corners)
    return Piece(text, 0.99, (a, b, c, d))


def read(pieces: list[Piece]) -> list[str]:
    return [row_text(pieces, row) for row in reading_order(pieces)]


def receipt(turn: float = 0.0) -> list[Piece]:
    lines = [("MILK", "2.10"), ("BREAD", "3.45"), ("TOTAL", "5.55"), ("CASH", "10.00"), ("CHANGE", "4.45")]
    pieces = []
    for number, (label, amount) in enumerate(lines):
        pieces.append(piece(label, 40, 100 + 26 * number, turn=turn))
        pieces.append(piece(amount, 500, 101 + 26 * number, turn=turn))
    return pieces


def columns(count: int = 2, lines: int = 12, gutter: float = 14) -> list[Piece]:
    width = 400.0
    pieces = [piece("A headline across the page", 0, 0, width=count * width + (count - 1) * gutter, height=30)]
    for column in range(count):
        for line in range(lines):
            x = column * (width + gutter)
            pieces.append(piece(f"column {column} line {line:02d}", x, 60 + 22 * line, width=width))
    return pieces


def test_a_label_and_its_amount_stand_on_one_row() -> None:
    assert read(receipt()) == [
        f"MILK{COLUMN_GAP}2.10",
        f"BREAD{COLUMN_GAP}3.45",
        f"TOTAL{COLUMN_GAP}5.55",
        f"CASH{COLUMN_GAP}10.00",
        f"CHANGE{COLUMN_GAP}4.45",
    ]


def test_words_that_stand_close_are_joined_by_one_space() -> None:
    assert read([piece("SUB", 0, 0), piece("TOTAL", 36, 0)]) == ["SUB TOTAL"]


def test_columns_are_read_one_after_the_other() -> None:
    for count in (2, 3):
        pieces = columns(count)
        assert in_columns(pieces, rows(pieces))
        wanted = [f"column {column} line {line:02d}" for column in range(count) for line in range(12)]
        assert read(pieces) == ["A headline across the page", *wanted]


def test_a_full_line_between_columns_ends_them() -> None:
    upper = columns(2, lines=6)
    lower = [piece(p.text + "b", p.box[0], p.box[1] + 240, width=p.size[0]) for p in upper]
    text = read(upper + lower)
    assert text.index("column 1 line 05") < text.index("A headline across the pageb")
    assert text.index("A headline across the pageb") < text.index("column 0 line 00b")


def test_a_short_line_does_not_go_before_a_heading_to_its_right() -> None:
    pieces = columns(2)[1:]
    pieces.append(piece("Chapter heading", 120, 10, width=300))
    pieces.append(piece("Sec.", 0, 38, width=40))
    assert read(pieces)[:2] == ["Chapter heading", "Sec."]


def test_receipts_and_address_blocks_are_no_columns() -> None:
    assert not in_columns(receipt(), rows(receipt()))
    blocks = [piece("Sender street 12, 1000 Town", 0, 0), piece("Receiver road 7, 2000 City", 500, 0)]
    assert not in_columns(blocks, rows(blocks))


@given(st.floats(-0.12, 0.12))
def test_a_skewed_page_keeps_its_rows(turn: float) -> None:
    pieces = [piece(f"left part of line {n}", 0, 40 * n, turn=turn) for n in range(8)]
    pieces += [piece(f"right part of line {n}", 600, 40 * n, turn=turn) for n in range(8)]
    assert abs(skew(pieces) - turn) < 1e-6
    assert sorted(map(sorted, rows(pieces))) == [[n, n + 8] for n in range(8)]


@given(st.randoms(use_true_random=False), st.sampled_from([receipt(), columns(2), columns(3)]))
def test_the_order_does_not_depend_on_the_order_of_finding(chance: random.Random, pieces: list[Piece]) -> None:
    shuffled = list(pieces)
    chance.shuffle(shuffled)
    assert read(shuffled) == read(pieces)


corners = st.tuples(st.floats(0, 1000), st.floats(0, 1000), st.floats(1, 400), st.floats(1, 60))


@given(st.lists(corners, max_size=30))
def test_every_piece_is_read_exactly_once(boxes: list[tuple[float, float, float, float]]) -> None:
    pieces = [piece(f"p{n}", x, y, width=w, height=h) for n, (x, y, w, h) in enumerate(boxes)]
    assert sorted(index for row in reading_order(pieces) for index in row) == list(range(len(pieces)))
    assert sorted(topological([p.box for p in pieces])) == list(range(len(pieces)))


@given(st.lists(corners, min_size=2, max_size=12))
def test_in_one_column_the_topological_order_is_from_top_to_bottom(
    boxes: list[tuple[float, float, float, float]],
) -> None:
    stacked = [(0.0, y, 500.0, y + h) for _, y, _, h in boxes]
    middles = [stacked[i][1] + stacked[i][3] for i in topological(stacked)]
    assert middles == sorted(middles)
