"""Any document: what it is, and its pages one by one."""

from __future__ import annotations

import importlib
import struct
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from typing import Any, Final

from blackboard.errors import DocumentUnreadable
from blackboard.levels import Layer
from knowledge_sources.formats.limits import MAX_BYTES, too_large
from knowledge_sources.formats.paper import Paper, checked
from knowledge_sources.formats.quality import GOOD_ENOUGH, text_quality
from knowledge_sources.formats.sniff import Kind, sniff

DAMAGED: Final = (
    ET.ParseError,
    zlib.error,
    struct.error,
    UnicodeError,
    KeyError,
    IndexError,
    ValueError,
    OverflowError,
)
"""What the readers' libraries raise for a file that is not as its format says."""


def inspect(data: bytes, filename: str | None = None) -> dict[str, Any]:
    """kind, media_type, pages, title and notes of a document, as Document has them.

    Raises DocumentUnreadable, DocumentTooComplex or DocumentUnsafe, with what to do about it.
    """
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    kind = sniff(data, filename)
    title: str | None = None
    notes: list[str] = []
    media_type = kind.media_type
    if kind.kind == "pdf":
        from knowledge_sources.formats import pdf

        pages, title, notes = pdf.inspect(data)
    elif kind.kind == "image":
        from knowledge_sources.formats import images

        media_type, pages, notes = images.inspect(data)
    else:
        paper = read_paper(data, kind)
        pages, title, notes = len(paper.pages), paper.title, paper.notes
    return {"kind": kind.kind, "media_type": media_type, "pages": pages, "title": title, "notes": notes}


def layers(data: bytes, filename: str | None = None) -> Iterator[dict[str, Any]]:
    """One Layer, as JSON, for each page in order. Raises as `inspect`."""
    kind = sniff(data, filename)
    if kind.kind == "pdf":
        from knowledge_sources.formats import pdf_text

        yield from pdf_text.layers(data)
    elif kind.kind == "image":
        from knowledge_sources.formats import images

        _, pages, _ = images.inspect(data)
        for number, (width, height) in enumerate(images.sizes(data, pages), 1):
            empty = Layer(page=number, text="", quality=0.0, needs_ocr=True, reason="the page is an image", width=width,
                          height=height)  # fmt: skip
            yield empty.model_dump()
    else:
        for number, text in enumerate(read_paper(data, kind).pages, 1):
            quality = text_quality(text)
            reason = "the text is the document's own" if quality >= GOOD_ENOUGH else "most of its words are no words"
            yield Layer(page=number, text=text, quality=round(quality, 3), reason=reason).model_dump()


def read_paper(data: bytes, kind: Kind) -> Paper:
    """The pages of a document that has no fixed ones. Raises as `inspect`."""
    try:
        return checked(_read(data, kind), kind.kind)
    except DAMAGED as error:
        raise DocumentUnreadable(
            f"this {kind.kind} document is damaged: {error}",
            hint="open it in its program, save it again and submit that",
        ) from error


def _read(data: bytes, kind: Kind) -> Paper:
    if kind.decoded is not None:
        if kind.kind == "html":
            from knowledge_sources.formats import html

            return html.read(kind.decoded.text)
        from knowledge_sources.formats import plain

        if kind.kind == "csv":
            return plain.read_csv(kind.decoded.text)
        return plain.read_text(kind.decoded.text, markdown=kind.kind == "md")
    if kind.kind == "zip":
        from knowledge_sources.formats import parts

        return parts.read_zip(data)
    module = {"eml": "mail"}.get(kind.kind, kind.kind)
    paper: Paper = importlib.import_module(f"knowledge_sources.formats.{module}").read(data)
    return paper
