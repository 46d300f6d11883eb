"""Who acts next, and whether the board is complete: `decide(board, graph, now)`. Pure: no clock, no I/O, no chance.

`controller.states` says where every binding stands; here that becomes steps: activate, cancel, retry, retract, end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from blackboard.board import Board
from blackboard.entries import Activation, Retract, is_shadow
from controller.awards import fittest, offer
from controller.contests import UNKNOWN
from controller.graph import Graph, Node
from controller.outcome import Ending, ending
from controller.plan import Plan
from controller.spending import micro, reserved_out
from controller.states import look, next_round, outer, outside
from controller.tracks import Binding, Track, obsolete_outputs, worth


@dataclass(slots=True)
class Step:
    """One change to the agenda: the record to write, and what must stand there now ("" : nothing)."""

    activation: Activation
    expected: tuple[str, int]


@dataclass(slots=True)
class Decision:
    """What to do with a board now. Empty when there is nothing to do but wait."""

    activate: tuple[Step, ...] = ()
    cancel: tuple[Step, ...] = ()
    retry: tuple[Step, ...] = ()
    retract: tuple[Retract, ...] = ()
    ending: Ending | None = None
    revision: int | None = None
    """The revision the commit must check: set for loop activations and the end."""
    checks: tuple[tuple[str, int], ...] = ()
    """Versions of the entries to retract, which the commit must check: a later run may have written them anew."""

    def __bool__(self) -> bool:
        return bool(self.activate or self.cancel or self.retry or self.retract or self.ending)


def decide(board: Board, graph: Graph, now: int) -> Decision:
    """From a folded board alone. `now`: the server's clock, milliseconds since 1970."""
    return decide_plan(Plan.of(board, graph), now)


def decide_plan(plan: Plan, now: int) -> Decision:
    """The same from a plan that was kept up to date record by record; costs follow what changed since the last call."""
    if plan.ended:
        return Decision()
    view = look(plan)
    steps = _steps(plan, now)
    settled = (
        not plan.children.open
        and not plan.graph.strangers
        and all(outer(plan, view, level) for level in plan.graph.goal)
    )
    only_shadows = False
    if plan.graph.shadows:
        only_shadows = settled and not _but_shadows(plan, steps)
        settled = settled and not any(view.possible[name] for name in plan.graph.shadows)
    end = ending(plan, settled=settled and not steps, now=now, only_shadows=only_shadows)
    if end is not None:
        cancel = tuple(_cancelled(activation) for _, activation in sorted(plan.under_way.items()))
        return Decision(cancel=cancel, ending=end, revision=plan.revision)
    return steps


def _but_shadows(plan: Plan, steps: Decision) -> bool:
    """Whether any step concerns something else than the side space."""
    agenda = (*steps.activate, *steps.cancel, *steps.retry)
    return any(step.activation.data["source"] not in plan.graph.shadows for step in agenda) or any(
        not is_shadow(retract.key) for retract in steps.retract
    )


def _steps(plan: Plan, now: int) -> Decision:
    cancel: list[Step] = []
    retry: list[Step] = []
    able: list[tuple[Track, Binding]] = []
    gone = {key: owner for key, (owner, *_) in plan.orphans.items()} | (plan.unfounded if plan.revised else {})
    turning: set[int] = set()
    for track in plan.tracks.values():
        if not (track.ready or track.cancelling or track.retrying or track.obsolete):
            continue
        stop = [activation for id in sorted(track.cancelling) for activation in track.bindings[id].surplus]
        cancel.extend(_cancelled(activation) for activation in stop)
        for id in track.obsolete:
            gone.update((key, track.node.name) for key in obsolete_outputs(track, track.bindings[id]))
        free = track.node.source.concurrency - track.under_way + len(stop)
        if free <= 0 or track.node.loop in turning:
            continue
        again = [step for id in sorted(track.retrying) if (step := _retry(track.bindings[id], now))][:free]
        retry.extend(again)
        ready = track.best(free - len(again))
        able.extend((track, binding) for binding in ready)
        if track.node.source.is_loop and (again or ready):
            turning.add(track.node.loop)
    return Decision(
        tuple(_started(plan, able)) if able else (),
        tuple(cancel),
        tuple(retry),
        tuple(Retract(key, owner) for key, owner in sorted(gone.items())),
        revision=plan.revision if turning else None,
        checks=tuple((key, plan.live[key].version) for key in sorted(gone)),
    )


