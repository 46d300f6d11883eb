"""What a claimed activation writes, whoever runs it: contributions and its end, all fenced by (activation, epoch).

Once somebody else has claimed it, nothing of ours lands. The last commit finishes the activation in the same step, so there
is at most one effective contribution per activation. The worker runs sources on top of this, and so does the door through
which sources that run elsewhere contribute.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import structlog

from blackboard.contract import Source
from blackboard.entries import Activation, AgendaWrite, Answer, Claimed, Commit, Put, Retract, is_shadow, level_of
from blackboard.errors import BlackboardError, Deferred, PermanentFailure
from blackboard.levels import Upload
from blackboard.ports import Store
from blackboard.sandbox.child import words
from controller.circuit import Circuit
from controller.inputs import Looked

log = structlog.get_logger(__name__)

TURNS = 4
"""Turns of the loop by which the controller in this process goes first: what follows this run need not wait for its end."""
ANSWERED = frozenset({"answered", "cache", "recording"})
MOST_CALLS = 50
"""Named on an activation; the log has them all."""
MOST_STALES = 10
MOST_LOSSES = 3
LONGEST_BACKOFF_S = 60.0
LONGEST_KEY = 120
"""Of a key that is put beside another: a name must stay within the grammar."""
TOLD = frozenset({"error", "retry_at", "dead", "quality", "said", "calls", "deferred"})
"""Words on an activation that hold for one record only."""


class Ledger:
    """`contract.Spending` of one activation, and which answers of models it stands on."""

    def __init__(self) -> None:
        self.usd, self.tokens = 0.0, 0
        self.calls: list[dict[str, str]] = []

    def __call__(self, usd: float = 0.0, tokens: int = 0) -> None:
        """See contract.Spending."""
        if not (0 <= usd < math.inf and tokens >= 0):
            raise ValueError(f"{usd} USD and {tokens} tokens cannot be spent")
        self.usd += usd
        self.tokens += tokens

    def note(self, call: Mapping[str, Any]) -> None:
        """One call to a model: what was asked with which prompt, and who answered. Failed ones are in the log alone."""
        if call.get("outcome") in ANSWERED and len(self.calls) < MOST_CALLS:
            self.calls.append({word: str(call.get(word, "")) for word in ("prompt", "model", "request", "outcome")})


class Lost(Exception):
    """The activation is no longer ours, or its board has ended: stop, write nothing."""


class Moved(Exception):
    """A check of one of our commits no longer held: end as stale."""


@dataclass(slots=True)
class Fenced:
    """One claimed activation, and what it has written so far."""

    store: Store
    source: Source
    board: str
    activation: Activation
    claimed: Claimed
    backoff_s: float
    spent: Ledger | None = field(default=None, kw_only=True)
    circuit: Circuit = field(default_factory=Circuit, kw_only=True)
    looked: Looked = field(default_factory=Looked, init=False)
    answer: Answer | None = field(default=None, init=False)
    """To the latest commit."""
    left: Activation | None = field(default=None, init=False)
    """The record as the latest commit that wrote it left it."""
    _commits: int = field(default=0, init=False)
    _named: set[str] = field(default_factory=set, init=False)
    """Keys the source asked for, whether or not they changed."""
    _produced: set[str] = field(default_factory=set, init=False)
    _versions: dict[str, int] = field(default_factory=dict, init=False)
    _confidences: dict[str, float] = field(default_factory=dict, init=False)
    """Of what was contributed to the level this activation was awarded for."""
    _buffer: list[Put] = field(default_factory=list, init=False)
    _owner: str = field(default="", init=False)
    """Whose contributions these are: the source's, or its shadow's."""
    _prefix: str = field(default="", init=False)
    """What stands before the keys of a shadow's contributions."""
    _taken: frozenset[str] = field(default=frozenset(), init=False)
    """Keys under which a rival's result stands."""

    @property
    def data(self) -> Mapping[str, Any]:
        """The controller's words on this activation."""
        return self.activation.data

    def __post_init__(self) -> None:
        self._owner = str(self.activation.data.get("source", self.source.name))
        self._prefix = f"{self._owner}." if is_shadow(self._owner) else ""
        self._taken = frozenset(self.activation.data.get("award", {}).get("taken", ()))

    def placed(self, key: str) -> str:
        """Where a contribution goes: beside what a rival made of the same binding, until it is clear whose stays."""
        return f"{key[: LONGEST_KEY - len(self._owner)]}.{self._owner}" if key in self._taken else key

    def _place(self, puts: Iterable[Put]) -> list[Put]:
        return [replace(put, key=self.placed(put.key)) if put.key in self._taken else put for put in puts]

    def _check_losses(self) -> None:
        """Raises PermanentFailure when too many of its workers were lost for another to try."""
        if self.activation.epoch > MOST_LOSSES and self._losses() >= MOST_LOSSES:
            raise PermanentFailure(
                f"its worker was lost {MOST_LOSSES} times in a row",
                hint="the document or the source may kill its process",
            )

    def _check_inputs(self) -> None:
        absent = {read.key for read in self.claimed.reads if read.value is None}
        if any(checked and key in absent for key, _, checked in self.activation.inputs):
            raise Moved  # a claim made twice, its first answer lost, reads what is there the second time

    async def _finish(self, status: str) -> str:
        self._buffer = self._place(self._buffer)
        writes: list[Put | Retract] = [*self._buffer]
        if self._prefix or not self.source.revises:
            named = {put.key for put in self._buffer}
            left = {*self.activation.data.get("previous", ()), *self.claimed.wrote} - self._produced - named
            writes += [Retract(key, self._owner) for key in sorted(left)]
        record = self._record(status, wrote=sorted(map(self.placed, self._named)), **self._quality())
        await self._commit("contribution.committed", puts=writes, agenda=record, checked=True)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return status

    def _quality(self) -> dict[str, float]:
        """The mean confidence of what was contributed to the level this activation was awarded for."""
        if "award" not in self.activation.data:
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

    async def _defer(self, error: Deferred) -> str:
        """Not now: it goes back without an attempt, however often, and comes back when its turn is."""
        before = self.data.get("deferred", {})
        times, now = int(before.get("times", 0)), await self.store.now()
        reason = words(error) or "it was deferred"
        due = math.ceil(self.circuit.delay(self.source.name, reason, error.after_s, times) * 1000)
        deferred = {"reason": reason, "times": times + 1, "since": before.get("since", now)}
        if error.hint:
            deferred["hint"] = words(error.hint)
        told = {"deferred": deferred, "deferrals": int(self.data.get("deferrals", 0)) + 1, "retry_at": now + due}
        puts, self._buffer = self._buffer, []
        record = AgendaWrite(self._record("failed", **told).activation, due)
        return await self._end(record, "activation.retried", {"waits": reason, "next_try": now + due}, puts)

    async def _fail(self, error: BaseException) -> str:
        if isinstance(error, Deferred):
            return await self._defer(error)
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
        epoch = self.activation.epoch
        if self._taken:
            puts = [replace(put, key=self.placed(put.key)) if isinstance(put, Put) else put for put in puts]
        if "award" in self.activation.data:
            self._weigh(puts)
        self.answer = answer = await self.store.commit(
            self.board,
            Commit(
                type=type,
                by=self._owner,
                id=self._commit_id(),
                mode="reviser" if self.source.revises and not self._prefix else "source",
                activation=self.activation.id,
                writes=tuple(puts),
                checks=self._checks(puts, inputs=checked or bool(puts)),
                fence=(self.activation.id, epoch),
                agenda=(agenda,) if agenda else (),
                body=body or {},
                note=True,
                blobs=self._brought(puts),
            ),
        )
        if answer.status == "conflict":
            raise Moved
        if not answer.ok:
            raise Lost
        if agenda is not None:
            self.left = agenda.activation
        for _, key, version in answer.wrote:
            self._produced.add(key)
            if version:
                self._versions[key] = version
        return answer

    def _brought(self, puts: Iterable[Put | Retract]) -> tuple[str, ...]:
        """Documents that this contribution puts into the board's care. To refer to a blob opens it to the board's tenant:
        only sources of this service's own, which have just fetched it, may."""
        if Upload not in self.source.outputs or not self.source.trusted or self.source.origin == "remote":
            return ()
        uploads = (put for put in puts if isinstance(put, Put) and level_of(put.key) == Upload.level)
        return tuple(orjson.loads(put.value)["sha256"] for put in uploads)

    def _commit_id(self) -> str:
        self._commits += 1
        return f"{self.activation.id}:{self.activation.epoch}:{self._commits}"

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
        data = {key: value for key, value in self.activation.data.items() if key not in TOLD}
        if status == "done":
            data.pop("previous", None)
        if self.looked:
            data["lookups"] = self.looked.as_data()
        if self.spent is not None and (self.spent.usd or self.spent.tokens):
            data["usd"] = round(float(data.get("usd", 0.0)) + self.spent.usd, 6)
            data["tokens"] = int(data.get("tokens", 0)) + self.spent.tokens
        if self.spent is not None and self.spent.calls:
            data["calls"] = self.spent.calls
        data.update(more)
        return AgendaWrite(Activation(self.activation.id, status, self.activation.epoch, self.activation.inputs, data))

    def _losses(self) -> int:
        """Epochs that ended without a word: neither a failure, nor deferred, nor given back, nor stale."""
        told = sum(int(self.data.get(word, 0)) for word in ("attempts", "deferrals", "returned", "stales"))
        return self.activation.epoch - 1 - told
