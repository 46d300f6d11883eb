"""`when` and `bid`, tried on made-up inputs: they must decide by those alone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from blackboard.contract import Bid, Group, Input, Source
from blackboard.levels import Level
from controller.authoring.findings import Finding

TIMES = 5
"""How often they are asked the same."""


def asked(source: Source, word: Literal["when", "bid"], made: Mapping[type[Level], Sequence[Any]]) -> Iterator[Finding]:
    """What can be said of `when` or `bid`: what kind of answer it gives, and whether always the same.

    `made`: made-up values of the levels it reads.
    """
    function = source.when if word == "when" else source.bid
    if function is None:
        return
    parameters = inspect.signature(function).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    names = {parameter.name for parameter in parameters}
    wanted = [given for given in source.inputs if given.kind != "lookup" and (takes_any or given.parameter in names)]
    cases = [case for n in range(6) if (case := _case(wanted, made, n)) is not None]
    if not cases:
        yield Finding(word, "warn", "not tried: no inputs could be made up", f"try it with `sources run {source.name}`")
        return
    answers: list[Any] = []
    for case in cases:
        try:
            # All of them first: what is gone leaves its address to the next.
            copies = [_again(case) for _ in range(TIMES)]
            said = [function(**copy) for copy in copies]
        except Exception as error:  # an author's code may raise anything
            hint = f"it would fail that binding; the input was {_shown(case)}"
            yield Finding(word, "fail", f"it raised {type(error).__name__}: {error}", hint)
            return
        wrong = _wrong_bid(said[0]) if word == "bid" else _wrong_when(said[0])
        if wrong:
            yield Finding(word, "fail", wrong, f"the input was {_shown(case)}")
            return
        if any(one != said[0] for one in said):
            other = next(one for one in said if one != said[0])
            yield Finding(
                word, "fail", f"asked the same twice, it said {said[0]} and {other}",
                "no clock, no chance, nothing remembered: the inputs alone decide",
            )  # fmt: skip
            return
        answers.append(said[0])
    if word == "when":
        told = f"true for {sum(answers)}"
    else:
        told = f"values {min(bid.value for bid in answers):g} to {max(bid.value for bid in answers):g}"
    yield Finding(word, "ok", f"the same every time on {len(cases)} made-up inputs ({told})")


def _case(wanted: Sequence[Input], made: Mapping[type[Level], Sequence[Any]], n: int) -> dict[str, Any] | None:
    """Inputs by parameter; None when there is no value of a level that is needed."""
    case: dict[str, Any] = {}
    for given in wanted:
        values = [made[kind][n % len(made[kind])] for kind in given.levels if made[kind]]
        if not values and given.kind != "all":
            return None
        if given.kind == "each":
            case[given.parameter] = values[0]
        elif given.kind == "group":
            value = getattr(values[0], given.by)
            alike = [item.model_copy(update={given.by: value}) for item in values]
            case[given.parameter] = Group(str(value), alike)
        else:
            case[given.parameter] = tuple(values * (n % 3))
    return case


def _again(case: dict[str, Any]) -> dict[str, Any]:
    """The same inputs as other objects: what is remembered by identity is found out."""

    def copy(value: Any) -> Any:
        if isinstance(value, Group):
            return Group(value.value, [copy(item) for item in value])
        return tuple(map(copy, value)) if isinstance(value, tuple) else value.model_copy(deep=True)

    return {name: copy(value) for name, value in case.items()}


def _shown(case: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in case.items())
    return text if len(text) < 200 else f"{text[:197]}..."


def _wrong_when(said: Any) -> str:
    return "" if isinstance(said, bool) else f"it answered {said!r}, a {type(said).__name__} and not a bool"


def _wrong_bid(said: Any) -> str:
    if not isinstance(said, Bid):
        return f"it answered {said!r}, a {type(said).__name__} and not a Bid"
    if not 0 <= said.value <= 1:
        return f"its value {said.value} is not within 0..1"
    if not (0 <= said.cost_usd < math.inf and 0 <= said.latency_s < math.inf):
        return f"cost {said.cost_usd} and latency {said.latency_s} must be 0 or more"
    return ""
