"""PDF documents, opened with pdfium: what they are, and pages as pictures. Meant to run inside a sandbox, in one thread:
pdfium is not thread-safe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from blackboard.errors import DocumentTooComplex, DocumentUnreadable
from knowledge_sources.formats.limits import MAX_PAGES, too_many_pages
from knowledge_sources.formats.pdfium import PdfiumError, pdfium, raw
from knowledge_sources.formats.raster import Raster, raster

POINTS_PER_INCH: Final = 72.0


@contextmanager
def opened(data: bytes) -> Iterator[Any]:
    """The document. Raises DocumentUnreadable: encrypted with a password that must be typed, damaged, or without pages."""
    try:
        document = pdfium.PdfDocument(data)
    except PdfiumError as error:
        if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD or "password" in str(error).lower():
            raise DocumentUnreadable(
                "this PDF is encrypted and needs a password to be opened",
                hint="save a copy without the password and submit that",
            ) from error
        raise DocumentUnreadable(
            "this PDF is damaged: its structure cannot be read", hint="print it to a new PDF and submit that"
        ) from error
    try:
        if len(document) == 0:
            raise DocumentUnreadable("this PDF has no pages")
        yield document
    finally:
        document.close()


def inspect(data: bytes) -> tuple[int, str | None, list[str]]:
    """Number of pages, title and notes. Raises as `opened`; DocumentTooComplex for more than 2,000 pages."""
    with opened(data) as document:
        pages = len(document)
        if pages > MAX_PAGES:
            raise too_many_pages("PDF", pages)
        if not any(_loads(document, number) for number in range(min(pages, 20))):
            raise DocumentUnreadable(
                "this PDF is damaged: none of its pages can be read", hint="print it to a new PDF and submit that"
            )
        notes = []
        if raw.FPDF_GetSecurityHandlerRevision(document) != -1:
            notes.append("The PDF is encrypted, but opens without a password.")
        return pages, str(document.get_metadata_value("Title")).strip() or None, notes


def _loads(document: Any, index: int) -> bool:
    try:
        document[index].close()
    except PdfiumError:
        return False
    return True


def render_page(data: bytes, page: int, *, dpi: float = 150.0, max_pixels: float = 4e6) -> Raster:
    """One page, counted from 1, as an upright picture, its form fields and annotations drawn.

    At `dpi` dots per inch, or fewer where that would give more than `max_pixels`. Raises DocumentUnreadable.
    """
    with opened(data) as document:
        if not 1 <= page <= len(document):
            raise DocumentUnreadable(f"this PDF has no page {page}")
        document.init_forms()
        return render(document[page - 1], page, dpi=dpi, max_pixels=max_pixels)


def render(sheet: Any, page: int, *, dpi: float, max_pixels: float) -> Raster:
    """An opened page as a picture; see `render_page`."""
    width, height = (max(1.0, side) for side in sheet.get_size())
    scale = min(dpi / POINTS_PER_INCH, math.sqrt(max_pixels / (width * height)))
    # A page of 14,000 x 1 points would otherwise come out as no pixels at all in one direction.
    scale = max(scale, 1.0 / min(width, height))
    if width * height * scale * scale > 2 * max_pixels:
        raise DocumentTooComplex(f"page {page} is {width:.0f} x {height:.0f} points: no picture of it is readable")
    try:
        bitmap = sheet.render(scale=scale, rev_byteorder=True, prefer_bgrx=False)
    except (PdfiumError, RuntimeError, ValueError) as error:
        raise DocumentUnreadable(f"page {page} cannot be drawn: {error}") from error
    pixels = bitmap.to_numpy()
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    # A copy: the bitmap's memory goes with it.
    return raster(np.array(pixels[:, :, :3], dtype=np.uint8))
