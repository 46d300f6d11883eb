"""What `auto` and `always` come to: contests between the sources that ask a language model and the local ones. Pure.

Sources compete that contribute one level for the same bindings, as wherever there is a strategy. With `auto` the local ones
go first, in the order of their bids, and a model is asked for what they failed at or were less sure of than the level's
floor; with `always` a model goes first, and the local ones do what it could not. Who has no rival acts in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from blackboard.contract import Source
from controller.policy import Policy

UNCONFIGURED = (
    "no language model is configured here: set ANTHROPIC_API_KEY, or BLACKBOARD_MODEL_BASE_URL for a server of your own "
    "(docs/models.md); or ask for models off"
)
FLOORS: Mapping[str, float] = {
    "reading": 0.9,
    "mentions": 0.5,
    "entities": 0.5,
    "claim": 0.45,
    "summary": 0.5,
    "verdict": 0.5,
}
"""Level -> mean confidence of a local result below which `auto` asks a model, unless the submission says otherwise. Set so
that of a mixture of receipts, letters, contracts, tables and prose about a quarter of the pages fall below; of readings,
those of poor scans."""
FLOOR = 0.5
"""For any other level."""


def floor_of(policy: Policy, level: str) -> float:
    """Below what confidence of a result the next one is asked, where models take part in the level."""
    default = FLOORS.get(level, FLOOR) if policy.mode(level) == "auto" else 0.0
    return policy.floor.get(level, default)


def is_mixed(sources: Mapping[str, Source], names: Iterable[str]) -> bool:
    """Whether some of them ask a model and some do not, and they contribute the same levels: one can stand for another."""
    several = [sources[name] for name in names]
    return len({source.asks_model for source in several}) == 2 and len({outputs_of(source) for source in several}) == 1


def outputs_of(source: Source) -> frozenset[str]:
    """The levels it contributes."""
    return frozenset(kind.level for kind in source.outputs)


def ordered(sources: Mapping[str, Source], names: Sequence[str], policy: Policy, level: str) -> tuple[str, ...]:
    """Those who go first, first; by name within."""
    always = policy.mode(level) == "always"
    return tuple(sorted(names, key=lambda name: (sources[name].asks_model != always, name)))


def unheard(policy: Policy, sources: Iterable[Source]) -> list[tuple[str, str]]:
    """Levels for which models are asked for, and no source here asks one: (pointer, words)."""
    if isinstance(policy.models, str):
        return []
    asking = sorted({kind.level for source in sources if source.asks_model for kind in source.outputs})
    known = f"there are {', '.join(asking)}" if asking else "there is none at all"
    return [
        (f"/models/{level}", f"no source that asks a model contributes to it; {known}")
        for level, mode in policy.models.items()
        if mode != "off" and level not in asking
    ]


def refused(
    policy: Policy, sources: Mapping[str, Source], asked: Mapping[str, Sequence[str]], *, configured: bool
) -> list[tuple[str, str]]:
    """Why a submission's mode cannot be had, as (pointer, words): there is no model, or nobody to ask one, or models are off
    and a source is `asked` for (member of the submission -> names) that would ask one."""
    if policy.asks_models and not configured:
        return [("/models", UNCONFIGURED)]
    errors = unheard(policy, sources.values())
    for member, names in asked.items():
        for at, name in enumerate(names):
            if name in sources and not policy.allows(sources[name]):
                errors.append(
                    (f"/{member}/{at}", f"{name} asks a language model: submit it with models auto or always")
                )
    return errors
