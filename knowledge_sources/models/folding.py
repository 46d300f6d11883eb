"""A text as it is compared with what a model quotes of it, and the way back to the places in it.

Folded are canonically equivalent spellings (NFC), runs of white space, soft hyphens and the Latin ligatures; nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

SHY = "\u00ad"
LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
# Letters of the Latin blocks stand for themselves, unless a mark behind them makes another letter of them.
_PLAIN = "!-~\u00a1-\u00ac\u00ae-\u02ff"
_PIECE = re.compile(rf"(?P<gap>[\s{SHY}]+)|(?P<plain>[{_PLAIN}]+)(?=[{_PLAIN}\s{SHY}]|\Z)|(?P<other>.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` is what is compared; its character i stands for `starts[i]` to `ends[i]` of the original."""

    text: str
    starts: array[int]
    ends: array[int]

    def occurrences(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Where the folded text `wanted` is, from left to right, as (start, end) of the folded text.

        Never within what was one character of the original.
        """
        at = self.text.find(wanted) if wanted else -1
        while at >= 0:
            end = at + len(wanted)
            if self._splits(at) and self._splits(end):
                yield at, end
            at = self.text.find(wanted, at + 1)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original text of a place in the folded one."""
        return self.starts[start], self.ends[end - 1]

    def _splits(self, at: int) -> bool:
        return at in (0, len(self.text)) or self.starts[at] != self.starts[at - 1]


def fold(text: str) -> Folded:
    """The text as it is compared."""
    parts: list[str] = []
    starts, ends = array("L"), array("L")
    at = 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        assert piece is not None
        if piece["plain"] is not None:
            end = piece.end("plain")
            parts.append(piece["plain"])
            starts.extend(range(at, end))
            ends.extend(range(at + 1, end + 1))
        else:
            end, said = (piece.end(), _gap(piece["gap"])) if piece["gap"] is not None else _letter(text, at)
            parts.append(said)
            starts.extend([at] * len(said))
            ends.extend([end] * len(said))
        at = end
    return Folded("".join(parts), starts, ends)


def folded(quote: str) -> str:
    """A quotation as it is looked for: folded, without white space around."""
    return fold(quote).text.strip()


def _gap(gap: str) -> str:
    """A soft hyphen is nothing, a word that it parts over two lines is one word; any other white space is a space."""
    if not gap.strip(SHY) or (gap[0] == SHY and "\n" in gap):
        return ""
    return " "


def _letter(text: str, start: int) -> tuple[int, str]:
    """The end and the folded form of the letter that begins at `start`, with every mark that belongs to it."""
    end, said = start + 1, unicodedata.normalize("NFC", text[start])
    while end < len(text):
        sign = text[end]
        if sign < "\u0300":
            break
        joined = unicodedata.normalize("NFC", text[start : end + 1])
        if not unicodedata.combining(sign) and joined == said + unicodedata.normalize("NFC", sign):
            break
        end, said = end + 1, joined
    return end, "".join(LIGATURES.get(sign, sign) for sign in said)
