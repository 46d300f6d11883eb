"""Why a board stands where it stands: for every source and binding the reason why or why not. Pure.

Reasons are read off the state that `decide` itself left in the plan and off the decision it would take now, so they cannot
disagree with what happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import Activation
from blackboard.levels import Child
from blackboard.ports import LeaseRow
from blackboard.presence import served
from controller.decide import Decision, decide_plan
from controller.graph import graph_of
from controller.pinned import versions_of
from controller.plan import Plan
from controller.staff import Staff, holder
from controller.states import View, is_quiet, is_unknown, look, outer, sees
from controller.tracks import Binding, Track

SHOWN = 5
"""Child boards that are named."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Where one binding of a source stands; with an empty `source`, where the board as a whole does.

    `waits_for`: the levels it waits for, each with the sources that may still contribute to it. Times are the server's,
    milliseconds since 1970. `state` is the binding's (waiting, ready, under_way, retry, done, failed, skipped, spent,
    outbid, unaffordable, gone), `idle` for a source with nothing to work on, and for the board: open, settled, held, or
    how it ended.
    """

    source: str
    binding: str
    state: str
    reason: str
    waits_for: tuple[tuple[str, tuple[str, ...]], ...] = ()
    activation: str = ""
    status: str = ""
    epoch: int = 0
    attempts: int = 0
    retry_at: int | None = None
    lease_until: int | None = None
    """When the lease of a running activation ends, if leases were given."""
    lease_by: str = ""
    """The worker that holds it."""
    lease_since: int | None = None
    """When that worker claimed it."""
    unserved_since: int | None = None
    """Since when no worker serves the version that a pending activation needs, if it is known who serves what."""


def why(plan: Plan, now: int, leases: Mapping[str, LeaseRow] | None = None, staff: Staff | None = None) -> list[Reason]:
    """The board first, then every source in the order of evaluation with its bindings by name.

    `leases`: by activation, as the store keeps them outside the log. `staff`: who serves what, where that is known.
    """
    decision = decide_plan(plan, now)
    view = look(plan)
    teller = _Teller(plan, view, decision, now, dict(leases or {}), staff)
    reasons = [teller.board()]
    for track in plan.tracks.values():
        reasons += [teller.binding(track, track.bindings[id]) for id in sorted(track.bindings)]
        if not track.bindings:
            reasons.append(teller.idle(track))
    return reasons


def why_board(
    board: Board,
    sources: Iterable[Source],
    now: int,
    leases: Mapping[str, LeaseRow] | None = None,
    staff: Staff | None = None,
) -> list[Reason]:
    """The same from a folded board whose values are whole (no blob references)."""
    known = tuple(sources)
    reasons = why(Plan.of(board, graph_of(board.head, known)), now, leases, staff)
    return reasons + [
        Reason(
            name,
            "",
            "waiting",
            f"the board began with {served(name, version)}, a source nobody knows here: it waits for a "
            "controller that does, or for its deadline",
        )
        for name, version in versions_of(board.head, "sources").items()
        if known and name not in {source.name for source in known}
    ]


@dataclass(slots=True)
class _Teller:
    plan: Plan
    view: View
    decision: Decision
    now: int
    leases: dict[str, LeaseRow]
    staff: Staff | None
    starting: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        steps = (*self.decision.activate, *self.decision.retry)
        self.starting = frozenset(step.activation.id for step in steps)

    # -- the board ---------------------------------------------------------------------------------------------------

    def board(self) -> Reason:
        """How the board as a whole stands."""
        head, end = self.plan.head, self.decision.ending
        if self.plan.ended:
            said: dict[str, Any] = orjson.loads(head.get("outcome") or "{}")
            return Reason("", "board", head["status"], f"it has ended: {said.get('reason') or head['status']}")
        if end is not None:
            return Reason("", "board", "settled", f"it ends now, {end.status}: {end.outcome['reason']}")
        open_levels = self._levels(lambda level: outer(self.plan, self.view, level), sorted(self.plan.graph.goal))
        if not open_levels and not self.decision and head.get("hold") == "review" and "approved" not in head:
            return Reason("", "board", "held", "everything is settled; it is held until somebody approves it")
        reason = f"{len(open_levels)} of {len(self.plan.graph.goal)} goals are not settled yet"
        if not open_levels:
            reason = "every goal is settled; what is no longer wanted is being cleared away"
        if strangers := sorted(self.plan.graph.strangers):
            reason += f"; nobody here knows {', '.join(strangers)}"
        if children := sorted(self.plan.children.open):
            more = f" and {len(children) - SHOWN} more" if len(children) > SHOWN else ""
            reason += f"; child boards that have not ended: {', '.join(children[:SHOWN])}{more}"
        if deadline := head.get("deadline_ms"):
            left = int(head["created"]) + int(deadline) - self.now
            reason += f"; its deadline is in {left / 1000:.1f} s"
        return Reason("", "board", "open", reason, waits_for=open_levels)

    # -- a source ----------------------------------------------------------------------------------------------------

    def idle(self, track: Track) -> Reason:
        """A source with no binding."""
        node = track.node
        waits = self._levels(lambda level: sees(self.plan, self.view, node, level), node.each)
        if waits:
            names = " and ".join(level for level, _ in waits)
            return Reason(node.name, "", "waiting", f"no {names} has been contributed yet", waits_for=waits)
        return Reason(node.name, "", "idle", f"there is nothing to work on: no {' and no '.join(node.each)} came about")

    def binding(self, track: Track, binding: Binding) -> Reason:
        """One binding of a source."""
        run = binding.latest
        latest = run.activation if run is not None else None
        waits: tuple[tuple[str, tuple[str, ...]], ...] = ()
        if binding.state == "waiting":
            reason, waits = self._waiting(track, binding)
        elif binding.state in ("done", "failed") and binding.finished is not None:
            latest = latest if latest and latest.status == binding.state else binding.finished.activation
            reason = f"done by {latest.id}" if binding.state == "done" else binding.note
        elif binding.state == "ready":
            reason, latest = self._ready(track, binding), None
        elif binding.state == "under_way" and latest is not None:
            reason = self._under_way(latest)
        elif binding.state == "retry" and latest is not None:
            reason = self._retry(latest, binding.note)
        else:
            reason = binding.note or "its input is gone; its activation is being cancelled"
            latest = None if binding.state in ("skipped", "outbid", "unaffordable") else latest
        return self._reason(track, binding, reason, waits, latest)

    def _reason(
        self,
        track: Track,
        binding: Binding,
        reason: str,
        waits: tuple[tuple[str, tuple[str, ...]], ...],
        latest: Activation | None,
    ) -> Reason:
        if binding.surplus and binding.state != "gone":
            reason += "; what was started on earlier inputs is being cancelled"
        where = (track.node.name, binding.id, binding.state, reason, waits)
        if latest is None:
            return Reason(*where)
        return Reason(
            *where,
            activation=latest.id,
            status=latest.status,
            epoch=latest.epoch,
            attempts=int(latest.data.get("attempts", 0)),
            retry_at=latest.data.get("retry_at") if latest.status == "failed" else None,
            **self._held(latest),
        )

    def _held(self, latest: Activation) -> dict[str, Any]:
        lease = self.leases.get(latest.id)
        held = {"lease_until": lease.expiry, "lease_by": holder(lease), "lease_since": lease.at} if lease else {}
        waits = self.staff.waits(latest, self.plan.head) if self.staff and latest.status == "pending" else None
        return {**held, "unserved_since": waits.since if waits else None}

    def _ready(self, track: Track, binding: Binding) -> str:
        mine = (track.node.name, binding.id)
        if any((s.activation.data["source"], s.activation.data["binding"]) == mine for s in self.decision.activate):
            return "everything it waits for is there: it is started now"
        if self.decision.ending is not None or self.plan.ended:
            return "everything it waits for was there, but the board ended"
        most = track.node.source.concurrency
        return f"it waits for its turn: {track.under_way} of at most {most} are under way"

    def _under_way(self, activation: Activation) -> str:
        if activation.status == "pending":
            words = "it waits for a worker" + (f" again, after {activation.epoch} claims" if activation.epoch else "")
            return words + (self.staff.words(activation, self.plan.head, self.now) if self.staff else "")
        words = f"it is running (claim {activation.epoch})"
        lease = self.leases.get(activation.id)
        if lease is not None:
            words += f", held by {holder(lease)} for {max(0, self.now - lease.at) / 1000:.1f} s"
            if lease.expiry <= self.now:
                words += ", but its worker has not been heard of: its lease is over"
        return words

    def _retry(self, activation: Activation, note: str) -> str:
        if "deferred" in activation.data:
            return waiting(activation.data, self.now, starting=activation.id in self.starting)
        attempt = f"attempt {activation.data.get('attempts', 1)} failed"
        words = f"{attempt}: {note}" if note else attempt
        if activation.id in self.starting:
            return f"{words}; it is tried again now"
        left = activation.data["retry_at"] - self.now
        return f"{words}; it is tried again " + (f"in {left / 1000:.1f} s" if left > 0 else "as soon as there is room")

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _waiting(self, track: Track, binding: Binding) -> tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]:
        plan, node = self.plan, track.node
        levels = (*node.waits, *node.outputs) if node.source.is_loop else node.all
        waits = self._levels(lambda level: sees(plan, self.view, node, level), levels)
        if waits:
            return f"it waits until {_words(level for level, _ in waits)} can change no more", waits
        if node.source.is_loop:
            loop = plan.graph.loops[node.loop]
            busy = tuple(name for name in loop.turners if name != node.name and plan.tracks[name].under_way)
            return f"it waits for its turn: {_words(busy)} of the same loop is at work", ()
        if node.by:
            unknown = self._levels(lambda level: not is_unknown(plan, self.view, node, level, node.by), node.each)
            if unknown:
                names = _words(level for level, _ in unknown)
                return f"more {names} may come of which nobody can tell the {node.by}", unknown
        author = binding.note
        own = [level for level in node.each if author in plan.graph.contributors[level]] or node.each[:1]
        what = f"contribute to {node.by} {binding.id}" if node.by else f"write {binding.id} anew, or retract it"
        return f"{author} may still {what}", tuple((level, (author,)) for level in own)

    def _levels(self, settled: Any, levels: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple((level, self._producers(level)) for level in dict.fromkeys(levels) if not settled(level))

    def _producers(self, level: str) -> tuple[str, ...]:
        """Sources that may still change a level: its contributors, and the sources of loops that still turn."""
        graph = self.plan.graph
        names = [name for name in graph.contributors[level] if self.view.possible[name]]
        for number in graph.loops_of_level[level]:
            if not is_quiet(self.plan, self.view, number):
                names += [name for name in graph.loops[number].turners if self.view.possible[name]]
        if level == Child.level:
            names += [f"board {child.board}" for child in self.plan.children.open.values()]
        return tuple(dict.fromkeys(names))


def waiting(data: Mapping[str, Any], now: int | None = None, *, starting: bool = False) -> str:
    """What a deferred activation waits for, and when it is tried again (by its `data`)."""
    deferred, at = data["deferred"], int(data["retry_at"])
    again = "now" if starting else f"at {datetime.fromtimestamp(at / 1000, UTC).strftime('%Y-%m-%d %H:%M:%S UTC')}"
    if now is not None and not starting:
        again += f" (in {(at - now) / 1000:.1f} s)" if at > now else " (as soon as there is room)"
    often = f"; put off {deferred['times']} times so far" if deferred["times"] > 1 else ""
    return f"waits: {deferred['reason']}, next try {again}{often}"


def _words(names: Any) -> str:
    return " and ".join(dict.fromkeys(names))
