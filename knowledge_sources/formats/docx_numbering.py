"""The numbers that Word shows before paragraphs ("3.2", "(a)") and does not store in their text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from knowledge_sources.formats.xml import local

LABEL: Final = "label"
"""The attribute, without a namespace, under which `number` leaves a paragraph's label."""
LEVELS: Final = 9
_PLACE = re.compile(r"%([1-9])")
_ROMAN: Final = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
                 (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    style: str
    text: str


@dataclass(slots=True)
class _List:
    """One numbered list: its levels, and how far each has counted."""

    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)

    def next(self, depth: int) -> str:
        """Count one further at this depth, and give the label."""
        level = self.levels.get(depth)
        if level is None:
            return ""
        self.counts[depth] = self.counts.get(depth, level.start - 1) + 1
        for deeper in range(depth + 1, LEVELS):
            self.counts.pop(deeper, None)
        if level.style == "bullet":
            return "-"
        return _PLACE.sub(lambda place: self._shown(int(place[1]) - 1), level.text)

    def _shown(self, depth: int) -> str:
        level = self.levels.get(depth)
        return shown(self.counts.get(depth, level.start), level.style) if level else ""


def number(document: ET.Element, numbering: ET.Element, styles: ET.Element | None) -> None:
    """Write its label into every numbered paragraph of the document, in their order."""
    lists = dict(_lists(numbering))
    of_style = _styles(styles) if styles is not None else {}
    for paragraph in document.iter():
        if local(paragraph.tag) != "p":
            continue
        identity, depth = _numbered(paragraph, of_style)
        if identity in lists:
            paragraph.set(LABEL, lists[identity].next(depth))


def _numbered(paragraph: ET.Element, of_style: dict[str, tuple[str, int]]) -> tuple[str, int]:
    """A paragraph's list and depth, by its own words or those of its style."""
    properties = _child(paragraph, "pPr")
    identity, depth = of_style.get(_value(properties, "pStyle"), ("", 0))
    own = _child(properties, "numPr")
    if own is not None:
        identity = _value(own, "numId") or identity
        depth = _integer(_value(own, "ilvl"), depth)
    return identity, min(depth, LEVELS - 1)


def _lists(root: ET.Element) -> Iterator[tuple[str, _List]]:
    """Lists by number. Those of one definition go on counting together, unless one of them starts anew."""
    definitions: dict[str, _List] = {}
    for item in root:
        if local(item.tag) == "abstractNum":
            levels = {_integer(_get(level, "ilvl"), 0): _level(level) for level in item if local(level.tag) == "lvl"}
            definitions[_get(item, "abstractNumId")] = _List(levels)
    for item in root:
        if local(item.tag) == "num":
            shared = definitions.get(_value(item, "abstractNumId"), _List({}))
            anew = any(local(child.tag) == "lvlOverride" for child in item)
            yield _get(item, "numId"), _List(dict(shared.levels)) if anew else shared


def _level(element: ET.Element) -> _Level:
    return _Level(_integer(_value(element, "start"), 1), _value(element, "numFmt"), _value(element, "lvlText"))


def _styles(root: ET.Element) -> dict[str, tuple[str, int]]:
    """Lists and depths of paragraph styles, inherited ones included."""
    own: dict[str, tuple[str, int]] = {}
    parents: dict[str, str] = {}
    for style in root:
        if local(style.tag) == "style":
            name = _get(style, "styleId")
            parents[name] = _value(style, "basedOn")
            numbered = _child(_child(style, "pPr"), "numPr")
            if numbered is not None:
                own[name] = _value(numbered, "numId"), _integer(_value(numbered, "ilvl"), 0)
    found = {}
    for name in parents:
        ancestor, steps = name, 0
        while ancestor and ancestor not in own and steps < 20:
            ancestor, steps = parents.get(ancestor, ""), steps + 1
        if ancestor in own:
            found[name] = own[ancestor]
    return found


def shown(count: int, style: str) -> str:
    """A number as Word writes it; a style that is not known here comes as decimal."""
    if style in ("lowerLetter", "upperLetter") and count > 0:
        letters = chr(97 + (count - 1) % 26) * ((count - 1) // 26 % 10 + 1)
        return letters if style == "lowerLetter" else letters.upper()
    if style in ("lowerRoman", "upperRoman") and 0 < count < 4000:
        roman = ""
        for value, sign in _ROMAN:
            times, count = divmod(count, value)
            roman += sign * times
        return roman if style == "lowerRoman" else roman.upper()
    if style == "decimalZero":
        return f"{count:02}"
    return "" if style == "none" else str(count)


def _child(element: ET.Element | None, name: str) -> ET.Element | None:
    return next((child for child in element if local(child.tag) == name), None) if element is not None else None


def _value(element: ET.Element | None, name: str) -> str:
    """The `val` of a child."""
    child = _child(element, name)
    return _get(child, "val") if child is not None else ""


def _get(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if local(key) == name), "")


def _integer(text: str, default: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 else default
