"""Can a text layer be trusted? Signs of fonts without a usable mapping, and of text that is no language.

A text layer is wrong in three ways: its characters were never mapped to Unicode (replacement, private-use and control
characters), they were mapped to other letters (words without vowels, letters mixed with symbols), or an OCR program of
long ago wrote it. All three show in the characters and words themselves, without a dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

GOOD_ENOUGH: Final = 0.5
"""Below this a page's text is better read again from its picture."""
SAMPLE: Final = 5000
"""Characters looked at: a page's first ones tell as much as all."""

_TOKEN = re.compile(r"\S+")
_LEADERS = re.compile(r"[.·…_\-–—=*•|]{3,}")
_EDGE = "\"'()[]{}<>.,;:!?*&%$€£#@/\\|+-–—=~^_`´’‘“”„«»•·…°§©®™"
_VOWEL = re.compile(r"[aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿœąęěėēīıōőūůűāăơư]", re.IGNORECASE)
_SMALL = re.compile(r"[a-z]")
_WORD = re.compile(r"[\"'(\[“‘«]?[A-Za-z]*[aeiouyAEIOUY][A-Za-z]*[\"')\].,:;!?’”»]*\Z")
_INSIDE = re.compile(r"\w[*;!~^|<>={}\[\]\"»«\\]+\w|[a-zß-ÿ][A-ZÀ-Þ]{2,}[a-zß-ÿ]")
_NUMBER = re.compile(r"[\d.,:/\-+%()'x×$€£¥]*\d[\d.,:/\-+%()'x×$€£¥]*[A-Za-z]{0,3}\Z")


def clean(text: str) -> str:
    """Text that can be stored, searched and quoted: no control characters or lone surrogates, plain spaces, no typographic
    ligatures. May change the length: apply it before offsets are counted."""
    text = text.translate(_CLEAN)
    if any("\ud800" <= char <= "\udfff" for char in text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


_CLEAN: Final = (
    {code: None for code in (*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x2060, 0xFEFF) if code not in (9, 10)}
    | dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000, 0x0B, 0x0C, 0x85), " ")
    | {0x2028: "\n", 0x2029: "\n", 0xFFFE: "�", 0xFFFF: "�"}
    | {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
)


def unmapped(text: str) -> float:
    """Share of visible characters that stand for nothing: replacement, private use, control, unassigned."""
    sample = text[:SAMPLE]
    visible = len("".join(sample.split()))
    if not visible:
        return 0.0
    odd = sum(1 for char in _FOREIGN.findall(sample) if char == "�" or unicodedata.category(char) in _ODD)
    return (odd + len(_CONTROL.findall(sample))) / visible


_FOREIGN = re.compile(r"[^\x00-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_ODD: Final = frozenset(("Co", "Cn", "Cc", "Cs"))


def plausible(token: str) -> bool:
    """Whether a token looks like a word, a number or an identifier of some language."""
    if _WORD.match(token):
        return True
    core = token.strip(_EDGE)
    if not core:
        return len(token) <= 3
    if _NUMBER.match(core):
        return True
    letters = [char for char in core if char.isalpha()]
    if not letters:
        return any(char.isdigit() for char in core)
    latin = [char for char in letters if char < "\u0250"]
    if _INSIDE.search(core):
        return False
    others = sum(1 for char in core if not char.isalnum() and char not in "-–'’./@:_&,+%#()")
    if others * 3 > len(core):
        return False
    if len(latin) * 2 < len(letters) or len(latin) <= 3:
        return True
    if core.isupper() and len(core) <= 5:
        return True
    digits = sum(1 for char in core if char.isdigit())
    return bool(_VOWEL.search(core)) or digits >= len(latin)


def text_quality(text: str, unmapped_share: float = 0.0) -> float:
    """0..1: how much of the text looks like language; `unmapped_share` adds what the font itself says is unmapped."""
    text = _LEADERS.sub(" ", text[:SAMPLE])
    tokens = _TOKEN.findall(text)
    total = sum(map(len, tokens))
    if not total:
        return 1.0
    good = sum(len(token) for token in tokens if plausible(token)) / total
    small = _SMALL.findall(unicodedata.normalize("NFD", text))
    if len(small) >= 30:
        # Every language written in Latin letters has a third of vowels or more; letters that were swapped have not.
        vowels = sum(1 for char in small if char in "aeiouy") / len(small)
        good *= min(1.0, max(0.0, (vowels - 0.1) / 0.15))
    # A few unmapped characters spoil the words around them.
    return max(0.0, min(1.0, good - 2.5 * max(unmapped(text), unmapped_share)))
