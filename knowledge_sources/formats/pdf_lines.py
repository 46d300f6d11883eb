"""A PDF page's text as pieces with boxes, and the order in which a person reads them.

pdfium gives characters in the order in which the page draws them, which on most pages is the order of reading, columns
included. On pages of short pieces (invoices, receipts, forms, tables) it is not: there labels and amounts that stand on one
row may be drawn far apart, and such pages are read row by row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

from blackboard.levels import Box, Line

COLUMN_GAP: Final = "   "
"""What stands in the text for a wide gap: two spaces or more separate cells."""
WIDE: Final = 1.0
"""A gap wider than this part of the line's height separates cells, a narrower one words."""
RUNNING: Final = 30
"""A piece of this many characters is running text, not a label or an amount."""
PARAGRAPH_GAP: Final = 0.9
"""A vertical gap above this part of the usual line height begins a new paragraph."""
MAX_CHARACTERS: Final = 200_000
"""Of one page; what follows is left out, and the layer says so."""

_HYPHENATED = re.compile(r"(\w+)\Z")
_CONTINUED = re.compile(r"(\w+)")
_KEEPS_HYPHEN = frozenset(("all", "co", "cross", "ex", "half", "know", "non", "quasi", "self", "semi", "well"))


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that stands together on one line. The box is in points of the upright page, origin top left."""

    text: str
    box: Box
    same_line: bool = False
    """It follows the piece before it on the same drawn line."""
    hyphen: bool = False
    """It ends in a hyphen that was made by breaking the line; the hyphen is not in the text."""

    @property
    def height(self) -> float:
        return max(self.box[3] - self.box[1], 0.1)

    @property
    def middle(self) -> float:
        return (self.box[1] + self.box[3]) / 2


Row = list[int]


def on_one_row(a: Piece, b: Piece) -> bool:
    """Whether the middles of two pieces are nearer than half of the lower one's height."""
    return abs(a.middle - b.middle) < 0.5 * min(a.height, b.height)


def drawn_rows(pieces: Sequence[Piece]) -> list[Row]:
    """Rows in the order of drawing: a piece joins the row before it if it stands right of it on the same height."""
    rows: list[Row] = []
    for index, piece in enumerate(pieces):
        before = pieces[index - 1] if index else None
        beside = before and on_one_row(before, piece) and piece.box[0] >= before.box[2] - 0.3 * piece.height
        if before and (piece.same_line or beside) and not before.hyphen:
            rows[-1].append(index)
        else:
            rows.append([index])
    return rows


def visual_rows(pieces: Sequence[Piece]) -> list[Row]:
    """Rows from top to bottom, whatever was drawn when; pieces that overlap sideways are never put on one row."""
    rows: list[Row] = []
    for index in sorted(range(len(pieces)), key=lambda i: pieces[i].middle):
        piece = pieces[index]
        home = next((row for row in reversed(rows[-6:]) if _fits(pieces, row, piece)), None)
        if home is None:
            rows.append([index])
        else:
            home.append(index)
    rows.sort(key=lambda row: sum(pieces[i].middle for i in row) / len(row))
    return [sorted(row, key=lambda i: pieces[i].box[0]) for row in rows]


def _fits(pieces: Sequence[Piece], row: Row, piece: Piece) -> bool:
    """`piece` is on the height of its nearest neighbour in `row` and overlaps none sideways."""
    nearest = min(row, key=lambda i: max(pieces[i].box[0] - piece.box[2], piece.box[0] - pieces[i].box[2]))
    if not on_one_row(pieces[nearest], piece):
        return False
    overlaps = (min(pieces[i].box[2], piece.box[2]) - max(pieces[i].box[0], piece.box[0]) for i in row)
    return max(overlaps) < 0.3 * piece.height


def is_form(pieces: Sequence[Piece]) -> bool:
    """Whether a page is mostly short pieces."""
    total = sum(len(piece.text) for piece in pieces)
    return sum(len(piece.text) for piece in pieces if len(piece.text) >= RUNNING) < 0.5 * total


