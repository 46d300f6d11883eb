"""What models did on a board: steps, calls, tokens and dollars, and what was avoided because it was not needed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from blackboard.entries import Activation
from controller.plan import Plan

CALLED = "answered"
"""The outcome of a call that a server answered; any other answer was kept or recorded."""


def done_by(activations: Iterable[Activation], asking: frozenset[str] | None = None) -> dict[str, Any]:
    """`steps`: how many each source did, `calls` that were made and `kept` answers that needed none, tokens, dollars.

    `asking`: the sources that ask a model; where that is not known, those that say that they did.
    """
    steps: Counter[str] = Counter()
    calls = kept = tokens = micro = 0
    for each in activations:
        source, told = str(each.data["source"]), each.data.get("calls", ())
        if not (told or (asking is not None and source in asking)):
            continue
        steps[source] += each.status == "done"
        answered = sum(call.get("outcome") == CALLED for call in told)
        calls, kept = calls + answered, kept + len(told) - answered
        tokens += int(each.data.get("tokens", 0))
        micro += round(float(each.data.get("usd", 0.0)) * 1e6)
    return {"steps": dict(sorted((+steps).items())), "calls": calls, "kept": kept, "tokens": tokens, "usd": micro / 1e6}


def model_work(plan: Plan) -> dict[str, Any] | None:
    """The same of a board that ends, with its mode and what was `avoided`; None where models have no part in it.

    Avoided are the steps of models that the local sources did well enough; `usd` is what was bid for them.
    """
    policy = plan.graph.policy
    if not policy.asks_models:
        return None
    asking = frozenset(name for name, track in plan.tracks.items() if track.node.source.asks_model)
    avoided: Counter[str] = Counter()
    usd = 0.0
    for name in sorted(asking & plan.graph.contests.keys()):
        for _, binding in sorted(plan.tracks[name].bindings.items()):
            if binding.state == "outbid" and binding.latest is None:
                avoided[name] += 1
                usd += binding.bid.cost_usd if binding.bid is not None else 0.0
    done = done_by(plan.activations.values(), asking)
    return {"mode": policy.models, **done, "avoided": {"steps": dict(avoided), "usd": round(usd, 6)}}
