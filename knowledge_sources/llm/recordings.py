"""Answers of a board's earlier calls, found by the question: from its log and the blobs that it refers to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import orjson

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.events import LogRecord
from knowledge_sources.llm.calls import Reply, Request
from knowledge_sources.llm.ports import Recordings


class Bytes(Protocol):
    """Where blobs lie."""

    async def get(self, sha256: str) -> bytes:
        """Raises BlobMissing or BlobCorrupt."""


class _Call(NamedTuple):
    activation: str
    recording: str


class BoardRecordings:
    """See ports.Recordings. A question that was answered several times has the answer of `activation`, else the last one.

    `blobs`: where the recordings lie. Nothing is recorded: a board's own calls are, on its log.
    """

    def __init__(self, records: Iterable[LogRecord], blobs: Bytes, activation: str = "") -> None:
        self._calls: dict[str, list[_Call]] = {}
        self._blobs = blobs
        self._activation = activation
        self._read: OrderedDict[str, Reply] = OrderedDict()
        for record in records:
            if record.type == "llm.called" and not record.is_note:
                said = record.say()
                if said.get("recording"):
                    call = _Call(str(said.get("activation", "")), str(said["recording"]))
                    self._calls.setdefault(str(said.get("request", "")), []).append(call)

    def __len__(self) -> int:
        """How many questions are answered."""
        return len(self._calls)

    def of(self, activation: str) -> BoardRecordings:
        """The same, preferring what one activation was answered."""
        found = BoardRecordings((), self._blobs, activation)
        found._calls, found._read = self._calls, self._read
        return found

    async def get(self, request: Request) -> Reply | None:
        """See ports.Recordings. Raises BlobMissing or BlobCorrupt where the log knows of an answer that is not at hand."""
        calls = self._calls.get(request.digest)
        if not calls:
            return None
        own = [call for call in calls if call.activation == self._activation]
        sha256 = (own or calls)[-1].recording
        if sha256 not in self._read:
            kept = orjson.loads(await self._blobs.get(sha256))
            self._read[sha256] = Reply.unpacked(orjson.dumps(kept["reply"]))
            if len(self._read) > 1000:
                self._read.popitem(last=False)
        return self._read[sha256]

    async def put(self, request: Request, reply: Reply) -> None:
        """See ports.Recordings."""


class Watched:
    """Recordings, and the digests of the questions they could not answer; `lost`: those whose answer is not at hand."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self.missing: list[str] = []
        self.lost: list[str] = []

    async def get(self, request: Request) -> Reply | None:
        """See ports.Recordings."""
        try:
            reply = await self._recordings.get(request)
        except (BlobMissing, BlobCorrupt):
            reply = None
            self.lost.append(request.digest)
        if reply is None and request.digest not in self.missing:
            self.missing.append(request.digest)
        return reply

    async def put(self, request: Request, reply: Reply) -> None:
        """See ports.Recordings."""
        await self._recordings.put(request, reply)
