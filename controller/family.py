"""What boards owe each other: a child tells its parent how it ended, a parent that has ended cancels its children.

Parent and child may lie in different partitions, so each duty is a step of its own, and a controller may be lost between
two. Nothing is lost with it, because each side can find out by itself: when a board is looked at for its `check`, the
status of its open children is read from their heads, and a child looks whether its parent still wants it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.entries import UNDER_WAY, Activation, Commit, Header, Put
from blackboard.errors import BoardGone
from blackboard.events import ENDED
from blackboard.keys import BOARD_ID
from blackboard.levels import Child
from blackboard.ports import Due, Store
from controller.kin import BY_PARENT, OpenChild, children_of, ended_child, lost_child, report_key, title_of
from controller.plan import Plan
from controller.settings import Settings

MOST_LONELY = 2
"""Looks at which a child is on no entry of its parent before it ends: who opened it may be about to write that entry."""


@dataclass(slots=True)
class Seen:
    """What a controller remembers of a board's kin between turns."""

    asked: set[OpenChild] = field(default_factory=set)
    """Children whose heads were read: one may have ended before its parent's entry was written."""
    lonely: int = 0


def has_kin(plan: Plan) -> bool:
    """Whether a board is a child or has children."""
    return plan.children.any or "opened_by" in plan.head


async def renewed(store: Store, child: Child, parent: str, tenant: str) -> Child:
    """The entry as it must be by the child's head: itself while that board is open. Raises StorageError.

    What a fork took over may have ended below another board; but nobody waits for a board that is not below it: a source
    may write what it likes, also the board's own id.
    """
    head = await store.head(child.board) if BOARD_ID.match(child.board) else None
    if head is None or head.get("tenant") != tenant or "opened_by" not in head:
        return lost_child(child)
    if head.get("status") not in ENDED:
        return child if head["opened_by"] == parent else lost_child(child)
    title = ""
    if head["status"] == "completed":
        folded = await store.projection(child.board)
        key = report_key(folded.values) if folded else None
        with suppress(BlobMissing, BlobCorrupt):  # a title is not worth more
            title = title_of(await store.resolve(folded.values[key])) if folded and key else ""
    return ended_child(child, head, title)


class Erasing(Protocol):
    """Erases boards: controller.erasure."""

    async def erase(self, board: str, by: str, *, tenant: str) -> None:
        """Raises BoardGone, StorageError."""


