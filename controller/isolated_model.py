"""Questions of third parties' sources to a language model: the worker asks them, with the same limits and caps as its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import RootModel

from blackboard.errors import PermanentFailure
from blackboard.models import LanguageModel
from blackboard.sandbox.asking import unpacked

MOST_TOKENS = 32_000
"""Of one answer."""


class Given(RootModel[Any]):
    """An answer of whatever form the source declared; the source itself checks it."""


async def asked(model: LanguageModel, how: str, data: bytes) -> bytes:
    """The answer's text. Raises what LanguageModel says, and PermanentFailure for what is no question."""
    task, parts, document, max_tokens, schema = unpacked(data)
    if not 0 < max_tokens <= MOST_TOKENS:
        raise PermanentFailure(f"an answer has between 1 and {MOST_TOKENS:,} tokens")
    if how == "count":
        return str(await model.count(task, *parts, document=document)).encode()
    if how == "stream":
        pieces = [piece async for piece in model.stream(task, *parts, document=document, max_tokens=max_tokens)]
        return "".join(pieces).encode()
    if how != "ask" or schema is None:
        raise PermanentFailure("it asked a model what is no question")
    answer = await model.ask(_of_schema(schema), task, *parts, document=document, max_tokens=max_tokens)
    return answer.model_dump_json().encode()


def _of_schema(schema: Mapping[str, Any]) -> type[Given]:
    class Answer(Given):
        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return dict(schema)

    return Answer
