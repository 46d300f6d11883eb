"""What `decide` remembers of a board between records: levels, and for every source its bindings. Pure.

Costs follow the change, not the board: a record touches the bindings it concerns, sums stand for sets. The signature of a
level is the sum of 128-bit hashes of its live `key@version`s modulo 2^128 (an additive multiset hash, Bellare and
Micciancio 1997), so it can be kept up to date one entry at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from blackboard.contract import Bid
from blackboard.entries import Activation, level_of
from controller.graph import Node

BOARD = "board"
"""The one binding of a source that works on the board as a whole."""

State = Literal[
    "waiting", "ready", "under_way", "retry", "done", "failed", "skipped", "spent", "outbid", "unaffordable", "gone"
]
ACTIVE = frozenset({"waiting", "ready", "under_way", "retry"})
"""States in which a binding may still contribute."""

_MASK = (1 << 128) - 1


def mark(key: str, version: int) -> int:
    """The hash of one `key@version`."""
    return int.from_bytes(blake2b(f"{key}@{version}".encode(), digest_size=16).digest())


@dataclass(slots=True)
class LevelState:
    """The live entries of a level, rivals aside."""

    versions: dict[str, int] = field(default_factory=dict)
    signature: int = 0

    def set(self, key: str, version: int | None) -> None:
        """Take an entry to a version; None: it is gone."""
        known = self.versions.pop(key, None)
        if known is not None:
            self.signature = (self.signature - mark(key, known)) & _MASK
        if version is not None:
            self.versions[key] = version
            self.signature = (self.signature + mark(key, version)) & _MASK


@dataclass(slots=True)
class Run:
    """One activation of a binding, with what it read, ready to be compared."""

    activation: Activation
    own: dict[str, int]
    sums: dict[str, int]
    wrote: frozenset[str] | None
    """Keys it says it wrote, unchanged and rival ones too; None when it has not finished or does not say."""

    @classmethod
    def of(cls, activation: Activation) -> Run:
        """Take an agenda record apart: checked inputs as they are, the others summed by level."""
        own: dict[str, int] = {}
        sums: dict[str, int] = {}
        for key, version, checked in activation.inputs:
            if checked:
                own[key] = version
            elif version:
                level = level_of(key)
                sums[level] = (sums.get(level, 0) + mark(key, version)) & _MASK
        wrote = activation.data.get("wrote")
        return cls(activation, own, sums, None if wrote is None else frozenset(wrote))

    @property
    def n(self) -> int:
        """How many-th activation of its binding it is."""
        return int(self.activation.data["n"])

    @property
    def order(self) -> tuple[int, str]:
        """Later decisions stand above earlier ones, whichever way the records came: two controllers may overlap."""
        return int(self.activation.data["decided"]), self.activation.id

    @property
    def finished(self) -> bool:
        """Whether it is done, or failed for good."""
        status = self.activation.status
        return status == "done" or (status == "failed" and "retry_at" not in self.activation.data)


@dataclass(slots=True)
class Binding:
    """What one activation of a source works on, and how far that is."""

    id: str
    own: dict[str, int] = field(default_factory=dict)
    """Each or Group inputs: key -> version."""
    carried: dict[str, str] = field(default_factory=dict)
    """Field of the input -> value, for the fields that outputs carry on."""
    latest: Run | None = None
    finished: Run | None = None
    """The latest that was done, or failed for good: it says whether the binding is dirty."""
    running: dict[str, Activation] = field(default_factory=dict)
    """Its activations that are pending or running: one, but while two controllers overlap."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Live keys this binding's activations own -> the activation that wrote them last."""
    state: State = "waiting"
    counted: tuple[bool, tuple[tuple[str, str], ...]] = (False, ())
    """Whether it is counted as active, and under which carried values."""
    note: str = ""
    """Why it is in this state, where the state does not say it all."""
    making: str | None = "?"
    """None when its outputs are as they will be; else the activation that writes them anew, "" before there is one."""
    queued: tuple[int, float] | None = None
    """The rank it is queued with while it is ready."""
    stand: tuple[State | Literal[""], Bid | None, float | None, float | None] = ("", None, None, None)
    """Where it stands in a contest: the state it would be in if nobody competed, its bid, how good what it did is, and
    how good what it would do once more was."""
    lapsed: float | None = None
    """How good the result on its present inputs was, whose entries gave way to a better one's."""
    undecided: bool = False
    """Whether what it made may yet give way: it does not do, and a rival is still to be asked."""
    surpassed: bool = False
    """Whether what it made gives way to what another one made of the same binding."""
    bid: Bid | None = None
    """What its source offers for it, once it could act."""

    @property
    def alone(self) -> State | Literal[""]:
        """The state it would be in if nobody competed; "" before it was looked at."""
        return self.stand[0]

    @property
    def deferred(self) -> str:
        """What its activation waits for before it is tried again; "" when it waits for nothing of that kind."""
        found = self.latest.activation.data.get("deferred", {}) if self.latest is not None else {}
        return str(found.get("reason", ""))

    @property
    def surplus(self) -> list[Activation]:
        """Activations under way that must not be."""
        keep = self.latest.activation.id if self.latest is not None and self.state == "under_way" else ""
        return [activation for id, activation in sorted(self.running.items()) if id != keep]


