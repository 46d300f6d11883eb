"""Sentences of a page's text, as places in it: nothing is ever rewritten, so every sentence can be quoted verbatim.

A page is cut into blocks first (blank lines, list items, table rows, headings, speakers), because scanned and laid-out text
has many lines that end without a full stop; a block is cut into sentences at its punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles

Span = tuple[int, int]

_ABBREVIATIONS = """
    mr mrs ms dr prof sr jr st rev hon gen col sgt capt lt cmdr gov sen rep pres messrs mme mlle herr fr inc
    ltd co corp plc llc bros dept div est assn univ jan feb mar apr jun jul aug sep sept oct nov dec mon tue
    tues wed thu thur thurs fri sat sun vs etc al eg ie cf viz approx ca circa ed eds trans vol vols pp pg
    para paras ch fig figs eq eqs ref refs tab app no nos nr sec secs art arts cl sched stat subch pt pts
    ave blvd rd hwy bldg ste apt ft lb lbs oz kg km min max avg dist temp tel ext incl excl misc qty ph str
    bzw usw ggf inkl zzgl abs bd art av
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
"""Words that carry a full stop inside a sentence. Compared in lower case, without their dots."""

_NUMBERED = """
    no nos nr sec secs art arts fig figs eq eqs para ch vol p pp pg cl ref item lot ext tab pt
"""
NUMBERED = frozenset(_NUMBERED.split())
"""Abbreviations that only stand before a number or a name; before other words their full stop ends the sentence."""

_END = re.compile(
    r"(?:[.!?…]+|[。！？؟۔।])(?P<close>['\"”’»)\]]*)(?=\s|$|(?<=[。！？])|(?<=[a-z]{3}[.!?])[A-Z][a-z]+\s)"
)
_STARTS_LOW = re.compile(r"\s*['\"“‘«(\[]*[a-zà-öø-ÿ]")
_BULLET = re.compile(
    r"\s*(?:[•●▪◦‣∙·*–—-]\s+|\(?(?:[0-9]{1,3}|[ivxlcdm]{1,5}|[A-Za-z])[).]\s+|\((?:[0-9]{1,3}|[ivxlcdm]{1,5}"
    r"|[A-Za-z])\)\s*|#{1,6}\s)"
)
_ROW_GAP = re.compile(r"\S(?: {3,}|\t+| ?\| ?)\S")
_SPEAKER = re.compile(r"[A-Z][\w.'-]*(?: [A-Z][\w.'-]*){0,3}:\s")
_LAST_WORD = re.compile(r"([^\W\d_]+(?:\.[^\W\d_]+)*)\.?$")


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


def sentences(text: str) -> list[Span]:
    """Spans of the sentences, headings, list items and table rows of `text`, in order, trimmed, never overlapping."""
    spans: list[Span] = []
    for start, end in blocks(text):
        spans.extend(_cut(text, start, end))
    return spans


def blocks(text: str) -> list[Span]:
    """Spans of running text that no layout break interrupts."""
    lines = list(_lines(text))
    width = _width(lines)
    found: list[Span] = []
    current: _Line | None = None
    start = 0
    for line in lines:
        if current is None or _breaks(current, line, width):
            if current is not None:
                found.append((start, current.end))
            start = line.start
        current = line if line.text.strip() else None
        if current is None:
            start = line.end
    if current is not None:
        found.append((start, current.end))
    return [span for span in (_trim(text, a, b) for a, b in found) if span[0] < span[1]]


def is_row(text: str) -> bool:
    """Whether a line is a row of a table: pieces set apart by wide gaps, tabs or bars."""
    return _ROW_GAP.search(text) is not None


def _lines(text: str) -> Iterator[_Line]:
    at = 0
    for piece in re.split(r"(?<=\n)|(?<=\r)(?!\n)|(?<=[\f\v\u2028\u2029])", text):
        yield _Line(at, at + len(piece), piece)
        at += len(piece)


def _width(lines: list[_Line]) -> float:
    """How long a full line of this page is: the upper fifth of its lines' lengths."""
    lengths = [len(line.text.strip()) for line in lines if line.text.strip()]
    return quantiles(lengths, n=5)[-1] if len(lengths) > 1 else float(sum(lengths))


def _breaks(before: _Line, line: _Line, width: float) -> bool:
    """Whether a new block starts at `line`."""
    this, last = line.text.strip(), before.text.strip()
    if not this or "\f" in before.text:
        return True
    if _BULLET.match(line.text) or _SPEAKER.match(this) or is_row(this) or is_row(last):
        return True
    if _STARTS_LOW.match(this):
        return last.endswith(":") and len(last) < 0.5 * width
    if last[-1:] in ".!?:;":
        return last[-1] in ":;" or len(last) < 0.75 * width
    return len(last) < 0.6 * width or (last.isupper() and not this.isupper())


def _cut(text: str, start: int, end: int) -> Iterator[Span]:
    """The sentences of one block."""
    at = start
    for match in _END.finditer(text, start, end):
        if match.start() >= at and _ends(text, at, match, end):
            yield from _kept(text, at, match.end())
            at = match.end()
    yield from _kept(text, at, end)


def _kept(text: str, start: int, end: int) -> Iterator[Span]:
    a, b = _trim(text, start, end)
    if a < b:
        yield a, b


def _ends(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Whether the punctuation of `match` ends a sentence that began at `start`."""
    rest = text[match.end() : min(end, match.end() + 40)]
    if not rest.strip():
        return True
    if _STARTS_LOW.match(rest):
        return False
    if match.group()[0] != "." or match.group().startswith(".."):
        return True
    word = _LAST_WORD.search(text[max(start, match.start() - 30) : match.start()])
    if word is None:
        return not re.match(r"\s*\d", rest) or not re.search(r"(?:^|\s)\(?\d{1,3}$", text[start : match.start()])
    name = word.group(1).lower().replace(".", "")
    if name in NUMBERED:
        return not re.match(r"\s*(?:[\d(#]|[A-Z]{1,5}[ /-]?\d|[IVXLC]+\b|[A-Z]\b)", rest)
    if "." in word.group(1) and all(len(part) <= 2 for part in word.group(1).split(".")):
        return (
            name in ("am", "pm") or re.match(r"\s+(?:The|In|It|He|She|We|They|This|But|A|An|On|At)\s", rest) is not None
        )
    return not (name in ABBREVIATIONS or (len(name) == 1 and word.group(1).isupper()))


def _trim(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
