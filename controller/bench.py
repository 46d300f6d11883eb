"""Boards on a bench: in memory, with the real decisions and the real activations, and neither server nor queue.

For whoever tries a source: tests, `blackboard sources run`. Nothing here is kept.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from blackboard import contract
from blackboard.blobs import BlobMissing, Blobs
from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import Activation, AgendaWrite, Commit, Put
from blackboard.errors import BoardClosed, ConflictError, PermanentFailure, UsageError
from blackboard.events import LogRecord
from blackboard.memory import MemoryStore
from blackboard.models import Caller, LanguageModel, Models
from blackboard.registry import settings_of
from blackboard.sourcelog import loggers
from controller.activation import Run
from controller.bench_boards import NoBoards
from controller.fenced import Ledger
from controller.hearing import RunHearer
from controller.inputs import Decoder
from controller.isolated import Isolation
from controller.policy import Policy, policy_of
from controller.queue import Wake
from controller.recording import recorder
from controller.settings import Settings
from controller.turns import Desk, Turns
from controller.why import Reason, why_board

LEASE_MS = 3_600_000
"""Nobody else is there to take an activation over."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An activation that failed, for good or not. `error`: what the author's code raised."""

    source: str
    binding: str
    activation: str
    error: BaseException


class WatchedRun(Run):
    """A run that keeps what it failed with."""

    failed: BaseException | None = None

    async def _fail(self, error: BaseException) -> str:
        self.failed = error
        return await Run._fail(self, error)


class Wakes:
    """Wake-ups that wait for the bench itself."""

    def __init__(self) -> None:
        self.sent: list[Wake] = []

    async def enqueue(self, wakes: Sequence[Wake]) -> None:
        """See turns.Waker."""
        self.sent += wakes

    async def drop(self, source: str, version: str, board: str) -> None:
        """See turns.Waker."""
        self.sent = [wake for wake in self.sent if (wake.source, wake.version, wake.board) != (source, version, board)]


@dataclass(slots=True)
class Told:
    """`contract.Progress` that remembers."""

    said: list[tuple[float, float, str]] = field(default_factory=list)

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """See contract.Progress."""
        self.said.append((done, total, note))


class Bytes:
    """`contract.Blobs` from the bench's own blobs, and from others behind them."""

    def __init__(self, *places: Blobs | None) -> None:
        self._places = [place for place in places if place is not None]

    async def get(self, sha256: str) -> bytes:
        """See contract.Blobs."""
        for place in self._places:
            with suppress(BlobMissing):
                return await place.get(sha256)
        raise PermanentFailure(f"no bytes with the SHA-256 {sha256} are at hand", hint="put them there with blob()")


