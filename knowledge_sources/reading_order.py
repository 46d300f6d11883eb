"""Reading order: from boxes that an OCR engine found, in any order, to rows of text as a person reads them.

Most pages are read row by row: a receipt's label and its amount belong together however far apart they stand. Only
where several rows hold two or more long pieces is the page set in columns, and read by the topological order of T. M.
Breuel, "High Performance Document Layout Analysis" (2003).

All lengths are in pixels of the upright page, origin top left; angles are in radians, clockwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

ROW_OVERLAP = 0.5
"""Two pieces stand on one row if their centres are nearer than this part of the smaller height."""
WORD_GAP = 1.0
"""A gap wider than this part of the height separates columns, a narrower one separates words."""
GUTTER = 0.45
"""Pieces nearer than this part of the height are words of one line; a wider gap may be a gutter between columns."""
LINE_GAP = 0.8
"""Lines nearer than this part of their height, from foot to head, belong to one block."""
COLUMN_GAP = "   "
"""What stands in the text for a wide gap."""
LONG_PIECE = 10.0
"""A piece this many heights wide (about twenty characters) is running text, not a label or an amount."""
COLUMN_ROWS = 4
COLUMN_SHARE = 0.25
"""A page is in columns if at least so many rows, and this share of all rows, hold two or more long pieces."""

Rectangle = tuple[float, float, float, float]
"""x0, y0, x1, y1."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One box of text with its corners: top left, top right, bottom right, bottom left."""

    text: str
    score: float
    quad: tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]

    @property
    def box(self) -> Rectangle:
        """x0, y0, x1, y1 of the upright rectangle around the corners."""
        xs = [x for x, _ in self.quad]
        ys = [y for _, y in self.quad]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height along the piece's own edges, so that a skewed line is not taken for a high one."""
        a, b, c, d = self.quad
        return (math.dist(a, b) + math.dist(d, c)) / 2, (math.dist(a, d) + math.dist(b, c)) / 2

    @property
    def angle(self) -> float:
        """How far the piece's upper edge is turned from the horizontal."""
        (x0, y0), (x1, y1) = self.quad[0], self.quad[1]
        return math.atan2(y1 - y0, x1 - x0)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece as it would stand if the page were not skewed."""

    index: int
    left: float
    right: float
    middle: float
    height: float


def skew(pieces: Sequence[Piece]) -> float:
    """The page's skew: the median angle of its longer pieces, 0 if there are too few to tell."""
    longest = sorted((p for p in pieces if p.size[0] > 4 * p.size[1]), key=lambda p: -p.size[0])[:40]
    return median(p.angle for p in longest) if len(longest) >= 3 else 0.0


def rows(pieces: Sequence[Piece]) -> list[list[int]]:
    """Indices of the pieces that stand on one visual row, left to right, the rows from top to bottom.

    A row is followed from neighbour to neighbour, so that a bent or skewed sheet keeps its rows.
    """
    placed = _place(pieces, skew(pieces))
    found: list[list[_Placed]] = []
    for piece in sorted(placed, key=lambda p: p.middle):
        best: list[_Placed] | None = None
        best_off = math.inf
        for row in found[-12:]:
            near = min(row, key=lambda p: max(p.left - piece.right, piece.left - p.right))
            off = abs(piece.middle - near.middle)
            overlap = min(near.right, piece.right) - max(near.left, piece.left)
            beside = overlap < 0.3 * min(near.right - near.left, piece.right - piece.left)
            if beside and off < ROW_OVERLAP * min(piece.height, near.height) and off < best_off:
                best, best_off = row, off
        if best is None:
            found.append([piece])
        else:
            best.append(piece)
    found.sort(key=lambda row: sum(p.middle for p in row) / len(row))
    return [[p.index for p in sorted(row, key=lambda p: p.left)] for row in found]


def in_columns(pieces: Sequence[Piece], order: Sequence[Sequence[int]]) -> bool:
    """Whether the page is set in columns: enough of its rows hold two or more long pieces, apart from each other."""
    double = 0
    for row in order:
        runs = _runs(pieces, row)
        long = sum(1 for run in runs if _width(pieces, run) > LONG_PIECE * _height(pieces, run))
        double += long >= 2
    return double >= COLUMN_ROWS and double >= COLUMN_SHARE * len(order)


def reading_order(pieces: Sequence[Piece]) -> list[list[int]]:
    """Rows of indices in the order of reading; on a page in columns a row is a row of one column."""
    order = rows(pieces)
    if not in_columns(pieces, order):
        return order
    runs = [run for row in order for run in _runs(pieces, row)]
    boxes = [_around(pieces, run) for run in runs]
    blocks = _blocks(boxes)
    around = [_union([boxes[i] for i in block]) for block in blocks]
    return [runs[i] for b in topological(around) for i in blocks[b]]


