"""The text layer of PDF pages: pieces with boxes from pdfium, and whether the layer can be trusted.

Runs inside a sandbox. Boxes come in the page's own space and are turned and cut as /Rotate and the crop box say.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np

from blackboard.errors import PermanentFailure
from blackboard.levels import Box, Layer
from knowledge_sources.formats import pdf
from knowledge_sources.formats.pdf_lines import MAX_CHARACTERS, Piece, compose, cut_line, stand_apart
from knowledge_sources.formats.pdfium import PdfiumError, raw
from knowledge_sources.formats.quality import GOOD_ENOUGH, clean, text_quality

LITTLE: Final = 20
"""Fewer visible characters than this do not make a text layer."""
STAMP: Final = 150
"""A scan with fewer visible characters than this carries a stamp or a header, not its text."""
GOOD_OCR: Final = 0.9
"""The text that another OCR program left under a scan is kept from this quality on."""
COVERED: Final = 0.5
"""An image over this part of the page is a scan."""
SHAPES: Final = 20
"""So many vector shapes may be letters drawn as outlines."""
INK: Final = 0.0002
"""Part of a page's pixels that differ from its background: about four letters. Below it the page is blank."""
INVISIBLE: Final = 3
"""Text rendering mode 3 of the PDF specification, which OCR programs use for the text under a scan."""

_DRAWN_LINE = re.compile(r"[^\r\n\ufffe]+")


