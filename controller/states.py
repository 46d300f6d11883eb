"""Where every source and binding stands: possible, settled, waiting, ready, done. `controller.decide` acts on it. Pure.

A binding is dirty when its inputs, the source's version or its configuration differ from those of its last finished run
(done, or failed for good). A level is settled when no source that contributes to it, loop sources aside, is possible; a
source is possible while a binding of it is active or a level it reads is unsettled. One pass over the graph's order
settles both, because a source stands behind everything it depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from blackboard.entries import level_of
from blackboard.levels import Child
from controller.awards import tell_rivals, unaffordable, weighed
from controller.contests import quality
from controller.graph import Node
from controller.plan import Plan
from controller.tracks import Binding, Run, State, Track, sums_match


@dataclass(slots=True)
class View:
    """What one pass has found out so far: which sources are possible, which levels settled, which loops quiet."""

    possible: dict[str, bool] = field(default_factory=dict)
    inner: dict[str, bool] = field(default_factory=dict)
    quiet: dict[int, bool] = field(default_factory=dict)


def look(plan: Plan) -> View:
    """Bring every binding's state up to date, in the graph's order."""
    view = View()
    contests = plan.graph.contests
    for name in plan.graph.order:
        _bring(plan, view, name)
        if name in contests:
            # What a rival is to do depends on the others: those looked at before are told, until nobody has news.
            rivals = [other for other in contests[name].sources if other in view.possible]
            while any(plan.tracks[rival].touched for rival in rivals):
                for rival in rivals:
                    _bring(plan, view, rival)
    return view


def _bring(plan: Plan, view: View, name: str) -> None:
    """Bring one source's bindings up to date."""
    track = plan.tracks[name]
    gate = _gate(plan, view, track)
    if gate != track.gate:
        track.gate = gate
        track.touched.update(track.bindings)
    if track.priced:
        track.touched.update(unaffordable(plan, track))
    while track.touched:
        for id in sorted(track.touched):
            track.touched.discard(id)
            binding = track.bindings.get(id)
            if binding is not None:
                _update(plan, track, binding, is_open=bool(gate[0]))
    view.possible[name] = (
        track.active > 0
        or (bool(plan.orphans) and any(owner == name for owner, _, _ in plan.orphans.values()))
        or not all(sees(plan, view, track.node, level) for level in track.node.waits)
    )


def sees(plan: Plan, view: View, node: Node, level: str) -> bool:
    """Whether a level is settled for this source: members of a loop see past its loop sources, others wait for quiet."""
    if not plan.graph.loops_of_level[level]:
        return inner(plan, view, level)
    return inner(plan, view, level) and all(
        number == node.loop or is_quiet(plan, view, number) for number in plan.graph.loops_of_level[level]
    )


def inner(plan: Plan, view: View, level: str) -> bool:
    """Whether no source that contributes to the level, loop sources aside, is possible; nor any child board open."""
    known = view.inner.get(level)
    if known is None:
        known = not any(view.possible[name] for name in plan.graph.steady[level])
        known = view.inner[level] = known and not (level == Child.level and plan.children.open)
    return known


def outer(plan: Plan, view: View, level: str) -> bool:
    """Whether a level is settled for good, as a consumer outside every loop sees it."""
    return inner(plan, view, level) and all(is_quiet(plan, view, number) for number in plan.graph.loops_of_level[level])


def is_quiet(plan: Plan, view: View, number: int) -> bool:
    """Whether a loop has stopped turning: its levels settled, no turner active."""
    known = view.quiet.get(number)
    if known is None:
        loop = plan.graph.loops[number]
        known = view.quiet[number] = all(inner(plan, view, level) for level in loop.levels) and not any(
            plan.tracks[name].active for name in loop.turners
        )
    return known


def _gate(plan: Plan, view: View, track: Track) -> tuple[Any, ...]:
    """Whether the source's bindings may run at all, and what they would read besides their own entries."""
    node = track.node
    # What a closed gate would let through is of no interest: else every entry would touch every waiting binding.
    sums = (plan.levels[level].signature for level in node.all)
    if node.source.is_loop:
        members = (*node.waits, *node.outputs)
        turning = any(plan.tracks[name].under_way for name in plan.graph.loops[node.loop].turners if name != node.name)
        is_open = not turning and all(sees(plan, view, node, level) for level in members)
        return (True, plan.outside[node.loop], *sums) if is_open else (False,)
    is_open = all(sees(plan, view, node, level) for level in node.all)
    if node.by and is_open:
        is_open = not any(is_unknown(plan, view, node, level, node.by) for level in node.each)
    return (True, *sums) if is_open else (False,)


def is_unknown(plan: Plan, view: View, reader: Node, level: str, by: str) -> bool:
    """Whether entries of the level may still appear or change whose group nobody can tell."""
    for name in plan.graph.contributors[level]:
        source = plan.graph.nodes[name].source
        if source.is_loop:
            if plan.graph.nodes[name].loop != reader.loop and not sees(plan, view, reader, level):
                return True
            continue
        if not view.possible[name]:
            continue
        carried = source.carries.get(by)
        if carried is None:
            return True
        if any(is_unknown(plan, view, reader, before, carried) for before in plan.graph.nodes[name].each):
            return True
    return False


def group_waits(plan: Plan, node: Node, value: str) -> str:
    """The contributor whose active binding carries this group's value; "" when there is none."""
    for name, carried in plan.graph.carriers[node.name]:
        if plan.tracks[name].by_value.get((carried, value), 0) > 0:
            return name
    return ""


