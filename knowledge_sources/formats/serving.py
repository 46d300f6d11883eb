"""What runs inside the sandbox for documents: every reader, imported with it, before a document is seen."""

from __future__ import annotations

from typing import Any

from knowledge_sources.formats import docx, html, images, mail, odt, pdf_text, plain, pptx, reading, rtf, xlsx

READERS = (docx, html, images, mail, odt, pdf_text, plain, pptx, rtf, xlsx)


def serve(method: str, payload: bytes, **params: Any) -> Any:
    """A sandbox's target. `inspect(filename)` answers with a Document's fields; `layers(filename)` with one Layer after the
    other, as JSON. Raises the errors of `blackboard.errors`."""
    if method == "inspect":
        return reading.inspect(payload, **params)
    if method == "layers":
        return reading.layers(payload, **params)
    raise ValueError(f"no such method: {method}")
