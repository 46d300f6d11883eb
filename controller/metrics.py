"""What Prometheus is told: this process's own counts, and how the whole service stands, looked up when it asks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from blackboard.contract import Source
from blackboard.errors import StorageError
from blackboard.ports import Store
from blackboard.presence import Presence
from controller.condition import Condition
from controller.load import Load, Standing
from controller.measures import Counter, Histogram, Measures
from controller.observer import PERSON, Observer, Run
from controller.pace import wanted
from controller.remote.directory import Directory
from controller.streams import Streams

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PATIENCE_S = 3.0
"""For what is looked up: a server that hangs must not take the counts with it."""
REGISTERED = "registered"
WRITERS = frozenset({"controller", "submitter", PERSON})
STATES = ("closed", "open", "half-open")


class Working(Protocol):
    """The worker of this process."""

    name: str

    @property
    def running(self) -> Iterable[Run]:
        """What it runs now."""

    @property
    def slots(self) -> Mapping[str, int]:
        """How many activations of each source it runs at a time."""


class Deciding(Protocol):
    """The controller of this process."""

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions it holds."""

    @property
    def boards(self) -> int:
        """Open boards that it has in mind."""


class Observed(Protocol):
    """The process that is told about."""

    @property
    def store(self) -> Store: ...
    @property
    def streams(self) -> Streams: ...
    @property
    def load(self) -> Load: ...
    @property
    def condition(self) -> Condition: ...
    @property
    def sources(self) -> Sequence[Source]: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def controller(self) -> Deciding | None: ...
    @property
    def worker(self) -> Working | None: ...


