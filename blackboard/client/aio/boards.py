"""The client for programs with an event loop."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Unpack

from blackboard.client import operations as ask
from blackboard.client.aio.connection import AsyncConnection
from blackboard.client.aio.handle import AsyncHandle
from blackboard.client.aio.keys import AsyncKeys
from blackboard.client.aio.webhooks import AsyncWebhooks
from blackboard.client.exchange import failure_of
from blackboard.client.results import Board, Committed, Entry, Report
from blackboard.client.stream import Change, Event
from blackboard.client.submission import Document, Options, submission
from blackboard.client.writes import Put, Retract
from blackboard.events import TERMINAL, LogRecord


class AsyncBlackboard(AsyncConnection):
    """`async with AsyncBlackboard(url) as bb`.

    Every method raises the error that the service raised (blackboard.errors), with its `request_id`, and StorageUnavailable
    where no service answers. What reads, and a submission, is sent again by itself as `patience` says; other writes never
    are: where nobody knows what became of one, OutcomeUnknown is raised.
    """

    @property
    def keys(self) -> AsyncKeys:
        """API keys of the caller's tenant; needs the scope `admin`."""
        return AsyncKeys(self)

    @property
    def webhooks(self) -> AsyncWebhooks:
        """Who is told of the tenant's boards; needs the scope `admin`."""
        return AsyncWebhooks(self)

    async def submit(
        self,
        document: Document | None = None,
        *,
        text: str | None = None,
        url: str | None = None,
        filename: str | None = None,
        wait: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> AsyncHandle:
        """Send a file (a path, or bytes), a text, or the address of a document that the service is to fetch.

        `wait`: seconds to wait for the end at most, before the answer. `idempotency_key`: the same key never makes a second
        board; drawn for each call if left out. Raises UsageError, OSError.
        """
        call = submission(
            document,
            text=text,
            url=url,
            filename=filename,
            wait=wait,
            idempotency_key=idempotency_key,
            options=options,
        )
        return AsyncHandle(self, await self.send(call))

    async def handle(self, id: str) -> AsyncHandle:
        """A board that was submitted before. Raises BoardGone."""
        return AsyncHandle(self, await self.board(id))

    async def board(self, id: str, *, at: int | None = None) -> Board:
        """The board now, or with its contents (`raw`) as it was at a revision."""
        return await self.send(ask.board(id, at))

    def boards(self, *, children: bool = False, parent: str = "", page: int = 100) -> AsyncIterator[Board]:
        """All boards, newest first; `parent`: the children of one board. Asked for `page` at a time, as they are read."""
        return self.pages(ask.boards(children=children, parent=parent, limit=page))

    async def report(self, id: str, *, partial: bool = False) -> Report:
        """The analysis. Raises BoardError while it is not ready, unless the best there is by now is asked for."""
        return await self.send(ask.report(id, partial=partial))

    async def result(self, id: str, *, timeout: float | None = None) -> Report:
        """Wait for the board's end; the report, or what there is where none was asked for.

        `timeout`: seconds; then TimeoutError, and the board goes on. Raises what a failed board failed with
        (DocumentUnreadable...), and BoardError for a cancelled one.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ends = ask.events(id, type=tuple(TERMINAL))
        async with aclosing(self.follow(ends, deadline=deadline)) as events:
            async for _ in events:
                pass
        error = failure_of(await self.board(id))
        if error is not None:
            raise error
        return await self.report(id, partial=True)

    async def entries(self, id: str, level: str = "", *, space: str = "", source: str = "") -> list[Entry]:
        """What stands on a board in key order; with `space="shadow"` what shadows contributed."""
        return await self.send(ask.entries(id, level, space=space, source=source))

    async def entry(self, id: str, key: str, *, version: int | None = None) -> Entry:
        """One entry, `level/name`, in its last or an earlier version. Raises BoardGone."""
        return await self.send(ask.entry(id, key, version))

    async def put_entry(
        self, id: str, key: str, value: Any, *, if_version: int | None = None, pin: bool = True, confidence: float = 1.0
    ) -> Entry:
        """Contribute or correct. `if_version`: the version that is replaced; None or 0 for an entry that must not be there.

        Raises EntryConflict (with the `current` version), InvalidValue (with pointers), BoardClosed.
        """
        return await self.send(ask.put_entry(id, key, value, if_version, pin=pin, confidence=confidence))

    async def delete_entry(self, id: str, key: str, *, if_version: int) -> None:
        """Retract, or dismiss a rival. Raises EntryConflict, BoardClosed, BoardGone."""
        await self.send(ask.delete_entry(id, key, if_version))

    async def commit(
        self, id: str, *writes: Put | Retract, checks: Mapping[str, int] | None = None, revision: int | None = None
    ) -> Committed:
        """Write several entries in one step, all or none. `checks`: key -> the version it must have, 0 for none there ever.

        `revision`: the one the board must be at. Raises ConflictError with all `mismatches`, InvalidValue, BoardClosed.
        """
        return await self.send(ask.commit(id, writes, checks or {}, revision))

    def events(
        self,
        id: str,
        *,
        after: str = "",
        snapshot: bool = False,
        level: ask.Words = "",
        source: ask.Words = "",
        type: ask.Words = "",
    ) -> AsyncGenerator[Event, None]:
        """Every event behind `after`, once, in order, over any number of connections, until the board's end.

        `snapshot`: begin with the whole board as it is. `level`, `source`, `type`: only records that touch these levels, are
        of or about these sources, have these types; the last one in any case.
        """
        return self.follow(ask.events(id, snapshot=snapshot, level=level, source=source, type=type), after=after)

    async def watch(
        self, *, after: str = "", snapshot: bool = False, type: ask.Words = ""
    ) -> AsyncGenerator[Change, None]:
        """What changes on all of the tenant's boards, from now on or behind `after`, without end; each change once.

        `snapshot`: begin with the boards that are open. `type`: only changes of these types.
        """
        async with aclosing(
            self.follow(ask.changes(snapshot=snapshot, type=type), after=after, lasting=True)
        ) as events:
            async for event in events:
                yield Change(event.id, event.type, event.raw)

    async def log(self, id: str) -> list[LogRecord]:
        """All records, notes included."""
        return await self.send(ask.log(id))

    async def bundle(self, id: str) -> bytes:
        """The log and every blob it refers to, as a zip archive that `blackboard replay` reads."""
        return await self.send(ask.bundle(id))

    async def why(self, id: str) -> list[dict[str, Any]]:
        """Why each source acted or did not."""
        return await self.send(ask.why(id))

    async def activations(self, id: str) -> list[dict[str, Any]]:
        """The runs of sources on a board, in order of appearance."""
        return await self.send(ask.activations(id))

    async def blob(self, id: str, sha256: str) -> bytes:
        """Bytes that a board refers to, such as its document. Raises BoardGone, and ServiceError when others come."""
        return await self.send(ask.blob(id, sha256))

    async def cancel(self, id: str) -> Board:
        """End a board as it is. On one that has ended nothing happens."""
        return await self.send(ask.act(id, "cancel"))

    async def approve(self, id: str) -> Board:
        """Let a board that is held for review end. Raises BoardClosed."""
        return await self.send(ask.act(id, "approve"))

    async def retry(self, id: str, *, activation: str = "") -> Board:
        """Try again what failed; the board where that happens: a new one if this one has ended. Raises NothingToRetry."""
        return await self.send(ask.retry(id, activation))

    async def fork(self, id: str, *, at: int | None = None) -> Board:
        """Go on from a revision (None: the last one) on a new board, which is answered."""
        return await self.send(ask.fork(id, at))

    async def diff(self, id: str, *, start: int = 0, end: int | None = None) -> dict[str, Any]:
        """What moved between two revisions, as `GET /v1/boards/{id}/diff` says it. `end`: None is the last one."""
        return await self.send(ask.diff(id, start, end))

    async def backfill(self, id: str, source: str, *, downstream: bool = False, space: str = "") -> Board:
        """Run one more source, or a newer version of one; the board where that happens. Raises SourcePresent."""
        return await self.send(ask.backfill(id, source, downstream=downstream, space=space))

    async def erase(self, id: str) -> None:
        """Remove a board with all that nothing else refers to."""
        await self.send(ask.erase(id))

    async def sources(self) -> dict[str, Any]:
        """The sources new boards include (`items`), and the plug-ins that are `broken`."""
        return await self.send(ask.sources())

    async def source(self, name: str) -> dict[str, Any]:
        """One source: what it reads and contributes, and who serves it. Raises BoardGone."""
        return await self.send(ask.source(name))

    async def capabilities(self) -> dict[str, Any]:
        """What the service can do, and with which models."""
        return await self.send(ask.capabilities())

    async def spending(self, *, day: str = "") -> dict[str, Any]:
        """What models cost on a day (UTC, `2026-11-21`; today), and what is left."""
        return await self.send(ask.spending(day))

    async def calls(self, id: str, *, cursor: str = "", limit: int = 50) -> dict[str, Any]:
        """A page of a board's calls of models, with their sums."""
        return await self.send(ask.calls(id, cursor, limit))