@dataclass(slots=True)
class Track:
    """One source's bindings."""

    node: Node
    is_weighed: bool = False
    """Whether bids, rivals or the budget have a word in what it does."""
    bindings: dict[str, Binding] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    gate: tuple[Any, ...] = ()
    active: int = 0
    under_way: int = 0
    by_value: dict[tuple[str, str], int] = field(default_factory=dict)
    """(field, value) -> active bindings that carry it."""
    ready: set[str] = field(default_factory=set)
    heap: list[tuple[tuple[int, float], str]] = field(default_factory=list)
    """((runs so far, rating), binding): whoever ran least goes first, so nobody starves; then the best rating per cost.
    Entries no longer ready are dropped late."""
    priced: list[tuple[float, str]] = field(default_factory=list)
    """(-cost, binding) of bindings that became ready under a budget: the dearest go first when money runs out."""
    retrying: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    cancelling: set[str] = field(default_factory=set)
    """Bindings with activations under way that must not be."""
    obsolete: set[str] = field(default_factory=set)
    """Bindings with outputs that must be retracted."""
    past: dict[str, tuple[Run | None, Run | None]] = field(default_factory=dict)
    """Latest and latest finished activations of bindings that are no more, should they come back."""
    wrote: dict[str, str] = field(default_factory=dict)
    """Key -> the binding whose latest finished run says that it wrote it."""

    def binding(self, id: str) -> Binding:
        """The binding of that id, made if need be, and touched."""
        found = self.bindings.get(id)
        if found is None:
            found = self.bindings[id] = Binding(id)
            found.latest, found.finished = self.past.pop(id, (None, None))
        self.touched.add(id)
        return found

    def settle(self, binding: Binding, state: State, note: str = "") -> bool:
        """Put a binding into a state and keep the counts. Whether its being active, or its carried value, changed."""
        before = binding.state
        binding.state, binding.note = state, note
        id = binding.id
        for name, members in (("ready", self.ready), ("retry", self.retrying), ("failed", self.failed)):
            if state == name:
                members.add(id)
            elif before == name:
                members.discard(id)
        self._queue(binding)
        (self.cancelling.add if binding.running and binding.surplus else self.cancelling.discard)(id)
        obsolete = bool(binding.outputs) and state != "gone" and bool(obsolete_outputs(self, binding))
        (self.obsolete.add if obsolete else self.obsolete.discard)(id)
        was, values = binding.counted
        now = state in ACTIVE or obsolete
        carried = tuple(binding.carried.items()) if now else ()
        if was == now and values == carried:
            return False
        self.active += now - was
        for pair in values:
            self.by_value[pair] -= 1
        for pair in carried:
            self.by_value[pair] = self.by_value.get(pair, 0) + 1
        binding.counted = (now, carried)
        return True

    def _queue(self, binding: Binding) -> None:
        if binding.state != "ready":
            binding.queued = None
            return
        runs = binding.finished.n if binding.finished else 0
        rank = (runs, -worth(binding.bid)) if self.is_weighed else (runs, 0.0)
        if rank != binding.queued:
            binding.queued = rank
            heapq.heappush(self.heap, (rank, binding.id))

    def best(self, count: int) -> list[Binding]:
        """Up to `count` ready bindings, best first; they stay ready until a record says otherwise."""
        taken: list[tuple[tuple[int, float], str]] = []
        seen: set[str] = set()
        while self.heap and len(taken) < count:
            rank, id = heapq.heappop(self.heap)
            if id in self.ready and id not in seen and self.bindings[id].queued == rank:
                taken.append((rank, id))
                seen.add(id)
        for item in taken:
            heapq.heappush(self.heap, item)
        return [self.bindings[id] for _, id in taken]


def worth(bid: Bid | None) -> float:
    """Expected value per dollar; what costs nothing, or does not say, comes first."""
    return bid.value / bid.cost_usd if bid is not None and bid.cost_usd > 0 else float("inf")


def obsolete_outputs(track: Track, binding: Binding) -> list[str]:
    """Keys to retract: of a binding whose `when` turned false, and old ones of a re-run that failed for good.

    What the failed run itself had contributed stays, as the best there is. A loop source's outputs survive its `when`.
    What a surplus activation left behind is known by not being among what the finished one says that it wrote.
    """
    run = binding.finished
    if track.node.source.is_loop:
        return []
    if binding.surpassed:
        return sorted(binding.outputs)
    if binding.state == "done" and run is not None and run.wrote is not None:
        return [key for key in sorted(binding.outputs) if key.partition("~")[0] not in run.wrote]
    if binding.state not in ("skipped", "failed", "outbid"):
        return []
    own = run.activation.id if run is not None and run.activation.status == "failed" else ""
    return sorted(key for key, activation in binding.outputs.items() if not own or activation != own)


def sums_match(levels: Mapping[str, LevelState], names: Iterable[str], sums: Mapping[str, int]) -> bool:
    """Whether the All inputs of a run are what the levels hold now."""
    return all(levels[name].signature == sums.get(name, 0) for name in names)
