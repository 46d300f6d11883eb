"""Which kind of plain text a text is: web page, XML, table, Markdown or just text."""

from __future__ import annotations

import csv
import re
from typing import Final

_HTML_START = re.compile(r"(?:\s|<!--.*?-->|<\?xml.*?\?>|<\?[^>]*>)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_TAG = re.compile(
    r"</?(?:p|div|span|table|tr|td|th|ul|ol|li|br|h[1-6]|a|b|i|img|strong|em|font|center|script|style|form)\b[^>]*>",
    re.I,
)
_MARKDOWN: Final = {
    "heading": re.compile(r"(?m)^#{1,6} +\S"),
    "fence": re.compile(r"(?m)^(?:```|~~~)"),
    "link": re.compile(r"!?\[[^\]\n]+\]\([^)\s]+[^)\n]*\)"),
    "underline": re.compile(r"(?m)^\S.*\n(?:={3,}|-{3,})[ \t]*$"),
    "table": re.compile(r"(?m)^\|?[ \t]*:?-{3,}:?[ \t]*\|[-| :\t]*$"),
    "bold": re.compile(r"(?<!\w)(?:\*\*|__)\w[^*_\n]*(?:\*\*|__)(?!\w)"),
    "code": re.compile(r"(?<!`)`[^`\n]+`(?!`)"),
    "list": re.compile(r"(?m)^[ \t]*[-*+] +\S.*\n(?:[ \t]*[-*+] +\S)"),
    "quote": re.compile(r"(?m)^> \S"),
}
_WEIGHT: Final = {
    "heading": 2,
    "fence": 3,
    "link": 2,
    "underline": 1,
    "table": 3,
    "bold": 2,
    "code": 1,
    "list": 1,
    "quote": 1,
}


def text_kind(text: str, filename: str | None = None) -> str:
    """html, xml, csv, md or txt."""
    extension = (filename or "").lower().rpartition(".")[2] if "." in (filename or "") else ""
    sample = text[:50_000]
    start = sample.lstrip("\ufeff \t\r\n")
    if _HTML_START.match(start) and extension not in ("md", "markdown"):
        return "html"
    if start.startswith("<?xml") or re.match(r"<!DOCTYPE\s", start, re.I) or re.match(r"<svg[\s>]", start, re.I):
        return "xml"
    if start.startswith("<") and start.rstrip().endswith(">") and extension not in ("md", "markdown"):
        return "html" if _TAG.search(sample) else "xml"
    tags = len(_TAG.findall(sample))
    if extension in ("html", "htm", "xhtml") and tags:
        return "html"
    if extension in ("md", "markdown"):
        return "md"
    if _is_table(sample, certain=extension in ("csv", "tsv")):
        return "csv"
    score = sum(_WEIGHT[name] for name, mark in _MARKDOWN.items() if mark.search(sample))
    if extension == "txt":
        return "txt"
    if tags >= 5 and tags * 60 > len(sample):
        return "html"
    return "md" if score >= 3 and extension not in ("log", "py", "json", "yaml", "ini") else "txt"


def _is_table(text: str, *, certain: bool) -> bool:
    """Rows that a delimiter cuts into equally many short fields."""
    lines = [line for line in text.splitlines()[:60] if line.strip()]
    if len(text) >= 50_000 and lines:
        lines.pop()
    if len(lines) < (1 if certain else 2):
        return False
    for delimiter in ",;\t|":
        try:
            rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        widths = [len(row) for row in rows]
        usual = max(set(widths), key=widths.count)
        if usual < 2:
            continue
        same = widths.count(usual) / len(widths)
        fields = [field for row in rows for field in row]
        short = sum(len(field) <= 60 for field in fields) / len(fields)
        spaced = sum(field.startswith(" ") and len(field) > 1 for field in fields) / len(fields)
        prose = delimiter in ",;" and (
            spaced > 0.3 or sum(line.rstrip().endswith((".", ":")) for line in lines) > 0.5 * len(lines)
        )
        if certain or (same >= 0.9 and short > 0.8 and not prose and len(rows) >= 2 and not _ruled(lines)):
            return True
    return certain and any(delimiter in text for delimiter in ",;\t|")


def _ruled(lines: list[str]) -> bool:
    """A Markdown table has a row of dashes under its head."""
    return any(re.fullmatch(r"[\s|:+=-]+", line) for line in lines[:3])


def dialect(text: str) -> str:
    """The delimiter of a table: the one that cuts most rows into the same number of fields, more than one."""
    lines = [line for line in text.splitlines()[:60] if line.strip()]

    def agreement(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        usual = max(set(widths), key=widths.count)
        return (widths.count(usual) / len(widths), usual) if usual > 1 else (0.0, 0)

    try:
        return max(",;\t|", key=agreement)
    except (csv.Error, ValueError):
        return ","
