"""One board as the controller sees it: fold records in, know which bindings they touch. Pure.

`Plan.apply` keeps bindings, carried values and outputs up to date; `controller.decide` asks it what to do. Built from a
whole board (`Plan.of`) or record by record, it comes to the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from blackboard.board import Board
from blackboard.entries import Activation, is_rival, is_shadow, level_of
from blackboard.events import ENDED, LogRecord
from blackboard.levels import Child
from controller.conditions import Conditions
from controller.contests import Standings
from controller.graph import Graph
from controller.kin import Children
from controller.spending import MONEY, Spent, is_paid
from controller.tracks import BOARD, Binding, LevelState, Run, Track, mark


class Live(NamedTuple):
    """What is kept of a live entry. `base_owner`: whose text a reviser replaced, or ""."""

    version: int
    digest: str
    owner: str
    activation: str
    base_owner: str


class Plan:
    """A board's state for deciding. Not a copy of it: values are kept only where `when` or a group needs them."""

    def __init__(self, board: str, graph: Graph) -> None:
        self.board = board
        self.graph = graph
        self.head: dict[str, str] = {}
        self.revision = self.revision_of_head = 0
        self.levels = {name: LevelState() for name in graph.types}
        self.tracks = {name: Track(graph.nodes[name]) for name in graph.order}
        self.activations: dict[str, Activation] = {}
        self.under_way: dict[str, Activation] = {}
        """All that are pending or running, those of sources nobody knows here included."""
        self.live: dict[str, Live] = {}
        """Live entries, rivals included."""
        self.erased: set[str] = set()
        """Entries that are gone, but not by a person's wish."""
        self.revised: set[str] = set()
        """Live entries in which a reviser replaced somebody else's text."""
        self.outside: list[int] = [0] * len(graph.loops)
        """For every loop, the sum of what its levels hold from outside it."""
        self.orphans: dict[str, tuple[str, str, str]] = {}
        """Live outputs whose binding is no more: key -> (owner, binding, activation)."""
        self.standings = {contest.level: Standings() for contest in graph.contests.values()}
        self.spent = Spent()
        self.spent_aside = Spent()
        """By shadows: as much as the budget allows once more, so that they take nothing from the board."""
        self.children = Children()
        self._owners: dict[str, tuple[str, str]] = {}
        self._groups: dict[tuple[str, str], str] = {}
        self._outside_marks: dict[tuple[int, str], int] = {}
        self._lookers: dict[str, set[tuple[str, str]]] = {}
        self.conditions = Conditions(graph)
        capped = graph.policy.budget.usd is not None or graph.policy.budget.tokens is not None
        for name, track in self.tracks.items():
            track.is_weighed = name in graph.contests or (capped and is_paid(track.node.source))
            if not track.node.each:
                track.binding(BOARD)
        self.is_ranked = any(track.is_weighed or track.node.source.priority for track in self.tracks.values())
        """Whether it matters in which order sources start, or which of them do."""

    @classmethod
    def of(cls, board: Board, graph: Graph) -> Plan:
        """From a folded board."""
        plan = cls(board.id, graph)
        plan.head, plan.revision = dict(board.head), board.revision
        for id, stored in board.agenda.items():
            plan._set_activation(Activation.parse(id, stored))
        for key, text in board.entries.items():
            plan._set_entry(key, text, board.values.get(key))
        return plan

    @property
    def ended(self) -> bool:
        """Whether the board has ended."""
        return self.head.get("status") in ENDED

    def apply(self, record: LogRecord) -> None:
        """One record further. The caller has checked that it is the next one."""
        if record.is_note:
            return
        self.revision = record.revision
        if record.head:
            self.head.update(record.head)
            self.revision_of_head = record.revision
        for id, stored in record.agenda.items():
            self._set_activation(Activation.parse(id, stored))
        for key, text in record.entries.items():
            self._set_entry(key, text, record.values.get(key))

    def lookups_hold(self, run: Run) -> bool:
        """Whether everything a run looked up is what it was."""
        looked = run.activation.data.get("lookups")
        if not looked:
            return True
        return all(self.version(key) == version for key, version in looked["keys"].items()) and all(
            self.levels[level].signature == int(signature, 16) for level, signature in looked["levels"].items()
        )

    def keeps(self, source: str, binding: Binding, run: Run) -> bool:
        """Whether what a run wrote still stands, by whoever's hand, or a person removed it."""
        if binding.latest is not run:
            # A later run may have written something before it came to nothing.
            writers = [self.activations[id] for id in set(binding.outputs.values())]
            if any((writer.data["decided"], writer.id) > run.order for writer in writers):
                return False
        if not run.wrote or self.erased.isdisjoint(run.wrote):
            return True
        return all(key not in self.erased or f"{key}~{source}" in self.live for key in run.wrote)

    def remade_by(self, key: str) -> str:
        """The source that is about to write or retract an entry that it wrote in an earlier run; "" when none is."""
        orphaned = self.orphans.get(key)
        source, id = orphaned[:2] if orphaned else self._owners.get(key, ("", ""))
        # A loop source stands behind its readers, which must not wait for it.
        if not source or self.tracks[source].node.source.is_loop:
            return ""
        if orphaned:
            return source
        making = self.tracks[source].bindings[id].making
        return "" if making is None or making == self.live[key].activation else source

    def rivals(self, source: str, id: str) -> dict[str, Binding]:
        """The bindings that compete for what this one would contribute, its own among them: source -> binding."""
        contest = self.graph.contests[source]
        return {name: found for name in contest.sources if (found := self.tracks[name].bindings.get(id)) is not None}

    def touch_readers(self, binding: Binding) -> None:
        """Have those looked at again that work on what this binding wrote."""
        for key in binding.outputs:
            for reader in self.graph.each_readers.get(level_of(key), ()):
                if key in self.tracks[reader].bindings:
                    self.tracks[reader].touched.add(key)

    @property
    def disputes(self) -> int:
        """Rivals that say something else than the entry they stand beside."""
        pairs = [(entry, self.live.get(key.partition("~")[0])) for key, entry in self.live.items() if is_rival(key)]
        return sum(beside is None or beside.digest != rival.digest for rival, beside in pairs)

    @property
    def unfounded(self) -> dict[str, str]:
        """Revised entries whose first author, if it ran again, would not write them any more: key -> owner."""
        found = {}
        for key in self.revised:
            entry = self.live[key]
            track = self.tracks.get(entry.base_owner)
            if track is not None and not track.active and not track.node.source.is_loop:
                author = track.bindings.get(track.wrote.get(key, ""))
                if author is None or author.state != "done":
                    found[key] = entry.owner
        return found

    def version(self, key: str) -> int:
        """The version of a live entry; 0 when there is none."""
        level = self.levels.get(level_of(key))
        return level.versions.get(key, 0) if level else 0

    def purse(self, source: str) -> Spent:
        """What a source's spending is counted with."""
        return self.spent_aside if is_shadow(source) else self.spent

    # -- records in ------------------------------------------------------------------------------------------------

    def _set_activation(self, activation: Activation) -> None:
        source = str(activation.data["source"])
        before = self.activations.get(activation.id)
        if not (MONEY.isdisjoint(activation.data) and (before is None or MONEY.isdisjoint(before.data))):
            self.purse(source).hear(before, activation)
        self.activations[activation.id] = activation
        if activation.under_way:
            self.under_way[activation.id] = activation
        else:
            self.under_way.pop(activation.id, None)
        track = self.tracks.get(source)
        if track is None:
            return
        if "award" in activation.data and (contest := self.graph.contests.get(track.node.name)) is not None:
            self.standings[contest.level].hear(track.node.name, activation)
        binding = self._binding(track, str(activation.data["binding"]))
        track.under_way += activation.under_way - (binding.running.pop(activation.id, None) is not None)
        if activation.under_way:
            binding.running[activation.id] = activation
        run = Run.of(activation)
        if binding.latest is None or binding.latest.order <= run.order:
            binding.latest = run
        if run.finished and (binding.finished is None or binding.finished.order <= run.order):
            self._finish(track, binding, run)

    def _finish(self, track: Track, binding: Binding, run: Run) -> None:
        for key in (binding.finished.wrote if binding.finished else None) or ():
            if track.wrote.get(key) == binding.id:
                del track.wrote[key]
        track.wrote.update((key, binding.id) for key in run.wrote or ())
        binding.finished = run
        looked = run.activation.data.get("lookups")
        for word in (*looked["keys"], *looked["levels"]) if looked else ():
            self._lookers.setdefault(word, set()).add((track.node.name, binding.id))

    def _set_entry(self, key: str, text: str, value: bytes | None) -> None:
        version, state, pin, digest, _, _, owner, activation, base = text.split("|")
        live = state == "live"
        base_owner, _, base_digest = base.rpartition(":")
        revised = live and bool(base_digest)
        self._set_owner(key, owner if live and not revised else "", activation)
        self.live.pop(key, None)
        if live:
            self.live[key] = Live(int(version), digest, owner, activation, base_owner if revised else "")
        (self.revised.add if revised else self.revised.discard)(key)
        name = level_of(key)
        self._set_erased(key, name, not live and pin == "0")
        if name == Child.level:
            self.children.set(key, int(version), value if live else None)
            self.spent.hear_below(self.children.account())
        if is_rival(key):
            return
        self._set_outside(key, name, owner if live else "", digest, base)
        level = self.levels.get(name)
        if level is None:
            return
        level.set(key, int(version) if live else None)
        if name in self.graph.asked_levels:
            self.conditions.set(key, value if live else None)
        fields = orjson.loads(value) if live and value is not None and name in self.graph.valued else {}
        for reader in self.graph.readers[name]:
            self._bind(self.tracks[reader], key, int(version) if live else None, fields)
        for word in (key, name):
            for source, id in self._lookers.get(word, ()):
                self.tracks[source].touched.add(id)

    def _bind(self, track: Track, key: str, version: int | None, fields: dict[str, Any]) -> None:
        node = track.node
        id = key
        if node.by:
            before = self._groups.pop((node.name, key), None)
            if version is not None:
                id = str(fields.get(node.by))
                self._groups[node.name, key] = id
            if before is not None and (version is None or before != id):
                track.binding(before).own.pop(key, None)
        if version is None:
            if not node.by and key in track.bindings:
                track.binding(key).own.pop(key, None)
            return
        binding = self._binding(track, id)
        binding.own[key] = version
        if node.source.carries:
            binding.carried = {name: id if node.by else str(fields.get(name)) for name in node.source.carries.values()}

    def _set_erased(self, key: str, level: str, erased: bool) -> None:
        if erased == (key in self.erased) and not is_rival(key):
            return
        (self.erased.add if erased else self.erased.discard)(key)
        for name in self.graph.contributors.get(level, ()):
            track = self.tracks[name]
            id = track.wrote.get(key.partition("~")[0], "")
            if id in track.bindings:
                track.touched.add(id)

    def _set_outside(self, key: str, level: str, owner: str, digest: str, base: str) -> None:
        """Keep the sum of what a loop's level holds from outside it: a revised entry counts as what it was before."""
        for number in self.graph.loops_of_level.get(level, ()):
            self.outside[number] -= self._outside_marks.pop((number, key), 0)
            if owner in self.graph.loops[number].sources:
                owner, _, digest = base.rpartition(":")
            if owner and digest and owner not in self.graph.loops[number].sources:
                self._outside_marks[number, key] = mark(f"{key}:{owner}:{digest}", 0)
                self.outside[number] += self._outside_marks[number, key]

    def _set_owner(self, key: str, owner: str, activation: str) -> None:
        before = self._owners.pop(key, None)
        if before is not None:
            binding = self.tracks[before[0]].bindings.get(before[1])
            if binding is not None:
                binding.outputs.pop(key, None)
                self.tracks[before[0]].touched.add(before[1])
        self.orphans.pop(key, None)
        track = self.tracks.get(owner)
        made_by = self.activations.get(activation)
        if track is None or made_by is None or made_by.data["source"] != owner:
            return
        id = str(made_by.data["binding"])
        if id in track.bindings:
            track.binding(id).outputs[key] = activation
            self._owners[key] = (owner, id)
        else:
            self.orphans[key] = (owner, id, activation)

    def _binding(self, track: Track, id: str) -> Binding:
        """The binding of that id; one that comes back takes its orphans up again."""
        if id in track.bindings:
            return track.binding(id)
        binding = track.binding(id)
        mine = (track.node.name, id)
        for key in [key for key, made_by in self.orphans.items() if made_by[:2] == mine]:
            binding.outputs[key] = self.orphans.pop(key)[2]
            self._owners[key] = mine
        return binding

    def drop(self, track: Track, binding: Binding) -> None:
        """Forget a binding that is no more; what it left behind is orphaned."""
        track.settle(binding, "gone")
        for key, activation in binding.outputs.items():
            self._owners.pop(key, None)
            self.orphans[key] = (track.node.name, binding.id, activation)
        if binding.latest is not None:
            track.past[binding.id] = (binding.latest, binding.finished)
        del track.bindings[binding.id]
