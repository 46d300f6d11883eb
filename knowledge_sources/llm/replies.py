"""From what the client returns to a `Reply`: nothing is used before it was looked at, as the client checks no shapes.

A page of HTML comes back as a string, any JSON object as a message with holes, a stream that ends early as half a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from knowledge_sources.llm.calls import FINISHED, CallFailed, Reply, Usage
from knowledge_sources.llm.failures import Billed, Seen, failed

LONGEST: Final = 16_000_000
"""Characters of one answer: beyond any model's, and a bound on what a broken server may make us keep."""


def got(value: Any, name: str) -> Any:
    """A field of an object or of a mapping; None where there is none."""
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def usage_of(value: Any, before: Usage | None = None) -> tuple[Usage | None, bool]:
    """Tokens as the server tells them, later counts over earlier ones, and whether it tells of its prompt cache.

    None where nothing, or nothing sensible, is told.
    """
    counts = [got(value, name) for name in FIELDS]
    if any(count is not None and not _is_count(count) for count in counts):
        return before, False
    if counts[0] is None and counts[1] is None:
        return before, False
    old = before or Usage()
    kept = (old.input, old.output, old.cache_read, old.cache_write)
    new = Usage(*(earlier if count is None else count for count, earlier in zip(counts, kept, strict=True)))
    return new, counts[2] is not None or counts[3] is not None


FIELDS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class Heard:
    """What one attempt said so far: a message at once, or the events of a stream. `reply` judges it."""

    def __init__(self, seen: Seen, model: str) -> None:
        self.tells_of_cache = False
        self.stop_reason: str | None = None
        self._seen = seen
        self._model = model
        self._texts: list[str] = []
        self._length = 0
        self._text_blocks: set[int] = set()

    @property
    def whole(self) -> bool:
        """Whether the answer is all there; whatever follows does not matter."""
        return self.stop_reason in FINISHED and self._seen.usage is not None

    def message(self, message: Any) -> None:
        """A whole message. Raises CallFailed for anything else."""
        content = got(message, "content")
        if got(message, "type") != "message" or not isinstance(content, list):
            raise self._strange("the server's answer is no message: it may not speak this protocol")
        self._count(got(message, "usage"))
        for block in content:
            if got(block, "type") == "text":
                self._add(got(block, "text"))
        self._stopped(message)
        self._named(message)

    def event(self, event: Any) -> str:
        """One event of a stream; the text it adds. Raises CallFailed for what cannot be one."""
        match got(event, "type"):
            case "message_start":
                message = got(event, "message")
                self._count(got(message, "usage"))
                self._named(message)
            case "content_block_start":
                block = got(event, "content_block")
                if got(block, "type") == "text":
                    self._text_blocks.add(self._index(event))
                    return self._add(got(block, "text"))
            case "content_block_delta":
                delta = got(event, "delta")
                if got(delta, "type") == "text_delta" and self._index(event) in self._text_blocks:
                    return self._add(got(delta, "text"))
            case "message_delta":
                self._count(got(event, "usage"))
                self._stopped(got(event, "delta"))
        return ""

    def reply(self) -> Reply:
        """The answer. Raises CallFailed where it is not whole: its reason to stop is looked at before its text."""
        seen, reason = self._seen, self.stop_reason
        if reason is None:
            raise failed("upstream-down", "the answer ends before it is whole", seen, billed="unknown")
        billed: Billed = "unknown" if seen.usage is None else "yes"
        if reason == "model_context_window_exceeded":
            message = "question and answer are longer than the model's window"
            raise failed("request", message, seen, billed=billed, stop_reason=reason)
        text = "".join(self._texts)
        if reason not in FINISHED:
            shown = {"max_tokens": "it was cut at max_tokens", "refusal": "the model refuses to answer"}
            told = shown.get(reason, "it stopped for a reason that is none of a whole answer")
            message = f"there is no whole answer: {told}"
            raise failed("output", message, seen, billed=billed, stop_reason=reason, text=text)
        if seen.usage is None:
            raise failed("upstream-down", "the server does not tell what the answer used", seen, billed="unknown")
        return Reply(text, reason, self._model, seen.usage, seen.request_id, seen.told)

    def _add(self, text: Any) -> str:
        if not isinstance(text, str):
            raise self._strange("a text in the server's answer is none")
        self._length += len(text)
        if self._length > LONGEST:
            raise self._strange("the server's answer has no end")
        self._texts.append(text)
        return text

    def _count(self, usage: Any) -> None:
        self._seen.usage, told = usage_of(usage, self._seen.usage)
        self.tells_of_cache = self.tells_of_cache or told

    def _stopped(self, value: Any) -> None:
        reason = got(value, "stop_reason")
        if isinstance(reason, str) and reason:
            self.stop_reason = reason

    def _named(self, message: Any) -> None:
        model = got(message, "model")
        if isinstance(model, str) and model:
            self._model = model

    def _index(self, event: Any) -> int:
        index = got(event, "index")
        return index if isinstance(index, int) else -1

    def _strange(self, message: str) -> CallFailed:
        return failed("upstream-down", message, self._seen, billed="unknown")
