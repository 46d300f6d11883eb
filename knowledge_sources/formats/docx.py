"""Word documents (Office Open XML)."""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.docx_numbering import LABEL, number
from knowledge_sources.formats.paper import PAGE_BREAK, Paper, paginate, row
from knowledge_sources.formats.xml import local

_SKIPPED = frozenset(
    ("Fallback", "del", "moveFrom", "instrText", "delText", "pPr", "rPr", "sectPr", "tblPr", "trPr", "tcPr")
)
"""Old readers' copies of a drawing, deleted text, field codes, formatting."""


def read(data: bytes) -> Paper:
    """Body with its numbering, tables row by row and text boxes; headers first; notes, comments and footers last."""
    archive = Archive(data)
    main = archive.main_part("word/document.xml")
    parts: dict[str, list[str]] = {}
    for kind, target in archive.relations(main).values():
        if target in archive and posixpath.dirname(target) == posixpath.dirname(main):
            parts.setdefault(kind, []).append(target)
    blocks = list(_once(_texts(archive, parts.get("header", []))))
    body = archive.xml(main)
    for part in parts.get("numbering", []):
        styles = next(iter(parts.get("styles", [])), None)
        number(body, archive.xml(part), archive.xml(styles) if styles else None)
    blocks += _blocks(body)
    for kind in ("footnotes", "endnotes", "comments"):
        for part in parts.get(kind, []):
            blocks += _notes(archive.xml(part))
    blocks += _once(_texts(archive, parts.get("footer", [])))
    return Paper(paginate(blocks), archive.title(), archive.notes())


def _texts(archive: Archive, parts: list[str]) -> Iterator[str]:
    for part in sorted(parts):
        yield "\n".join(block for block in _blocks(archive.xml(part)) if block != PAGE_BREAK)


def _once(texts: Iterator[str]) -> Iterator[str]:
    """Headers and footers repeat for first, odd and even pages."""
    seen = set()
    for text in texts:
        if text.strip() and text not in seen:
            seen.add(text)
            yield text


def _notes(root: ET.Element) -> Iterator[str]:
    for note in root:
        kind = local(note.tag)
        # Notes below 1 are the separating lines.
        if _get(note, "type") in ("separator", "continuationSeparator", "continuationNotice"):
            continue
        text = "\n".join(block for block in _blocks(note) if block != PAGE_BREAK)
        if text.strip():
            author = _get(note, "author")
            yield f"Comment ({author}): {text}" if kind == "comment" and author else text


def _blocks(element: ET.Element) -> Iterator[str]:
    """Paragraphs, tables and page breaks, in order, whatever they are wrapped in."""
    for child in element:
        tag = local(child.tag)
        if tag == "p":
            yield from _paragraph(child)
        elif tag == "tbl":
            yield "\n".join(filter(None, (row(_cells(tr)) for tr in _rows(child))))
        elif tag not in _SKIPPED:
            yield from _blocks(child)


def _rows(table: ET.Element) -> Iterator[ET.Element]:
    for child in table:
        if local(child.tag) == "tr":
            yield child
        elif local(child.tag) not in _SKIPPED:
            yield from _rows(child)


def _cells(tr: ET.Element) -> Iterator[str]:
    for child in tr:
        if local(child.tag) == "tc":
            yield " ".join(block for block in _blocks(child) if block != PAGE_BREAK)
        elif local(child.tag) not in _SKIPPED:
            yield from _cells(child)


def _paragraph(element: ET.Element) -> Iterator[str]:
    """The paragraph's text, then that of the text boxes anchored in it; page breaks in their place."""
    boxes: list[str] = []
    if any(local(item.tag) == "pageBreakBefore" and _get(item, "val") not in ("0", "false") for item in element.iter()):
        yield PAGE_BREAK
    parts = "".join(_runs(element, boxes)).split(PAGE_BREAK)
    label = element.get(LABEL, "")
    for place, part in enumerate(parts):
        if place:
            yield PAGE_BREAK
        text = part.strip(" \n")
        if text and label:
            text, label = f"{label} {text}", ""
        yield text
    yield from boxes


def _runs(element: ET.Element, boxes: list[str]) -> Iterator[str]:
    for child in element:
        tag = local(child.tag)
        if tag == "t":
            yield child.text or ""
        elif tag in ("tab", "ptab"):
            yield "\t"
        elif tag in ("br", "cr"):
            yield PAGE_BREAK if _get(child, "type") == "page" else "\n"
        elif tag == "lastRenderedPageBreak":
            yield PAGE_BREAK
        elif tag == "noBreakHyphen":
            yield "-"
        elif tag == "sym":
            yield " "
        elif tag == "txbxContent":
            boxes.extend(block for block in _blocks(child) if block != PAGE_BREAK)
        elif tag not in _SKIPPED:
            yield from _runs(child, boxes)


def _get(element: ET.Element, name: str) -> str:
    """An attribute by its local name."""
    return next((value for key, value in element.attrib.items() if local(key) == name), "")
