"""Opening child boards: `contract.Boards` as a worker hands it to an activation.

A child's id follows from its parent, who opens it, its name and its document: who opens it again, after a crash or on a
retry, comes to the same board. It is made before its parent's entry says so; a child that no entry ever comes to name
ends itself (`controller.family`).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Container, Sequence

import orjson

from blackboard.board import Board
from blackboard.entries import Activation, Commit, Put, is_shadow
from blackboard.errors import PermanentFailure, TransientFailure
from blackboard.events import ENDED
from blackboard.filenames import plain_filename
from blackboard.keys import derived_board_id
from blackboard.levels import Child, Upload
from blackboard.ports import Store
from controller.desk import Desk, Putter, Submission
from controller.erasure import ending_commit
from controller.family import renewed
from controller.kin import BY_PARENT, children_of
from controller.policy import Policy, policy_of
from controller.retry import UPLOAD
from controller.settings import Settings
from controller.tracing import traced
from controller.values import InvalidValue

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?\Z")
MOST_COMEBACKS = 20
"""How often the same part may be withdrawn and come back."""


class Opener:
    """Opens boards for activations. `desk` knows all sources, also those that this worker does not run."""

    def __init__(self, store: Store, blobs: Putter, desk: Desk, settings: Settings) -> None:
        self.store, self.blobs, self.desk, self.settings = store, blobs, desk, settings

    def of_run(self, source: str, board: str, activation: Activation) -> Openings:
        """`contract.Boards` for one activation."""
        return Openings(self, source, board, activation)


class Openings:
    """See contract.Boards."""

    def __init__(self, opener: Opener, source: str, board: str, activation: Activation) -> None:
        self._opener, self._source, self._board, self._activation = opener, source, board, activation
        self._one_by_one = asyncio.Lock()
        self._parent: Board | None = None
        self._known: dict[str, Child] = {}
        """Name -> what this source had opened before this run."""
        self._opened: dict[str, Child] = {}

    async def open(
        self,
        data: bytes,
        *,
        filename: str | None = None,
        declared_type: str | None = None,
        goal: Sequence[str] = (),
        sources: Sequence[str] = (),
        name: str | None = None,
    ) -> Child:
        """See contract.Boards."""
        if is_shadow(str(self._activation.data["source"])):
            raise PermanentFailure("it runs as a shadow, and a shadow opens no boards")
        async with self._one_by_one:
            parent = self._parent = self._parent or await self._look()
            filename = plain_filename(filename)
            called = name_of_part(name, filename, self._opened)
            self._check_place(parent, len(data))
            sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
            if (opened := self._opened.get(called)) is not None:
                if opened.sha256 == sha256:
                    return opened
                raise PermanentFailure(f"two different documents were opened as {called!r}", hint="name them apart")
            _check_lineage(parent, sha256)
            wanted = Submission(
                sha256=sha256,
                size=len(data),
                filename=filename,
                declared_type=declared_type,
                tenant=parent.head.get("tenant", ""),
                goal=tuple(goal) or tuple(word for word in parent.head.get("goal", "").split(",") if word),
                sources=tuple(sources) or self._inherited(parent),
                policy=_policy(parent, others=bool(goal or sources)),
            )
            child = self._opened[called] = await self._find(parent, called, wanted, data)
            return child

    async def _look(self) -> Board:
        """The parent as it is, marked as one that has children. Fenced: a worker that was given up opens nothing."""
        parent = await self._opener.store.projection(self._board)
        if parent is None or parent.ended:
            raise TransientFailure("its board has ended")
        if "children" not in parent.head:
            fence = (self._activation.id, self._activation.epoch)
            mark = Commit("board.changed", self._source, head={"children": "1"}, fence=fence)
            if not (await self._opener.store.commit(self._board, mark)).ok:
                raise TransientFailure("the activation is another worker's now")
        known = children_of(parent).values()
        self._known = {child.name: child for header, child in known if header.owner == self._source}
        return parent

    def _inherited(self, parent: Board) -> tuple[str, ...]:
        names = orjson.loads(parent.head.get("sources") or "{}")
        known = self._opener.desk.offer.sources(parent.head.get("tenant", ""))
        return tuple(name for name in names if name in known)

    def _check_place(self, parent: Board, size: int) -> None:
        most = self._opener.settings.child_depth
        if _depth(parent) >= most:
            raise PermanentFailure(
                f"this part was not opened: child boards are nested {most} deep here already, which is the limit",
                hint="submit it by itself",
            )
        if size > self._opener.settings.max_upload_bytes:
            raise PermanentFailure(
                f"this part has {size / 1e6:.1f} MB, the limit is {self._opener.settings.max_upload_bytes / 1e6:.1f} MB"
            )

    async def _find(self, parent: Board, name: str, wanted: Submission, data: bytes) -> Child:
        store = self._opener.store
        child = Child(name=name, board="", sha256=wanted.sha256, size=wanted.size, filename=wanted.filename)
        known = self._known.get(name)
        if known is not None and (known.sha256, known.filename) != (child.sha256, child.filename):
            known = None
        options = ",".join(wanted.goal), ",".join(wanted.sources), wanted.filename or "", wanted.declared_type or ""
        for comeback in range(MOST_COMEBACKS):
            words = (self._board, self._source, name, wanted.sha256, *options, str(comeback))
            board = derived_board_id(store.partitions, *words)
            # What a fork took over has completed below the board that it was forked from.
            if known is not None and (known.board == board or known.status == "completed"):
                return known
            head = await store.head(board)
            if head is None:
                await self._reserve(parent, board, name)
                await self._create(parent, board, name, wanted, data)
                return child.model_copy(update={"board": board})
            if not head.get("cancel", "").startswith(BY_PARENT):
                return await renewed(store, child.model_copy(update={"board": board}), parent.id, wanted.tenant)
        raise PermanentFailure(f"the part {name!r} came and went {MOST_COMEBACKS} times")

    async def _reserve(self, parent: Board, board: str, name: str) -> None:
        limits = self._opener.settings
        adopted = await self._opener.store.adopt(
            _top(parent), board, parent.id, most_children=limits.child_boards, most_below=limits.child_total
        )
        if adopted == "children":
            raise PermanentFailure(
                f"{name!r} was not opened: this board has {limits.child_boards} child boards, which is the limit",
                hint="submit the remaining parts by themselves",
            )
        if adopted == "below":
            raise PermanentFailure(
                f"{name!r} was not opened: there are {limits.child_total} boards below the one submitted, which is the limit",
                hint="submit the remaining parts by themselves",
            )
        if adopted != "adopted":
            raise TransientFailure("the board above has ended")

    async def _create(self, parent: Board, board: str, name: str, wanted: Submission, data: bytes) -> None:
        try:
            sources = self._opener.desk.check(wanted, inherits=True)
        except InvalidValue as error:
            raise PermanentFailure(f"{name!r} was not opened: {error}", hint=error.hint) from error
        await self._opener.blobs.put(data)
        upload = Upload(
            sha256=wanted.sha256, size=wanted.size, filename=wanted.filename, declared_type=wanted.declared_type
        )
        head = {
            "status": "open",
            "tenant": wanted.tenant,
            "incarnation": secrets.token_hex(6),
            "goal": ",".join(wanted.goal),
            "sources": orjson.dumps(sources).decode(),
            "policy": wanted.policy.text(),
            "filename": wanted.filename or "",
            "priority": parent.head.get("priority", "interactive"),
            "opened_by": parent.id,
            "opened_for": f"{Child.level}/{name}",
            "opened_in": self._activation.id,
            "depth": str(_depth(parent) + 1),
            "top": _top(parent),
            "lineage": ",".join(_lineage(parent)),
            **traced(parent.head),
        }
        commit = Commit(
            type="board.created",
            by=f"{BY_PARENT}{parent.id}",
            id="open",
            mode="person",
            create=True,
            head=head,
            writes=(Put(UPLOAD, orjson.dumps(upload.model_dump())),),
            due=(("check", self._opener.settings.check_ms),),
            blobs=(wanted.sha256,),
            bytes=(data,),
        )
        if not (await self._opener.store.commit(board, commit)).ok:
            raise TransientFailure(f"the board for {name!r} could not be made")
        await self._undo_if_erased(parent.id, board)

    async def _undo_if_erased(self, parent: str, board: str) -> None:
        """Whoever erases a board erases those below it that there are: one that came a moment later undoes itself."""
        store = self._opener.store
        above = await store.head(parent)
        if above is not None and above.get("status") not in ENDED:
            return
        by = f"{BY_PARENT}{parent}"
        await store.commit(board, ending_commit(by, "its parent has ended", self._opener.settings.retention_s))
        if above is None or await store.head(parent) is None:
            await store.erase(board)
        raise TransientFailure("its board has ended")


def _depth(board: Board) -> int:
    return int(board.head.get("depth", 0))


def _top(board: Board) -> str:
    return board.head.get("top", board.id)


def _lineage(board: Board) -> list[str]:
    """SHA-256 of the documents of a board and of those above it."""
    above = [sha256 for sha256 in board.head.get("lineage", "").split(",") if sha256]
    own = orjson.loads(board.values[UPLOAD]).get("sha256", "") if UPLOAD in board.values else ""
    return [*above, own] if own else above


def _policy(parent: Board, *, others: bool) -> Policy:
    """A child's policy. Strategies name levels and sources: they hold for the same ones only."""
    above = policy_of(parent.head.get("policy", ""))
    return Policy(models=above.models) if others else above


def _check_lineage(parent: Board, sha256: str) -> None:
    if sha256 in _lineage(parent):
        raise PermanentFailure("this part is the document itself, or one that it came in: a document that holds itself")


def name_of_part(name: str | None, filename: str | None, taken: Container[str]) -> str:
    """What a child is called: as its source says, or after its file, numbered where that is taken.

    Raises PermanentFailure for a name that cannot be one.
    """
    if name is not None:
        if not NAME.match(name):
            raise PermanentFailure(
                f"a child board cannot be called {name!r}",
                hint="use letters, digits, '.', '_' and '-', at most 96, a letter or digit at both ends",
            )
        return name
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", filename or "part").strip("-._")[:80].strip("-._") or "part"
    called, number = base, 1
    while called in taken:
        number += 1
        called = f"{base}-{number}"
    return called
