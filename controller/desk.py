"""What people do to boards: submit, cancel, approve, retry, contribute. Every change is a commit like any other's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import AgendaWrite, Answer, Commit, Header, Put, Retract, entry_key, level_of
from blackboard.errors import BoardClosed, BoardGone, ConflictError
from blackboard.keys import new_board_id
from blackboard.levels import Address, Upload
from blackboard.once import Once
from blackboard.ports import Store
from blackboard.quotas import NoQuota
from blackboard.replay import folded_at
from controller.adding import TRIES, Adding
from controller.announcing import CREATED, Interest, Nobody
from controller.choice import begin_with, idle_without
from controller.fitting import unfit
from controller.modes import refused
from controller.offer import Offer
from controller.pinned import Backfill
from controller.quotas import BoardQuota, counted
from controller.retry import UPLOAD, anew, failed_for_good, fork
from controller.settings import Settings
from controller.submission import Submission as Submission
from controller.tracing import traced
from controller.values import (
    FIXED,
    EntryConflict,
    InvalidValue,
    NothingToRetry,
    RequestUnderWay,
    canonical,
)
from controller.views import BoardView

ADDRESS = "address/original"


class Putter(Protocol):
    """The part of the blob store that submitting a text needs."""

    async def put(self, data: bytes) -> str:
        """Keep the bytes; their SHA-256."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a contribution came to. `version` is the entry's now; `created`: it was not there (or gone) before."""

    key: str
    version: int
    revision: int
    created: bool = False


