"""One activation, from its claim to its last commit.

Everything the worker writes is fenced by (activation, epoch): once somebody else has claimed it, nothing of ours lands.
Contributions are committed as they are yielded; what comes while a commit is under way travels with the next. The last
commit finishes the activation in the same step, so there is at most one effective contribution per activation.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from blackboard.contract import Blobs, Progress, Source
from blackboard.contributions import Namer
from blackboard.entries import Activation, AgendaWrite, Answer, Claimed, Commit, Put, Retract, is_shadow, level_of
from blackboard.errors import BlackboardError, PermanentFailure, StorageError, TransientFailure
from blackboard.ports import Store
from blackboard.sandbox.child import words
from blackboard.sourcelog import SourceLogger
from controller.inputs import Decoder, Looked, arguments, injected, lookups
from controller.isolated import Guest, Isolation
from controller.isolated_host import Host, packed_inputs
from controller.patience import Patience, watched
from controller.threads import in_thread

log = structlog.get_logger(__name__)

TURNS = 4
"""Turns of the loop by which the controller in this process goes first: what follows this run need not wait for its end."""
BATCH = 256
"""Contributions that travel together."""
EARLY = 1000
"""Contributions of a third party's run that are committed as they come; the rest waits for its good end."""
MOST_STALES = 10
MOST_LOSSES = 3
LONGEST_BACKOFF_S = 60.0


class Ledger:
    """`contract.Spending` of one activation."""

    def __init__(self) -> None:
        self.usd, self.tokens = 0.0, 0

    def __call__(self, usd: float = 0.0, tokens: int = 0) -> None:
        """See contract.Spending."""
        if not (0 <= usd < math.inf and tokens >= 0):
            raise ValueError(f"{usd} USD and {tokens} tokens cannot be spent")
        self.usd += usd
        self.tokens += tokens


class Lost(Exception):
    """The activation is no longer ours, or its board has ended: stop, write nothing."""


class Moved(Exception):
    """A check of one of our commits no longer held: end as stale."""


