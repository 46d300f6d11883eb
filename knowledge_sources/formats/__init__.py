"""One module for each format: from untrusted bytes to pages of text. `serve` is what runs inside a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def serve(method: str, payload: bytes, **params: Any) -> Any:
    """A sandbox's target. `inspect(filename)` answers with a Document's fields; `layers(kind, filename)` with one Layer
    after the other, as JSON. Raises the errors of `blackboard.errors`."""
    # Engines are imported with the first document, under the sandbox's limits, not with this package.
    from knowledge_sources.formats import reading

    if method == "inspect":
        return reading.inspect(payload, **params)
    if method == "layers":
        return _layers(payload, **params)
    raise ValueError(f"no such method: {method}")


def _layers(payload: bytes, **params: Any) -> Iterator[dict[str, Any]]:
    from knowledge_sources.formats import reading

    return reading.layers(payload, **params)
