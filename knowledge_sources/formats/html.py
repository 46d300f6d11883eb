"""Web pages: the text a reader sees, tables row by row. Parsed with selectolax (lexbor), walked without recursion."""

from __future__ import annotations

import re
from typing import Any, Final

from selectolax.lexbor import LexborHTMLParser

from blackboard.errors import DocumentUnreadable, DocumentUnsafe
from knowledge_sources.formats.paper import CELL, Paper, paginate

_HIDDEN: Final = """script style noscript template nav svg math iframe object embed canvas head select datalist button dialog
audio video"""
_BLOCKS: Final = """address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form
h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu ol p pre section summary table tbody tfoot thead tr ul caption"""
_PARAGRAPHS: Final = "p h1 h2 h3 h4 h5 h6 table blockquote pre ul ol dl section article figure"

HIDDEN: Final = frozenset(_HIDDEN.split())
"""What a reader does not read: programs, navigation, controls."""
BLOCKS: Final = frozenset(_BLOCKS.split())
PARAGRAPHS: Final = frozenset(_PARAGRAPHS.split())
LINE: Final = "\x1e"
PARAGRAPH: Final = "\x1f"
"""Borders of blocks while the text is collected: however many meet, they make one break."""

_BREAKS = re.compile(r"[ \t\n]*[\x1e\x1f][\x1e\x1f \t\n]*")
_SPACE = re.compile(r"[\s\x1e\x1f]+")
_DISPLAY_NONE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_ENTITY = re.compile(r"<!ENTITY\s", re.I)


def read(text: str) -> Paper:
    """The visible text in pages, and the title. Raises DocumentUnsafe for a document type with entities of its own."""
    if _ENTITY.search(text[:10_000]):
        raise DocumentUnsafe(
            "this web page declares entities of its own, which can pull in files or grow without bound"
        )
    tree = LexborHTMLParser(text)
    root = tree.body or tree.root
    if root is None:
        raise DocumentUnreadable("this web page holds no text")
    title = tree.css_first("title")
    return Paper(paginate(_Walk().run(root).split("\n\n")), title.text() if title else None)


def to_text(text: str) -> str:
    """The visible text without pages, for the parts of a mail."""
    root = LexborHTMLParser(text).body
    return _Walk().run(root) if root else ""


class _Walk:
    """Collects text in document order; elements are left by a mark on the stack, so that depth costs no recursion."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.row: list[str] | None = None
        self.rows: list[tuple[list[str] | None, list[str]]] = []
        self.pre = 0

    def run(self, root: Any) -> str:
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            tag = node.tag
            if leaving:
                self.leave(tag)
            elif tag == "-text":
                self.text(node.text_content or "")
            elif tag and not tag.startswith(("-", "_", "!")) and not _is_hidden(node, tag):
                self.enter(tag)
                stack.append((node, True))
                children = list(node.iter(include_text=True))
                stack.extend((child, False) for child in reversed(children))
        text = _BREAKS.sub(lambda run: "\n\n" if PARAGRAPH in run[0] else "\n", "".join(self.parts))
        return re.sub(r"[ \t]+\n|\n{3,}", lambda run: "\n" if "\n\n" not in run[0] else "\n\n", text).strip()

    def text(self, text: str) -> None:
        if self.pre:
            self.parts.append(text.replace(LINE, "").replace(PARAGRAPH, ""))
            return
        text = _SPACE.sub(" ", text)
        if text != " " or (self.parts and not self.parts[-1].endswith((" ", "\n", LINE, PARAGRAPH))):
            self.parts.append(text)

    def enter(self, tag: str) -> None:
        if tag in ("td", "th"):
            # A cell's text is collected apart: whatever blocks it holds, it stays on its row.
            self.rows.append((self.row, self.parts))
            self.parts = []
        elif tag == "tr":
            self.rows.append((self.row, self.parts))
            self.row = []
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "pre":
            self.pre += 1
        if tag in BLOCKS:
            self.parts.append(PARAGRAPH if tag in PARAGRAPHS else LINE)
        if tag == "li":
            self.parts.append("- ")

    def leave(self, tag: str) -> None:
        if tag in ("td", "th"):
            cell = " ".join("".join(self.parts).split())
            self.row, self.parts = self.rows.pop()
            if self.row is not None:
                self.row.append(cell)
            else:
                self.parts.append(cell + " ")
        elif tag == "tr":
            cells = self.row or []
            self.row, _ = self.rows.pop()
            self.parts.append(CELL.join(cell for cell in cells if cell))
        elif tag == "pre":
            self.pre -= 1
        if tag in BLOCKS:
            self.parts.append(PARAGRAPH if tag in PARAGRAPHS else LINE)


def _is_hidden(node: Any, tag: str) -> bool:
    if tag in HIDDEN:
        return True
    attributes = node.attributes
    if not attributes:
        return False
    if attributes.get("role") in ("navigation", "search", "menu", "menubar"):
        return True
    return "hidden" in attributes or bool(_DISPLAY_NONE.search(attributes.get("style") or ""))
