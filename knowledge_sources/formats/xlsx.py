"""Workbooks (Office Open XML): one page for each sheet, more for a long one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from knowledge_sources.formats.archive import Archive
from knowledge_sources.formats.paper import Paper, paginate, row
from knowledge_sources.formats.xml import local

SHEET_PAGE: Final = 20_000
"""Characters of one page of a long sheet."""
_DATES: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
"""Built-in number formats that are dates or times (ECMA-376, part 1, 18.8.30)."""
_PERCENTS: Final = frozenset((9, 10))
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


def read(data: bytes) -> Paper:
    """Sheets in order, hidden ones too, values as they are shown: dates as ISO dates, percentages with their sign."""
    archive = Archive(data)
    main = archive.main_part("xl/workbook.xml")
    relations = archive.relations(main)
    shared = [_string(item) for part in _parts(relations, "sharedStrings", archive) for item in archive.xml(part)]
    styles = [style for part in _parts(relations, "styles", archive) for style in _styles(archive.xml(part))]
    workbook = archive.xml(main)
    from_1904 = any(local(e.tag) == "workbookPr" and e.get("date1904") in ("1", "true") for e in workbook)
    cells = _Cells(shared, styles, datetime(1904, 1, 1) if from_1904 else datetime(1899, 12, 30))
    pages: list[str] = []
    notes = archive.notes()
    for sheet in (e for e in workbook.iter() if local(e.tag) == "sheet"):
        identity = next((value for key, value in sheet.attrib.items() if key.endswith("}id")), "")
        kind, target = relations.get(identity, ("", ""))
        if kind != "worksheet" or target not in archive:
            continue
        name = sheet.get("name", "")
        if sheet.get("state", "visible") != "visible":
            notes.append(f"Sheet {name!r} is hidden in the workbook.")
        lines = "\n".join(cells.rows(archive.xml(target)))
        pages += paginate([f"{name}\n\n{lines}"], size=SHEET_PAGE) if lines else []
    return Paper(pages, archive.title(), notes)


def _parts(relations: dict[str, tuple[str, str]], kind: str, archive: Archive) -> list[str]:
    return [target for found, target in relations.values() if found == kind and target in archive]


def _string(item: ET.Element) -> str:
    """A shared or inline string; phonetic guides are left out."""
    direct = (child for child in item if local(child.tag) != "rPh")
    return "".join(text.text or "" for child in direct for text in child.iter() if local(text.tag) == "t")


def _styles(root: ET.Element) -> Iterator[str]:
    """For each cell format: "date", "percent" or ""."""
    codes = {int(e.get("numFmtId", "0")): e.get("formatCode", "") for e in root.iter() if local(e.tag) == "numFmt"}
    for formats in (e for e in root if local(e.tag) == "cellXfs"):
        for style in formats:
            number = int(style.get("numFmtId", "0"))
            code = _QUOTED.sub("", codes.get(number, "")).lower()
            if number in _DATES or re.search(r"[ymdhs]", code.replace("general", "")):
                yield "date"
            else:
                yield "percent" if number in _PERCENTS or "%" in code else ""


class _Cells:
    """Turns the cells of a sheet into words, with the workbook's strings, formats and first day."""

    def __init__(self, shared: list[str], styles: list[str], epoch: datetime) -> None:
        self.shared = shared
        self.styles = styles
        self.epoch = epoch

    def rows(self, root: ET.Element) -> Iterator[str]:
        for element in root.iter():
            if local(element.tag) == "row":
                cells = (cell for cell in element if local(cell.tag) == "c")
                line = row(filter(None, map(self.value, cells)))
                if line:
                    yield line

    def value(self, cell: ET.Element) -> str:
        kind = cell.get("t", "n")
        text = next((child.text or "" for child in cell if local(child.tag) == "v"), "")
        if kind == "inlineStr":
            return "".join(_string(child) for child in cell if local(child.tag) == "is")
        if kind == "s":
            index = int(text) if text.isdigit() else -1
            return self.shared[index] if 0 <= index < len(self.shared) else ""
        if kind == "b":
            return "TRUE" if text == "1" else "FALSE"
        style = int(cell.get("s", "0"))
        return self.number(text, self.styles[style] if style < len(self.styles) else "") if kind == "n" else text

    def number(self, text: str, style: str) -> str:
        try:
            value = float(text)
        except ValueError:
            return text
        if style == "date" and 0 <= value < 2_958_466:
            return self.date(value)
        if style == "percent":
            return f"{value * 100:.10g}%"
        return f"{value:.15g}" if "e" not in f"{value:.15g}" else text

    def date(self, value: float) -> str:
        moment = self.epoch + timedelta(seconds=round(value * 86_400))
        if value < 1:
            return f"{moment:%H:%M:%S}".removesuffix(":00")
        return f"{moment:%Y-%m-%d}" if value == int(value) else f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
