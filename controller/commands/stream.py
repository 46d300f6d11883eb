"""Server-Sent Events taken apart, whether they come over HTTP or from this process's own feed."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

import orjson

from blackboard.events import TERMINAL, TYPES, LogRecord, from_json

PROGRESS = "progress"
RESET = "reset"
SNAPSHOT = "board.snapshot"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `id` is empty for what does not move the place to resume at: progress, and a stream's last words."""

    id: str
    event: str
    data: bytes

    @property
    def record(self) -> LogRecord | None:
        """The log record it carries; None for progress, for whole boards, and for what is about the stream itself."""
        return from_json(self.data) if self.event in TYPES else None

    @property
    def ends(self) -> bool:
        """Whether the board ended with it, or had ended when the snapshot was taken."""
        if self.event in (RESET, SNAPSHOT):
            return orjson.loads(self.data).get("head", {}).get("status") in TERMINAL.values()
        return self.event in TERMINAL


async def messages(chunks: AsyncIterable[bytes]) -> AsyncIterator[Message]:
    """Whole messages from chunks cut anywhere. Comments are dropped, and what stands unfinished at the end too."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        for text in whole:
            message = _parse(text)
            if message is not None:
                yield message


def _parse(text: bytes) -> Message | None:
    id = event = ""
    data: list[bytes] = []
    for line in text.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"id":
            id = value.decode()
        elif name == b"event":
            event = value.decode()
    return Message(id, event, b"\n".join(data)) if data else None