def in_columns(pieces: Sequence[Piece], rows: Sequence[Row]) -> bool:
    """Whether many rows hold two pieces of text or more, as narrow columns do."""
    double = sum(1 for row in rows if sum(len(pieces[i].text) >= RUNNING * 2 // 3 for i in row) >= 2)
    return double >= 4 and double >= 0.25 * len(rows)


def reading_rows(pieces: Sequence[Piece]) -> tuple[list[Row], bool]:
    """The rows in the order of reading, and whether they were put in order by height alone."""
    if is_form(pieces):
        rows = visual_rows(pieces)
        if not in_columns(pieces, rows):
            return rows, True
    return drawn_rows(pieces), False


def compose(pieces: Sequence[Piece], width: float, height: float) -> tuple[str, tuple[Line, ...]]:
    """The page's text and its lines, one for each piece; `text[line.start:line.end]` is the piece's text.

    Rows end in a line break, paragraphs in two; wide gaps are `COLUMN_GAP`. A word that was broken at the end of a line is
    put together again, its two parts staying with their own lines.
    """
    if not pieces:
        return "", ()
    rows, form = reading_rows(pieces)
    spoken = " ".join(piece.text for piece in pieces).lower()
    paragraph_gap = 1e9 if form else PARAGRAPH_GAP * median(piece.height for piece in pieces)
    # Each piece with whether it begins a row.
    order = [(index, place == 0) for row in rows for place, index in enumerate(row)]
    lines: list[Line] = []
    parts: list[str] = []
    size = 0
    for (index, _), (following, starts_row) in pairwise((*order, (-1, True))):
        piece = pieces[index]
        if size + len(piece.text) > MAX_CHARACTERS:
            break
        box = fractions(piece.box, width, height)
        lines.append(Line.model_construct(start=size, end=size + len(piece.text), box=box, confidence=1.0))
        after = _between(pieces, index, following, starts_row, spoken, paragraph_gap)
        parts += (piece.text, after)
        size += len(piece.text) + len(after)
    return "".join(parts).rstrip("\n"), tuple(lines)


def _between(
    pieces: Sequence[Piece], index: int, following: int, starts_row: bool, spoken: str, paragraph_gap: float
) -> str:
    """What separates two pieces that follow each other."""
    piece = pieces[index]
    if following < 0:
        return "-" if piece.hyphen else ""
    after = pieces[following]
    if piece.hyphen:
        return _joint(piece, after, spoken) if following == index + 1 and _continues(piece, after) else "-\n"
    if starts_row:
        gap = after.box[1] - piece.box[3]
        return "\n\n" if gap > paragraph_gap or gap < -3 * piece.height < -paragraph_gap else "\n"
    return COLUMN_GAP if after.box[0] - piece.box[2] > WIDE * min(piece.height, after.height) else " "


def _continues(piece: Piece, after: Piece) -> bool:
    """The next line of the same paragraph, or the top of the next column."""
    below = after.box[1] - piece.box[3] < 2 * piece.height and min(piece.box[2], after.box[2]) > max(
        piece.box[0], after.box[0]
    )
    return below or after.text[:1].islower()


def _joint(piece: Piece, after: Piece, spoken: str) -> str:
    """Nothing where a word was broken, a hyphen where it is part of the word."""
    first, second = _HYPHENATED.search(piece.text), _CONTINUED.match(after.text)
    if not first or not second or not second[1][:1].islower():
        return "-"
    if first[1].lower() in _KEEPS_HYPHEN or not first[1][-1:].islower():
        return "-"
    return "-" if f"{first[1]}-{second[1]}".lower() in spoken else ""


def fractions(box: Box, width: float, height: float) -> Box:
    """A box in points as fractions of the page, cut at its edges."""
    x0, y0, x1, y1 = box
    return _part(x0, width), _part(y0, height), _part(x1, width), _part(y1, height)


def _part(value: float, whole: float) -> float:
    return round(min(1.0, max(0.0, value / whole)), 5)


def leaves(before: Box, after: Box) -> bool:
    """Whether what follows stands on another row, or left of what it follows."""
    return after[1] > before[3] or after[3] < before[1] or after[2] < before[0]


def stand_apart(before: Box, after: Box, height: float) -> bool:
    """Whether two neighbours on a line may belong to different cells or rows."""
    return after[0] - before[2] > 0.7 * WIDE * height or leaves(before, after)


def cut_line(text: str, start: int, end: int, height: float, box: Callable[[int], Box]) -> list[tuple[int, int, bool]]:
    """Cut `text[start:end]`, which pdfium takes for one line, at its wide gaps and where it goes on to another row.

    `box(i)` is the box of character i. Gives start, end, and whether the part stands on the row of the one before it.
    """
    parts = []
    begin, same_row = start, False
    # Justified text has wide gaps too, most of all between words that go on in small letters.
    letters = sum(map(str.isalpha, text[start:end]))
    prose = end - start >= 2 * RUNNING and letters > 0.7 * (end - start)
    for blank in re.finditer(r"\s+", text[start:end]):
        left, right = start + blank.start(), start + blank.end()
        if left <= begin or right >= end:
            continue
        before, after = box(left - 1), box(right)
        leaves_row = leaves(before, after)
        goes_on = text[right].islower() and text[left - 1].islower()
        wide = WIDE * height * (1 if not prose else 4 if goes_on else 2)
        if leaves_row or after[0] - before[2] > wide:
            parts.append((begin, left, same_row))
            begin, same_row = right, not leaves_row
    return [*parts, (begin, end, same_row)]
