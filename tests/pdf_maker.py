"""Makes small PDF files for tests, byte by byte, so that each says exactly what its test is about."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

A4 = (595.0, 842.0)


@dataclass(frozen=True)
class Sheet:
    """One page: `content` is its drawing program; `scan` a grey picture of (width, height, bytes) named /Im0."""

    content: str = ""
    size: tuple[float, float] = A4
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    scan: tuple[int, int, bytes] | None = None


def text_at(x: float, y: float, words: str, size: float = 12, mode: int = 0) -> str:
    """A drawing program that shows `words` with its baseline at (x, y) in points from the lower left corner."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F1 {size} Tf {mode} Tr 1 0 0 1 {x} {y} Tm ({escaped}) Tj ET\n"


def lines_at(x: float, y: float, lines: Sequence[str], leading: float = 14, size: float = 12) -> str:
    """Lines below each other."""
    return "".join(text_at(x, y - number * leading, line, size) for number, line in enumerate(lines))


def make_pdf(*sheets: Sheet, title: str = "") -> bytes:
    """A PDF of these pages, with a correct cross-reference table."""
    objects: list[bytes] = []

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    add(b"<< /Type /Catalog /Pages 2 0 R >>")
    add(b"")
    font = add(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    kids = []
    for sheet in sheets:
        resources = f"/Font << /F1 {font} 0 R >>"
        if sheet.scan:
            width, height, pixels = sheet.scan
            head = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray"
            resources += f" /XObject << /Im0 {add(_stream(head + ' /BitsPerComponent 8', pixels))} 0 R >>"
        content = add(_stream("", sheet.content.encode("cp1252")))
        crop = f"/CropBox [{' '.join(map(str, sheet.crop))}]" if sheet.crop else ""
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {sheet.size[0]} {sheet.size[1]}] {crop}"
        page += f" /Rotate {sheet.rotate} /Resources << {resources} >> /Contents {content} 0 R >>"
        kids.append(add(page.encode()))
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    info = add(f"<< /Title ({title}) >>".encode())
    return _file(objects, info)


def _stream(head: str, data: bytes) -> bytes:
    packed = zlib.compress(data)
    return f"<< {head} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode() + packed + b"\nendstream"


def _file(objects: list[bytes], info: int) -> bytes:
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    return (
        out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info {info} 0 R >>\nstartxref\n{start}\n%%EOF".encode()
    )
