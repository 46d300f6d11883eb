"""What of a server's words may be shown: nothing that repeats the key, or the text of a document.

Servers repeat what they were sent (a validator shows the value it refuses), and their words end in logs and on boards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

LONGEST: Final = 300
"""Characters of a server's message that are shown."""
RUN: Final = 16
"""As many characters in a row that a question holds, too, are a quotation."""
SEARCHED: Final = 8_000_000
"""Characters; beside a longer question nothing is shown, as looking through it would hold up everything else."""
LEFT_OUT: Final = "its message repeats the question and is left out"

_KEYLIKE = re.compile(r"\b(sk|pk|key|Bearer)[-_ ][\w*.-]{4,}", re.IGNORECASE)
_TELLING = re.compile(r"[^\s'\"(),;:=]*[\d@][^\s'\"(),;:=]*")
_WORD = re.compile(r"[\w.-]{1,64}\Z")


class Quoting:
    """What was sent in one call, to hold a server's words against."""

    def __init__(self, body: Mapping[str, Any], key: str) -> None:
        self._body = body
        self._key = key

    def shown(self, message: str) -> str:
        """As much of a server's message as may be shown; empty where there is none."""
        short = " ".join(message.split())[:LONGEST]
        if not short:
            return ""
        if self._key and any(self._key[at : at + 8] in short for at in range(0, max(1, len(self._key) - 7), 4)):
            return "its message repeats the key and is left out"
        if len(self._texts) > SEARCHED:
            return "its message is left out, as the question is too long to compare it with"
        if any(short[at : at + RUN] in self._texts for at in range(len(short) - RUN + 1)):
            return LEFT_OUT
        hidden = _TELLING.sub(lambda found: "…" if self._told(found[0]) else found[0], short)
        return _KEYLIKE.sub(r"\1-…", hidden)

    def word(self, word: str) -> str:
        """A type or a code: one word, or nothing is shown of it."""
        return word if _WORD.match(word) and not (self._key and self._key in word) else "an unknown kind"

    def _told(self, word: str) -> bool:
        return len(word) >= 5 and word in self._texts

    @cached_property
    def _texts(self) -> str:
        return "\n".join(" ".join(text.split()) for text in texts_of(self._body))


def texts_of(body: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a question's system and messages, data of pictures and files included."""
    for part in (body.get("system"), body.get("messages")):
        yield from _strings(part)


def _strings(value: Any, name: str = "text") -> Iterator[str]:
    if isinstance(value, str):
        if name not in ("type", "role", "media_type"):
            yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(inner, "text" if key == "content" else key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strings(inner, name)
