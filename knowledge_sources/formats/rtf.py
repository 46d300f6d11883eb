"""Rich Text Format, by striprtf."""

from __future__ import annotations

import re
from typing import Any, Final

from striprtf import striprtf

from blackboard.errors import DocumentUnreadable
from knowledge_sources.formats.paper import PAGE_BREAK, Paper, paginate, row

_to_text: Any = striprtf.rtf_to_text
_MARK: Final = "\ue00cpage\ue00c"
"""Stands for a page break while the text is being extracted; private use, so that no document means it."""
_PAGE = re.compile(r"\\(?:page|pagebb|sbkpage)(?![a-z])\d* ?")
_PICTURE_DATA = re.compile(r"[0-9A-Fa-f\s]{2000,}")
_TITLE = re.compile(r"\{\\title ([^{}]{1,300})\}")


def read(data: bytes) -> Paper:
    """Paragraphs, with tables row by row, broken at page breaks. Raises DocumentUnreadable."""
    source = data.decode("latin-1")
    title = _TITLE.search(source)
    # Hexadecimal picture data makes most of a file's size and none of its text.
    source = _PICTURE_DATA.sub(" ", source)
    try:
        text = _to_text(_PAGE.sub(r"{\\u57356 ?}page{\\u57356 ?}", source), errors="replace")
    except (ValueError, IndexError, KeyError, LookupError, OverflowError) as error:
        raise DocumentUnreadable(
            f"this RTF document is damaged: {error}", hint="save it again and submit that"
        ) from error
    blocks: list[str] = []
    for number, page in enumerate(text.split(_MARK)):
        if number:
            blocks.append(PAGE_BREAK)
        blocks += re.split(r"\n\s*\n", "\n".join(_line(line) for line in page.splitlines()))
    return Paper(paginate(blocks), _to_text("{\\rtf1 " + title[1] + "}") if title else None)


def _line(line: str) -> str:
    """striprtf ends every cell with a bar."""
    return row(line.split("|")) if line.rstrip().endswith("|") else line.strip()
