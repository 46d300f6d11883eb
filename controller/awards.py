"""Who of several may act on a binding, and what the budget allows: the last word on a binding's state. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from blackboard.contract import Bid
from controller.contests import UNKNOWN, Contest, quality
from controller.plan import Plan
from controller.spending import is_paid, too_dear
from controller.tracks import Binding, State, Track

ABLE = ("ready", "retry")
"""States in which a binding could be acted on."""
OPEN = frozenset((*ABLE, "waiting", "under_way"))
"""States out of which a result may still come."""


def weighed(plan: Plan, track: Track, binding: Binding, state: State, note: str) -> tuple[State, str]:
    """The state of a binding once bids, rivals and the budget are taken into account."""
    source = track.node.source
    binding.bid, binding.surpassed, binding.undecided = None, False, False
    if state in ABLE and source.bid is not None:
        try:
            binding.bid = plan.conditions.bid(source, binding, plan.levels)
        except Exception as error:  # an author's code may raise anything; it fails this binding, never the loop
            state, note = "failed", f"its bid raised {type(error).__name__}: {error}"
    budget = plan.graph.policy.budget
    if state in ABLE and is_paid(source) and (budget.usd is not None or budget.tokens is not None):
        if dear := too_dear(plan.purse(source.name), budget, source, binding.bid):
            state, note = "unaffordable", dear
        else:
            heapq.heappush(track.priced, (-_cost(binding), binding.id))
    contest = plan.graph.contests.get(source.name)
    if contest is None:
        return state, note
    tell_rivals(plan, track, binding, state)
    if state in ABLE and (winner := awarded(plan, contest, binding.id)) != source.name:
        return "outbid", _lost(contest, plan.rivals(source.name, binding.id), source.name, winner)
    if contest.mixed and state in ("done", "failed") and (better := _surpassed_by(plan, contest, binding, source.name)):
        binding.surpassed = True
        return (state, note) if state == "failed" else ("outbid", f"{better} did it better")
    binding.undecided = (
        contest.mixed and state == "done" and not does(contest, binding) and _may_act(plan, binding, source.name)
    )
    return state, note


def tell_rivals(plan: Plan, track: Track, binding: Binding, state: State) -> None:
    """Have the others look again when what a binding could do by itself, offers or has done is not what they were told."""
    run = binding.finished
    made = quality(run.activation) if run is not None and state == "done" else None
    stand = (state, binding.bid, made, binding.lapsed)
    if stand == binding.stand:
        return
    binding.stand = stand
    for name in plan.graph.contests[track.node.name].sources:
        other = plan.tracks[name]
        if other is not track and binding.id in other.bindings:
            other.touched.add(binding.id)


def awarded(plan: Plan, contest: Contest, id: str) -> str:
    """The source that has, or is to be given, a binding; "" when a result that does is there already."""
    rivals = plan.rivals(contest.sources[0], id)
    best = max((_made(rival) for rival in rivals.values()), default=-1.0)
    # What gave way to a better result would only come to the same again.
    rivals = {name: rival for name, rival in rivals.items() if rival.lapsed is None or rival.lapsed > best}
    for rival in rivals.values():
        if does(contest, rival):
            return ""
    for name, rival in rivals.items():
        # What is deferred has not failed: nobody takes its place.
        if rival.alone == "under_way" or (rival.alone == "retry" and rival.deferred):
            return name
    for wanted in ABLE:
        order = contest.ranked({name: rival.bid or UNKNOWN for name, rival in rivals.items() if rival.alone == wanted})
        for name in order:
            if not _is_held_back(contest, rivals, name):
                return name
    return ""


def _made(rival: Binding) -> float:
    """How good what it did is; less than anything where it did nothing."""
    return quality(rival.finished.activation) if rival.alone == "done" and rival.finished is not None else -1.0


def _surpassed_by(plan: Plan, contest: Contest, binding: Binding, source: str) -> str:
    """Whose result takes the place of this one: a better one that does, or the best once nobody else may act; ""."""
    rivals = plan.rivals(source, binding.id)

    def rank(name: str) -> tuple[float, bool, str]:
        return _made(rivals[name]), name in contest.first, name

    best = max(rivals, key=rank)
    if best == source or rivals[best].alone != "done":
        return ""
    return "" if not does(contest, rivals[best]) and _may_act(plan, binding, source) else best


def _may_act(plan: Plan, binding: Binding, source: str) -> bool:
    """Whether a result for this binding may still come of one of the rivals."""
    return any(rival.alone in OPEN and rival.lapsed is None for rival in plan.rivals(source, binding.id).values())


def does(contest: Contest, binding: Binding) -> bool:
    """Whether a finished run is good enough for nobody else to be asked."""
    return (
        binding.alone == "done"
        and binding.finished is not None
        and quality(binding.finished.activation) >= contest.floor
    )


def _is_held_back(contest: Contest, rivals: Mapping[str, Binding], name: str) -> bool:
    """Whether somebody must come to an end first."""
    if contest.first and name not in contest.first:
        return any(rivals[other].alone in OPEN for other in contest.first if other in rivals)
    return not contest.market and _waits_before(contest, rivals, name)


def _waits_before(contest: Contest, rivals: Mapping[str, Binding], name: str) -> bool:
    """Whether somebody who comes first in a declared order may still act."""
    before = contest.sources[: contest.sources.index(name)]
    return any(rivals[other].alone == "waiting" for other in before if other in rivals)


def _lost(contest: Contest, rivals: Mapping[str, Binding], name: str, winner: str) -> str:
    if not winner:
        done = next((other for other, rival in rivals.items() if does(contest, rival)), "")
        if done:
            return f"{done} did it well enough"
        if rivals[name].lapsed is not None:
            return f"{max(rivals, key=lambda other: _made(rivals[other]))} did it better"
        return "those before it in the order may still act"
    if not contest.market or (winner in contest.first and name not in contest.first):
        return f"{winner} comes before it in the order for {contest.level}"
    mine, theirs = (contest.utility(_offered(rivals[who])) for who in (name, winner))
    return f"{winner} was awarded it: its bid is worth {theirs:.3f}, this one {mine:.3f}"


def _offered(binding: Binding) -> Bid:
    """What was, or would be, bid for a binding."""
    award = binding.latest.activation.data.get("award") if binding.latest is not None else None
    return binding.bid or (Bid(*award["bid"]) if award else UNKNOWN)


def fittest(plan: Plan, contest: Contest, binding: Binding, source: str) -> tuple[str, list[dict[str, Any]]]:
    """Who is given a binding that is about to start, and the bids that lost it.

    Bidders whose last results fell below their bids are passed over, as long as there is another.
    """
    rivals = plan.rivals(source, binding.id)
    bids = {name: rival.bid or UNKNOWN for name, rival in rivals.items() if rival.alone == binding.alone}
    order = contest.ranked(bids)
    standings = plan.standings[contest.level]
    # Where it is settled who goes first, how they did does not move the others up.
    by_bids = contest.market and not contest.first
    barred = {name for name in order if standings.left_out(name)} if by_bids else set()
    winner = next((name for name in order if name not in barred), source)
    losing = []
    for name, rival in rivals.items():
        if name == winner:
            continue
        reason = "left out for a while: its last results fell below its bids" if name in barred else "outbid"
        if name not in bids:
            reason = "its result stayed below the floor" if rival.alone == "done" else rival.alone
        losing.append({"source": name, "reason": reason, **offer(contest, _offered(rival))})
    return winner, losing


def offer(contest: Contest, bid: Bid) -> dict[str, Any]:
    """A bid as the log keeps it: value, cost and latency, and what they are worth together."""
    return {"bid": [bid.value, bid.cost_usd, bid.latency_s], "utility": round(contest.utility(bid), 6)}


def unaffordable(plan: Plan, track: Track) -> list[str]:
    """Bindings that were ready, and that the budget does not allow any more."""
    budget = plan.graph.policy.budget
    spent = plan.purse(track.node.name)
    left = float("inf") if budget.usd is None else budget.usd - spent.usd_in_all
    out = budget.tokens is not None and spent.tokens_in_all >= budget.tokens
    found = []
    while track.priced and (out or left <= 0 or -track.priced[0][0] > left):
        found.append(heapq.heappop(track.priced)[1])
    return found


def _cost(binding: Binding) -> float:
    return binding.bid.cost_usd if binding.bid is not None else 0.0
