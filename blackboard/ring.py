"""The newest messages of a stream as bytes, for any number of readers that each are an index into them."""

from __future__ import annotations

import asyncio

MOST_BYTES = 4 << 20
"""Bytes of messages one ring keeps."""
MOST_MESSAGES = 4096
CHUNK = 1 << 18
"""Bytes; where a reader's backlog is cut into writes."""


class Ring:
    """Nothing is queued for a reader: one that is slow, or stuck, costs nothing. Not for several threads."""

    def __init__(self) -> None:
        self.readers = 0
        self.touched = asyncio.get_running_loop().time()
        """Loop time of the last message."""
        self.written = 0
        """Bytes of all messages there ever were."""
        self.pulse = asyncio.Event()
        self._messages: list[bytes] = []
        self._base = 0
        self._size = 0
        self._joined: tuple[int, bytes, int] = (-1, b"", -1)

    @property
    def end(self) -> int:
        """The index behind the newest message."""
        return self._base + len(self._messages)

    def wake(self) -> None:
        """Let every waiting reader look."""
        pulse, self.pulse = self.pulse, asyncio.Event()
        pulse.set()

    def chunk(self, index: int) -> tuple[bytes, int] | None:
        """Messages from an index on in one piece (empty at the end), and the next index; None: it is not kept any more."""
        at = index - self._base
        if at < 0:
            return None
        if at >= len(self._messages):
            return b"", index
        if self._joined[0] != index or self._joined[2] != self.end:
            end, size = at, 0
            while end < len(self._messages) and (size == 0 or size + len(self._messages[end]) <= CHUNK):
                size += len(self._messages[end])
                end += 1
            whole = self._messages[at] if end == at + 1 else b"".join(self._messages[at:end])
            if end < len(self._messages):
                return whole, self._base + end
            # All who wait are behind by the same messages.
            self._joined = (index, whole, self.end)
        return self._joined[1], self._joined[2]

    def append(self, message: bytes) -> None:
        """One message more; `wake` tells readers of it."""
        self._messages.append(message)
        self._size += len(message)
        self.written += len(message)
        self.touched = asyncio.get_running_loop().time()
        self.trim(MOST_BYTES)

    def trim(self, most: int) -> None:
        """Keep at most so many bytes, but always the newest message."""
        while len(self._messages) > 1 and (self._size > most or len(self._messages) > MOST_MESSAGES):
            self._drop(max(1, len(self._messages) // 8))

    def clear(self) -> None:
        """Keep nothing."""
        self._drop(len(self._messages))

    def _drop(self, count: int) -> None:
        self._size -= sum(map(len, self._messages[:count]))
        del self._messages[:count]
        self._base += count


class Lag:
    """How far one reader is behind."""

    def __init__(self) -> None:
        self._ring: Ring | None = None
        self._read = 0

    @property
    def waiting(self) -> int:
        """Bytes of messages that came since it last took some."""
        return 0 if self._ring is None else self._ring.written - self._read

    def none(self, ring: Ring) -> None:
        """It has just taken all there is, or as much as fits one chunk."""
        self._ring, self._read = ring, ring.written
