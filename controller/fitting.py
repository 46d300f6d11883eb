"""Whether the sources that were chosen can do what a submission asks of control. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blackboard.contract import Source
from blackboard.errors import ContractError
from controller.graph import compile_graph
from controller.policy import Policy


def unfit(policy: Policy, goal: Sequence[str], chosen: Mapping[str, Source]) -> list[tuple[str, str]]:
    """What these sources cannot follow, as (pointer, words)."""
    if not policy.strategy and not policy.asks_models:
        return []
    levels = {kind.level for source in chosen.values() for kind in source.outputs}
    for level in policy.strategy:
        if level not in levels:
            return [(f"/strategy/{level}", f"no chosen source contributes to it; {', '.join(sorted(levels))} can be")]
    try:
        compile_graph(chosen.values(), tuple(goal), policy)
    except ContractError as error:
        where = "/strategy" if policy.strategy else "/models"
        return [(where, f"{error}{f'; {error.hint}' if error.hint else ''}")]
    return []