class Sheet:
    """One opened page, its size in points when upright, and its characters.

    Upright means that its text can be read: a table that is shown lying on its side is turned, as a reader would.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.text_page = page.get_textpage()
        box = raw.FS_RECTF()
        if not raw.FPDF_GetPageBoundingBox(page, box):
            box.left, box.bottom, box.right, box.top = page.get_mediabox()
        self.left, self.bottom, self.right, self.top = box.left, box.bottom, box.right, box.top
        self.text = self._characters()
        self.shown = int(page.get_rotation())
        """Degrees clockwise by which the page is turned to be shown."""
        self.rotation = self._reading_rotation()
        """Degrees clockwise by which it must be turned to be read."""
        sides = max(1.0, self.right - self.left), max(1.0, self.top - self.bottom)
        self.width, self.height = sides if self.rotation % 180 == 0 else (sides[1], sides[0])

    def _reading_rotation(self) -> int:
        """The direction that nearly all of the text has, else that of the page as it is shown."""
        indices = self.sample(40)
        angles = (raw.FPDFText_GetCharAngle(self.text_page, index) for index in indices)
        turns = Counter(-round(math.degrees(angle) / 90) % 4 * 90 for angle in angles if angle >= 0)
        if len(indices) < 10 or not turns:
            return self.shown
        turn, times = turns.most_common(1)[0]
        return turn if times > 0.8 * len(indices) else self.shown

    def _characters(self) -> str:
        """All characters, so that index i is pdfium's character i."""
        count = min(max(0, raw.FPDFText_CountChars(self.text_page)), 4 * MAX_CHARACTERS)
        buffer = (ctypes.c_ushort * (count + 1))()
        written = raw.FPDFText_GetText(self.text_page, 0, count, buffer) - 1
        text = bytes(buffer)[: 2 * max(0, written)].decode("utf-16-le", "replace")
        if len(text) == count:
            return text
        # Characters without Unicode and those beyond the first plane shift the bulk text against the indices.
        return "".join(_character(raw.FPDFText_GetUnicode(self.text_page, index)) for index in range(count))

    def upright(self, left: float, bottom: float, right: float, top: float) -> Box:
        """A box of the page's own space in points of the upright page, origin top left."""
        x0, x1 = left - self.left, right - self.left
        y0, y1 = self.top - top, self.top - bottom
        wide, high = self.right - self.left, self.top - self.bottom
        if self.rotation == 90:
            return high - y1, x0, high - y0, x1
        if self.rotation == 180:
            return wide - x1, high - y1, wide - x0, high - y0
        if self.rotation == 270:
            return y0, wide - x1, y1, wide - x0
        return x0, y0, x1, y1

    def rects(self, start: int, end: int) -> list[Box]:
        """The upright rectangles that pdfium draws around a range of characters."""
        found = []
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        for index in range(raw.FPDFText_CountRects(self.text_page, start, end - start)):
            if raw.FPDFText_GetRect(self.text_page, index, left, top, right, bottom):
                found.append(self.upright(left.value, bottom.value, right.value, top.value))
        return found

    def box(self, index: int) -> Box:
        """The upright box of one character, as high as its font and as wide as its step."""
        box = raw.FS_RECTF()
        raw.FPDFText_GetLooseCharBox(self.text_page, index, box)
        return self.upright(box.left, box.bottom, box.right, box.top)

    def pieces(self) -> list[Piece]:
        """The page's text in the order of drawing; what lies outside of the visible page is left out."""
        found: list[Piece] = []
        for line in _DRAWN_LINE.finditer(self.text):
            start, end = _trimmed(self.text, line.start(), line.end())
            if start == end:
                continue
            rects = self.rects(start, end)
            parts = [(start, end, False)]
            if len(rects) > 1:
                high = max(1.0, sorted(box[3] - box[1] for box in rects)[len(rects) // 2])
                # Asking for the box of each word is dear; where nothing stands apart there is nothing to cut.
                if any(stand_apart(before, after, high) for before, after in pairwise(rects)):
                    parts = cut_line(self.text, start, end, high, self.box)
            for first, last, same_row in parts:
                around = _around(self.rects(first, last) if len(parts) > 1 else rects)
                text = clean(self.text[first:last]).strip()
                hyphen = last == end and self.text[line.end() : line.end() + 1] == "\ufffe"
                if text and (around is None or self._visible(around)):
                    box = around or (found[-1].box if found else (0.0, 0.0, 0.0, 0.0))
                    found.append(Piece(text, box, same_line=same_row and bool(found), hyphen=hyphen))
        return found

    def _visible(self, box: Box) -> bool:
        return box[0] < self.width and box[2] > 0 and box[1] < self.height and box[3] > 0

    def sample(self, most: int) -> list[int]:
        """Indices of visible characters, spread over the page."""
        every = max(1, len(self.text) // most)
        return [index for index in range(0, len(self.text), every) if not self.text[index].isspace()]

    def unmapped_share(self) -> float:
        """Share of characters of which the font itself says that it does not know them."""
        indices = self.sample(200)
        wrong = sum(raw.FPDFText_HasUnicodeMapError(self.text_page, index) == 1 for index in indices)
        return wrong / len(indices) if indices else 0.0

    def invisible_share(self) -> float:
        """Share of characters that are drawn with no ink."""
        indices = self.sample(60)
        hidden = 0
        for index in indices:
            item = raw.FPDFText_GetTextObject(self.text_page, index)
            hidden += bool(item) and raw.FPDFTextObj_GetTextRenderMode(item) == INVISIBLE
        return hidden / len(indices) if indices else 0.0

    def drawn(self) -> tuple[float, int]:
        """Part of the page under its largest image, and the number of vector shapes (counting stops at a few hundred)."""
        covered, shapes = 0.0, 0
        area = max(1.0, (self.right - self.left) * (self.top - self.bottom))
        sizes = [ctypes.c_float() for _ in range(4)]
        for item in self.page.get_objects(max_depth=4):
            if item.type == raw.FPDF_PAGEOBJ_IMAGE:
                top = item
                while getattr(top, "container", None) is not None:
                    top = top.container
                if raw.FPDFPageObj_GetBounds(top, *sizes):
                    left, bottom, right, upper = (size.value for size in sizes)
                    wide = min(right, self.right) - max(left, self.left)
                    high = min(upper, self.top) - max(bottom, self.bottom)
                    covered = max(covered, max(0.0, wide) * max(0.0, high) / area)
            elif item.type in (raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_SHADING):
                shapes += 1
                if shapes > 500:
                    break
        return min(1.0, covered), shapes

    def ink(self) -> float:
        """Part of the page's pixels that differ from its background, on a small picture of it; 0 if none can be drawn."""
        try:
            grey = pdf.render(self.page, 0, dpi=50, max_pixels=3e5).pixels.mean(axis=2)
        except PermanentFailure:
            return 0.0
        return float(np.mean(np.abs(grey - np.median(grey)) > 40))


def layers(data: bytes) -> Iterator[dict[str, Any]]:
    """One Layer, as JSON, for each page, in order. A page that cannot be read gives an empty layer that says so."""
    with pdf.opened(data) as document:
        document.init_forms()
        for number in range(1, len(document) + 1):
            yield _layer_of(document, number).model_dump()


def _layer_of(document: Any, number: int) -> Layer:
    try:
        page = document[number - 1]
        try:
            return layer(Sheet(page), number)
        finally:
            page.close()
    except PdfiumError:
        return Layer(page=number, text="", quality=0.0, reason="the page is damaged and cannot be read")


def layer(sheet: Sheet, number: int) -> Layer:
    """The text layer of one page, and what it is worth."""
    pieces = sheet.pieces()
    text, lines = compose(pieces, sheet.width, sheet.height)
    quality, needs_ocr, reason = judge(sheet, text)
    if sheet.rotation != sheet.shown:
        turn = (sheet.rotation - sheet.shown) % 360
        reason = f"{reason}; its text lies on its side, boxes are those of the page turned by {turn} degrees clockwise"
    if sum(len(piece.text) for piece in pieces) > MAX_CHARACTERS:
        reason = f"{reason}; only its first {MAX_CHARACTERS:,} characters are kept"
    # Our own values, checked again by the worker, which does not trust this process.
    return Layer.model_construct(
        page=number,
        text=text,
        lines=lines,
        quality=round(quality, 3),
        needs_ocr=needs_ocr,
        reason=reason,
        width=round(sheet.width, 2),
        height=round(sheet.height, 2),
    )


def judge(sheet: Sheet, text: str) -> tuple[float, bool, str]:
    """Quality, whether OCR is needed, and why."""
    visible = sum(1 for char in text if not char.isspace())
    if visible < LITTLE:
        return _judge_little(sheet, visible, text)
    unmapped_share = sheet.unmapped_share()
    quality = text_quality(text, unmapped_share)
    if quality < GOOD_ENOUGH:
        why = (
            "its fonts do not say which letters they draw" if unmapped_share > 0.1 else "most of its words are no words"
        )
        return quality, True, f"the text layer is unusable: {why}"
    hidden = sheet.invisible_share()
    if hidden < 0.5 and visible >= STAMP:
        aside = "" if hidden < 0.05 else f"; {hidden:.0%} of the text is invisible on the page"
        return quality, False, f"the page has a good text layer{aside}"
    covered, _ = sheet.drawn()
    if covered > COVERED and visible < STAMP:
        return 0.4 * quality, True, f"a scanned image covers the page, its text layer has only {visible} characters"
    if hidden >= 0.5 and covered > COVERED and quality < GOOD_OCR:
        return quality, True, "the page is a scanned image, and the text layer of the OCR program that read it is poor"
    if hidden >= 0.5 and covered > COVERED:
        return (
            0.9 * quality,
            False,
            "the page is a scanned image with the text layer of an OCR program, which reads well",
        )
    if hidden >= 0.05:
        return quality, False, f"the page has a text layer; {hidden:.0%} of it is invisible on the page"
    return quality, False, "the page has a good text layer"


def _judge_little(sheet: Sheet, visible: int, text: str) -> tuple[float, bool, str]:
    """A page with (almost) no text: blank, short, or a picture."""
    covered, shapes = sheet.drawn()
    said = f"the page has {'no text' if not visible else f'only {visible} characters of text'}"
    unmapped_share = sheet.unmapped_share()
    if visible and (unmapped_share > 0.3 or text_quality(text, unmapped_share) < GOOD_ENOUGH):
        return 0.0, True, f"{said}, in fonts that do not say which letters they draw"
    drawn = covered > 0.005 or shapes >= SHAPES or not visible
    if drawn and sheet.ink() >= INK:
        what = "an image" if covered > 0.005 else "drawn shapes"
        return 0.1 if visible else 0.0, True, f"{said}, but {what} to read"
    if not visible:
        return 1.0, False, "the page is blank"
    return 0.9, False, f"{said}, and nothing else to read"


def _character(code: int) -> str:
    return chr(code) if 0 < code < 0x110000 else "\ufffd"


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _around(boxes: list[Box]) -> Box | None:
    if not boxes:
        return None
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
