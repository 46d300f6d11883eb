"""From a function's signature to a declared source: every mistake is refused here, when the source is defined."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from blackboard.asking import check_asked, check_handed_in, check_parameter
from blackboard.contract import Bid, Boards, Contribution, Group, Input, Lookup, Source, Wanted
from blackboard.entries import SOURCE, VERSION
from blackboard.errors import ContractError
from blackboard.levels import Child, Level
from blackboard.models import LanguageModel


def knowledge_source(
    *,
    version: str = "1",
    name: str | None = None,
    cost: str = "free",
    timeout: float = 60.0,
    idle_timeout: float | None = None,
    required: bool = False,
    default: bool = True,
    when: Callable[..., bool] | None = None,
    bid: Callable[..., Bid] | None = None,
    carries: Mapping[str, str] | None = None,
    revises: type[Level] | tuple[type[Level], ...] = (),
    max_rounds: int | None = None,
    priority: int = 0,
    concurrency: int = 64,
    attempts: int = 4,
) -> Callable[[Callable[..., Any]], Source]:
    """Declare a function a knowledge source. Raises ContractError that names the parameter and the fix."""

    def declare(function: Callable[..., Any]) -> Source:
        return source_from(
            function,
            name=name,
            version=version,
            cost=cost,
            timeout=timeout,
            idle_timeout=idle_timeout,
            required=required,
            default=default,
            when=when,
            bid=bid,
            carries=dict(carries or {}),
            revises=revises if isinstance(revises, tuple) else (revises,),
            max_rounds=max_rounds,
            priority=priority,
            concurrency=concurrency,
            attempts=attempts,
        )

    return declare


def source_from(function: Callable[..., Any], *, name: str | None, **declared: Any) -> Source:
    """Read a function's signature. Raises ContractError that names the parameter and the fix."""
    name = name or function.__name__
    if not SOURCE.match(name):
        raise ContractError(
            f"the source name {name!r} is not a lower-case word", hint="pass name= with letters, digits, _"
        )
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise ContractError(
            f"source {name}: a type in the signature cannot be found: {error}",
            hint="import the type at module level, not only under TYPE_CHECKING",
        ) from error
    inputs: list[Input] = []
    injected: dict[str, Any] = {}
    for parameter, declaration in inspect.signature(function).parameters.items():
        check_parameter(name, declaration)
        if parameter not in hints:
            raise ContractError(
                f"source {name}: parameter {parameter!r} has no type",
                hint=f"write {parameter}: Each[SomeLevel] (or Group, All, Lookup, or a type the worker hands in)",
            )
        found = _input(name, parameter, hints[parameter])
        if found is None:
            check_handed_in(name, parameter, hints[parameter])
            injected[parameter] = hints[parameter]
        else:
            inputs.append(found)
    outputs = _outputs(name, hints.get("return"))
    if LanguageModel in injected.values() and declared.get("cost", "free") == "free":
        declared["cost"] = "model"  # a board's budget is kept from it
    source = Source(name=name, function=function, inputs=tuple(inputs), outputs=outputs, injected=injected, **declared)
    _check(source)
    check_asked(source, "when", source.when)
    check_asked(source, "bid", source.bid)
    return source


def _input(source: str, parameter: str, hint: Any) -> Input | None:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        mark = next((mark for mark in marks if isinstance(mark, Wanted)), None)
        if mark is None:
            return None
        wanted = inner if mark.kind == "each" else get_args(inner)[0]
        return Input(parameter, mark.kind, _levels(source, parameter, wanted))
    if origin is Group:
        wanted, by = get_args(hint)
        values = get_args(by)
        if get_origin(by) is not Literal or len(values) != 1 or not isinstance(values[0], str):
            raise ContractError(
                f"source {source}: parameter {parameter!r} does not say which field it groups by",
                hint=f'write {parameter}: Group[X, Literal["field"]]',
            )
        levels = _levels(source, parameter, wanted)
        for level in levels:
            if values[0] not in level.model_fields:
                raise ContractError(
                    f"source {source}: parameter {parameter!r} groups by {values[0]!r}, a field {level.__name__} has not",
                    hint=f"choose one of: {', '.join(level.model_fields)}",
                )
        return Input(parameter, "group", levels, values[0])
    if origin is Lookup:
        return Input(parameter, "lookup", _levels(source, parameter, get_args(hint)[0]))
    if isinstance(hint, type) and issubclass(hint, Level):
        raise ContractError(
            f"source {source}: parameter {parameter!r} is a bare {hint.__name__}",
            hint=f"write {parameter}: Each[{hint.__name__}] to run for each one, All[{hint.__name__}] to wait for all",
        )
    return None