def _update(plan: Plan, track: Track, binding: Binding, *, is_open: bool) -> None:
    """Put one binding into the state its inputs and its last run say."""
    if track.node.each and not binding.own:
        if track.node.name in plan.graph.contests:
            tell_rivals(plan, track, binding, "gone")
        if binding.running:
            _settle(plan, track, binding, "gone")
        else:
            before = binding.counted[1]
            plan.touch_readers(binding)
            plan.drop(track, binding)
            _touch_followers(plan, track, binding, before)
        return
    state, note = _state(plan, track, binding, is_open)
    if track.is_weighed:
        state, note = weighed(plan, track, binding, state, note)
    _settle(plan, track, binding, state, note)


def _settle(plan: Plan, track: Track, binding: Binding, state: State, note: str = "") -> None:
    carried = binding.counted[1]
    if track.settle(binding, state, note):
        _touch_followers(plan, track, binding, carried)
    making: str | None = None
    if binding.counted[0] or binding.undecided or state == "gone":
        making = binding.latest.activation.id if state == "under_way" and binding.latest is not None else ""
    if making != binding.making:
        binding.making = making
        plan.touch_readers(binding)


def _touch_followers(plan: Plan, track: Track, binding: Binding, before: tuple[tuple[str, str], ...] = ()) -> None:
    values = {*before, *binding.counted[1], *binding.carried.items()}
    for follower, carried in plan.graph.followers[track.node.name]:
        other = plan.tracks[follower]
        for name, value in values:
            if name == carried and value in other.bindings:
                other.touched.add(value)


def _state(plan: Plan, track: Track, binding: Binding, is_open: bool) -> tuple[State, str]:
    node, run = track.node, binding.latest
    binding.lapsed = None
    if (
        run is not None
        and run.activation.under_way
        and run.activation.data["version"] == node.source.version
        and _unmoved(plan, binding, run)
    ):
        return "under_way", ""
    if not is_open:
        return "waiting", ""
    if node.by and (carrier := group_waits(plan, node, binding.id)):
        return "waiting", carrier
    # What is about to be written anew is no ground to stand on; what the author's present run wrote is.
    if node.each and not node.by and (author := plan.remade_by(next(iter(binding.own)))):
        return "waiting", author
    # A loop source's outputs survive its `when`. Others are asked first: what a run read may have moved since the
    # decision, to where it should not have run.
    for judge in (_verdict, _unwanted) if node.source.is_loop else (_unwanted, _verdict):
        if (found := judge(plan, node, binding)) is not None:
            return found
    if node.source.max_rounds is not None and next_round(plan, node, binding) > node.source.max_rounds:
        return "spent", f"its {node.source.max_rounds} rounds are used up"
    return "ready", ""


def _verdict(plan: Plan, node: Node, binding: Binding) -> tuple[State, str] | None:
    """What an earlier run says of the binding, if it read what there is now."""
    for run in (binding.latest, binding.finished):
        if run is None or run.activation.status not in ("done", "failed") or not _same(plan, node, binding, run):
            continue
        if run.activation.status == "failed":
            told = run.activation.data
            error = str(told.get("error", {}).get("message", "")) or str(told.get("deferred", {}).get("reason", ""))
            return ("failed" if run.finished else "retry"), error
        if node.source.is_loop or plan.keeps(node.name, binding, run):
            return "done", ""
        if node.name in plan.graph.contests:
            binding.lapsed = quality(run.activation)
    return None


def _unwanted(plan: Plan, node: Node, binding: Binding) -> tuple[State, str] | None:
    """What the source's precondition says of the binding, unless it holds; and whether models take part at all."""
    if node.source.asks_model and not plan.graph.policy.allows(node.source):
        # However it came here, by another version or by hand: a document goes to a model only where that was asked for.
        return "skipped", "it asks a language model, and models are off on this board"
    if node.source.when is None:
        return None
    try:
        return (
            None
            if plan.conditions.hold(node.source, binding, plan.levels)
            else ("skipped", "its precondition is false")
        )
    except Exception as error:  # an author's code may raise anything; it fails this binding, never the loop
        return "failed", f"its precondition raised {type(error).__name__}: {error}"


def _unmoved(plan: Plan, binding: Binding, run: Run) -> bool:
    """Whether its own inputs are what it was activated on; what the activation itself wrote is no move."""
    if run.own == binding.own:
        return True
    id = run.activation.id
    return run.own.keys() == binding.own.keys() and all(
        version == run.own[key] or plan.live[key].activation == id for key, version in binding.own.items()
    )


def _same(plan: Plan, node: Node, binding: Binding, run: Run) -> bool:
    data: Mapping[str, Any] = run.activation.data
    return (
        data["version"] == node.source.version
        and data["config"] == node.source.configuration
        and run.own == binding.own
        and sums_match(plan.levels, node.all, run.sums)
        and plan.lookups_hold(run)
    )


def outside(plan: Plan, node: Node, binding: Binding) -> str:
    """A digest of what a loop source reads from outside its loop: its rounds start again when it changes."""
    levels = plan.graph.loops[node.loop].levels
    words = [f"{plan.levels[level].signature:x}" for level in node.all if level not in levels]
    words += [f"{key}@{version}" for key, version in sorted(binding.own.items()) if level_of(key) not in levels]
    words.append(f"{plan.outside[node.loop]:x}")
    return blake2b("|".join(words).encode(), digest_size=8).hexdigest()


def next_round(plan: Plan, node: Node, binding: Binding) -> int:
    """Which round a loop source's next run on this binding would be, from 1."""
    run = binding.finished
    if run is None or run.activation.data.get("outside") != outside(plan, node, binding):
        return 1
    return int(run.activation.data["round"]) + 1