class Desk:
    """Every method may raise what the store raises; those on a board raise BoardGone when the tenant has no such board."""

    def __init__(
        self,
        store: Store,
        blobs: Putter,
        sources: Sequence[Source],
        settings: Settings,
        *,
        models: bool = False,
        interest: Interest | None = None,
        quota: BoardQuota | None = None,
    ) -> None:
        """`models`: whether there is a language model to ask. `interest`: who is to hear of new boards."""
        self._models = models
        self._interest = interest or Nobody()
        self.quota = quota or NoQuota()
        self._store = store
        self._blobs = blobs
        self._settings = settings
        self.know(sources)

    def know(self, sources: Sequence[Source], owners: Mapping[str, str] | None = None) -> None:
        """The sources that boards may begin with from now on. `owners`: those of one tenant alone -> that tenant."""
        self.offer = Offer(sources, owners)

    async def view(self, board: str, *, tenant: str = "default") -> BoardView:
        """The board by its head."""
        head = await self._store.head(board)
        if head is None or head.get("tenant") != tenant:
            raise BoardGone("there is no such board")
        return BoardView(board, head)

    def check(self, document: Submission, *, inherits: bool = False) -> dict[str, str]:
        """The sources a board for it would begin with, name -> version.

        `inherits`: its policy is another board's, that was checked. Raises InvalidValue when a source or goal is unknown,
        no chosen source contributes to a goal, or models are asked for and none is configured.
        """
        asked = {"sources": document.sources, "shadow": document.shadow}
        known = self.offer.sources(document.tenant)
        errors = [] if inherits else refused(document.policy, known, asked, configured=self._models)
        for at, name in enumerate(document.sources):
            if name not in known:
                errors.append((f"/sources/{at}", f"no such source; there are {', '.join(sorted(known))}"))
        for at, name in enumerate(document.shadow):
            if name not in known:
                errors.append((f"/shadow/{at}", f"no such source; there are {', '.join(sorted(known))}"))
            elif name in document.sources:
                errors.append((f"/shadow/{at}", "it is among the sources, too"))
        chosen = begin_with(known.values(), document.sources, document.policy, given=document.given)
        if not document.sources:
            chosen = {name: source for name, source in chosen.items() if name not in document.shadow}
        if not chosen and not errors:
            errors.append(("/shadow", "no source is left to work on the board itself"))
        reached = {level for name in chosen for level in self.offer.outputs[name]}
        if document.url is not None and chosen and Upload.level not in reached:
            errors.append(("/url", "no source here fetches documents"))
        for at, level in enumerate(document.goal):
            if level not in reached:
                errors.append(
                    (f"/goal/{at}", f"no chosen source contributes to it; {', '.join(sorted(reached))} can be")
                )
        if document.deadline_s is not None and not 0 < document.deadline_s <= 30 * 86_400:
            errors.append(("/deadline_s", "must be more than 0 and at most 2592000 seconds"))
        if (
            not errors
            and document.sources
            and not document.hold
            and (idle := idle_without(chosen.values(), document.given))
        ):
            errors.append(
                ("/sources", f"nothing would happen: {idle[0]} waits for {idle[1]}, which no chosen source makes")
            )
        errors += unfit(document.policy, document.goal, chosen) if not errors else []
        if errors:
            raise InvalidValue(errors)
        return {name: source.version for name, source in chosen.items()}

    async def submit(self, document: Submission) -> BoardView:
        """Make a board for a document. Raises InvalidValue, see `check`."""
        sources = self.check(document)
        first, blobs, at_hand = await self._first(document)
        chance = secrets.token_hex(22)  # one call for both: a system call each is felt at thousands a second
        head = {
            "status": "open",
            "tenant": document.tenant,
            "incarnation": chance[:12],
            "goal": ",".join(document.goal),
            "sources": orjson.dumps(sources).decode(),
            **self._aside(document),
            **self._interest.stamp(document.tenant),
            **traced(),
            "policy": document.policy.text(),
            "filename": document.filename or "",
            "priority": document.priority,
            "hold": document.hold,
        }
        if document.callback:
            head["callback"] = document.callback
        limits = [limit for limit in (document.deadline_s, document.policy.budget.wall_s) if limit is not None]
        if limits:
            head["deadline_ms"] = str(max(1, round(min(limits) * 1000)))
        commit = Commit(
            type="board.created",
            by=document.by,
            id=chance[12:],
            mode="person",
            create=True,
            head=head,
            writes=(first,),
            due=self._due(head),
            blobs=blobs,
            once=document.once,
            bytes=at_hand,
        )
        board = self._new_id(document.tenant, document.once)
        async with counted(self.quota, document.tenant, board):
            answer = _settled(await self._store.commit(board, commit))
        return BoardView(board, {**head, "created": str(answer.at), "revision": str(answer.revision)})

    async def _first(self, document: Submission) -> tuple[Put, tuple[str, ...], tuple[bytes, ...]]:
        """The entry a board begins with, the blobs it refers to, and those of them whose bytes are at hand."""
        if document.url is not None:
            address = Address(url=document.url, filename=document.filename)
            return Put(ADDRESS, orjson.dumps(address.model_dump())), (), ()
        sha256, size = document.sha256, document.size
        at_hand: tuple[bytes, ...] = ()
        if document.text is not None:
            data = document.text.encode()
            sha256, size, at_hand = await self._blobs.put(data), len(data), (data,)
        upload = Upload(sha256=sha256, size=size, filename=document.filename, declared_type=document.declared_type)
        return Put(UPLOAD, orjson.dumps(upload.model_dump())), (sha256,), at_hand

    def _new_id(self, tenant: str, once: Once | None) -> str:
        return self._store.new_id(tenant) if once is None else new_board_id(once.partition)

    def _aside(self, document: Submission) -> dict[str, str]:
        if not document.shadow:
            return {}
        return {"shadow": orjson.dumps({name: self.offer.all[name].version for name in document.shadow}).decode()}

    def _due(self, head: Mapping[str, str]) -> tuple[tuple[str, int | None], ...]:
        due: list[tuple[str, int | None]] = [("check", self._settings.check_ms)]
        if deadline := head.get("deadline_ms"):
            due.append(("deadline", int(deadline)))
        # What is made here is nobody's child, though it may be a copy of one.
        return (*due, *self._interest.due(CREATED, {name: head[name] for name in head if name != "opened_by"}))

    async def cancel(self, board: str, by: str, *, tenant: str = "default") -> BoardView:
        """Ask for the end; the controller brings it about. Nothing happens to a board that has ended."""
        return await self._mark(board, "cancel", by, tenant)

    async def approve(self, board: str, by: str, *, tenant: str = "default") -> BoardView:
        """Let a board that is held for review end. Raises BoardClosed when it has ended."""
        view = await self._mark(board, "approved", by, tenant)
        if view.ended and "approved" not in view.head:
            raise BoardClosed("the board ended without being approved")
        return view

    async def _mark(self, board: str, field: str, by: str, tenant: str) -> BoardView:
        view = await self.view(board, tenant=tenant)
        if view.ended or field in view.head:
            return view
        commit = Commit(
            type="board.changed", by=by, id=secrets.token_hex(16), mode="person", head={field: by}, note=True
        )
        answer = await self._store.commit(board, commit)
        if answer.status == "closed":
            return await self.view(board, tenant=tenant)
        _settled(answer)
        return BoardView(board, {**view.head, field: by, "revision": str(answer.revision)})

    async def retry(
        self, board: str, by: str, activation: str | None = None, *, tenant: str = "default", once: Once | None = None
    ) -> str:
        """Try again what failed; the id of the board where that happens.

        On an open board, activations that failed for good are put back on the agenda (or `activation` alone); the id is
        the board's own. A board that has ended is forked without its failed, cancelled and stale activations. Raises
        NothingToRetry.
        """
        found = await self._store.projection(board)
        if found is None or found.head.get("tenant") != tenant:
            raise BoardGone("there is no such board")
        if found.ended:
            return await self._fork(found, by, once)
        again = failed_for_good(found, activation)
        if not again:
            raise NothingToRetry("no activation of this board has failed for good")
        commit = Commit(
            type="activation.retried",
            by=by,
            id=secrets.token_hex(16),
            mode="person",
            agenda=tuple(AgendaWrite(anew(failed), due_ms=0) for failed in again),
            agenda_checks=tuple((failed.id, "failed", failed.epoch) for failed in again),
            note=True,
            once=once,
        )
        _settled(await self._store.commit(board, commit))
        return board

    async def fork(
        self, board: str, by: str, at: int | None = None, *, tenant: str = "default", once: Once | None = None
    ) -> str:
        """A new board that goes on from this one as it was at a revision (None: as it is); the new one's id.

        Work that was under way or had failed then is decided anew, by today's sources. Raises InvalidValue for a revision
        that the board has not had.
        """
        view = await self.view(board, tenant=tenant)
        if at is not None and at > view.revision:
            raise InvalidValue([("/at", f"the board's last revision is {view.revision}")])
        return await self._fork(await folded_at(self._store, board, at or view.revision), by, once)

    async def _fork(self, old: Board, by: str, once: Once | None) -> str:
        tenant = old.head.get("tenant", "")
        today = {name: source.version for name, source in self.offer.sources(tenant).items()}
        board = self._new_id(tenant, once)
        made = fork(old, today, today, by, due=self._due(old.head))
        commit = replace(made, head={**made.head, **traced()}, once=once)
        async with counted(self.quota, tenant, board):
            _settled(await self._store.commit(board, commit))
        return board

    async def backfill(
        self,
        board: str,
        name: str,
        by: str,
        *,
        shadow: bool = False,
        downstream: bool = False,
        tenant: str = "default",
        once: Once | None = None,
    ) -> str:
        """Run one more source, or a newer version of one; the id of the board where that happens.

        A board that has ended is forked: there the source runs, with `downstream` also what reads its contributions. To
        an open one it is added. Raises InvalidValue for an unknown source, SourcePresent, ContractError.
        """
        task, known = Backfill(name, shadow, downstream), self.offer.sources(tenant)
        adding = Adding(self._store, known, name, task, by, once, self.quota)
        for _ in range(TRIES):
            view = await self.view(board, tenant=tenant)
            adding.check(view.head)
            if view.ended:
                return await adding.on_a_copy(board, self._due(view.head))
            if await adding.to_open(board, view.revision, view.head):
                return board
        raise ConflictError("the board changes too fast", hint="ask again")

    async def put_entry(
        self,
        board: str,
        key: str,
        value: Any,
        *,
        if_version: int | None,
        by: str,
        pin: bool = True,
        confidence: float = 1.0,
        tenant: str = "default",
    ) -> Written:
        """A person's contribution. `if_version`: what must stand there now; 0: nothing live; None: whatever it is.

        Raises InvalidKey, InvalidValue, BoardClosed, and EntryConflict with the current version.
        """
        level, _, name = key.partition("/")
        entry_key(level, name)
        data = canonical(self.offer.levels(tenant), level, value)
        put = Put(key, data, confidence, pin)
        live, version, answer = await self._contribute(board, put, if_version, by, tenant)
        return Written(key, answer.wrote[0][2] or version, answer.revision, created=not live)

    async def delete_entry(
        self, board: str, key: str, *, if_version: int | None, by: str, tenant: str = "default"
    ) -> Written:
        """Retract an entry, or a rival beside one (`level/name~source`). Raises as `put_entry` does."""
        if level_of(key) in FIXED:
            raise InvalidValue([("", FIXED[level_of(key)])])
        _, version, answer = await self._contribute(board, Retract(key), if_version, by, tenant)
        return Written(key, answer.wrote[0][2] or version, answer.revision)

    async def _contribute(
        self, board: str, write: Put | Retract, if_version: int | None, by: str, tenant: str
    ) -> tuple[bool, int, Answer]:
        await self.view(board, tenant=tenant)
        found = await self._store.entry(board, write.key)
        header = Header.parse(found[0]) if found else None
        version, live = (header.version, header.live) if header else (0, False)
        if if_version and not live:
            raise EntryConflict(write.key, version, live=False)
        # A tombstone counts as nothing there, yet its version is what the script must still find.
        expected = version if if_version is None or (if_version == 0 and not live) else if_version
        commit = Commit(
            type="contribution.committed",
            by=by,
            id=secrets.token_hex(16),
            mode="person",
            writes=(write,),
            checks=((write.key, expected),),
            note=True,
        )
        answer = await self._store.commit(board, commit)
        if answer.status == "conflict":
            actual = int(answer.mismatches[0].actual)
            raise EntryConflict(write.key, actual, live=live or actual != version)
        return live, version, _settled(answer)


def _settled(answer: Answer) -> Answer:
    if answer.status == "closed":
        raise BoardClosed("the board has ended", hint="retry it: that makes a new board")
    if answer.status == "gone":
        raise BoardGone("there is no such board")
    if any(mismatch.key == "once" for mismatch in answer.mismatches):
        raise RequestUnderWay("the same request is being answered", hint="ask again")
    if not answer.ok:
        raise ConflictError("the board changed meanwhile", hint="look again, then repeat")
    return answer
