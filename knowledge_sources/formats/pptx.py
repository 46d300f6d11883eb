"""Presentations (Office Open XML): one page for each slide."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.paper import Paper, row
from knowledge_sources.formats.quality import clean
from knowledge_sources.formats.xml import local

_NOT_TEXT = frozenset(("sldNum", "dt", "hdr", "ftr", "sldImg"))
"""Placeholders that repeat on every slide."""


def read(data: bytes) -> Paper:
    """Slides in the order of showing: text, tables row by row, diagrams, then the speaker's notes."""
    archive = Archive(data)
    main = archive.main_part("ppt/presentation.xml")
    relations = archive.relations(main)
    pages = []
    for slide in archive.xml(main).iter():
        if local(slide.tag) == "sldId":
            identity = next((value for key, value in slide.attrib.items() if key.endswith("}id")), "")
            _, target = relations.get(identity, ("", ""))
            if target in archive:
                pages.append(clean(_slide(archive, target)))
    return Paper(pages, archive.title(), archive.notes())


def _slide(archive: Archive, part: str) -> str:
    blocks = list(_shapes(archive.xml(part)))
    for kind, target in archive.relations(part).values():
        if kind == "diagramData" and target in archive:
            blocks.append("\n".join(_paragraphs(archive.xml(target))))
        elif kind == "notesSlide" and target in archive:
            notes = "\n".join(_shapes(archive.xml(target)))
            blocks.append(f"Notes: {notes}" if notes.strip() else "")
    return "\n\n".join(block for block in blocks if block.strip())


def _shapes(element: ET.Element) -> Iterator[str]:
    """Text of shapes and tables in the order of drawing, groups included."""
    for child in element:
        tag = local(child.tag)
        if tag == "tbl":
            rows = (tr for tr in child if local(tr.tag) == "tr")
            yield "\n".join(row(" ".join(_paragraphs(tc)) for tc in tr if local(tc.tag) == "tc") for tr in rows)
        elif tag == "txBody":
            yield "\n".join(_paragraphs(child))
        elif tag not in ("Fallback", "extLst") and not (tag == "sp" and _placeholder(child) in _NOT_TEXT):
            yield from _shapes(child)


def _placeholder(shape: ET.Element) -> str:
    return next((item.get("type", "") for item in shape.iter() if local(item.tag) == "ph"), "")


def _paragraphs(element: ET.Element) -> Iterator[str]:
    for paragraph in element.iter():
        if local(paragraph.tag) == "p":
            text = "".join(_text(item) for item in paragraph.iter())
            if text.strip():
                yield text.strip()


def _text(item: ET.Element) -> str:
    tag = local(item.tag)
    if tag == "t":
        return item.text or ""
    return {"br": "\n", "tab": "\t"}.get(tag, "")