class Bench:
    """One board in memory. `services`: type -> what a source that asks for it is handed, besides those everybody gets.

    `behind`: where bytes lie that the bench itself does not hold; it is only read. `at_once`: how many activations run at a
    time. `isolation`: where sources run that are not trusted; closed by whoever made it. `models`: who is asked on behalf of
    sources that ask for a language model.
    """

    def __init__(
        self,
        *,
        services: Mapping[Any, Any] | None = None,
        behind: Blobs | None = None,
        at_once: int = 8,
        isolation: Isolation | None = None,
        models: Models | None = None,
    ) -> None:
        self.store = MemoryStore(Blobs.at("memory://"))
        self.id = self.store.new_id("bench")
        self.failures: list[Failure] = []
        self.progress = Told()
        self._services = {
            contract.Blobs: Bytes(self.store.blobs, behind),
            contract.Progress: self.progress,
            contract.Boards: NoBoards(self.id),
            **(services or {}),
        }
        self._isolation = isolation or Isolation(Settings())
        self.models = models
        self._record = recorder(self.store, self.store.blobs)
        self._wakes = Wakes()
        self._slots = asyncio.Semaphore(at_once)
        self._heard: list[LogRecord] = []
        self.store.listen(lambda _, record: self._heard.append(record))

    async def open(self, commit: Commit) -> None:
        """Make the board. `commit` creates it; its head's goal says what is settled."""
        answer = await self.store.commit(self.id, commit)
        if not answer.ok:
            raise ConflictError(f"the board could not be made: {answer.status}")

    async def start(self, writes: Iterable[Put] = (), *, goal: Sequence[str] = ()) -> None:
        """Make a board that holds these entries, and stays open however settled it is."""
        head = opening(goal)
        await self.open(
            Commit("board.created", "bench", id="create", mode="person", create=True, head=head, writes=tuple(writes))
        )

    async def put(self, writes: Sequence[Put]) -> None:
        """Contribute as a person does, unpinned. Raises BoardClosed once the board has ended."""
        answer = await self.store.commit(
            self.id,
            Commit("contribution.committed", "bench", id=secrets.token_hex(16), mode="person", writes=tuple(writes)),
        )
        if answer.status == "closed":
            raise BoardClosed("the board has ended: a required source failed for good", hint="begin another one")
        if not answer.ok:
            raise ConflictError(f"the contribution was refused: {answer.status}")

    async def aim(self, goal: Sequence[str]) -> None:
        """Change the board's goal; () is everything that is contributed."""
        await self.store.commit(self.id, Commit("board.changed", "bench", head={"goal": ",".join(goal)}))

    async def run(self, sources: Sequence[Source], *, only: Callable[[Activation], bool] = lambda _: True) -> None:
        """Until nothing is left to do for these sources. What fails is found in `failures`.

        `only`: the activations to run; the others are left on the agenda.
        """
        known = {source.name: source for source in sources}
        await self._allow(sources)
        settings = {name: settings_of(source) for name, source in known.items()}
        turns = Turns(store=self.store, queue=self._wakes, sources=sources, settings=Settings(), with_store=False)
        desk, decoder = Desk(), Decoder(self.store)
        running: set[asyncio.Task[None]] = set()
        left: list[str] = []
        try:
            while True:
                desk.heard.extend(self._heard)
                desk.known = max([desk.known, *(record.revision for record in self._heard)])
                self._heard.clear()
                ended = await turns.take(self.id, desk, fresh=False, now=_now)
                woken, self._wakes.sent = self._wakes.sent, []
                for wake in woken:
                    source = known[wake.source]
                    running.add(
                        asyncio.create_task(self._work(source, settings[source.name], wake, decoder, only, left))
                    )
                if not running and (ended or not self._heard):
                    break
                if running:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await self._take_off(left)

    async def _work(
        self,
        source: Source,
        settings: Mapping[Any, Any],
        wake: Wake,
        decoder: Decoder,
        only: Callable[[Activation], bool],
        left: list[str],
    ) -> None:
        async with self._slots:
            folded = await self.store.projection(self.id)
            assert folded is not None
            pending = folded.activation(wake.activation)
            if pending is None or not only(pending):
                left.append(wake.activation)
                return
            claimed = await self.store.claim(
                self.id, wake.activation, nonce=secrets.token_hex(8), lease_ms=LEASE_MS, worker="bench"
            )
            if claimed.status != "claimed" or claimed.activation is None:
                return
            activation = claimed.activation
            binding = str(activation.data["binding"])
            services = {**self._services, **settings}
            services |= loggers(source.injected, source=source.name, board=self.id, binding=binding)
            spent = Ledger()
            services[contract.Spending] = spent
            if self.models is not None and LanguageModel in source.injected.values():
                caller = Caller("bench", self.id, activation.id, activation.epoch, source.name, binding)
                services[LanguageModel] = self.models.of_run(
                    caller, RunHearer(self.store, caller, spent, self._record(caller))
                )
            run = WatchedRun(
                self.store, source, self.id, activation, claimed, 0.0, services, decoder, self._isolation, spent=spent
            )
            await run.execute()
            if run.failed is not None:
                self.failures.append(Failure(source.name, binding, activation.id, run.failed))

    async def _allow(self, sources: Iterable[Source]) -> None:
        """Whoever is to be run may ask a model, and nobody's turn comes before another's because of it.

        A board that names its sources, and with them its policy, is left as it is.
        """
        head = await self.store.head(self.id) or {}
        if head.get("sources"):
            return
        policy = policy_of(head.get("policy", ""))
        levels = [kind.level for source in sources if not policy.allows(source) for kind in source.outputs]
        if levels:
            models = {} if isinstance(policy.models, str) else policy.models
            strategy = {**dict.fromkeys(levels, "opportunistic"), **policy.strategy}
            allowing = policy.model_copy(
                update={"models": {**models, **dict.fromkeys(levels, "always")}, "strategy": strategy}
            )
            await self.store.commit(self.id, Commit("board.changed", "bench", head={"policy": allowing.text()}))

    async def _take_off(self, activations: Sequence[str]) -> None:
        """Take what was left alone off the agenda: a later run decides anew."""
        folded = await self.board()
        found = [folded.activation(id) for id in activations] if not folded.ended else []
        steps = tuple(
            AgendaWrite(Activation(each.id, "cancelled", each.epoch, each.inputs, each.data))
            for each in found
            if each is not None and each.status == "pending"
        )
        if steps:
            await self.store.commit(self.id, Commit("activation.cancelled", "controller", agenda=steps))

    async def board(self) -> Board:
        """A copy of the board, its values whole."""
        folded = await self.store.projection(self.id)
        if folded is None:
            raise UsageError("the board is empty", hint="put something on it first")
        for key, value in folded.values.items():
            folded.values[key] = await self.store.resolve(value)
        return folded

    async def why(self, sources: Iterable[Source]) -> list[Reason]:
        """Why each source acted or did not."""
        return why_board(await self.board(), sources, await self.store.now())


def _now() -> int:
    return time.time_ns() // 1_000_000


def opening(goal: Sequence[str] = ()) -> dict[str, str]:
    """The head of a board on a bench. Who puts a source there that asks a model wants it to be asked."""
    return {
        "policy": Policy(models="always").text(),
        "status": "open",
        "tenant": "bench",
        "incarnation": "bench",
        "goal": ",".join(goal),
        "hold": "review",
        "priority": "interactive",
    }


def as_put(key: str, value: Any, confidence: float = 1.0) -> Put:
    """A level's value as a write."""
    return Put(key, orjson.dumps(value.model_dump(mode="json")), confidence)
