"""Turns what this process writes on boards into counts. One process writes each record: sums over all are the service's."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import orjson

from blackboard.entries import plain_name
from blackboard.errors import StorageError
from blackboard.events import TERMINAL, LogRecord
from blackboard.ports import Store
from controller.measures import Measures
from controller.pace import Pace

K = TypeVar("K")
V = TypeVar("V")

MOST = 20_000
"""Activations and boards remembered until they end."""
PERSON = "person"

Run = tuple[str, str]
"""A board and an activation."""


class Observer:
    """Listens to one store from `start` to `stop`. Nothing it does can fail a commit."""

    def __init__(self, store: Store, measures: Measures, named: Callable[[str], str]) -> None:
        """`named`: a source as it is shown."""
        self._store, self._measures, self._named = store, measures, named
        self._stop: Callable[[], None] | None = None
        self._running: OrderedDict[Run, tuple[str, int]] = OrderedDict()
        """Run -> its source, and when it was claimed by the server's clock."""
        self._created: OrderedDict[str, int] = OrderedDict()
        self._asking: set[asyncio.Task[None]] = set()
        self.paces: dict[str, Pace] = {}

    def start(self) -> None:
        """Idempotent."""
        if self._stop is None:
            self._stop = self._store.listen(self._heard)

    def stop(self) -> None:
        """Idempotent."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def forget(self, runs: Iterable[Run]) -> None:
        """Runs that were claimed here and are known not to run here any more: they were lost to somebody else."""
        for run in runs:
            self._end(run, None)

    @property
    def running(self) -> Sequence[tuple[Run, str]]:
        """What was claimed here and has not ended, with its source."""
        return [(run, source) for run, (source, _) in self._running.items()]

    @staticmethod
    def now() -> float:
        """The clock of the paces."""
        return time.monotonic()

    def _heard(self, board: str, record: LogRecord) -> None:
        kind = record.type
        if kind == "activation.claimed":
            for activation in record.agenda:
                self._begin((board, activation), record.at)
        elif kind == "llm.called":
            self._call(record)
        elif kind == "board.created":
            self._measures.boards.add("created")
            _remember(self._created, board, record.at)
        else:
            if record.entries:
                self._writes(record)
            if record.agenda and record.by != "controller":
                self._ends(board, record)
            elif kind == "activation.cancelled" or record.agenda:
                self._cancels(record)
            if kind in TERMINAL:
                self._board_ended(board, record)

    # -- activations ---------------------------------------------------------------------------------------------------

    def _begin(self, run: Run, at: int) -> None:
        source = _source(run[1])
        _remember(self._running, run, (source, at))
        self._pace(source).step(time.monotonic(), 1)

    def _pace(self, source: str) -> Pace:
        pace = self.paces.get(source)
        if pace is None:
            pace = self.paces[source] = Pace(at=time.monotonic())
        return pace

    def _ends(self, board: str, record: LogRecord) -> None:
        for activation, stored in record.agenda.items():
            source = self._named(_source(activation))
            outcome = _outcome(record, stored[: stored.index(b"|")].decode())
            if outcome == "running":
                continue  # a part of what is contributed from elsewhere
            if outcome in ("failed", "deferred", "returned", "stale", "asked"):
                self._measures.retries.add(source, outcome)
            if outcome != "asked":
                self._measures.activations.add(source, outcome)
                seconds = self._end((board, activation), record.at)
                if seconds is not None:
                    self._measures.durations.observe(seconds, source, outcome)

    def _cancels(self, record: LogRecord) -> None:
        for activation, stored in record.agenda.items():
            if stored.startswith(b"cancelled|"):
                self._measures.activations.add(self._named(_source(activation)), "cancelled")

    def _end(self, run: Run, at: int | None) -> float | None:
        """Seconds that it took, if it was claimed here."""
        source, claimed = self._running.pop(run, ("", 0))
        if not source:
            return None
        pace = self._pace(source)
        pace.step(time.monotonic(), -1)
        if at is None:
            return None
        seconds = max(0, at - claimed) / 1000
        pace.took(seconds)
        return seconds

    # -- entries, boards, calls ----------------------------------------------------------------------------------------

    def _writes(self, record: LogRecord) -> None:
        by = PERSON if record.by.startswith(PERSON) else self._named(plain_name(record.by))
        # A header begins with its version and whether it is live.
        retracted = sum(text.split("|", 2)[1] != "live" for text in record.entries.values())
        written = len(record.entries) - retracted
        if written:
            self._measures.writes.add(by, "written", by=written)
        if retracted:
            self._measures.writes.add(by, "retracted", by=retracted)

    def _board_ended(self, board: str, record: LogRecord) -> None:
        outcome = TERMINAL[record.type]
        if outcome == "completed" and orjson.loads(record.body).get("partial"):
            outcome = "partial"
        self._measures.boards.add(outcome)
        created = self._created.pop(board, None)
        if created is not None:
            self._measures.board_seconds.observe(max(0, record.at - created) / 1000, outcome)
            return
        # It was submitted to another process.
        asking = asyncio.get_running_loop().create_task(self._ask(board, record.at, outcome))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask(self, board: str, ended: int, outcome: str) -> None:
        try:
            head = await self._store.head(board)
        except StorageError:
            return
        if head is not None and head.get("created", "").isdigit():
            self._measures.board_seconds.observe(max(0, ended - int(head["created"])) / 1000, outcome)

    def _call(self, record: LogRecord) -> None:
        said = orjson.loads(record.body)
        model, outcome = str(said.get("model", "")), str(said.get("outcome", ""))
        self._measures.calls.add(model, outcome)
        if said.get("usd") and outcome not in ("cache", "recording"):
            self._measures.cost.add(model, by=float(said["usd"]))
        if outcome in ("cache", "recording"):
            return
        labels = ("chat", "anthropic", model)
        failure = str(said.get("failure", "")).partition(":")[0]
        self._measures.call_seconds.observe(int(said.get("latency_ms", 0)) / 1000, *labels, failure)
        tokens = said.get("tokens", {})
        went_in = sum(int(tokens.get(word, 0)) for word in ("input", "cache_read", "cache_write"))
        for kind, count in (("input", went_in), ("output", int(tokens.get("output", 0)))):
            if count:
                self._measures.tokens.observe(count, *labels, kind)


def _source(activation: str) -> str:
    return plain_name(activation.rpartition(".")[0])


def _outcome(record: LogRecord, status: str) -> str:
    if record.type == "activation.failed":
        return "dead" if orjson.loads(record.body).get("final") else "failed"
    if record.type == "activation.retried":
        if record.by.startswith(PERSON):
            return "asked"
        return "deferred" if status == "failed" else "returned"
    return status


def _remember(kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    if len(kept) > MOST:
        kept.popitem(last=False)
