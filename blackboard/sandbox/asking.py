"""A language model as a third party's source is handed it: every question goes to the worker, which asks it.

A question travels as JSON in pieces, because a document is longer than a frame's words; its pictures are base64 inside.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from blackboard.errors import ModelFailed, PermanentFailure
from blackboard.levels import Page
from blackboard.models import Excerpt, M, Part, Pdf, Picture, Quoted, Task
from blackboard.windows import windows


class Line(Protocol):
    """The other end of the pipe."""

    pieces: asyncio.Lock
    """Held while something is sent in pieces: those of two things must not mix."""
    window: int
    """Tokens of a document in one question to a model."""

    def tell(self, kind: int, said: Mapping[str, Any], raw: bytes = b"") -> None:
        """One frame, from any thread."""

    async def ask(self, what: str, **said: Any) -> tuple[dict[str, Any], bytes]:
        """Something only the worker knows. Raises what it failed with there: see `crossing`."""


class GuestModel:
    """`models.LanguageModel`, asked of the worker. `piece`: the kind of the frames a question is sent in."""

    def __init__(self, worker: Line, piece: int, piece_bytes: int) -> None:
        self._worker = worker
        self._piece = piece
        self._piece_bytes = piece_bytes

    @property
    def window_tokens(self) -> int:
        """See LanguageModel."""
        return self._worker.window

    async def ask(
        self, answer: type[M], task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> M:
        """See LanguageModel. An answer that fits the schema but not the model is not asked for again."""
        question = packed(task, parts, document, max_tokens)
        question["schema"] = answer.model_json_schema()
        text = await self._asked("ask", question)
        try:
            return answer.model_validate_json(text)
        except ValidationError as error:
            raise ModelFailed(f"the model gave no valid answer: {error.error_count()} errors") from error

    async def stream(
        self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> AsyncIterator[str]:
        """See LanguageModel. Watchers see the pieces; here it comes whole."""
        yield (await self._asked("stream", packed(task, parts, document, max_tokens))).decode()

    async def count(self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = ()) -> int:
        """See LanguageModel."""
        return int(await self._asked("count", packed(task, parts, document, 1)))

    def windows(self, pages: Sequence[Page], *, reserve: int = 0) -> list[tuple[Excerpt, ...]]:
        """See LanguageModel."""
        return windows(pages, max(1000, self.window_tokens - reserve))

    async def _asked(self, how: str, question: Mapping[str, Any]) -> bytes:
        data = orjson.dumps(question)
        async with self._worker.pieces:
            for start in range(0, len(data), self._piece_bytes):
                self._worker.tell(self._piece, {}, data[start : start + self._piece_bytes])
            asked = asyncio.ensure_future(self._worker.ask("model", how=how))
            await asyncio.sleep(0)  # it has been sent when the next one may begin
        return (await asked)[1]


def packed(task: Task, parts: Sequence[Part], document: Sequence[Page | Excerpt], max_tokens: int) -> dict[str, Any]:
    """A question as JSON."""
    pages = [[e.number, e.text, 0] if isinstance(e, Page) else [e.page, e.text, e.start] for e in document]
    return {
        "task": [task.name, task.text],
        "parts": [_packed(part) for part in parts],
        "document": pages,
        "max_tokens": max_tokens,
    }


def _packed(part: Part) -> list[str]:
    if isinstance(part, str):
        return ["text", part]
    if isinstance(part, Quoted):
        return ["quoted", part.title, part.text]
    data = b64encode(part.data).decode()
    return ["pdf", data] if isinstance(part, Pdf) else ["picture", data, part.media_type]


def unpacked(data: bytes) -> tuple[Task, list[Part], list[Excerpt], int, dict[str, Any] | None]:
    """The reverse, of what a stranger's process sent. Raises PermanentFailure."""
    try:
        said = orjson.loads(data)
        task = Task(*map(_text, said["task"]))
        parts = [_unpacked(*map(_text, part)) for part in said["parts"]]
        document = [Excerpt(int(page), _text(text), int(start)) for page, text, start in said["document"]]
        schema = said.get("schema")
        if not isinstance(schema, dict | None):
            raise TypeError("a schema is an object")
        return task, parts, document, int(said["max_tokens"]), schema
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise PermanentFailure("it asked a model what is no question") from error


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("a text was expected")
    return given


def _unpacked(kind: str, first: str, second: str = "") -> Part:
    if kind == "text":
        return first
    if kind == "quoted":
        return Quoted(first, second)
    data = b64decode(first, validate=True)
    if kind == "pdf":
        return Pdf(data)
    if kind == "picture" and second in ("image/png", "image/jpeg", "image/webp", "image/gif"):
        return Picture(data, second)  # type: ignore[arg-type]
    raise ValueError("no such part")