@dataclass(slots=True)
class Run:
    """One claimed activation under way."""

    store: Store
    source: Source
    board: str
    activation: Activation
    claimed: Claimed
    services: Mapping[Any, Any]
    decoder: Decoder
    backoff_s: float
    isolation: Isolation | None = None
    spent: Ledger | None = None
    looked: Looked = field(default_factory=Looked)
    _commits: int = 0
    _named: set[str] = field(default_factory=set)
    """Keys the source asked for, whether or not they changed."""
    _produced: set[str] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)
    _confidences: dict[str, float] = field(default_factory=dict)
    """Of what was contributed to the level this activation was awarded for."""
    _buffer: list[Put] = field(default_factory=list)
    _flush: asyncio.Task[None] | None = None

    @property
    def data(self) -> Mapping[str, Any]:
        """The controller's words on this activation."""
        return self.activation.data

    @property
    def _owner(self) -> str:
        """Whose contributions these are: the source's, or its shadow's."""
        return str(self.data.get("source", self.source.name))

    @property
    def _prefix(self) -> str:
        """What stands before the keys of a shadow's contributions."""
        return f"{self._owner}." if is_shadow(self._owner) else ""

    async def execute(self) -> str:
        """Run the source and finish. The status it came to, or `lost`. Raises only CancelledError and StorageError."""
        if self._losses() >= MOST_LOSSES:
            error = PermanentFailure(
                f"its worker was lost {MOST_LOSSES} times in a row",
                hint="the document or the source may kill its process",
            )
            return await self._fail(error)
        try:
            try:
                await self._work()
            finally:
                await self._settle_flush()
            return await self._finish("done")
        except Lost:
            return "lost"
        except Moved:
            return await self._stale()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # A CancelledError that leaked out of a library is an ordinary failure, not a cancellation of ours.
            return await self._fail(TransientFailure("the source was cancelled from within"))
        except StorageError:
            # Not the source's failure: the lease runs out, and somebody claims it again.
            raise
        except SystemExit as error:
            # It would end the worker, and with it what other boards run there.
            return await self._fail(TransientFailure(f"it called exit({error.code})"))
        except Exception as error:  # whatever an author's code raises
            return await self._fail(error)

    async def _work(self) -> None:
        patience = Patience(self.source)
        if self.source.trusted:
            async with patience:
                await self._call(patience)
            return
        if self.isolation is None:
            raise PermanentFailure("this worker runs no third party's source")
        # Waiting for a free process, or for one to start, is none of the source's time.
        async with self.isolation.seat(self.source) as guest, patience:
            await self._call_isolated(guest, patience)

    async def _call(self, patience: Patience) -> None:
        self._check_inputs()
        namer = Namer(self.source, str(self.data["binding"]), prefix=self._prefix)
        self._named = namer.named
        given = await arguments(
            self.source,
            str(self.data["binding"]),
            self.claimed.reads,
            self.board,
            self.decoder,
            self.store,
            self.looked,
        )
        given |= injected(self.source, watched(self.services, patience))
        function = self.source.function
        if inspect.isasyncgenfunction(function):
            result = function(**given)
        elif inspect.iscoroutinefunction(function):
            result = await function(**given)
        else:
            result = await in_thread(_whole, function, given, patience)
        if isinstance(result, AsyncIterator):
            try:
                async for item in result:
                    patience.touch()
                    await self._add(namer.put(item))
                    patience.touch()  # waiting for a slow server is none of its time
            finally:
                # Its clean-up belongs to this run: left to the garbage collector, it would come at any time.
                if isinstance(result, AsyncGenerator):
                    await result.aclose()
        elif isinstance(result, (list, tuple)):
            self._buffer.extend(namer.put(item) for item in result)
        elif result is not None:
            self._buffer.append(namer.put(result))

    async def _call_isolated(self, guest: Guest, patience: Patience) -> None:
        self._check_inputs()
        binding = str(self.data["binding"])
        inputs, values = await packed_inputs(self.source, binding, self.claimed.reads, self.decoder)
        host = Host(
            self.decoder,
            lookups(self.source, self.board, self.decoder, self.store, self.looked),
            patience.touch,
            SourceLogger(self.source.name, self.board, binding),
            self.services.get(Blobs),
            self.services.get(Progress),
            self.spent,
        )
        later: list[Put] = []
        async with aclosing(guest.contributions(binding, inputs, values, host)) as contributed:
            async for put in contributed:
                patience.touch()
                put = replace(put, key=self._prefix + put.key)
                self._named.add(put.key)
                if len(self._named) <= EARLY:
                    await self._add(put)
                    patience.touch()  # waiting for a slow server is none of its time
                else:
                    later.append(put)
        for put in later:
            await self._add(put)

    def _check_inputs(self) -> None:
        absent = {read.key for read in self.claimed.reads if read.value is None}
        if any(checked and key in absent for key, _, checked in self.activation.inputs):
            raise Moved  # a claim made twice, its first answer lost, reads what is there the second time

    async def _add(self, put: Put) -> None:
        self._buffer.append(put)
        if self._flush is None:
            self._flush = asyncio.create_task(self._flush_all())
        elif self._flush.done():
            self._flush.result()
            self._flush = asyncio.create_task(self._flush_all())
        if len(self._buffer) >= BATCH:
            # Slower than they are made: whoever makes them waits, and the server hears of others in between.
            await self._settle_flush()

    async def _flush_all(self) -> None:
        # One turn of the loop, so that values yielded without an await in between travel together.
        await asyncio.sleep(0)
        while self._buffer:
            puts, self._buffer = self._buffer[:BATCH], self._buffer[BATCH:]
            await self._commit("contribution.committed", puts=puts)

    async def _settle_flush(self) -> None:
        if self._flush is not None:
            flush, self._flush = self._flush, None
            await flush

    # -- commits -------------------------------------------------------------------------------------------------------

    async def _finish(self, status: str) -> str:
        writes: list[Put | Retract] = [*self._buffer]
        if self._prefix or not self.source.revises:
            named = {put.key for put in self._buffer}
            left = {*self.data.get("previous", ()), *self.claimed.wrote} - self._produced - named
            writes += [Retract(key, self._owner) for key in sorted(left)]
        record = self._record(status, wrote=sorted(self._named), **self._quality())
        await self._commit("contribution.committed", puts=writes, agenda=record, checked=True)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return status

    def _quality(self) -> dict[str, float]:
        """The mean confidence of what was contributed to the level this activation was awarded for."""
        if "award" not in self.data:
            return {}
        self._weigh(self._buffer)
        values = self._confidences.values()
        return {"quality": round(sum(values) / len(values), 4) if values else 0.0}

    def _weigh(self, puts: Iterable[Put | Retract]) -> None:
        level = self.data["award"]["level"]
        mine = (put for put in puts if isinstance(put, Put) and level_of(put.key) == level)
        self._confidences.update((put.key, put.confidence) for put in mine)

    async def _stale(self) -> str:
        stales = int(self.data.get("stales", 0)) + 1
        if stales >= MOST_STALES:
            return await self._fail(PermanentFailure(f"its inputs or outputs moved {stales} times while it ran"))
        return await self._end(self._record("stale", stales=stales), "contribution.committed", {"stale": stales})

    async def give_back(self) -> str:
        """Set it back to pending, for another worker."""
        returned = int(self.data.get("returned", 0)) + 1
        record = AgendaWrite(self._record("pending", returned=returned).activation, 0)
        return await self._end(record, "activation.retried", {"reason": "its worker stops"})

    async def _fail(self, error: BaseException) -> str:
        attempts = int(self.data.get("attempts", 0)) + 1
        final = isinstance(error, PermanentFailure) or attempts >= self.source.attempts
        said = {
            "type": type(error).__name__,
            "slug": getattr(error, "slug", "source-failed"),
            "message": words(error) or type(error).__name__,
        }
        if isinstance(error, BlackboardError) and error.hint:
            said["hint"] = words(error.hint)
        if not isinstance(error, BlackboardError):
            log.warning("source.raised", source=self.source.name, board=self.board, exc_info=error)
        more: dict[str, Any] = {"attempts": attempts, "error": said}
        due: int | None = None
        if final:
            more["dead"] = True
        else:
            # Full jitter (Brooker 2015): anywhere between now and the doubled ceiling.
            due = int(random.uniform(0, min(LONGEST_BACKOFF_S, self.backoff_s * 2**attempts)) * 1000)
            more["retry_at"] = await self.store.now() + due
        record = AgendaWrite(self._record("failed", **more).activation, due)
        puts, self._buffer = self._buffer, []
        return await self._end(record, "activation.failed", {"error": said, "final": final}, puts)

    async def _end(self, record: AgendaWrite, type: str, body: Mapping[str, Any], puts: list[Put] | None = None) -> str:
        try:
            await self._commit(type, puts=puts or [], agenda=record, body=body)
        except Lost:
            return "lost"
        except Moved:
            await self._commit(type, puts=[], agenda=record, body=body)
        return record.activation.status

    async def _commit(
        self,
        type: str,
        *,
        puts: list[Put] | list[Put | Retract],
        agenda: AgendaWrite | None = None,
        body: Mapping[str, Any] | None = None,
        checked: bool = False,
    ) -> Answer:
        self._commits += 1
        epoch = self.activation.epoch
        if "award" in self.data:
            self._weigh(puts)
        answer = await self.store.commit(
            self.board,
            Commit(
                type=type,
                by=self._owner,
                id=f"{self.activation.id}:{epoch}:{self._commits}",
                mode="reviser" if self.source.revises and not self._prefix else "source",
                activation=self.activation.id,
                writes=tuple(puts),
                checks=self._checks(puts, inputs=checked or bool(puts)),
                fence=(self.activation.id, epoch),
                agenda=(agenda,) if agenda else (),
                body=body or {},
                note=True,
            ),
        )
        if answer.status == "conflict":
            raise Moved
        if not answer.ok:
            raise Lost
        for _, key, version in answer.wrote:
            self._produced.add(key)
            if version:
                self._versions[key] = version
        return answer

    def _checks(self, puts: list[Put] | list[Put | Retract], *, inputs: bool) -> tuple[tuple[str, int], ...]:
        """Versions that must hold: Each and Group inputs as they were claimed, outputs as we last wrote them."""
        checks: dict[str, int] = {}
        if inputs:
            checks = {key: version for key, version, checked in self.activation.inputs if checked}
        for put in puts:
            if put.key in self._versions:
                checks[put.key] = self._versions[put.key]
        for key in checks.keys() & self._versions.keys():
            checks[key] = self._versions[key]
        return tuple(checks.items())

    def _record(self, status: Any, **more: Any) -> AgendaWrite:
        data = {key: value for key, value in self.data.items() if key not in ("error", "retry_at", "dead", "quality")}
        if status == "done":
            data.pop("previous", None)
        if self.looked:
            data["lookups"] = self.looked.as_data()
        if self.spent is not None and (self.spent.usd or self.spent.tokens):
            data["usd"] = round(float(data.get("usd", 0.0)) + self.spent.usd, 6)
            data["tokens"] = int(data.get("tokens", 0)) + self.spent.tokens
        data.update(more)
        return AgendaWrite(Activation(self.activation.id, status, self.activation.epoch, self.activation.inputs, data))

    def _losses(self) -> int:
        """Epochs that ended without a word: neither a failure, nor given back, nor stale."""
        told = sum(int(self.data.get(word, 0)) for word in ("attempts", "returned", "stales"))
        return self.activation.epoch - 1 - told


def _whole(function: Any, given: Mapping[str, Any], patience: Patience) -> Any:
    """A synchronous source's result; a generator is run to its end here, in the thread."""
    try:
        result = function(**given)
        if not inspect.isgenerator(result):
            return result
        items = []
        for item in result:
            patience.touch()
            items.append(item)
        return items
    except StopIteration as error:
        # A future cannot hold it: whoever waits for the thread would wait for ever.
        raise RuntimeError("it raised StopIteration") from error
