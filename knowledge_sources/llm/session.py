"""A model as one activation is handed it: questions in the words of `blackboard.models`, answers checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from blackboard.errors import ModelFailed
from blackboard.levels import Page
from blackboard.models import Caller, Excerpt, Hearer, M, Part, Task
from blackboard.windows import windows
from knowledge_sources.llm import prompting
from knowledge_sources.llm.attempts import Asking
from knowledge_sources.llm.calls import CallFailed, Reply, Request
from knowledge_sources.llm.degrade import json_of
from knowledge_sources.llm.schema import schema_of

if TYPE_CHECKING:
    from knowledge_sources.llm.gateway import Gateway

LONGEST_ANSWER = 32_000
"""Tokens, where an answer that was cut is asked for once more."""
FAULT_CHARS = 1500
"""Of what was wrong with an answer, told to the model."""


class Session:
    """`blackboard.models.LanguageModel` of one activation."""

    def __init__(self, gateway: Gateway, caller: Caller, hearer: Hearer) -> None:
        self._gateway = gateway
        self._caller = caller
        self._hearer = hearer

    @property
    def window_tokens(self) -> int:
        """See LanguageModel."""
        return self._gateway.settings.window_tokens

    async def ask(
        self, answer: type[M], task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> M:
        """See LanguageModel."""
        request = self._request(task, parts, document, max_tokens, answer)
        asking = Asking(self._caller, self._hearer, _valid(answer))
        try:
            reply = await self._gateway.answer(request, asking)
        except CallFailed as failure:
            again = _once_more(request, failure)
            try:
                reply = await self._gateway.answer(again, asking)
            except CallFailed as second:
                raise _no_answer(second) from second
        return _parsed(answer, reply.text)

    async def stream(
        self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = (), max_tokens: int = 4096
    ) -> AsyncIterator[str]:
        """See LanguageModel."""
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        async def heard(text: str) -> None:
            asking.begun = True
            self._hearer.streamed(text)
            pieces.put_nowait(text)

        request = self._request(task, parts, document, max_tokens)
        asking = Asking(self._caller, self._hearer, lambda _: None, heard)
        asked = asyncio.create_task(self._gateway.answer(request, asking))
        asked.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            try:
                await asked
            except CallFailed as failure:
                raise _no_answer(failure) from failure
        finally:
            asked.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await asked

    async def count(self, task: Task, *parts: Part, document: Sequence[Page | Excerpt] = ()) -> int:
        """See LanguageModel."""
        return await self._gateway.count(self._request(task, parts, document, 1))

    def windows(self, pages: Sequence[Page], *, reserve: int = 0) -> list[tuple[Excerpt, ...]]:
        """See LanguageModel."""
        return windows(pages, max(1000, self.window_tokens - reserve))

    def _request(
        self,
        task: Task,
        parts: Sequence[Part],
        document: Sequence[Page | Excerpt],
        max_tokens: int,
        answer: type[BaseModel] | None = None,
    ) -> Request:
        schema = None if answer is None else schema_of(answer)
        return prompting.request(self._gateway.model, task, parts, document, max_tokens=max_tokens, schema=schema)


def _valid(answer: type[BaseModel]) -> Callable[[Reply], None]:
    def check(reply: Reply) -> None:
        try:
            _parsed(answer, reply.text)
        except ValueError as error:
            raise CallFailed(
                "output",
                f"the answer is not valid: {_faults(error)}",
                billed="yes",
                usage=reply.usage,
                request_id=reply.request_id,
                headers=reply.headers,
                stop_reason=reply.stop_reason,
                text=reply.text,
            ) from None

    return check


def _parsed(answer: type[M], text: str) -> M:
    """Raises ValueError for what is no JSON, and its kind ValidationError for what is not of this form."""
    return answer.model_validate_json(json_of(text))


def _faults(error: ValueError) -> str:
    """What is wrong, without the values: they are a document's words, and this goes into logs."""
    if not isinstance(error, ValidationError):
        return str(error)[:FAULT_CHARS]
    said = (f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg']}" for each in error.errors()[:10])
    return "; ".join(said)[:FAULT_CHARS]


def _once_more(request: Request, failure: CallFailed) -> Request:
    """The one repair: with the fault where an answer was not valid, with more room where it was cut. Raises ModelFailed."""
    if failure.stop_reason == "max_tokens" and request.max_tokens < LONGEST_ANSWER:
        return prompting.roomier(request, min(LONGEST_ANSWER, request.max_tokens * 2))
    if failure.text and failure.stop_reason not in ("refusal", "max_tokens"):
        return prompting.repaired(request, failure.text, str(failure))
    raise _no_answer(failure) from failure


def _no_answer(failure: CallFailed) -> ModelFailed:
    return ModelFailed(f"the model gave no answer that can be used: {failure}", hint=failure.hint)
