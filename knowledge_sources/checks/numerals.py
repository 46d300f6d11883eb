"""Numerals of a printed row, as places with values: what a table's arithmetic is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from blackboard.levels import Mentions, Page
from knowledge_sources.mentions.amounts import parse_number
from knowledge_sources.mentions.layout import Cell, Row

_DIGITS = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d{1,4})?|\d{1,3}(?:\.\d{3})+(?:,\d{1,4})?"
    r"|\d{1,3}(?:['’\u00a0\u202f]\d{3})+(?:[.,]\d{1,4})?"
    r"|\d+(?:[.,]\d{1,4})?"
)
_NUMERAL = re.compile(
    rf"(?<![\w.,:/#-])(?P<minus>[-−–]\s?|\()?(?P<mark>(?:[A-Z]{{0,3}}[$€£¥₹]|[A-Z]{{2,3}}(?=[\s\d])"
    rf"|Rs\.?)\s?)?(?P<minus2>[-−])?"
    rf"(?P<digits>{_DIGITS})(?P<tail>\s?%|[.,]-{{1,2}})?(?![\d:/]|[.,]\d|-\d)"
)
_SPACED = re.compile(r"\D{0,6}(?P<digits>\d{1,3}(?: \d{3})+(?:[.,]\d{1,2})?)\D{0,6}")
_COMMA_CENTS = re.compile(r"\d,\d{2}(?![\d,.])")
_POINT_CENTS = re.compile(r"\d\.\d{2}(?![\d.,])")
_GLUED = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in a page's text: `page.text[start:end]`, without its currency mark."""

    start: int
    end: int
    value: Decimal
    decimals: int
    percent: bool


def comma_decimal(texts: Iterable[str]) -> bool:
    """Whether a document writes its decimals behind a comma."""
    comma = point = 0
    for text in texts:
        comma += len(_COMMA_CENTS.findall(text))
        point += len(_POINT_CENTS.findall(text))
    return comma > point


def taken_spans(mentions: Iterable[Mentions], page: int) -> list[tuple[int, int]]:
    """Where a page's digits belong to something that is no figure: dates, numbers of documents, phones, addresses."""
    kinds = ("date", "identifier", "phone", "url", "email", "address")
    return [(m.start, m.end) for found in mentions if found.page == page for m in found.items if m.type in kinds]


def numerals(page: Page, row: Row, comma: bool, taken: Sequence[tuple[int, int]] = ()) -> list[Numeral]:
    """The row's numerals from left to right."""
    found: list[Numeral] = []
    for cell in row.cells:
        found.extend(_in_cell(cell, comma))
    return [n for n in found if not any(a < n.end and n.start < b for a, b in taken)]


def _in_cell(cell: Cell, comma: bool) -> list[Numeral]:
    spaced = _SPACED.fullmatch(cell.text)
    if spaced:
        value = parse_number(spaced["digits"], comma)
        if value is not None:
            start = cell.start + spaced.start("digits")
            negative = bool(re.search(r"[-−–(]", cell.text[: spaced.start("digits")]))
            made = _made(start, spaced["digits"], -value if negative else value, False)
            return [made]
    found = []
    for match in _NUMERAL.finditer(cell.text):
        value = parse_number(match["digits"], comma)
        after = cell.text[match.end() : match.end() + 1]
        if value is None or (after and _GLUED.match(after) and after not in "xX"):
            continue
        negative = bool(match["minus2"] or (match["minus"] and (match["minus"] != "(" or after == ")")))
        start = cell.start + match.start("digits")
        percent = (match["tail"] or "").strip() == "%"
        found.append(_made(start, match["digits"], -value if negative else value, percent))
    return found


def _made(start: int, digits: str, value: Decimal, percent: bool) -> Numeral:
    decimals = max(0, -int(value.as_tuple().exponent))
    return Numeral(start, start + len(digits), value, decimals, percent)
