"""What runs inside the sandbox for documents: every reader, imported with it, before a document is seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from knowledge_sources.formats import docx, html, images, mail, odt, parts, pdf_text, plain, pptx, reading, rtf, xlsx

READERS = (docx, html, images, mail, odt, parts, pdf_text, plain, pptx, rtf, xlsx)


def serve(method: str, payload: bytes, **params: Any) -> Any:
    """A sandbox's target. `inspect(filename)` answers with a Document's fields; `layers(filename)` with one Layer after the
    other, as JSON; `parts(filename)` with filename and declared_type of each document inside, then its
    bytes. Raises the errors of `blackboard.errors`."""
    if method == "inspect":
        return reading.inspect(payload, **params)
    if method == "layers":
        return reading.layers(payload, **params)
    if method == "parts":
        return _parts(payload, **params)
    raise ValueError(f"no such method: {method}")


def _parts(data: bytes, filename: str | None) -> Iterator[dict[str, str | None] | bytes]:
    for part in parts.parts(data, filename):
        yield {"filename": part.filename, "declared_type": part.declared_type}
        yield part.data
