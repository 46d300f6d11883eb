"""An answer in the words of the wire: one message, or the events of its stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

PIECE = 12
"""Characters of a text in one event."""


@dataclass(frozen=True)
class Answer:
    """What is to be said. `usage` without the output; `stop_reason` as the last event or the message tells it."""

    id: str
    model: str
    text: str
    stop_reason: str | None
    usage: Mapping[str, int]
    output_tokens: int

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks: none where there is no text."""
        return [{"type": "text", "text": self.text, "citations": None}] if self.text else []

    def message(self, **other: Any) -> dict[str, Any]:
        """The whole message."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.content,
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": {**self.usage, "output_tokens": self.output_tokens},
            **other,
        }


def error_body(type: str, message: str, code: str, request_id: str) -> dict[str, Any]:
    """An error in the server's words."""
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": type, "message": message, **details}, "request_id": request_id}


def event(type: str, **more: Any) -> bytes:
    """One event of a stream."""
    return b"event: " + type.encode() + b"\ndata: " + orjson.dumps({"type": type, **more}) + b"\n\n"


def error_event(type: str, message: str, code: str, request_id: str) -> bytes:
    """An error in the middle of a stream."""
    return b"event: error\ndata: " + orjson.dumps(error_body(type, message, code, request_id)) + b"\n\n"


def stream(answer: Answer) -> tuple[list[bytes], int]:
    """The events of a stream, and how many of them stand before its middle: some text, but not all."""
    text = answer.text
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    start = answer.message(content=[], stop_reason=None, usage={**answer.usage, "output_tokens": 1})
    head = [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
    ]
    deltas = [event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces]
    tail = [
        event("content_block_stop", index=0),
        event(
            "message_delta",
            delta={"stop_reason": answer.stop_reason, "stop_sequence": None},
            usage={"output_tokens": answer.output_tokens},
        ),
        event("message_stop"),
    ]
    return head + deltas + tail, len(head) + (len(deltas) + 1) // 2
