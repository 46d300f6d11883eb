"""A page as rows of cells: what stands beside and below what.

Works from the boxes of a page's lines where there are boxes, else from the lines of its text. A cell is a line, or the
part of one that two spaces or a tab set apart. Distances are fractions of the page.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from blackboard.levels import Box, Line, Page

_PART = re.compile(r"\S(?:[^\S\n]?\S)*")
_TEXT_LINE = re.compile(r"[^\r\n]+")


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of one printed line: `page.text[start:end]`; `box` is None where the page has no geometry."""

    start: int
    end: int
    text: str
    box: Box | None


@dataclass(frozen=True, slots=True)
class Row:
    """The cells that stand on one height, from left to right."""

    cells: tuple[Cell, ...]

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)

    @property
    def joined(self) -> str:
        """The cells with two spaces between them, which no value crosses; `place` leads back to the page."""
        return "  ".join(cell.text for cell in self.cells)

    def place(self, at: int) -> int:
        """Offset in the page's text of a position in `joined`."""
        for cell in self.cells:
            if at <= len(cell.text):
                return cell.start + at
            at -= len(cell.text) + 2
        return self.cells[-1].end

    @property
    def start(self) -> int:
        return min(cell.start for cell in self.cells)

    @property
    def end(self) -> int:
        return max(cell.end for cell in self.cells)

    @property
    def contiguous(self) -> bool:
        """True when the cells follow each other in the text, so that start..end quotes this row alone."""
        return all(a.end <= b.start for a, b in pairwise(self.cells))

    @property
    def height(self) -> float:
        """Height of the tallest cell; 0 without geometry."""
        return max((cell.box[3] - cell.box[1] for cell in self.cells if cell.box), default=0.0)

    @property
    def top(self) -> float:
        return min((cell.box[1] for cell in self.cells if cell.box), default=0.0)

    @property
    def bottom(self) -> float:
        return max((cell.box[3] for cell in self.cells if cell.box), default=0.0)


def rows_of(page: Page) -> list[Row]:
    """The page's rows from top to bottom."""
    cells = [cell for line in _lines(page) for cell in _cells(page.text, line)]
    if not cells:
        return []
    if all(cell.box for cell in cells):
        return _by_height(cells)
    rows: list[list[Cell]] = []
    for cell in cells:
        if rows and "\n" not in page.text[rows[-1][-1].end : cell.start]:
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return [Row(tuple(row)) for row in rows]


def right_of(row: Row, cell: Cell) -> Cell | None:
    """The next cell on the row, if it is near: less than a third of the page away."""
    at = row.cells.index(cell) + 1
    if at >= len(row.cells):
        return None
    other = row.cells[at]
    near = cell.box is None or other.box is None or other.box[0] - cell.box[2] < 0.34
    return other if near else None


def below(rows: Sequence[Row], number: int, cell: Cell) -> Iterator[Cell]:
    """Cells under a cell of row `number`, nearest first: two rows down, overlapping it sideways where there are boxes."""
    for row in rows[number + 1 : number + 3]:
        for other in row.cells:
            if cell.box is None or other.box is None:
                if row.cells.index(other) == 0:
                    yield other
            elif other.box[0] < cell.box[2] and other.box[2] > cell.box[0]:
                yield other


class Boxes:
    """Looks up where spans of a page's text stand."""

    def __init__(self, page: Page) -> None:
        self._lines = sorted((line for line in page.lines if line.box and line.end > line.start), key=_start)
        self._starts = [line.start for line in self._lines]

    def of(self, start: int, end: int) -> Box | None:
        """The boxes of the lines a span touches, cut to its share of each line's characters; None without geometry."""
        parts: list[Box] = []
        for line in self._lines[max(0, bisect_right(self._starts, start) - 1) : bisect_left(self._starts, end)]:
            if line.end > start:
                parts.append(_share(line, max(start, line.start), min(end, line.end)))
        if not parts:
            return None
        return min(p[0] for p in parts), min(p[1] for p in parts), max(p[2] for p in parts), max(p[3] for p in parts)


def _start(line: Line) -> int:
    return line.start


def _lines(page: Page) -> Sequence[Line]:
    if page.lines:
        return page.lines
    return [Line(start=match.start(), end=match.end()) for match in _TEXT_LINE.finditer(page.text)]


def _cells(text: str, line: Line) -> Iterator[Cell]:
    for match in _PART.finditer(text, line.start, line.end):
        yield Cell(
            match.start(), match.end(), match.group(), _share(line, match.start(), match.end()) if line.box else None
        )


def _share(line: Line, start: int, end: int) -> Box:
    assert line.box is not None
    x0, y0, x1, y1 = line.box
    scale = (x1 - x0) / (line.end - line.start)
    return x0 + (start - line.start) * scale, y0, x0 + (end - line.start) * scale, y1


def _by_height(cells: list[Cell]) -> list[Row]:
    """Group cells whose middles lie within half a height of the row's running middle."""
    rows: list[list[Cell]] = []
    middle = 0.0
    for cell in sorted(cells, key=_middle):
        box = cell.box
        assert box is not None
        if rows and abs(_middle(cell) - middle) < 0.5 * (box[3] - box[1]) and not _collides(rows[-1], box):
            rows[-1].append(cell)
            middle += (_middle(cell) - middle) / len(rows[-1])
        else:
            rows.append([cell])
            middle = _middle(cell)
    return [Row(tuple(sorted(row, key=lambda cell: cell.box[0] if cell.box else 0.0))) for row in rows]


def _collides(row: list[Cell], box: Box) -> bool:
    """Two cells that overlap sideways cannot stand on one row, however close their heights are."""
    return any(
        min(cell.box[2], box[2]) - max(cell.box[0], box[0]) > 0.5 * min(cell.box[2] - cell.box[0], box[2] - box[0])
        for cell in row
        if cell.box
    )


def _middle(cell: Cell) -> float:
    return (cell.box[1] + cell.box[3]) / 2 if cell.box else 0.0
