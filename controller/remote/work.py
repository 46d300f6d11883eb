"""The work of sources that run elsewhere: claim, renew, commit. The rules are the worker's, the steps are the store's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence

import orjson
import structlog

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.contract import Source
from blackboard.elsewhere import Elsewhere
from blackboard.entries import (
    Activation,
    Claimed,
    Commit,
    Put,
    plain_name,
)
from blackboard.errors import (
    BoardGone,
    Deferred,
    FencedError,
    PermanentFailure,
    TransientFailure,
)
from blackboard.ports import Store
from blackboard.presence import words_of
from controller.access import Caller
from controller.circuit import Circuit
from controller.fenced import Ledger
from controller.remote.directory import Directory
from controller.remote.outcomes import Cancelled, InputsMoved, OutOfOrder, Task, Written, judge, shown
from controller.remote.registration import Registration
from controller.remote.requests import CommitRequest, ProgressRequest, puts_of
from controller.remote.run import Came, RemoteRun, said
from controller.remote.wakeups import Served, WakeUp, WakeUps
from controller.settings import Settings
from controller.staff import holder
from controller.values import InvalidValue

log = structlog.get_logger(__name__)

SLICE_S = 1.0
"""How often a long poll looks whether its client is still there."""


class Work:
    """Every method may raise StorageError."""

    def __init__(
        self, *, store: Store, reads: Elsewhere, directory: Directory, wakeups: WakeUps, settings: Settings
    ) -> None:
        self._store = store
        self._reads = reads
        self._directory = directory
        self._wakeups = wakeups
        self._settings = settings
        self._circuit = Circuit()

    # -- claim ---------------------------------------------------------------------------------------------------------

    async def claim(
        self,
        sources: Sequence[str],
        *,
        worker: str,
        caller: Caller,
        wait_s: float,
        gone: Callable[[], Awaitable[bool]],
    ) -> Task | None:
        """The next activation of one of these sources; None when there was none in time, or the client is `gone`.

        Raises InvalidValue for a name that is not registered, or whose work is not the caller's.
        """
        served = await self._served(sources, caller)
        await self._attend(f"remote:{worker}", served, int(wait_s * 1000) + self._settings.lease_ms)
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        while True:
            left = max(0.0, end - loop.time())
            found = await self._wakeups.next(served, min(left, SLICE_S))
            if await gone():
                # Claimed for nobody it would stand still for a whole lease.
                if found is not None:
                    await self._wakeups.again(found)
                return None
            if found is not None:
                task = await self._take(found, worker, caller)
                if task is not None:
                    return task
            elif left <= 0:
                return None

    async def _served(self, sources: Sequence[str], caller: Caller) -> list[Served]:
        words = [word.partition("@") for word in sources]
        await self._directory.meet([name for name, _, _ in words])
        served, unknown = [], []
        for at, (name, mark, version) in enumerate(words):
            found = self._directory.worked(name, caller)
            if found is None or found.unregistered is not None:
                unknown.append((f"/sources/{at}", "no source is registered by that name"))
            elif mark and version not in found.versions:
                unknown.append((f"/sources/{at}", f"no such version; there are {', '.join(found.versions)}"))
            else:
                served.append((name, version or found.source.version))
        if unknown:
            raise InvalidValue(unknown)
        return list(dict.fromkeys(served))

    async def _attend(self, worker: str, served: Sequence[Served], ttl_ms: int) -> None:
        """Boards wait for what is served, and say by whom; each source by itself, because a renewal knows only one."""
        await asyncio.gather(*(self._store.attend(worker, words_of([each]), ttl_ms) for each in served))

    def _source(self, name: str) -> Source | None:
        """A source that runs elsewhere, by its own name or as a shadow."""
        return self._directory.remote(plain_name(name))

    async def may_work(self, board: str, activation: str, caller: Caller) -> bool:
        """Whether an activation of that name is the caller's to do. Raises BoardGone for what cannot be a board's id."""
        name = plain_name(activation.rpartition(".")[0])
        await self._directory.meet([name])
        found = self._directory.worked(name, caller)
        return found is not None and await self._is_of(board, found)

    async def _is_of(self, board: str, found: Registration) -> bool:
        head = await self._store.head(board)
        return head is not None and (found.declared.shared or head.get("tenant") == found.tenant)

    async def may_read(self, board: str, caller: Caller) -> bool:
        """Whether the caller does the work of shared sources on another tenant's board."""
        head = await self._store.head(board) if caller.operates else None
        names = {*orjson.loads((head or {}).get("sources") or "{}"), *orjson.loads((head or {}).get("shadow") or "{}")}
        found = [self._directory.worked(name, caller) for name in names]
        return any(each is not None and each.declared.shared for each in found)

    async def _take(self, found: WakeUp, worker: str, caller: Caller) -> Task | None:
        source = self._source(found.activation.rpartition(".")[0])
        if source is None or not await self.may_work(found.board, found.activation, caller):
            return None
        claimed = await self._store.claim(
            found.board,
            found.activation,
            nonce=f"remote:{worker}-{secrets.token_hex(12)}",
            lease_ms=self._settings.lease_ms,
            worker=f"remote:{worker}",
        )
        if claimed.status not in ("claimed", "already") or claimed.activation is None:
            # Busy, finished, stale or closed: somebody else's, or the controller's, to see to.
            return None
        run = self._run(source, found.board, claimed.activation, claimed)
        if run.served != found.served:
            # The board took another version meanwhile; it goes on to where it belongs.
            await self._release(run)
            return None
        if not await run.begin():
            return None
        try:
            reads = [(read, await self._store.resolve(read.value)) for read in claimed.reads if read.value is not None]
        except (BlobMissing, BlobCorrupt):
            await run.fail(PermanentFailure("the bytes of an input are lost", hint="submit the document again"))
            return None
        if source.idle_timeout is not None:
            await self._reads.stir(found.board, claimed.activation.id, claimed.activation.epoch, source.idle_timeout)
        return Task(source, found.board, claimed.activation, claimed.at + self._settings.lease_ms, tuple(reads))

    def _run(self, source: Source, board: str, activation: Activation, claimed: Claimed, n: int = 0) -> RemoteRun:
        return RemoteRun(
            store=self._store,
            source=source,
            board=board,
            activation=activation,
            claimed=claimed,
            backoff_s=self._settings.backoff_s,
            circuit=self._circuit,
            n=n,
        )

    async def clear(self, source: str) -> None:
        """Drop the wake-ups of a source that nobody may claim any more."""
        found = self._directory.remote(source)
        if found is not None:
            await self._wakeups.clear((source, found.version))

    async def refers(self, board: str, sha256: str) -> bool:
        """Whether a board refers to a blob."""
        return await self._reads.refers(board, sha256)

    # -- renew ---------------------------------------------------------------------------------------------------------

    async def renew(self, board: str, activation: str, epoch: int, progress: ProgressRequest | None) -> int:
        """When the lease ends now. Raises FencedError, Cancelled, BoardGone for what never was."""
        source, record = await self._find(board, activation)
        if record.status == "running" and record.epoch == epoch:
            await self._check_time(source, board, record, progress)
        now = await self._store.now()
        renewal = await self._store.renew(board, activation, epoch, lease_ms=self._settings.lease_ms)
        if renewal == "fenced":
            raise FencedError("the activation is no longer this worker's")
        if renewal == "cancelled":
            raise Cancelled("the activation was cancelled, or its board has ended")
        if progress is not None:
            head = {"type": "activation.progressed", "activation": activation, "source": source.name}
            message = {**head, "binding": record.data["binding"], **progress.model_dump()}
            await self._store.publish(board, orjson.dumps(message))
        return now + self._settings.lease_ms

    async def _check_time(
        self, source: Source, board: str, record: Activation, progress: ProgressRequest | None
    ) -> None:
        """Fail it when its time is up. The lease alone would let a worker that hangs renew for ever."""
        lease, now = await asyncio.gather(self._reads.lease(board, record.id), self._store.now())
        why = ""
        if lease is not None and lease.at and now - lease.at > source.timeout * 1000:
            why = f"no result within {source.timeout:g} s"
        elif source.idle_timeout is not None:
            if progress is None and await self._reads.is_idle(board, record.id, record.epoch):
                why = f"no progress within {source.idle_timeout:g} s"
            elif progress is not None:
                await self._reads.stir(board, record.id, record.epoch, source.idle_timeout)
        if why:
            run = self._run(source, board, record, Claimed("claimed", activation=record))
            await run.fail(TransientFailure(why))
            raise FencedError(f"the activation is no longer this worker's: {why}")
        if lease is not None:
            served = self._run(source, board, record, Claimed("claimed", activation=record)).served
            await self._attend(holder(lease), [served], 2 * self._settings.lease_ms)

    # -- commit --------------------------------------------------------------------------------------------------------

    async def commit(self, activation: str, asked: CommitRequest) -> Written:
        """Write contributions, or end the activation. Repeating a request is safe.

        Raises InvalidValue, FencedError, InputsMoved, OutOfOrder, BoardClosed, BoardGone for what never was.
        """
        asked.check()
        board = asked.board
        source, record = await self._find(board, activation)
        n, names = said(record)
        if record.status != "running" or record.epoch != asked.epoch or asked.n <= n:
            return await self._repeated(source, record, asked)
        if asked.n > n + 1:
            raise OutOfOrder(f"the next commit of this activation is number {n + 1}")
        run = self._run(source, board, record, Claimed("claimed", activation=record), asked.n)
        puts = puts_of(source, str(record.data["binding"]), names, asked.entries, prefix=run.prefix)
        run.spent = Ledger()
        run.spent(asked.spent.usd, asked.spent.tokens)
        run.read(await self._reads.headers(board))
        came = await self._carry_out(run, asked, puts)
        if source.idle_timeout is not None:
            await self._keep_time(source, board, record, came)
        return self._written(run, came, len(puts))

    async def _carry_out(self, run: RemoteRun, asked: CommitRequest, puts: list[Put]) -> Came:
        if asked.status is None:
            return await run.contribute(puts)
        if asked.status == "done":
            return await run.finish(puts)
        if asked.status == "released":
            return await self._release(run)
        assert asked.error is not None
        if asked.error.after_s is not None:
            return await run.fail(Deferred(asked.error.message, after_s=asked.error.after_s), puts)
        kind = PermanentFailure if asked.error.permanent else TransientFailure
        return await run.fail(kind(asked.error.message), puts)

    async def _release(self, run: RemoteRun) -> Came:
        came = await run.release()
        if came == "pending":
            await self._wakeups.wake(run.served, run.board, run.activation.id)
        return came

    async def _keep_time(self, source: Source, board: str, record: Activation, came: Came) -> None:
        assert source.idle_timeout is not None
        if came == "running":
            await self._reads.stir(board, record.id, record.epoch, source.idle_timeout)
        elif came != "lost":
            await self._reads.rest(board, record.id)

    async def _repeated(self, source: Source, record: Activation, asked: CommitRequest) -> Written:
        """The answer to a request that was answered before; a step with its id writes nothing that is not there."""
        commit = Commit(
            type="contribution.committed",
            by=str(record.data["source"]),
            id=f"{record.id}:{asked.epoch}:{asked.n}",
            mode="source",
            activation=record.id,
            # Never holds: were the id unknown, nothing must be written under it.
            agenda_checks=((record.id, "", 0),),
            fence=(record.id, asked.epoch),
            note=True,
        )
        answer = await self._store.commit(asked.board, commit)
        judge(answer)
        status: Came = "running"
        if record.epoch == asked.epoch and asked.status is not None and record.status != "running":
            status = "pending" if asked.status == "released" else asked.status
        return shown(record, status, answer, len(asked.entries), already=True)

    def _written(self, run: RemoteRun, came: Came, count: int) -> Written:
        answer = run.answer
        assert answer is not None
        if came == "stale":
            raise InputsMoved("what it read, or wrote, is not what it was", hint="it is decided anew: claim again")
        judge(answer)
        return shown(run.left or run.activation, came, answer, count, already=answer.already)

    async def _find(self, board: str, activation: str) -> tuple[Source, Activation]:
        """Raises BoardGone for what is no activation of a source that runs elsewhere."""
        record = await self._reads.activation(board, activation)
        if record is not None:
            await self._directory.meet([plain_name(str(record.data["source"]))])
        source = None if record is None else self._source(str(record.data["source"]))
        if record is None or source is None:
            raise BoardGone("there is no such activation")
        return source, record
