"""Sentences with what they rest on, as they come in a streamed answer:

    The sentence.
    > 3: words of page 3

Whatever is not of this form is left out; a sentence that the answer breaks off in never gets here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final

from blackboard import ModelFailed
from knowledge_sources.models.evidence import LONGEST
from knowledge_sources.models.words import LONGEST_SENTENCE

MOST_QUOTES: Final = 4
LONGEST_LINE: Final = LONGEST + 100
_EVIDENCE = re.compile(r"\s{0,8}>\s{0,8}(?:pages?|p\.?)?\s{0,4}(\d{1,6})\s{0,4}[:.)]\s{0,8}(.*)", re.IGNORECASE)
_MARKER = re.compile(r"[-*•]\s+")
_QUOTED = (('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"))


@dataclass(frozen=True, slots=True)
class Draft:
    """One sentence, and (page, words) of each place it rests on."""

    text: str
    quotes: tuple[tuple[int, str], ...]


@dataclass(slots=True)
class Drafts:
    """Takes a text piece by piece; keeps no more of it than a line and a sentence."""

    _line: str = ""
    _text: str = ""
    _quotes: list[tuple[int, str]] = field(default_factory=list)

    def feed(self, piece: str) -> Iterator[Draft]:
        """The sentences that are whole now."""
        *whole, rest = (self._line + piece).split("\n")
        for line in whole:
            yield from self._take(line)
        self._line = rest[: LONGEST_LINE + 1]

    def end(self) -> Iterator[Draft]:
        """The last one, once the text has ended as it should."""
        yield from self._take(self._line)
        yield from self._whole()
        self._line = ""

    def _take(self, line: str) -> Iterator[Draft]:
        evidence = _EVIDENCE.match(line)
        if evidence:
            if self._text and len(self._quotes) < MOST_QUOTES and len(line) <= LONGEST_LINE:
                self._quotes.append((int(evidence[1]), _unquoted(evidence[2].strip())))
        elif not line.strip():
            yield from self._whole()
        else:
            if self._quotes:
                yield from self._whole()
            said = _MARKER.sub("", line.strip(), count=1)
            # Beyond what a sentence may have, what more there is does not matter: it is refused for its length.
            self._text = f"{self._text} {said}".strip()[: 2 * LONGEST_SENTENCE]

    def _whole(self) -> Iterator[Draft]:
        text, quotes = self._text, tuple(self._quotes)
        self._text, self._quotes = "", []
        if text and (text != "NONE" or quotes):
            yield Draft(text, quotes)


async def drafted(pieces: AsyncIterator[str], *, most: int, failed: list[ModelFailed]) -> AsyncIterator[Draft]:
    """The sentences of a streamed answer, as they are whole; at most so many, then the rest is not waited for.

    Where the answer was cut or refused after a sentence, that goes to `failed`, and what came before it stands. Raises
    ModelFailed where nothing came before it, and what else the stream raises.
    """
    drafts, count = Drafts(), 0
    try:
        async for piece in pieces:
            for draft in drafts.feed(piece):
                yield draft
                count += 1
                if count >= most:
                    return
        for draft in drafts.end():
            yield draft
            count += 1
    except ModelFailed as error:
        if not count:
            raise
        failed.append(error)
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTED:
        if len(text) > 2 and text[0] == opening and text[-1] == closing and opening not in text[1:-1]:
            return text[1:-1]
    return text
