"""Today's code of a source against what its finished activations read, in memory; and where the two part.

Nothing is decided anew: each activation runs on the inputs, in the versions, that its claim found. What it contributes goes
to a board in memory that stood as the recorded one did, so what becomes a rival there becomes one here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from blackboard import contract
from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.contract import Input, Source
from blackboard.downloads import Downloads
from blackboard.entries import Activation, Claimed, Commit, Fork, Header, Read, level_of
from blackboard.events import LogRecord
from blackboard.memory import MemoryStore
from blackboard.models import Caller, LanguageModel, Models
from blackboard.registry import settings_of
from blackboard.sourcelog import loggers
from controller.activation import Run
from controller.bench import Told, WatchedRun, opening
from controller.fenced import Ledger
from controller.graph import asked_by
from controller.inputs import Decoder, Looked, arguments
from controller.isolated import Isolation
from controller.rerun_diff import Change, changes, digest
from controller.rerun_log import Recorded, Wrote, finished, stands
from controller.rerun_services import Bytes, BytesOf, RecordedBoards, RecordedDownloads, Unheard
from controller.tracks import BOARD

AT_ONCE = 4
"""Activations run at a time."""

Came = Literal["same", "differs", "unrecorded"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one activation came out. `unrecorded`: it asks a model what was never recorded."""

    source: str
    activation: str
    binding: str
    revision: int
    """Of its claim."""
    came: Came
    reason: str = ""
    changes: tuple[Change, ...] = ()
    asked: tuple[str, ...] = ()
    """Digests of questions that no recording answers."""
    then: str = ""
    """Digest of what it contributed."""
    now: str = ""
    """Digest of what it contributes."""


def digest_of_board(verdicts: Iterable[Verdict], *, now: bool) -> str:
    """What all these activations contributed, then or `now`, in 64 hexadecimal digits."""
    parts = sorted(f"{each.activation} {each.revision} {each.now if now else each.then}" for each in verdicts)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Replies:
    """Where the questions of one activation go: recorded answers alone.

    `missing`: digests of those without an answer; `lost`: of these, those that the log knows an answer of, which is not at
    hand. Both grow as it asks.
    """

    models: Models
    missing: Sequence[str]
    lost: Sequence[str] = ()


