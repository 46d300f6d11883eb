"""OCR of one page image, offline: find the text, turn the page upright, read every piece, put them in order.

`OcrEngine` works on pixels and knows nothing of files; `serve` is its door in a sandbox: it is handed a file and the
number of a page, and answers with the fields of a `Reading`. One engine per process: loading the models takes a second.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from blackboard.errors import PermanentFailure
from blackboard.levels import Box, Line
from knowledge_sources.ocr_models import Detector, Image, Quad, Read, Recognizer, cut
from knowledge_sources.ocr_pace import PACES, THOROUGH, Pace, PaceName
from knowledge_sources.page_picture import page_picture
from knowledge_sources.reading_order import Piece, reading_order, row_text
from knowledge_sources.rotation import Rotation, find_rotation, turned

MIN_SCORE = 0.5
"""A piece read with less confidence is more likely noise than text."""
CROWDED = 350
"""With more pieces than this on a page, its text is looked for once more, at a larger side."""
HIGH = 1.5
"""A crop so much higher than wide holds a line written upwards."""
MAX_PIECES = 2500
UNSURE_PAGE = 0.8
LATIN_PAGE = 0.97
"""If so many of a page's letters are Latin, the rest are misread ones."""
SPARSE = 0.3
"""Fewer letters and digits than this per height of a wide piece: its script is not one that can be read here."""
UNREAD_PAGE = 0.5
UNREAD_PART = 0.2
PDF_DPI = 150.0
PDF_PIXELS = 4e6
MAX_PIXELS = 12e6
SCRIPTS = "only Latin, Chinese and Japanese writing can be read here"


@dataclass(frozen=True, slots=True)
class OcrResult:
    """What was read on one page: `text[line.start:line.end]` is a line; boxes are fractions of the upright page.

    `rotation` is how far the image was turned clockwise to be upright. `note` says what could not be read, in words.
    """

    text: str
    lines: tuple[Line, ...]
    confidence: float
    rotation: Rotation
    note: str


class OcrEngine:
    """Reads page images, given as BGR arrays of shape (height, width, 3), dtype uint8. `threads` per call."""

    def __init__(self, threads: int = 1, pace: Pace = THOROUGH) -> None:
        cv2.setNumThreads(threads)
        self._pace = pace
        self._detect = Detector(threads)
        self._recognize = Recognizer(threads, pace.squeeze)

    def read(self, image: Image) -> OcrResult:
        """Read one page, whichever way up. A page without text gives an empty text and says so in the note."""
        quads = self._find(image)
        rotation, known = self._rotation(image, quads)
        if rotation != 0:
            image = turned(image, rotation)
            quads, known = self._find(image), {}
        found = len(quads)
        # A pattern can look like thousands of letters: reading them all would take minutes.
        quads = sorted(quads, key=cv2.contourArea, reverse=True)[:MAX_PIECES]
        reads = [known.get(quad.tobytes()) or self._read_piece(image, quad) for quad in quads]
        missed, unread = _unread(quads, reads)
        notes = [unread] if unread else []
        if found > len(quads):
            notes.append(f"only the {MAX_PIECES:,} largest of {found:,} pieces of text were read")
        kept = [i for i in range(len(quads)) if i not in missed]
        pieces = _pieces([quads[i] for i in kept], [reads[i] for i in kept])
        text, lines = assemble(pieces, image.shape[1], image.shape[0])
        weights = [len(piece.text) for piece in pieces]
        total = sum(piece.score * weight for piece, weight in zip(pieces, weights, strict=True))
        confidence = total / sum(weights) if pieces else 0.0
        if not text and not notes:
            notes.append("no text was found")
        if text and confidence < UNSURE_PAGE:
            notes.append(f"the reading is unsure: {confidence:.2f} on average, where print gives .98")
        return OcrResult(text, lines, round(confidence, 4), rotation, "; ".join(notes))

    def rotation(self, image: Image) -> Rotation:
        """Degrees clockwise by which the image must be turned to be upright; 0 where nothing tells."""
        return self._rotation(image, self._find(image))[0]

    def _rotation(self, image: Image, quads: Sequence[Quad]) -> tuple[Rotation, dict[bytes, Read]]:
        """The rotation, and what was read on the way of pieces that stand as they are, by their corners."""
        known: dict[bytes, Read] = {}

        def score(index: int, rotation: Rotation) -> float:
            crop = cut(image, quads[index])
            read = self._recognize(turned(crop, rotation))
            if rotation == 0 and crop.shape[0] < HIGH * crop.shape[1]:
                known[quads[index].tobytes()] = read
            return read.score

        return find_rotation(quads, score), known

    def _find(self, image: Image) -> list[Quad]:
        height, width = image.shape[:2]
        pace = self._pace
        quads = self._detect(image, pace.side(width, height))
        # On a sheet so crowded, letters are small and neighbours run together.
        return self._detect(image, pace.crowded_side) if len(quads) > CROWDED else quads

    def _read_piece(self, image: Image, quad: Quad) -> Read:
        return self._recognize(_upright_crop(cut(image, quad)))


def assemble(pieces: Sequence[Piece], width: int, height: int) -> tuple[str, tuple[Line, ...]]:
    """Text in reading order, one line per visual row, and the lines with their boxes and confidence."""
    texts: list[str] = []
    lines: list[Line] = []
    start = 0
    for row in reading_order(pieces):
        text = row_text(pieces, row)
        boxes = [pieces[i].box for i in row]
        around = min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
        score = sum(pieces[i].score * len(pieces[i].text) for i in row) / sum(len(pieces[i].text) for i in row)
        end = start + len(text)
        lines.append(
            Line(start=start, end=end, box=_fractions(around, width, height), confidence=min(1.0, round(score, 4)))
        )
        texts.append(text)
        start = end + 1
    return "\n".join(texts), tuple(lines)


