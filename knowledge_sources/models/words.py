"""What a model says in words of its own: cleaned, limited, and held against the pages it speaks of."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Final

from knowledge_sources.words import STOPWORDS

LONGEST_SENTENCE: Final = 600
LONGEST_REASON: Final = 300
KNOWN_SHARE: Final = 1 / 3
"""Of a sentence's words must be on the pages it rests on. Sentences in words of their own share more than half."""
BEGINNING: Final = 5

_NUMBER = re.compile(r"\d+(?:[.,'’:/\-\u00a0\u202f]\d+)*")
_DATE = re.compile(r"\d+(?:[:/\-]\d+)+|\d{1,2}\.\d{1,2}\.\d{2,4}")
_DECIMALS = re.compile(r"[.,]0{1,2}\Z")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+|www\.\S+|[^\s@<>]+@[^\s@<>]+\.\w+", re.IGNORECASE)
_WIDE = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af]")
_WORD = re.compile(r"[^\W_\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af]+")
_CODE = re.compile(r"(?=\S{16})(?=\S*[^\W_])\S*[-_/=+\\]\S*")
"""So long without a space, and no plain word: a key, a path, something encoded."""
_AROUND = ".,;:!?()[]<>\"'“”‘’"
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_JOINERS = frozenset("\u200c\u200d")
"""Unseen, but part of how some scripts are written."""


def plain(text: str, most: int) -> str:
    """One line without signs that are not seen; cut at a space where it is longer than `most`."""
    seen = "".join(
        sign if sign in _JOINERS or unicodedata.category(sign) not in _UNSEEN else " " if sign.isspace() else ""
        for sign in text[: 8 * most]
    )
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1].rsplit(" ", 1)[0] + "…"


def sentence(text: str) -> str:
    """A sentence of a model's, or "" for one that says nothing or is too long: half a sentence may say the opposite."""
    line = plain(text, 2 * LONGEST_SENTENCE)
    return line if len(line) <= LONGEST_SENTENCE and any(sign.isalpha() for sign in line) else ""


def invented(said: str, texts: Iterable[str]) -> bool:
    """Whether something names a number, an address (URL, e-mail) or a code that none of the texts holds.

    Numbers are compared by their digits, so that 1,920.00, 1.920 and 1920 are one; a date by each of its numbers.
    """
    numbers = _NUMBER.findall(said)
    addresses = [_bare(found) for found in (*_ADDRESS.findall(said), *_CODE.findall(said))]
    if not numbers and not addresses:
        return False
    sources = list(texts)
    shown = [text.casefold() for text in sources] if addresses else []
    if not all(any(address in text for text in shown) for address in addresses):
        return True
    known = {
        form for text in sources for number in _NUMBER.findall(text) for form in (*_whole(number), *_parts(number))
    }
    return not all(_is_known(number, known) for number in numbers)


def foreign(said: str, texts: Iterable[str]) -> bool:
    """Whether hardly a word of it is in the texts: it then speaks of something else, whatever it quotes beside.

    Words of four letters and more, and numbers, are compared by how they begin, so that endings do not matter; those of
    scripts without spaces sign by sign.
    """
    words = _stems(said)
    if not words:
        return False
    shown = set[str]().union(*map(_stems, texts))
    return len(words & shown) < KNOWN_SHARE * len(words)


def _stems(text: str) -> set[str]:
    words = (word for word in _WORD.findall(text.casefold()) if word not in STOPWORDS)
    found = {word[:BEGINNING] for word in words if len(word) >= 4 or word[0].isdigit()}
    return found.union(_WIDE.findall(text))


def _is_known(number: str, known: set[str]) -> bool:
    parts = _parts(number)
    return not known.isdisjoint(_whole(number)) or (bool(parts) and known.issuperset(parts))


def _bare(address: str) -> str:
    return address.strip(_AROUND).casefold()


def _whole(number: str) -> tuple[str, str]:
    """The digits of a number, and the same without decimals that are zero."""
    return _digits(number), _digits(_DECIMALS.sub("", number))


def _digits(number: str) -> str:
    return "".join(str(unicodedata.decimal(sign)) for sign in number if sign.isdecimal()).lstrip("0") or "0"


def _parts(number: str) -> list[str]:
    """The numbers of a date, a time or a range; none of a number with thousands or decimals."""
    return [_digits(part) for part in re.findall(r"\d+", number)] if _DATE.fullmatch(number) else []


class Dropped:
    """What a model said that was not taken, by reason. Never what it said: that is a document's, or an attacker's, text."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()

    def __call__(self, reason: str, count: int = 1) -> None:
        """So many more for this reason."""
        if count > 0:
            self._reasons[reason] += count

    def __len__(self) -> int:
        return self._reasons.total()

    def __str__(self) -> str:
        return "; ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