@dataclass(slots=True)
class Rerun:
    """One source over one log. `whole`: a value that the log only refers to; `kept`: documents.

    `replies`: for an activation; None where no model is at hand.
    """

    source: Source
    whole: Callable[[Board, str], Awaitable[bytes]]
    kept: Bytes | None
    services: Mapping[Any, Any]
    isolation: Isolation | None = None
    replies: Callable[[str], Replies] | None = None

    async def over(self, id: str, records: Iterable[LogRecord]) -> list[Verdict]:
        """Run every finished activation of the source again. In the order they ended. Raises LogError, UsageError."""
        slots = asyncio.Semaphore(AT_ONCE)
        running: list[asyncio.Task[Verdict]] = []
        try:
            for recorded in finished(id, records, self.source):
                # Not all boards at once: what waits is held in memory.
                await slots.acquire()
                task = asyncio.create_task(self.again(recorded))
                task.add_done_callback(lambda _: slots.release())
                running.append(task)
            return [await task for task in running]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def again(self, recorded: Recorded) -> Verdict:
        """Run one activation again, and compare."""
        reads, before = await self._inputs(recorded)
        store = MemoryStore(Blobs.at("memory://"))
        board = store.new_id("rerun")
        claimed = Claimed("claimed", 1, 0, _fresh(recorded.activation), reads)
        assert claimed.activation is not None
        replies = self.replies(recorded.activation.id) if self.replies is not None else None
        unfit = await self._unfit(store, board, claimed)
        if unfit:
            return await self._compare(recorded, {}, None, unfit, None)
        await store.commit(board, _copy(before, claimed.activation))
        source = replace(self.source, required=False)
        spent = Ledger()
        services = self._services(recorded, store, board, spent, replies)
        run = WatchedRun(
            store,
            source,
            board,
            claimed.activation,
            claimed,
            0.0,
            services,
            Decoder(store),
            self.isolation,
            spent=spent,
        )
        status = await run.execute()
        after = await store.projection(board)
        assert after is not None
        said = _said(run, after, status)
        said = {key: replace(wrote, value=await store.resolve(wrote.value)) for key, wrote in said.items()}
        unended = "" if status in ("done", "failed") else f"today it ends {status}"
        return await self._compare(recorded, said, run.failed, unended, replies)

    # -- inputs ----------------------------------------------------------------------------------------------------

    async def _inputs(self, recorded: Recorded) -> tuple[tuple[Read, ...], Board]:
        """What its claim answered, and the board as it stood, values whole where they are read."""
        before = recorded.before
        keys = [key for key, _, _ in recorded.activation.inputs]
        keys += [key for key in self._more(recorded) if key not in keys]
        lookups = {kind.level for given in self.source.inputs if given.kind == "lookup" for kind in given.levels}
        values = dict(before.values)
        for key in {*keys, *(key for key in values if level_of(key) in lookups)} & values.keys():
            values[key] = await self.whole(before, key)
        board = Board(before.id, before.head, before.entries, values)
        return tuple(Read(key, board.header(key), values.get(key)) for key in keys), board

    def _more(self, recorded: Recorded) -> list[str]:
        """Entries that today's signature reads, of levels that were there and that it did not read then."""
        found: list[str] = []
        for given in self.source.inputs:
            if given.kind == "lookup":
                continue
            levels = {kind.level for kind in given.levels}
            there = (key for key in recorded.unread & recorded.before.values.keys() if level_of(key) in levels)
            found += [key for key in sorted(there) if _belongs(given, recorded.binding, recorded.read(key))]
        return found

    async def _unfit(self, store: MemoryStore, board: str, claimed: Claimed) -> str:
        """Why today's signature or precondition would not have this run; "" where it would."""
        assert claimed.activation is not None
        binding = str(claimed.activation.data["binding"])
        if not _is_bound(self.source, binding, claimed.reads):
            return f"today it does not work on {binding}"
        if self.source.when is None:
            return ""
        given = await arguments(self.source, binding, claimed.reads, board, Decoder(store), store, Looked())
        try:
            holds = self.source.when(**_taken(self.source, given))
        except Exception as error:  # whatever an author's code raises
            return f"its precondition raised {type(error).__name__}: {error}"
        return "" if holds else "its precondition is false today"

    # -- running ---------------------------------------------------------------------------------------------------

    def _services(
        self, recorded: Recorded, store: MemoryStore, board: str, spent: Ledger, replies: Replies | None
    ) -> dict[Any, Any]:
        """What a worker would hand in; nothing of it leaves this process."""
        services = {
            contract.Blobs: BytesOf(self.kept),
            contract.Progress: Told(),
            contract.Boards: RecordedBoards(recorded),
            Downloads: RecordedDownloads(recorded),
            contract.Spending: spent,
            **self.services,
            **settings_of(self.source),
            **loggers(
                self.source.injected, source=self.source.name, board=recorded.before.id, binding=recorded.binding
            ),
        }
        if replies is not None:
            head, activation = recorded.before.head, recorded.activation
            caller = Caller(
                head.get("tenant", ""), recorded.before.id, activation.id, activation.epoch, self.source.name,
                recorded.binding,
            )  # fmt: skip
            services[LanguageModel] = replies.models.of_run(caller, Unheard())
        return services

    # -- comparing -------------------------------------------------------------------------------------------------

    async def _compare(
        self,
        recorded: Recorded,
        said: Mapping[str, Wrote],
        failed: BaseException | None,
        unfit: str,
        replies: Replies | None,
    ) -> Verdict:
        was = {key: wrote for key, wrote in recorded.wrote.items() if wrote is not None}
        before = {key: (await self._whole(wrote), wrote.header.confidence) for key, wrote in was.items()}
        now = {key: (wrote.value, wrote.header.confidence) for key, wrote in said.items()}
        found = tuple(changes(before, now))
        reason = _reason(recorded, failed, unfit)
        came: Came = "differs" if found or (reason and (recorded.error or failed or before)) else "same"
        missing = tuple(replies.missing) if replies is not None else ()
        if replies is not None and missing:
            came, reason = "unrecorded", _unanswered(replies)
        return Verdict(
            self.source.name, recorded.activation.id, recorded.binding, recorded.claimed_at, came, reason, found,
            missing, digest(before), digest(now),
        )  # fmt: skip

    async def _whole(self, wrote: Wrote) -> bytes:
        board = Board("", {}, {wrote.key: str(wrote.header)}, {wrote.key: wrote.value})
        return await self.whole(board, wrote.key)


