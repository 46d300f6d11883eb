"""What a third party's source is handed in its process: entries, and whatever it must ask its worker for or tell it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from typing import Any, get_args, get_origin

import structlog

from blackboard.contract import Blobs, Boards, Input, Progress, SourceSettings, Spending
from blackboard.entries import EntryRef
from blackboard.levels import Child, Level
from blackboard.models import LanguageModel
from blackboard.sandbox.asking import GuestModel, Line
from blackboard.sandbox.child import words
from blackboard.sourcelog import LOGGERS

ENTRY, ASK, PROGRESS, LINE, REPLY, SPENT, PIECE = 5, 6, 7, 8, 9, 10, 11
"""Kinds of frames besides those of `child`."""
PAUSE_S = 0.1
"""Between two messages of progress."""
PIECE_BYTES = 4 * 1024 * 1024
"""Of a document for a board of its own, or of a question to a model, in one frame."""


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is not None else kind


def is_handed_in(kind: Any) -> bool:
    """Whether a guest may ask for it."""
    plain = _plain(kind)
    return plain in (Blobs, Boards, LanguageModel, Progress, Spending, *LOGGERS) or (
        isinstance(plain, type) and issubclass(plain, SourceSettings)
    )


def handed_in(kind: Any, worker: Line, source: str, settings: Mapping[Any, SourceSettings]) -> Any:
    """What a parameter of this type is handed."""
    plain = _plain(kind)
    if plain is Blobs:
        return GuestBlobs(worker)
    if plain is Boards:
        return GuestBoards(worker)
    if plain is LanguageModel:
        return GuestModel(worker, PIECE, PIECE_BYTES)
    if plain is Progress:
        return GuestProgress(worker)
    if plain is Spending:
        return GuestSpending(worker)
    return _logger(plain, worker, source) if plain in LOGGERS else settings[plain]


def _logger(kind: Any, worker: Line, source: str) -> Any:
    logger = logging.Logger(source)
    logger.addHandler(Lines(worker))
    if kind is logging.Logger:
        return logger
    return structlog.wrap_logger(logger, processors=[_line], wrapper_class=structlog.stdlib.BoundLogger)


class Values:
    """Entries out of the raw part of a frame, one behind the other: level, key, version, owner, confidence, length."""

    def __init__(self, raw: bytes) -> None:
        self._raw = memoryview(raw)
        self._at = 0

    def take(self, wanted: Input, rows: list[list[Any]]) -> list[Level]:
        """As instances of the input's levels."""
        kinds = {kind.level: kind for kind in wanted.levels}
        found = []
        for level, key, version, owner, confidence, length in rows:
            text = bytes(self._raw[self._at : self._at + length])
            self._at += length
            found.append(kinds[level].model_validate_json(text).read_from(EntryRef(key, version, owner, confidence)))
        return found


class GuestLookup:
    """`contract.Lookup`, asked of the worker, which records what was read."""

    def __init__(self, worker: Line, wanted: Input) -> None:
        self._worker = worker
        self._wanted = wanted

    async def get(self, name: str) -> Level | None:
        """See contract.Lookup."""
        found = await self._ask("get", name=name)
        return found[0] if found else None

    async def all(self) -> AsyncIterator[Level]:
        """See contract.Lookup."""
        for value in await self._ask("all"):
            yield value

    async def _ask(self, what: str, **said: Any) -> list[Level]:
        meta, raw = await self._worker.ask(what, parameter=self._wanted.parameter, **said)
        return Values(raw).take(self._wanted, meta["rows"])


class GuestBlobs:
    """`contract.Blobs`, asked of the worker."""

    def __init__(self, worker: Line) -> None:
        self._worker = worker

    async def get(self, sha256: str) -> bytes:
        """See contract.Blobs."""
        return (await self._worker.ask("blob", sha256=sha256))[1]


class GuestBoards:
    """`contract.Boards`, asked of the worker: the document in pieces, then what is asked of it."""

    def __init__(self, worker: Line) -> None:
        self._worker = worker

    async def open(
        self,
        data: bytes,
        *,
        filename: str | None = None,
        declared_type: str | None = None,
        goal: Sequence[str] = (),
        sources: Sequence[str] = (),
        name: str | None = None,
    ) -> Child:
        """See contract.Boards."""
        asked = {"filename": filename, "declared_type": declared_type, "name": name}
        async with self._worker.pieces:
            for start in range(0, len(data), PIECE_BYTES):
                self._worker.tell(PIECE, {}, data[start : start + PIECE_BYTES])
            said, _ = await self._worker.ask("open", goal=list(goal), sources=list(sources), **asked)
        return Child.model_validate(said["child"])


class GuestProgress:
    """`contract.Progress`, told to the worker, at most ten times a second."""

    def __init__(self, worker: Line) -> None:
        self._worker = worker
        self._next = 0.0

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """See contract.Progress."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PAUSE_S
            self._worker.tell(PROGRESS, {"done": float(done), "total": float(total), "note": words(note)})


class GuestSpending:
    """`contract.Spending`, told to the worker."""

    def __init__(self, worker: Line) -> None:
        self._worker = worker

    def __call__(self, usd: float = 0.0, tokens: int = 0) -> None:
        """See contract.Spending."""
        if not (0 <= usd < math.inf and tokens >= 0):
            raise ValueError(f"{usd} USD and {tokens} tokens cannot be spent")
        self._worker.tell(SPENT, {"usd": float(usd), "tokens": int(tokens)})


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """A structured event as a line."""
    said = str(event.pop("event", ""))
    return " ".join([said, *(f"{key}={value!r}" for key, value in event.items())])


class Lines(logging.Handler):
    """Lines for the log, told to the worker."""

    def __init__(self, worker: Line) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        said = self.format(record)
        self._worker.tell(LINE, {"level": record.levelno, "message": words(said)})