def _levels(source: str, parameter: str, wanted: Any) -> tuple[type[Level], ...]:
    kinds = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    for kind in kinds:
        if isinstance(kind, TypeVar):
            raise ContractError(
                f"source {source}: parameter {parameter!r} does not say which level it waits for",
                hint=f"write {parameter}: Each[SomeLevel]",
            )
        if not (isinstance(kind, type) and issubclass(kind, Level)):
            raise ContractError(
                f"source {source}: parameter {parameter!r} waits for {kind!r}, which is no Level",
                hint="derive the model from blackboard.Level",
            )
    return tuple(kinds)


def _outputs(source: str, hint: Any) -> tuple[type[Level], ...]:
    fix = "write -> X, -> X | None, -> list[X] or -> AsyncIterator[X], with X a Level"
    if hint is None or hint is type(None):
        raise ContractError(f"source {source}: the return type is missing", hint=fix)
    origin = get_origin(hint)
    if origin in (list, tuple, AsyncIterator, Iterator) or (
        isinstance(origin, type) and issubclass(origin, (AsyncIterator, Iterator))
    ):
        hint = get_args(hint)[0]
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    levels: list[type[Level]] = []
    for kind in kinds:
        if kind is type(None):
            continue
        if get_origin(kind) is Contribution:
            kind = get_args(kind)[0]
        if not (isinstance(kind, type) and issubclass(kind, Level)):
            raise ContractError(f"source {source}: it returns {kind!r}, which is no Level", hint=fix)
        levels.append(kind)
    return tuple(dict.fromkeys(levels))


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _check(source: Source) -> None:
    where = f"source {source.name}"
    bindings = [given for given in source.inputs if given.kind in ("each", "group")]
    if len(bindings) > 1:
        names = " and ".join(repr(given.parameter) for given in bindings)
        raise ContractError(
            f"{where}: {names} both say what one run works on",
            hint="keep one Each or Group; make the others All or Lookup",
        )
    if not source.inputs:
        raise ContractError(f"{where}: it waits for nothing", hint="declare an Each, Group, All or Lookup parameter")
    if not VERSION.match(source.version):
        raise ContractError(
            f"{where}: the version {source.version!r} is not a word of at most 64 letters, digits and . _ + -",
            hint='write version="1", and another one whenever its results may differ',
        )
    if source.timeout <= 0 or source.concurrency < 1 or source.attempts < 1:
        raise ContractError(f"{where}: timeout, concurrency and attempts must be positive")
    if source.idle_timeout is not None and source.idle_timeout <= 0:
        raise ContractError(f"{where}: idle_timeout must be positive", hint="leave it out to count `timeout` alone")
    if source.required and not source.default:
        raise ContractError(
            f"{where}: it is required, but not there by default",
            hint="leave out default=False, or required=True",
        )
    if source.max_rounds is not None and source.max_rounds < 1:
        raise ContractError(f"{where}: max_rounds must be at least 1", hint="leave it out if this is no loop source")
    if LanguageModel in source.injected.values() and not _is_async(source.function):
        raise ContractError(f"{where}: it asks a model, which takes its time", hint="write it as async def")
    if Boards in source.injected.values() and Child not in source.outputs:
        raise ContractError(
            f"{where}: it opens boards but does not return Child", hint="write -> AsyncIterator[Child] and yield each"
        )
    for level in source.revises:
        if level not in source.outputs:
            raise ContractError(f"{where}: it revises {level.__name__} but does not return it")
    if source.carries:
        if not bindings:
            raise ContractError(f"{where}: carries= needs an Each or Group input to carry from")
        for output, given in source.carries.items():
            missing = [x.__name__ for x in bindings[0].levels if given not in x.model_fields]
            if missing:
                raise ContractError(
                    f"{where}: carries={{{output!r}: {given!r}}}, but {missing[0]} has no field {given!r}"
                )
            if not any(output in x.model_fields for x in source.outputs):
                raise ContractError(f"{where}: carries={{{output!r}: ...}}, but no output has that field")