def _fresh(activation: Activation) -> Activation:
    """The activation in its first epoch: who was lost before it is no matter here."""
    told = (
        "attempts", "stales", "returned", "deferred", "deferrals", "error", "dead", "retry_at", "lookups", "usd", "tokens",
    )  # fmt: skip
    data = {key: value for key, value in activation.data.items() if key not in told}
    return Activation(activation.id, "running", 1, activation.inputs, data)


def _copy(before: Board, running: Activation) -> Commit:
    entries, values, agenda = dict(before.entries), dict(before.values), {running.id: bytes(running)}
    return Commit(
        "board.created",
        "rerun",
        id="copy",
        mode="person",
        create=True,
        head=opening(),
        fork=Fork(entries, values, agenda),
    )


def _is_bound(source: Source, binding: str, reads: Iterable[Read]) -> bool:
    """Whether what it worked on then is something to work on today."""
    bound = source.binding_input
    if bound is None:
        return binding == BOARD
    levels = {kind.level for kind in bound.levels}
    there = (read for read in reads if read.value is not None and level_of(read.key) in levels)
    return any(_belongs(bound, binding, read) for read in there)


def _belongs(given: Input, binding: str, read: Read) -> bool:
    if given.kind == "each":
        return read.key == binding
    if given.kind == "group":
        with suppress(ValueError, AttributeError):
            return str(orjson.loads(read.value or b"").get(given.by)) == binding
        return False
    return True


def _taken(source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of the inputs, those that the precondition takes."""
    assert source.when is not None
    return {wanted.parameter: given[wanted.parameter] for wanted in asked_by(source, source.when)}


def _said(run: Run, after: Board, status: str) -> dict[str, Wrote]:
    """What it contributed, by the key it asked for."""
    data = run.left.data if run.left is not None else {}
    owner = str(run.data["source"])
    if status == "done":
        asked = [str(key) for key in data.get("wrote", ())]
        found = {key: stands(after, owner, key) for key in asked}
        return {key: wrote for key, wrote in found.items() if wrote is not None}
    mine = {key: Header.parse(text) for key, text in after.entries.items()}
    return {
        key.partition("~")[0]: Wrote(key, header, after.values[key])
        for key, header in mine.items()
        if header.live and header.activation == run.activation.id and header.version > 0 and key in after.values
    }


def _unanswered(replies: Replies) -> str:
    count = len(replies.missing)
    questions = f"{count} question{'' if count == 1 else 's'}"
    if replies.lost:
        return f"the answers it was given are not at hand ({questions}): name the board, or the data directory it is in"
    return f"it asks a model what was never recorded ({questions})"


def _reason(recorded: Recorded, failed: BaseException | None, unfit: str) -> str:
    if unfit:
        return unfit
    then = recorded.error
    now = f"{type(failed).__name__}: {failed}" if failed is not None else ""
    was = f"{then.get('type', '')}: {then.get('message', '')}" if then is not None else ""
    if now == was:
        return ""
    if not was:
        return f"it fails today with {now}"
    return f"it failed then with {was}" + (f", today with {now}" if now else "")