def serve(method: str, payload: bytes, **params: Any) -> dict[str, Any] | bytes:
    """The sandbox's door. `read_page`: the payload is a file of kind `pdf` or `image`, `page` the number of its page;
    `draw_page` with the same answers with the bytes of a picture, see `page_picture`.

    Answers with the fields of `OcrResult`. `threads` (default 1) is how many processor threads the page may use, `pace`
    (default `thorough`) a name of `PACES`. Raises DocumentUnreadable or DocumentTooComplex when the page cannot be drawn.
    """
    if method not in ("read_page", "draw_page"):
        raise PermanentFailure(f"the OCR engine knows no method {method}")
    image = page_image(payload, str(params["kind"]), int(params["page"]))
    if method == "draw_page":
        return page_picture(image)
    result = _engine(int(params.get("threads", 1)), params.get("pace", "thorough")).read(image)
    return {
        "text": result.text,
        "lines": [line.model_dump() for line in result.lines],
        "confidence": result.confidence,
        "rotation": result.rotation,
        "note": result.note,
    }


def page_image(data: bytes, kind: str, page: int) -> Image:
    """One page (from 1) of a `pdf` or an `image` as BGR pixels, of at most `MAX_PIXELS`.

    Raises DocumentUnreadable or DocumentTooComplex when it cannot be drawn, PermanentFailure for another kind.
    """
    if kind == "pdf":
        from knowledge_sources.formats.pdf import render_page

        drawn = render_page(data, page, dpi=PDF_DPI, max_pixels=PDF_PIXELS)
    elif kind == "image":
        from knowledge_sources.formats.images import load_image

        drawn = load_image(data, page)
    else:
        raise PermanentFailure(f"pages of a {kind} document cannot be drawn, so OCR cannot read them")
    return _bgr(drawn.pixels)


def _bgr(pixels: Image) -> Image:
    """RGB to BGR, and down to `MAX_PIXELS`: more make OCR slower, not better."""
    height, width = pixels.shape[:2]
    scale = (MAX_PIXELS / (width * height)) ** 0.5
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.ascontiguousarray(pixels[:, :, ::-1])


@functools.cache
def _engine(threads: int, pace: PaceName) -> OcrEngine:
    return OcrEngine(threads, PACES[pace])


def _upright_crop(crop: Image) -> Image:
    """A line written upwards, laid down."""
    return np.ascontiguousarray(np.rot90(crop)) if crop.shape[0] >= HIGH * crop.shape[1] else crop


def _pieces(quads: Sequence[Quad], reads: Sequence[Read]) -> list[Piece]:
    """The pieces that were read. On a page in Latin script, single characters of other scripts are misread letters."""
    latin = _is_latin_page(reads)
    pieces = []
    for quad, read in zip(quads, reads, strict=True):
        text, score = (read.latin, read.latin_score) if latin else (read.text, read.score)
        if text and read.score >= MIN_SCORE:
            a, b, c, d = ((float(x), float(y)) for x, y in quad)
            pieces.append(Piece(text, score, (a, b, c, d)))
    return pieces


def _is_latin_page(reads: Sequence[Read]) -> bool:
    sure = "".join(read.text for read in reads if read.score >= MIN_SCORE)
    letters = [c for c in sure if c.isalpha()]
    wide = sum(1 for c in letters if ord(c) >= 0x2E80)
    return wide <= (1 - LATIN_PAGE) * len(letters)


def _unread(quads: Sequence[Quad], reads: Sequence[Read]) -> tuple[set[int], str]:
    """Pieces to leave out, and a note, if many stay nearly empty: the recognizer gives hardly any letters for a script
    that it was not trained on, and those it gives are guesses."""
    widths = [float(np.linalg.norm(quad[0] - quad[1])) for quad in quads]
    heights = [max(1.0, float(np.linalg.norm(quad[0] - quad[3]))) for quad in quads]
    lines = [i for i in range(len(quads)) if widths[i] >= 3 * heights[i]]
    missed = {i for i in lines if _is_nearly_empty(reads[i], widths[i] / heights[i])}
    share = sum(widths[i] for i in missed) / max(1.0, sum(widths[i] for i in lines))
    if share >= UNREAD_PAGE:
        note = f"nothing was taken over from this page: its writing could not be made out ({_lines(len(missed))}); {SCRIPTS}"
        return set(range(len(quads))), note
    if share >= UNREAD_PART and len(missed) >= 3:
        return missed, f"{_lines(len(missed))} of this page could not be made out; {SCRIPTS}"
    return set(), ""


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def _is_nearly_empty(read: Read, heights: float) -> bool:
    return read.score < MIN_SCORE or sum(1 for c in read.text if _is_trained(c)) < SPARSE * heights


def _is_trained(character: str) -> bool:
    """A letter or digit of the scripts the recognizer was trained on; it knows Greek from formulas only."""
    return character.isalnum() and not unicodedata.name(character, "").startswith(("GREEK", "CYRILLIC"))


def _fractions(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    return (
        round(min(1.0, max(0.0, x0 / width)), 5),
        round(min(1.0, max(0.0, y0 / height)), 5),
        round(min(1.0, max(0.0, x1 / width)), 5),
        round(min(1.0, max(0.0, y1 / height)), 5),
    )