def _started(plan: Plan, able: list[tuple[Track, Binding]]) -> list[Step]:
    """What is started of what could be: contested bindings by their fittest bidder, the rest as far as the money reaches."""
    if not plan.is_ranked:
        return [step for track, binding in able if (step := _activation(plan, track, binding, {})) is not None]
    contests, budget = plan.graph.contests, plan.graph.policy.budget
    # Stable: the graph's order decides between equals.
    able = sorted(able, key=lambda pair: (-pair[0].node.source.priority, -worth(pair[1].bid)))
    steps: list[Step] = []
    awards: Counter[str] = Counter()
    reserved: Counter[bool] = Counter()
    """By whether it is for the side space."""
    for track, binding in able:
        more: dict[str, Any] = {}
        name = track.node.name
        if (contest := contests.get(name)) is not None:
            winner, losing = fittest(plan, contest, binding, name)
            if winner != name:
                track = plan.tracks[winner]
                binding = track.bindings[binding.id]
                if not _has_room(track, binding, steps):
                    continue
            bid = binding.bid or UNKNOWN
            number = plan.standings[contest.level].made + awards[contest.level]
            more["award"] = {"level": contest.level, "n": number, **offer(contest, bid), "losing": losing}
            if contest.mixed and (taken := _taken(plan, winner, binding)):
                more["award"]["taken"] = taken
        if budget.usd is not None:
            if reserved_out(plan.purse(track.node.name), budget, reserved[is_shadow(track.node.name)], binding.bid):
                continue
            if binding.bid is not None and binding.bid.cost_usd:
                more["estimate_usd"] = binding.bid.cost_usd
        step = _activation(plan, track, binding, more)
        if step is not None:
            steps.append(step)
            reserved[is_shadow(track.node.name)] += micro(more.get("estimate_usd", 0.0))
            if contest is not None:
                awards[contest.level] += 1
    return steps


def _taken(plan: Plan, source: str, binding: Binding) -> list[str]:
    """Keys that hold what rivals made of the binding: until it is clear whose stays, both must be there."""
    rivals = plan.rivals(source, binding.id)
    return sorted(key for name, rival in rivals.items() if name != source for key in rival.outputs)


def _has_room(track: Track, binding: Binding, steps: list[Step]) -> bool:
    """Whether a bidder that had been outbid can start now: what it left behind is retracted first."""
    begun = sum(step.activation.data["source"] == track.node.name for step in steps)
    return not binding.outputs and track.node.source.concurrency > track.under_way + begun


def _retry(binding: Binding, now: int) -> Step | None:
    run = binding.latest
    assert run is not None
    old = run.activation
    if now < old.data["retry_at"]:
        return None
    data = {name: value for name, value in old.data.items() if name != "retry_at"}
    return Step(Activation(old.id, "pending", old.epoch, old.inputs, data), (old.status, old.epoch))


def _activation(plan: Plan, track: Track, binding: Binding, more: Mapping[str, Any]) -> Step | None:
    node = track.node
    own = tuple((key, binding.own[key], True) for key in sorted(binding.own))
    others = tuple((key, version, False) for x in node.all for key, version in sorted(plan.levels[x].versions.items()))
    data: dict[str, Any] = {
        "source": node.name,
        "version": node.source.version,
        "config": node.source.configuration,
        "binding": binding.id,
        "n": _number(binding),
        "decided": plan.revision,
        **more,
    }
    if node.source.is_loop:
        data["round"] = next_round(plan, node, binding)
        data["outside"] = outside(plan, node, binding)
    # A loop source's later rounds add to what its first one wrote.
    if binding.outputs and data.get("round", 1) == 1:
        data["previous"] = sorted(binding.outputs)
    id = _identity(plan, node, binding, data.get("round", 0))
    known = plan.activations.get(id)
    if known is not None:
        if known.under_way:
            return None
        told = {name: known.data[name] for name in ("stales", "attempts") if name in known.data}
        # All its earlier epochs are accounted for: none of them counts as a lost worker.
        data.update(told, returned=known.epoch - sum(told.values()))
        data.update({name: known.data[name] for name in ("usd", "tokens") if name in known.data})
        return Step(Activation(id, "pending", known.epoch, own + others, data), (known.status, known.epoch))
    return Step(Activation(id, "pending", 0, own + others, data), ("", 0))


def _number(binding: Binding) -> int:
    """One more than the runs that finished: an entry that came and went would else bring an old activation back."""
    return 1 if binding.finished is None else binding.finished.n + 1


def _identity(plan: Plan, node: Node, binding: Binding, round: int) -> str:
    """Deterministic: the same source on the same inputs, after as many runs, is the same activation."""
    words = [node.name, node.source.version, node.source.configuration, binding.id, str(round)]
    words.append(str(_number(binding)))
    words += [f"{key}@{binding.own[key]}" for key in sorted(binding.own)]
    words += [f"{plan.levels[level].signature:x}" for level in node.all]
    looked = binding.finished.activation.data.get("lookups") if binding.finished else None
    if looked:
        words += [f"{key}@{plan.version(key)}" for key in sorted(looked["keys"])]
        words += [f"{level}={plan.levels[level].signature:x}" for level in sorted(looked["levels"])]
    return f"{node.name}.{blake2b('|'.join(words).encode(), digest_size=10).hexdigest()}"


def _cancelled(old: Activation) -> Step:
    return Step(Activation(old.id, "cancelled", old.epoch, old.inputs, old.data), (old.status, old.epoch))
