"""Pages of placed text, and two ways to make a PDF of them: with a text layer, or as a scan."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 595, 842
"""A4 in points."""
EPOCH = time.gmtime(1_700_000_000)
"""What a scan says of its making, so that the same seed gives the same bytes."""
_NARROW = {**dict.fromkeys(" .,:;'|!ijl", 0.278), **dict.fromkeys("ft()-/I", 0.333), **dict.fromkeys("mwMW%@", 0.83)}
_WIDE = frozenset("ABCDEFGHKLNOPQRSTUVXYZ&€")


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece of text: its left or right end `x` and its baseline `y`, in points from the top left; no line breaks."""

    x: float
    y: float
    text: str
    size: float = 10.0
    align: Literal["left", "right"] = "left"


@dataclass(slots=True)
class Sheet:
    """One page that is being filled."""

    placed: list[Placed] = field(default_factory=list)
    y: float = 60.0

    def put(self, x: float, text: str, *, size: float = 10.0, right: bool = False) -> None:
        """Place a piece on the current line."""
        self.placed.append(Placed(x, self.y, text, size, "right" if right else "left"))

    def line(self, text: str = "", *, size: float = 10.0, x: float = 56.0) -> None:
        """Place a line at the margin and go to the next."""
        if text:
            self.put(x, text, size=size)
        self.y += size * 1.6

    def paragraph(self, text: str, *, columns: int = 92) -> None:
        """Place running text, broken into lines of at most so many characters, and leave a gap."""
        line = ""
        for word in text.split():
            if len(line) + len(word) + 1 > columns:
                self.line(line)
                line = ""
            line = f"{line} {word}".strip()
        self.line(line)
        self.y += 8


def text_pdf(sheets: Sequence[Sheet]) -> bytes:
    """A PDF 1.4 with a text layer, set in Helvetica (which every reader has), encoded as Windows-1252."""
    objects: list[bytes] = []
    count = len(sheets)
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(count))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    for i, sheet in enumerate(sheets):
        content = b"\n".join(_show(piece) for piece in sheet.placed)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Resources << /Font << /F 3 0 R >> >> "
            f"/Contents {5 + 2 * i} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _file(objects)


def _show(piece: Placed) -> bytes:
    escaped = piece.text.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
    x = piece.x - (width(piece.text, piece.size) if piece.align == "right" else 0)
    return b"BT /F %.1f Tf %.2f %.2f Td (%s) Tj ET" % (piece.size, x, HEIGHT - piece.y, escaped)


def width(text: str, size: float) -> float:
    """About how wide Helvetica sets a text, in points."""
    return size * sum(_NARROW.get(c, 0.7 if c in _WIDE else 0.556) for c in text)


def _file(objects: Sequence[bytes]) -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for offset in offsets:
        out.write(b"%010d 00000 n \n" % offset)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def scanned_pdf(sheets: Sequence[Sheet], rng: random.Random, *, dpi: int = 150, quality: int = 60) -> bytes:
    """A PDF without text: each page a grey JPEG, a little turned, blurred and noisy, as a scanner would make it."""
    pages = [scan(sheet, rng, dpi=dpi) for sheet in sheets]
    out = io.BytesIO()
    pages[0].save(
        out,
        "PDF",
        save_all=True,
        append_images=pages[1:],
        resolution=dpi,
        quality=quality,
        creationDate=EPOCH,
        modDate=EPOCH,
    )
    return out.getvalue()


def scan(sheet: Sheet, rng: random.Random, *, dpi: int = 150) -> Image.Image:
    """One page as a scanner sees it: grey, turned by up to half a degree, slightly blurred, with grain."""
    scale = dpi / 72
    page = Image.new("L", (round(WIDTH * scale), round(HEIGHT * scale)), 250)
    draw = ImageDraw.Draw(page)
    for piece in sheet.placed:
        font = ImageFont.load_default(piece.size * scale)
        anchor = "rs" if piece.align == "right" else "ls"
        draw.text((piece.x * scale, piece.y * scale), piece.text, fill=35, font=font, anchor=anchor)
    page = page.rotate(rng.uniform(-0.6, 0.6), resample=Image.Resampling.BICUBIC, fillcolor=250)
    page = page.filter(ImageFilter.GaussianBlur(0.5))
    grain = Image.frombytes("L", page.size, rng.randbytes(page.width * page.height))
    return Image.blend(page, grain, 0.05)