class Metrics:
    """Counts from `start` on. A process that nobody asks for metrics does not start it."""

    def __init__(self, process: Observed) -> None:
        self._process = process
        self._own = frozenset(source.name for source in process.directory.local) | WRITERS
        self.measures = Measures()
        self._observer = Observer(process.store, self.measures, self._named)

    def _named(self, source: str) -> str:
        """A source as it is shown: those that a tenant alone sees have one name together."""
        if source in self._own or any(each.name == source for each in self._process.directory.active_of("")):
            return source
        return REGISTERED

    def start(self) -> None:
        """Begin to count. Idempotent."""
        self._observer.start()

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The text and its media type, as the header `Accept` wants it. Never fails for a server that is away."""
        from prometheus_client.exposition import choose_encoder

        families = [*self._counts(), *await self._gauges()]
        encode, media_type = choose_encoder(accept)
        return encode(_Families(families)), media_type

    # -- this process --------------------------------------------------------------------------------------------------

    def _counts(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

        measures = self.measures
        for name in measures.__slots__:
            kept: Counter | Histogram = getattr(measures, name)
            if isinstance(kept, Counter):
                counter = CounterMetricFamily(kept.name, kept.help, labels=kept.labels)
                for labels, value in kept.values.items():
                    counter.add_metric(labels, value)
                yield counter
            else:
                family = HistogramMetricFamily(kept.name, kept.help, labels=kept.labels)
                for labels, counts in kept.values.items():
                    family.add_metric(labels, _buckets(kept, counts), counts[-1])
                yield family
        refused = CounterMetricFamily(
            "blackboard_commits_refused", "Commits that a check stopped.", labels=("writer", "reason")
        )
        for labels, value in self._process.store.refused.items():
            refused.add_metric(labels, value)
        yield refused

    # -- the whole service -----------------------------------------------------------------------------------------------

    async def _gauges(self) -> list[Metric]:
        standing: Standing | None = None
        presence: Presence | None = None
        models: Mapping[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                standing, presence, models = await asyncio.gather(
                    self._process.load.look(), self._process.store.presence(), self._process.condition.look()
                )
        except (StorageError, TimeoutError):
            pass
        gauges = _Gauges()
        gauges.add("blackboard_storage_up", "Whether the server answered.", float(presence is not None))
        gauges.add("blackboard_sse_clients", "Open event streams.", self._process.streams.here)
        self._of_roles(gauges)
        if standing is not None and presence is not None:
            self._of_queues(gauges, standing, presence)
        for endpoint in models.get("endpoints", ()):
            breaker = endpoint.get("breaker") or {}
            for state in STATES if breaker else ():
                gauges.add(
                    "blackboard_llm_breaker_state", "1 for the state that a model's breaker is in.",
                    float(breaker.get("state") == state), model=endpoint["model"], state=state,
                )  # fmt: skip
        return gauges.families()

    def _of_roles(self, gauges: _Gauges) -> None:
        controller, worker = self._process.controller, self._process.worker
        if controller is not None:
            gauges.add(
                "blackboard_controller_partitions", "Partitions this controller holds.", len(controller.partitions)
            )
            gauges.add("blackboard_boards_active", "Open boards this controller has in mind.", controller.boards)
        if worker is not None:
            for source, slots in worker.slots.items():
                gauges.add("blackboard_worker_slots", "Activations this worker runs at a time.", slots, source=source)
            # Runs from elsewhere are claimed in processes with HTTP, which may be this one, too.
            mine, remote = set(worker.running), {source.name for source in self._process.directory.known}
            remote -= {source.name for source in self._process.directory.local}
            self._observer.forget(run for run, of in self._observer.running if run not in mine and of not in remote)
        running: dict[str, int] = defaultdict(int)
        for source, pace in self._observer.paces.items():
            running[self._named(source)] += pace.running
        for source, count in running.items():
            gauges.add("blackboard_activations_running", "Claimed here, not yet ended.", count, source=source)

    def _of_queues(self, gauges: _Gauges, standing: Standing, presence: Presence) -> None:
        waiting: dict[str, int] = defaultdict(int)
        rows: dict[tuple[str, str, str], tuple[int, float]] = {}
        for queue in standing.queues:
            waiting[queue.source] += queue.waiting
            name = self._named(queue.source)
            row = (name, queue.version if name == queue.source else "", queue.priority)
            count, oldest = rows.get(row, (0, 0.0))
            rows[row] = (count + queue.waiting, max(oldest, queue.oldest_s))
        for (name, version, priority), (count, oldest) in rows.items():
            labels = {"source": name, "version": version, "priority": priority}
            gauges.add("blackboard_queue_depth", "Wake-ups that wait for a worker.", count, **labels)
            gauges.add("blackboard_queue_oldest_age_seconds", "How long the oldest has been due.", oldest, **labels)
        gauges.add("blackboard_queue_limit", "Above which more work is refused; 0: none.", standing.limit)
        slots = self._process.worker.slots if self._process.worker is not None else {}
        for source in self._process.directory.active_of(""):
            count = len(presence.serving(source.name, source.version))
            gauges.add(
                "blackboard_workers", "Workers that serve a source.", count, source=source.name, version=source.version
            )
            pace = self._observer.paces.get(source.name)
            if pace is not None:
                pace.step(self._observer.now())
            wants = wanted(pace, waiting[source.name], count, slots.get(source.name, 1))
            if wants is not None:
                gauges.add(
                    "blackboard_workers_wanted", "How many would work off what waits within a minute.", wants,
                    source=source.name,
                )  # fmt: skip


class _Gauges:
    """Gauges as they come, gathered by name."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], list[tuple[dict[str, str], float]]] = {}

    def add(self, name: str, help: str, value: float, /, **labels: str) -> None:
        self._rows.setdefault((name, help), []).append((labels, value))

    def families(self) -> list[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        found: list[Metric] = []
        for (name, help), rows in self._rows.items():
            family = GaugeMetricFamily(name, help, labels=tuple(rows[0][0]))
            for labels, value in rows:
                family.add_metric(tuple(labels.values()), value)
            found.append(family)
        return found


class _Families:
    """What the client library calls a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _buckets(histogram: Histogram, counts: Sequence[float]) -> list[tuple[str, float]]:
    found, total = [], 0.0
    for bound, count in zip((*map(repr, histogram.bounds), "+Inf"), counts[:-1], strict=True):
        total += count
        found.append((bound, total))
    return found
