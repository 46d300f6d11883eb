"""A document without pages of its own, as blocks of text; and how it is cut into pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from blackboard.errors import DocumentUnreadable
from knowledge_sources.formats.limits import MAX_PAGES, too_many_pages
from knowledge_sources.formats.quality import clean

PAGE_BREAK: Final = "\f"
"""A block of its own: what follows begins a new page."""
PAGE_SIZE: Final = 3000
"""Characters: about a printed page."""
CELL: Final = " | "
"""What separates the cells of a table's row."""


@dataclass(slots=True)
class Paper:
    """What a reader found: pages of text, the title if the file tells one, and what was left out."""

    pages: list[str]
    title: str | None = None
    notes: list[str] = field(default_factory=list)


def row(cells: Iterable[str]) -> str:
    """A table's row on one line, empty cells at its ends left out; "" if all are."""
    flat = [" ".join(cell.split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    while flat and not flat[0]:
        flat.pop(0)
    return CELL.join(flat)


def paginate(blocks: Iterable[str], *, size: int = PAGE_SIZE) -> list[str]:
    """Pages of about `size` characters, broken between blocks and at every PAGE_BREAK; a longer block is broken between
    its lines, a longer line between words. Blocks are separated by an empty line. No page is empty."""
    pages: list[str] = []
    page: list[str] = []
    length = 0
    for block in blocks:
        for part in (block,) if block == PAGE_BREAK else _parts(clean(block).strip("\n"), size):
            if part == PAGE_BREAK or (page and length + len(part) > size):
                pages.append("\n\n".join(page))
                page, length = [], 0
            if part != PAGE_BREAK and part.strip():
                page.append(part)
                length += len(part) + 2
    pages.append("\n\n".join(page))
    return [text for text in pages if text]


def _parts(block: str, size: int) -> Iterable[str]:
    """A block in parts of at most `size` characters."""
    while len(block) > size:
        cut = block.rfind("\n", 0, size)
        if cut <= 0:
            cut = block.rfind(". ", size // 2, size) + 1
        if cut <= 0:
            cut = block.rfind(" ", size // 2, size)
        if cut <= 0:
            cut = size
        yield block[:cut].rstrip()
        block = block[cut:].lstrip()
    yield block


def checked(paper: Paper, kind: str) -> Paper:
    """The paper, if there is anything to read on it. Raises DocumentUnreadable, or DocumentTooComplex over 2,000 pages."""
    if not any(page.strip() for page in paper.pages):
        raise DocumentUnreadable(f"this {kind} document holds no text", hint="check that it is the right file")
    if len(paper.pages) > MAX_PAGES:
        raise too_many_pages(f"{kind} document", len(paper.pages))
    title = " ".join(clean(paper.title or "").split())[:300]
    return Paper(paper.pages, title or None, paper.notes)
