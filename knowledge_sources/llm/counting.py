"""How many tokens a question will be: never too few for money's sake, and near enough for limits."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from blackboard.errors import ModelFailed
from knowledge_sources.llm.calls import CallFailed, Request
from knowledge_sources.llm.ports import Transport
from knowledge_sources.llm.prompting import prefix_of

SMALL_BYTES = 16 * 1024
"""Questions up to this size are not worth a question about their size."""
LIKELY_BYTES = 3.5
"""Of text for a token, mostly."""
MARGIN = 1.05
"""Servers call their own counts estimates."""
PICTURE_TOKENS, PDF_BYTES_PER_TOKEN = 5000, 20
"""The most a picture costs; a PDF page is its text and its picture, and seldom under 20 bytes for each token of both."""
KEPT = 256
"""Prefixes whose count is remembered."""


@dataclass(frozen=True, slots=True)
class Size:
    """Input tokens of a question: as they are likely, and the most they can be."""

    likely: int
    most: int


class Counter:
    """Counts what comes before the cache mark once for a document; bounds the rest by its bytes: a token has one at least."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], int | None] = OrderedDict()

    async def size(self, request: Request, transport: Transport) -> Size:
        """Never raises but CancelledError: where the server does not count, bytes bound."""
        text, media = _weights(request.body)
        if text + media <= SMALL_BYTES:
            return Size(int(text / LIKELY_BYTES) + media, text + media)
        prefix = prefix_of(request)
        counted = await self._of_prefix(request.model, prefix, transport) if prefix is not None else None
        if counted is None or prefix is None:
            return Size(int(text / LIKELY_BYTES) + media, text + media)
        rest = max(0, text - _weights(prefix[1])[0])
        return Size(int(counted + rest / LIKELY_BYTES) + media, int(counted * MARGIN) + rest + media)

    async def _of_prefix(self, model: str, prefix: tuple[str, Any], transport: Transport) -> int | None:
        key = (transport.base_url, model, sha256(prefix[0].encode()).hexdigest())
        if key not in self._known:
            try:
                found = await transport.count(Request(model, prefix[1]))
            except CallFailed:
                return None  # the question itself will meet the same trouble, and be told of it
            self._known[key] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]


def check_room(size: Size, max_tokens: int, context_tokens: int) -> None:
    """Raises ModelFailed for a question that the model cannot take whole: nothing is cut in silence."""
    if size.likely + max_tokens > context_tokens:
        raise ModelFailed(
            f"the question is about {size.likely:,} tokens long, and its answer may have {max_tokens:,}: together more than"
            f" the {context_tokens:,} the model takes",
            hint="ask by ranges of pages (model.windows), or set BLACKBOARD_MODEL_CONTEXT_TOKENS",
        )


def _weights(node: Any) -> tuple[int, int]:
    """Bytes of text, and tokens of pictures and files."""
    if isinstance(node, str):
        return len(node.encode("utf-8", "replace")), 0
    if isinstance(node, dict):
        if node.get("type") == "base64":
            size = len(node["data"]) * 3 // 4
            pdf = node["media_type"] == "application/pdf"
            return 0, max(PICTURE_TOKENS, size // PDF_BYTES_PER_TOKEN) if pdf else PICTURE_TOKENS
        found = [_weights(each) for each in node.values()]
    elif isinstance(node, (list, tuple)):
        found = [_weights(each) for each in node]
    else:
        return 1, 0
    return sum(text for text, _ in found) + 4 * len(found), sum(media for _, media in found)
