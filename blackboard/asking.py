"""What a source may ask for besides entries: mistakes in its parameters, `when` and `bid` are refused with the fix."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel

from blackboard.contract import Group, Lookup, Source, SourceSettings
from blackboard.errors import ContractError
from blackboard.levels import Level

PLAIN = (object, str, bytes, bool, int, float, complex, list, tuple, dict, set, frozenset)


def check_parameter(source: str, parameter: inspect.Parameter) -> None:
    """Every parameter is handed in by name. Raises ContractError for one that cannot be, or that has a default."""
    where = f"source {source}: parameter {parameter.name!r}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise ContractError(f"{where} takes any number of values", hint=f"name what it waits for, without {stars}")
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ContractError(f"{where} cannot be handed in by name", hint="remove the / from the signature")
    if parameter.default is not parameter.empty:
        raise ContractError(
            f"{where} has a default, but it is always handed in",
            hint="remove the default; what an operator may change is a field of a SourceSettings",
        )


def check_handed_in(source: str, parameter: str, hint: Any) -> None:
    """A parameter that waits for no entry must be of a type that somebody hands in. Raises ContractError."""
    where = f"source {source}: parameter {parameter!r}"
    if hint in (Group, Lookup):
        wanted = 'Group[X, Literal["field"]]' if hint is Group else "Lookup[X]"
        raise ContractError(
            f"{where} does not say which level it waits for", hint=f"write {parameter}: {wanted}, with X a Level"
        )
    if (level := next(_levels_in(hint), None)) is not None:
        raise ContractError(
            f"{where} holds {level.__name__}, but does not say how it waits for it",
            hint=f"write {parameter}: All[{level.__name__}] for all of them, Each[{level.__name__}] to run for each one",
        )
    if type(None) in get_args(hint):
        raise ContractError(f"{where} is optional, but it is always handed in", hint="remove the None")
    plain = get_origin(hint) or hint
    if plain is Any or plain in PLAIN or isinstance(plain, TypeVar):
        raise ContractError(
            f"{where} is of type {getattr(hint, '__name__', hint)}, which nobody hands in",
            hint="entries are Each[X], Group[X, ...], All[X] or Lookup[X]; settings are fields of a SourceSettings; "
            "besides there are Blobs, Boards, Progress, Spending and logging.Logger",
        )
    if isinstance(hint, type) and issubclass(hint, BaseModel) and not issubclass(hint, SourceSettings):
        raise ContractError(
            f"{where} is of type {hint.__name__}, a model that is neither a Level nor settings",
            hint=f"derive {hint.__name__} from blackboard.SourceSettings, or from blackboard.Level and write Each[...]",
        )


def check_asked(source: Source, word: str, function: Callable[..., Any] | None) -> None:
    """`when` and `bid` take inputs by name. Raises ContractError for another name, and for one that is a coroutine."""
    if function is None:
        return
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ContractError(
            f"source {source.name}: {word} is no plain function", hint="it decides at once, without await"
        )
    inputs = {given.parameter: given.kind for given in source.inputs}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD or parameter.default is not parameter.empty:
            continue
        kind = inputs.get(parameter.name)
        if kind is None or kind == "lookup":
            known = ", ".join(name for name, kind in inputs.items() if kind != "lookup")
            why = "a Lookup, which is read while it runs" if kind else "no input of the source"
            raise ContractError(
                f"source {source.name}: {word} takes {parameter.name!r}, {why}", hint=f"choose from: {known or 'none'}"
            )


def _levels_in(hint: Any) -> Iterator[type[Level]]:
    """Levels inside a list, a tuple, a union..."""
    for inner in get_args(hint) if not isinstance(hint, type) or isinstance(hint, types.GenericAlias) else ():
        if isinstance(inner, type) and not isinstance(inner, types.GenericAlias) and issubclass(inner, Level):
            yield inner
        elif get_origin(inner) in (Union, types.UnionType, list, tuple, set, frozenset, dict):
            yield from _levels_in(inner)
