"""multipart/form-data read part by part as it arrives: nothing is kept but the chunk in hand (RFC 7578)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from controller.http.problems import Problem

MOST_PARTS = 32
QUOTED = re.compile(rb';\s*([A-Za-z0-9_*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.DOTALL)
ESCAPED = re.compile(rb"%(0[0-9A-Fa-f]|1[0-9A-Fa-f]|22|7[Ff])")
"""What browsers and clients write for control characters and quotes inside a file name (HTML, section 4.10.22.8)."""


@dataclass(slots=True)
class Part:
    """One part. `filename` is None for a plain field."""

    name: str = ""
    filename: str | None = None
    content_type: str = ""
    reader: Any = field(default=None, repr=False)

    def chunks(self) -> AsyncIterator[bytes]:
        """Its content as it arrives; to be read before the next part."""
        return self.reader.content()  # type: ignore[no-any-return]

    async def text(self, limit: int) -> str:
        """A field's content. Raises Problem when it is longer than `limit` bytes or not UTF-8."""
        found = bytearray()
        async for chunk in self.chunks():
            found += chunk
            if len(found) > limit:
                raise Problem("validation-error", errors=[(f"/{self.name}", f"may hold at most {limit} bytes")])
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise Problem("invalid-encoding") from None


class Multipart:
    """Raises Problem invalid-multipart where the body is malformed or ends early."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = chunks
        self._events: deque[Part | bytes | None] = deque()
        self._header = (bytearray(), bytearray())
        self._part = Part(reader=self)
        self._count = 0
        self._finished = False
        try:
            self._parser = MultipartParser(
                boundary.encode("latin-1"),
                {
                    "on_part_begin": self._begin,
                    "on_header_begin": self._header_begin,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._header_end,
                    "on_headers_finished": lambda: self._events.append(self._part),
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(None),
                    "on_end": self._end,
                },
            )
        except (FormParserError, UnicodeEncodeError):
            raise Problem("invalid-multipart") from None

    async def parts(self) -> AsyncIterator[Part]:
        """The parts in order; what is left unread of one is skipped."""
        while await self._more():
            event = self._events.popleft()
            if isinstance(event, Part):
                yield event

    async def content(self) -> AsyncIterator[bytes]:
        """The rest of the part in hand."""
        while await self._more():
            event = self._events[0]
            if isinstance(event, Part):
                return
            self._events.popleft()
            if event is None:
                return
            yield event

    async def _more(self) -> bool:
        while not self._events:
            if self._finished:
                return False
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise Problem("invalid-multipart", "The body ends before its last boundary.")
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise Problem("invalid-multipart") from None
        return True

    def _begin(self) -> None:
        self._part = Part(reader=self)
        self._count += 1
        if self._count > MOST_PARTS:
            raise Problem("invalid-multipart", f"There may be at most {MOST_PARTS} parts.")

    def _header_begin(self) -> None:
        self._header = (bytearray(), bytearray())

    def _header_end(self) -> None:
        name, value = bytes(self._header[0]).strip().lower(), bytes(self._header[1]).strip()
        if name == b"content-type":
            self._part.content_type = value.decode("latin-1")
        elif name == b"content-disposition":
            for key, quoted, plain in QUOTED.findall(value):
                if key.lower() == b"name":
                    self._part.name = _text(quoted or plain)
                elif key.lower() == b"filename":
                    self._part.filename = _text(quoted or plain)

    def _end(self) -> None:
        self._finished = True


def _text(raw: bytes) -> str:
    """Bytes that are not UTF-8 become U+FFFD, which no file name may hold."""
    plain = re.sub(rb'\\(["\\])', rb"\1", raw)
    return ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), plain).decode("utf-8", errors="replace")
