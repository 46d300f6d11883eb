"""OpenDocument texts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from blackboard.errors import DocumentUnreadable
from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.paper import PAGE_BREAK, Paper, paginate, row
from knowledge_sources.formats.xml import local

_SKIPPED = frozenset(("tracked-changes", "sequence-decls", "forms", "variable-decls", "user-field-decls", "scripts"))


def read(data: bytes) -> Paper:
    """Paragraphs, lists, and tables row by row; footnotes stand where they are called."""
    archive = Archive(data)
    if "META-INF/manifest.xml" in archive and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        raise DocumentUnreadable(
            "this OpenDocument text is encrypted and needs a password to be opened",
            hint="save a copy without the password",
        )
    if "content.xml" not in archive:
        raise DocumentUnreadable("this OpenDocument text is damaged: its content is missing")
    content = archive.xml("content.xml")
    breaks = frozenset(_breaking_styles(content))
    body = next((e for e in content.iter() if local(e.tag) == "body"), content)
    title = None
    if "meta.xml" in archive:
        title = next((e.text for e in archive.xml("meta.xml").iter() if local(e.tag) == "title"), None)
    return Paper(paginate(_blocks(body, breaks)), title, archive.notes())


def _breaking_styles(content: ET.Element) -> Iterator[str]:
    """Names of paragraph styles that begin a new page."""
    for style in content.iter():
        if local(style.tag) == "style":
            name = _get(style, "name")
            if any(_get(item, "break-before") == "page" for item in style):
                yield name


def _blocks(element: ET.Element, breaks: frozenset[str]) -> Iterator[str]:
    for child in element:
        tag = local(child.tag)
        if tag in ("p", "h"):
            if _get(child, "style-name") in breaks:
                yield PAGE_BREAK
            boxes: list[str] = []
            parts = "".join(_text(child, boxes)).split(PAGE_BREAK)
            for number, part in enumerate(parts):
                if number:
                    yield PAGE_BREAK
                yield part.strip()
            yield from boxes
        elif tag == "table":
            yield "\n".join(filter(None, (row(_cells(tr, breaks)) for tr in _rows(child))))
        elif tag == "soft-page-break":
            yield PAGE_BREAK
        elif tag == "list":
            yield "\n".join(block for block in _blocks_of_list(child, breaks) if block.strip())
        elif tag not in _SKIPPED:
            yield from _blocks(child, breaks)


def _blocks_of_list(element: ET.Element, breaks: frozenset[str]) -> Iterator[str]:
    return (block for block in _blocks(element, breaks) if block != PAGE_BREAK)


def _rows(table: ET.Element) -> Iterator[ET.Element]:
    for child in table:
        if local(child.tag) == "table-row":
            yield child
        elif local(child.tag) in ("table-rows", "table-header-rows", "table-row-group"):
            yield from _rows(child)


def _cells(tr: ET.Element, breaks: frozenset[str]) -> Iterator[str]:
    for cell in tr:
        if local(cell.tag) in ("table-cell", "covered-table-cell"):
            yield " ".join(block for block in _blocks(cell, breaks) if block != PAGE_BREAK)


def _text(element: ET.Element, boxes: list[str]) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        tag = local(child.tag)
        if tag == "s":
            yield " " * min(200, int(_get(child, "c") or "1"))
        elif tag == "tab":
            yield "\t"
        elif tag == "line-break":
            yield "\n"
        elif tag == "soft-page-break":
            yield PAGE_BREAK
        elif tag == "text-box":
            boxes.extend(block for block in _blocks(child, frozenset()) if block != PAGE_BREAK)
        elif tag == "note-body":
            yield f" [{' '.join(block for block in _blocks(child, frozenset()) if block != PAGE_BREAK)}] "
        elif tag == "annotation":
            boxes.extend(f"Comment: {block}" for block in _blocks(child, frozenset()) if block.strip())
        elif tag not in _SKIPPED and tag not in ("note-citation", "bookmark-ref"):
            yield from _text(child, boxes)
        yield child.tail or ""


def _get(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if local(key) == name), "")
