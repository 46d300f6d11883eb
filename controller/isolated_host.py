"""What a guest's process may ask of its worker, and tell it: blobs, lookups, boards, progress, lines for the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blackboard.contract import Blobs, Boards, Progress, Source, Spending
from blackboard.entries import Read
from blackboard.errors import PermanentFailure
from blackboard.levels import Child, Level
from blackboard.models import LanguageModel
from controller.inputs import Decoder, LookupReader, chosen
from controller.isolated_model import asked

MOST_LINES = 200
"""Of one run; what comes behind them is left out."""

LONGEST_LINE = 2000
SHA256 = re.compile(r"[0-9a-f]{64}\Z")

Found = tuple[type[Level], Read]


@dataclass(slots=True)
class Host:
    """Answers for one activation. `touch` is called for every sign of progress."""

    decoder: Decoder
    lookups: Mapping[str, LookupReader]
    touch: Callable[[], None]
    logger: logging.Logger
    blobs: Blobs | None = None
    watchers: Progress | None = None
    spent: Spending | None = None
    boards: Boards | None = None
    model: LanguageModel | None = None
    pieces: bytearray = field(default_factory=bytearray)
    """Of the document that a board is about to be opened for, or of a question to a model."""
    _lines: int = field(default=0, init=False)

    async def answer(self, words: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """JSON and raw parts of the reply. Raises PermanentFailure, InvalidKey, StorageError."""
        what = words.get("what")
        if what == "blob" and self.blobs is not None:
            sha256 = str(words.get("sha256"))
            if not SHA256.match(sha256):
                raise PermanentFailure("it asked for a blob by what is no SHA-256")
            return {}, [await self.blobs.get(sha256)]
        if what == "open" and self.boards is not None:
            data, self.pieces = bytes(self.pieces), bytearray()
            return {"child": (await self._open(self.boards, data, words)).model_dump(mode="json")}, []
        if what == "model" and self.model is not None:
            data, self.pieces = bytes(self.pieces), bytearray()
            return {}, [await asked(self.model, str(words.get("how")), data)]
        reader = self.lookups.get(str(words.get("parameter")))
        if reader is None or what not in ("get", "all"):
            raise PermanentFailure("it asked for something that it does not declare")
        if what == "all":
            found = await reader.find_all()
        else:
            one = await reader.find(str(words.get("name")))
            found = [one] if one is not None else []
        rows, values = await packed(found, self.decoder)
        return {"rows": rows}, values

    async def _open(self, boards: Boards, data: bytes, words: Mapping[str, Any]) -> Child:
        filename, declared_type, name = (words.get(word) for word in ("filename", "declared_type", "name"))
        goal, sources = words.get("goal"), words.get("sources")
        for given in (filename, declared_type, name):
            if not isinstance(given, str | None):
                raise PermanentFailure("a board's file, type and name are texts")
        for listed in (goal, sources):
            if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
                raise PermanentFailure("a board's goal and sources are lists of texts")
        self.touch()
        return await boards.open(
            data, filename=filename, declared_type=declared_type, name=name, goal=goal or (), sources=sources or ()
        )

    def piece(self, data: bytes) -> None:
        """Some more of a document or a question. Raises PermanentFailure when it opens no boards and asks no model."""
        if self.boards is None and self.model is None:
            raise PermanentFailure("it sent a document, but does not declare that it opens boards or asks a model")
        self.pieces += data

    @property
    def window(self) -> int:
        """Tokens of a document in one question to a model."""
        return 0 if self.model is None else self.model.window_tokens

    def progress(self, done: float, total: float, note: str) -> None:
        """It goes on."""
        self.touch()
        if self.watchers is not None:
            self.watchers(done, total, _line(note)[:200])

    def spend(self, usd: float, tokens: int) -> None:
        """It cost something. Raises ValueError for what cannot be spent."""
        if self.spent is not None:
            self.spent(usd, tokens)

    def line(self, level: int, message: str) -> None:
        """A line for the worker's log."""
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.logger.log(min(max(level, logging.DEBUG), logging.CRITICAL), "%s", _line(message)[:LONGEST_LINE])
        elif self._lines == MOST_LINES + 1:
            self.logger.warning("more than %d lines in one run: the rest is left out", MOST_LINES)


def _line(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


async def packed(found: Iterable[Found], decoder: Decoder) -> tuple[list[list[Any]], list[bytes]]:
    """Entries as a guest reads them: rows of level, key, version, owner, confidence and length, and the values behind."""
    rows, values = [], []
    for kind, read in found:
        assert read.header is not None
        value = await decoder.raw(read)
        header = read.header
        rows.append([kind.level, read.key, header.version, header.owner, header.confidence, len(value)])
        values.append(value)
    return rows, values


async def packed_inputs(
    source: Source, binding: str, reads: Sequence[Read], decoder: Decoder
) -> tuple[dict[str, list[list[Any]]], list[bytes]]:
    """The declared inputs by parameter, and their values in the same order."""
    inputs: dict[str, list[list[Any]]] = {}
    values: list[bytes] = []
    for wanted, found in chosen(source, binding, reads):
        inputs[wanted.parameter], more = await packed(found, decoder)
        values += more
    return inputs, values
