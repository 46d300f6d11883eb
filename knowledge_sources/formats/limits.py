"""How large a document may be."""

from __future__ import annotations

from typing import Final

from blackboard.errors import DocumentTooComplex

MAX_BYTES: Final = 25_000_000
MAX_PAGES: Final = 2000


def too_large(size: int) -> DocumentTooComplex:
    """For a document of `size` bytes."""
    return DocumentTooComplex(
        f"this document has {size / 1e6:.1f} MB, the limit is {MAX_BYTES / 1e6:.0f} MB",
        hint="split it, or scan it with fewer dots per inch",
    )


def too_many_pages(what: str, pages: int) -> DocumentTooComplex:
    """For a document, named by `what`, of `pages` pages."""
    return DocumentTooComplex(
        f"this {what} has {pages:,} pages, the limit is {MAX_PAGES:,}", hint="split it into smaller documents"
    )