class Family:
    """Does a controller's duties between boards. Every method may raise StorageError; all may be repeated."""

    def __init__(self, store: Store, settings: Settings, eraser: Erasing | None = None) -> None:
        self._store = store
        self._eraser = eraser
        self._settings = settings

    async def tend(self, plan: Plan, seen: Seen, *, ended: bool, fresh: bool) -> None:
        """After a turn of a board that has kin. `fresh`: it is looked at for its `check`."""
        children = plan.children
        unwanted = {child.board for child in children.open.values()} if ended else set[str]()
        if children.dropped:
            unwanted |= children.dropped - {child.board for child in children.open.values()}
        if unwanted or children.dropped:
            await asyncio.gather(*(self._cancel(board, plan.board) for board in sorted(unwanted)))
            children.dropped.clear()
        if ended:
            if "opened_by" in plan.head and not await self._is_orphan(plan):
                await self._tell(plan)
            return
        if children.open:
            look = {key: child for key, child in children.open.items() if fresh or child not in seen.asked}
            tenant = plan.head.get("tenant", "")
            await asyncio.gather(*(self._renew(plan.board, key, child.board, tenant) for key, child in look.items()))
            seen.asked = set(children.open.values())
        if fresh and "opened_by" in plan.head and not await self._is_orphan(plan):
            await self._look_up(plan, seen)

    async def retire(self, due: Due) -> None:
        """Remove an ended board whose time is over, the boards below it first; later, if it is still needed."""
        head = await self._store.head(due.board)
        if head is not None and (above := head.get("opened_by")):
            parent = await self._store.head(above)
            if parent is not None and parent.get("status") not in ENDED:
                await self._store.snooze([due], int(self._settings.retention_s * 1000))
                return
        if head is None or await self._retire_below(due.board, head):
            await self._store.retire(due.board)
        else:
            await self._store.snooze([due], self._settings.check_ms)

    # -- down ----------------------------------------------------------------------------------------------------------

    async def _cancel(self, board: str, parent: str) -> None:
        head = await self._store.head(board) if BOARD_ID.match(board) else None
        if head is None or head.get("status") in ENDED or "cancel" in head or head.get("opened_by") != parent:
            return
        by = f"{BY_PARENT}{parent}"
        await self._store.commit(board, Commit("board.changed", by, head={"cancel": by}))

    async def _renew(self, parent: str, key: str, board: str, tenant: str) -> None:
        """Bring the entry of a child up to date, if it is the one meant and that board has ended."""
        head = await self._store.head(board) if BOARD_ID.match(board) else None
        if head is not None and head.get("status") not in ENDED and head.get("opened_by") == parent:
            return
        found = await self._store.entry(parent, key)
        if found is None or found[1] is None:
            return
        header, child = Header.parse(found[0]), Child.model_validate_json(found[1])
        if child.board != board or child.status != "open":
            return
        now = await renewed(self._store, child, parent, tenant)
        # In the name of who opened it, so that it stays theirs to retract. The version: somebody may be faster.
        value = orjson.dumps(now.model_dump(mode="json"))
        await self._store.commit(
            parent,
            Commit(
                "contribution.committed",
                header.owner,
                activation=header.activation,
                writes=(Put(key, value, header.confidence, header.pinned),),
                checks=((key, header.version),),
                body={"child": board, "status": now.status, "told_by": "controller"},
            ),
        )

    async def _retire_below(self, board: str, head: Mapping[str, str]) -> bool:
        """Whether nothing is left below."""
        folded = await self._store.projection(board) if "children" in head else None
        if folded is None:
            return True
        done = await asyncio.gather(
            *(self._retire_child(child.board, board) for _, child in children_of(folded).values())
        )
        return all(done)

    async def _retire_child(self, board: str, parent: str) -> bool:
        head = await self._store.head(board) if BOARD_ID.match(board) else None
        if head is None or head.get("opened_by") != parent:
            return True  # another board's: this one was forked from it
        if head.get("status") not in ENDED:
            await self._cancel(board, parent)
            return False
        return await self._retire_below(board, head) and await self._store.retire(board)

    # -- up ------------------------------------------------------------------------------------------------------------

    async def _tell(self, plan: Plan) -> None:
        """Write the end of a child into its parent's entry; the one beside it, if another source's stands there."""
        parent, key, tenant = plan.head["opened_by"], plan.head["opened_for"], plan.head.get("tenant", "")
        source = plan.head["opened_in"].rpartition(".")[0]
        for place in (key, f"{key}~{source}"):
            await self._renew(parent, place, plan.board, tenant)

    async def _is_orphan(self, plan: Plan) -> bool:
        """Whether the parent was erased while this one was being opened; then it is erased, too.

        Boards are retired only after those below them.
        """
        parent = plan.head["opened_by"]
        if self._eraser is None or await self._store.head(parent) is not None:
            return False
        with suppress(BoardGone):
            await self._eraser.erase(plan.board, f"{BY_PARENT}{parent}", tenant=plan.head.get("tenant", ""))
        return True

    async def _look_up(self, plan: Plan, seen: Seen) -> None:
        """End a child that nobody wants: its parent has ended or is gone, or does not know it and never will."""
        parent = plan.head["opened_by"]
        head = await self._store.head(parent)
        if head is None or head.get("status") in ENDED:
            await self._cancel(plan.board, parent)
            return
        found = await self._store.entry(parent, plan.head["opened_for"])
        if found is not None and found[1] is not None and Child.model_validate_json(found[1]).board == plan.board:
            seen.lonely = 0
            return
        folded = await self._store.projection(parent)
        if folded is not None:
            known = any(child.board == plan.board for _, child in children_of(folded).values())
            source = plan.head["opened_in"].rpartition(".")[0]
            agenda = (Activation.parse(id, stored) for id, stored in folded.agenda.items())
            coming = any(
                x.data.get("source") == source and (x.status in UNDER_WAY or "retry_at" in x.data) for x in agenda
            )
            if known or coming:
                seen.lonely = 0
                return
        seen.lonely += 1
        if seen.lonely >= MOST_LONELY:
            await self._cancel(plan.board, parent)
