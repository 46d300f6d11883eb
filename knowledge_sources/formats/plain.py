"""Plain text, Markdown and comma-separated values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

from blackboard.errors import DocumentTooComplex
from knowledge_sources.formats.paper import PAGE_BREAK, Paper, paginate, row
from knowledge_sources.formats.text_kinds import dialect

_BREAKS = re.compile(r"\r\n?|\x85|\u2028|\u2029")
_PARAGRAPHS = re.compile(r"\n[ \t]*\n\s*?(?=\S|\Z)")
_HEADING = re.compile(r"(?m)^(?:# +(.+?)(?: #+)?|(\S.*)\n=+)[ \t]*$")


def read_text(text: str, *, markdown: bool = False) -> Paper:
    """Pages at form feeds, else at the borders of paragraphs. Markdown keeps its marks: they are what the author wrote."""
    text = _BREAKS.sub("\n", text)
    title = None
    if markdown and (heading := _HEADING.search(text)):
        title = heading[1] or heading[2]
    return Paper(paginate(_blocks(text)), title)


def _blocks(text: str) -> Iterator[str]:
    for number, page in enumerate(text.split("\f")):
        if number:
            yield PAGE_BREAK
        yield from (block.strip("\n").rstrip() for block in _PARAGRAPHS.split(page))


def read_csv(text: str) -> Paper:
    """One line for each row, its cells side by side."""
    text = _BREAKS.sub("\n", text)
    rows = csv.reader(io.StringIO(text), delimiter=dialect(text))
    try:
        lines = [line for line in map(row, rows) if line]
    except csv.Error as error:
        raise DocumentTooComplex(
            f"a field of this table is too long: {error}", hint="check its quotation marks"
        ) from error
    return Paper(paginate(["\n".join(lines)]))