def topological(boxes: Sequence[Rectangle]) -> list[int]:
    """Breuel's order of boxes: what is above comes first within a column, a column before those right of it.

    Of the boxes that may come next the topmost is taken; a cycle, which only overlapping boxes can make, is broken
    there.
    """
    if not boxes:
        return []
    precedes = _precedes(np.array(boxes, dtype=np.float64))
    waits = precedes.sum(axis=0)
    tops = sorted(range(len(boxes)), key=lambda i: (boxes[i][1] + boxes[i][3], boxes[i][0], i))
    result: list[int] = []
    while tops:
        index = next((i for i in tops if waits[i] == 0), tops[0])
        tops.remove(index)
        result.append(index)
        waits -= precedes[index]
        # Whatever was taken to break a cycle no longer holds anything back, nor waits.
        precedes[index] = False
        precedes[:, index] = False
    return result


def row_text(pieces: Sequence[Piece], row: Sequence[int]) -> str:
    """The row's pieces joined by a space, or by `COLUMN_GAP` where they stand apart."""
    text = pieces[row[0]].text
    for left, right in pairwise(row):
        gap = pieces[right].box[0] - pieces[left].box[2]
        height = min(pieces[left].size[1], pieces[right].size[1])
        text += (COLUMN_GAP if gap > WORD_GAP * height else " ") + pieces[right].text
    return text


def _place(pieces: Sequence[Piece], angle: float) -> list[_Placed]:
    cos, sin = math.cos(angle), math.sin(angle)
    placed = []
    for index, piece in enumerate(pieces):
        x = sum(p[0] for p in piece.quad) / 4
        y = sum(p[1] for p in piece.quad) / 4
        width, height = piece.size
        middle_x = x * cos + y * sin
        placed.append(_Placed(index, middle_x - width / 2, middle_x + width / 2, y * cos - x * sin, max(height, 1.0)))
    return placed


def _runs(pieces: Sequence[Piece], row: Sequence[int]) -> list[list[int]]:
    """The row cut at every gap that could be a gutter."""
    runs = [[row[0]]]
    for index in row[1:]:
        before = runs[-1][-1]
        gap = pieces[index].box[0] - pieces[before].box[2]
        if gap > GUTTER * min(pieces[index].size[1], pieces[before].size[1]):
            runs.append([index])
        else:
            runs[-1].append(index)
    return runs


def _blocks(boxes: Sequence[Rectangle]) -> list[list[int]]:
    """Lines that follow closely upon one another with nothing beside them, as blocks.

    A short line, ordered alone, would go before a heading that it stands left of; its block knows the column's width.
    """
    after = [_nearest(boxes, a, below=True) for a in range(len(boxes))]
    before = [_nearest(boxes, a, below=False) for a in range(len(boxes))]
    linked = {a: b[0] for a, b in enumerate(after) if len(b) == 1 and before[b[0]] == [a]}
    followers = set(linked.values())
    blocks = []
    for start in range(len(boxes)):
        if start in followers:
            continue
        block = [start]
        while block[-1] in linked:
            block.append(linked[block[-1]])
        blocks.append(block)
    return blocks


def _nearest(boxes: Sequence[Rectangle], a: int, *, below: bool) -> list[int]:
    """The boxes right below (or above) box a, within a line's distance and sharing some of its width."""
    x0, y0, x1, y1 = boxes[a]
    middle, height = (y0 + y1) / 2, y1 - y0
    found = []
    for b, (bx0, by0, bx1, by1) in enumerate(boxes):
        away = (by0 + by1) / 2 - middle if below else middle - (by0 + by1) / 2
        gap = by0 - y1 if below else y0 - by1
        if b != a and away > 0 and gap < LINE_GAP * height and min(x1, bx1) > max(x0, bx0):
            found.append((away, b))
    nearest = min(found, default=(0.0, 0))[0]
    return [b for away, b in sorted(found) if away < nearest + height / 2]


def _union(boxes: Sequence[Rectangle]) -> Rectangle:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def _around(pieces: Sequence[Piece], row: Sequence[int]) -> Rectangle:
    return _union([pieces[i].box for i in row])


def _width(pieces: Sequence[Piece], row: Sequence[int]) -> float:
    box = _around(pieces, row)
    return box[2] - box[0]


def _height(pieces: Sequence[Piece], row: Sequence[int]) -> float:
    return median(pieces[i].size[1] for i in row)


def _precedes(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Matrix: whether box a must be read before box b."""
    left, right = boxes[:, 0], boxes[:, 2]
    middle = (boxes[:, 1] + boxes[:, 3]) / 2
    share_columns = np.minimum.outer(right, right) > np.maximum.outer(left, left)
    # Equal heights fall back on the order given, so that of two boxes exactly one is above the other.
    above = np.less.outer(middle, middle) | (
        np.equal.outer(middle, middle) & np.less.outer(*[np.arange(len(boxes))] * 2)
    )
    beside = ~share_columns & np.less_equal.outer(right, left + 1e-9)
    for c in range(len(boxes)):
        # A box that spans both, between them in height, ends the columns: what is below it is read after it.
        spans = np.logical_and.outer(share_columns[c], share_columns[c])
        between = np.logical_and.outer(above[:, c], above[c, :])
        beside &= ~(spans & (between | between.T))
    result: NDArray[np.bool_] = (share_columns & above) | beside
    np.fill_diagonal(result, False)
    return result
