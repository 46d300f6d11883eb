"""Erasure: a board, the boards below it, and every trace that holds a word of them, gone when it returns.

A board ends first, so that what runs is fenced and watchers hear of an end. The boards below go before it: should the
process die on the way the board is still there, and erasing it again finishes the work. What may come later is undone by
whoever brings it: a child board that is being opened (`controller.opening`), an answer that a model is giving (the traces'
own business), a large value of a commit that comes too late (the store's).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

import orjson
import structlog

from blackboard.entries import UNDER_WAY, Activation, Commit, plain_name
from blackboard.errors import BoardGone
from blackboard.events import ENDED
from blackboard.keys import BOARD_ID
from blackboard.ports import Store

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Boards that are removed at a time."""


class Traces(Protocol):
    """Something that is kept of boards elsewhere than with them."""

    async def forget(self, board: str) -> None:
        """Remove it; may be done again, and while the board's keys are still there. Raises StorageError."""


class Dropper(Protocol):
    """The part of the queue that erasure needs."""

    async def drop(self, source: str, version: str, board: str) -> None:
        """Take back a board's wake-ups for a version of a source."""


class WakeUpTraces:
    """Wake-ups for a board's activations: ids alone, but nobody need come for them."""

    def __init__(self, store: Store, queue: Dropper) -> None:
        self._store, self._queue = store, queue

    async def forget(self, board: str) -> None:
        """See Traces."""
        folded = await self._store.projection(board)
        agenda = folded.agenda.items() if folded is not None else ()
        waiting = (each for each in (Activation.parse(id, stored) for id, stored in agenda) if each.status in UNDER_WAY)
        served = {(plain_name(str(each.data["source"])), str(each.data["version"])) for each in waiting}
        for source, version in sorted(served):
            await self._queue.drop(source, version, board)


def ending_commit(by: str, reason: str, retention_s: float) -> Commit:
    """Ends a board whatever is under way on it."""
    outcome = {"slug": "cancelled", "reason": reason, "disputes": 0, "degraded": [], "coverage": {}, "cost_usd": 0.0}
    return Commit(
        type="board.cancelled",
        by=by,
        id=secrets.token_hex(16),
        mode="person",
        head={"cancel": by, "status": "cancelled", "outcome": orjson.dumps(outcome).decode()},
        due=(("retention", int(retention_s * 1000)),),
        body=outcome,
    )


class Eraser:
    """Erases boards. `traces`: what is kept of them elsewhere."""

    def __init__(self, store: Store, traces: Sequence[Traces], *, retention_s: float) -> None:
        self._store = store
        self._traces = traces
        self._retention_s = retention_s
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def erase(self, board: str, by: str, *, tenant: str) -> None:
        """Erase a board and all below it. Raises BoardGone when the tenant has no such board, and StorageError; after that
        the board may still be there, ended: erase it again.
        """
        head = await self._store.head(board) if BOARD_ID.match(board) else None
        if head is None or head.get("tenant") != tenant:
            raise BoardGone("there is no such board")
        await self._end(board, by, head)
        count = 1
        # What runs below may still be opening boards, until it learns that it was ended.
        while below := await self._below(board, head.get("top", board)):
            for generation in below:
                await asyncio.gather(*(self._end(each, by) for each in generation))
            for generation in reversed(below):
                await asyncio.gather(*(self._remove(each) for each in generation))
            count += sum(map(len, below))
        await self._remove(board)
        log.info("board.erased", board=board, by=by, tenant=tenant, boards=count)

    async def _below(self, board: str, top: str) -> list[list[str]]:
        """The boards below this one that there are, generation by generation."""
        kin = await self._store.below(top)
        found, wanted = [], {board}
        while wanted := {child for child, parent in kin.items() if parent in wanted}:
            there = [(child, self._store.head(child)) for child in sorted(wanted)]
            heads = await asyncio.gather(*(head for _, head in there))
            found.append([child for (child, _), head in zip(there, heads, strict=True) if head is not None])
        return found if any(found) else []

    async def _end(self, board: str, by: str, head: Mapping[str, str] | None = None) -> None:
        if head is None or head.get("status") not in ENDED:
            await self._store.commit(board, ending_commit(by, "erased", self._retention_s))

    async def _remove(self, board: str) -> None:
        async with self._turns:
            for trace in self._traces:
                await trace.forget(board)
            await self._store.erase(board)
