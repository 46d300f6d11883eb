"""What can be said of a source before it runs: contract, types, schemas, `when` and `bid`, its place among the others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args, get_origin

import orjson
from pydantic import ValidationError

from blackboard import contract
from blackboard.contract import Source
from blackboard.contributions import entry_name
from blackboard.entries import LEVEL, NAME
from blackboard.errors import ContractError
from blackboard.levels import Address, Level, Upload
from blackboard.sandbox.handed import is_handed_in
from controller.authoring.asked import asked
from controller.authoring.code import Code
from controller.authoring.findings import Finding
from controller.authoring.samples import samples
from controller.graph import compile_graph


def check(source: Source, others: Sequence[Source]) -> list[Finding]:
    """Everything about one source. `others`: those it would run beside, itself left out."""
    made = {kind: samples(kind) for kind in dict.fromkeys([*_read(source), *source.outputs])}
    parts: tuple[Iterable[Finding], ...] = (
        _contract(source),
        _types(source),
        *(_schema(kind, values) for kind, values in made.items()),
        asked(source, "when", made),
        asked(source, "bid", made),
        _code(source),
        _place(source, others),
    )
    return [finding for part in parts for finding in part]


def _read(source: Source) -> list[type[Level]]:
    return [kind for given in source.inputs for kind in given.levels]


def _contract(source: Source) -> Iterator[Finding]:
    # What the contract forbids was refused when the source was defined: there would be no source to check.
    reads = ", ".join(f"{given.kind} {'|'.join(kind.level for kind in given.levels)}" for given in source.inputs)
    yield Finding("contract", "ok", f"reads {reads}; contributes {', '.join(kind.level for kind in source.outputs)}")
    binding = source.binding_input
    if binding is None or source.carries:
        return
    for field in ("page", "number"):
        target = next((kind for kind in source.outputs if "page" in kind.model_fields), None)
        if target is not None and all(field in kind.model_fields for kind in binding.levels):
            yield Finding(
                "carries",
                "warn",
                f"{target.__name__}.page seems to be the {field} of its {binding.parameter}, but it is not declared: "
                f"whoever groups by page waits for all of its runs",
                f'add carries={{"page": "{field}"}}',
            )
            return


def _types(source: Source) -> Iterator[Finding]:
    strange = False
    for parameter, wanted in source.injected.items() if source.origin != "built-in" else ():
        kind = get_args(wanted)[0] if get_origin(wanted) is not None else wanted
        if is_handed_in(kind):
            continue
        strange = True
        name = f"{parameter}: {getattr(kind, '__name__', kind)}"
        # One of the contract's own, which a process with limits cannot be given.
        if getattr(kind, "_is_protocol", False) and kind.__module__ == contract.__name__:
            hint = f"an operator must name it in BLACKBOARD_TRUSTED: {source.name}"
            yield Finding("types", "warn", f"only a source that runs in the worker itself is handed {name}", hint)
        else:
            hint = "a source may ask for what blackboard has for it (Blobs, Progress...), logging.Logger and SourceSettings"
            yield Finding("types", "fail", f"nobody hands in {name}", hint)
    if not strange:
        yield Finding("types", "ok", f"handed in: {', '.join(source.injected) or 'nothing besides its inputs'}")


def _schema(kind: type[Level], values: Sequence[Level]) -> Iterator[Finding]:
    name = f"schema {kind.level}"
    if not LEVEL.match(kind.level):
        yield Finding(name, "fail", f"{kind.level!r} is no name of a level", "lower-case letters, digits, underscores")
        return
    missing = [field for field in kind.named_by if field not in kind.model_fields]
    if missing:
        yield Finding(name, "fail", f"named_by names {missing[0]!r}, a field {kind.__name__} has not")
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            fields = len(kind.model_json_schema().get("properties", {}))
    except Exception as error:  # pydantic raises several kinds, an author's own code any
        yield Finding(name, "fail", f"it has no JSON schema: {error}", "use fields that JSON can hold")
        return
    if not kind.model_config.get("frozen"):
        yield Finding(name, "warn", f"{kind.__name__} can be changed after it was made", "leave frozen=True as it is")
    yield from _kept(kind, name, values) or (
        Finding(name, "ok", f"{fields} fields, kept as JSON and read back ({len(values)} made-up values)")
        if values
        else Finding(name, "warn", f"{fields} fields; no value could be made up, so nothing was tried on it",
                     'give examples: model_config = ConfigDict(json_schema_extra={"examples": [{...}]})'),
    )  # fmt: skip


def _kept(kind: type[Level], name: str, values: Sequence[Level]) -> list[Finding]:
    """What of the values would not survive a board."""
    for value in values:
        try:
            again = kind.model_validate_json(orjson.dumps(value.model_dump(mode="json")))
        except (ValidationError, TypeError, ValueError) as error:
            said = str(error).splitlines()[0]
            return [Finding(name, "fail", f"a value cannot be kept as JSON and read back: {said}", f"it was {value!r}")]
        if again != value and not _has_nan(value):
            return [
                Finding(name, "fail", "a value is another one after it was kept as JSON", f"{value!r} became {again!r}")
            ]
        entry = entry_name(value)
        if entry and not NAME.match(entry):
            return [
                Finding(name, "fail", f"the name {entry!r}, made of {', '.join(kind.named_by)}, breaks the grammar")
            ]
    return []


def _has_nan(value: Level) -> bool:
    return any(isinstance(part, float) and math.isnan(part) for part in value.model_dump().values())


# -- its code, and its place among the others --------------------------------------------------------------------------


def _code(source: Source) -> Iterator[Finding]:
    code = Code(source)
    undeclared, unread = code.undeclared(), code.unread()
    for made in undeclared:
        declared = " | ".join(kind.__name__ for kind in source.outputs)
        yield Finding(
            "declared", "fail", f"line {made.line} contributes {made.kind.__name__}, which the return type does not name",
            f"write {declared} | {made.kind.__name__}",
        )  # fmt: skip
    for parameter in unread:
        hint = "remove the parameter: every change of it would run the source again for nothing"
        yield Finding("inputs", "warn", f"{parameter} is never read", hint)
    if not undeclared:
        yield Finding("declared", "ok", "it contributes only what its return type names")


def _place(source: Source, others: Sequence[Source]) -> Iterator[Finding]:
    taken = next((other for other in others if other.name == source.name), None)
    if taken is not None:
        where = taken.where or taken.function.__module__
        yield Finding("name", "fail", f"{source.name!r} is taken by {where}", "choose another with name=")
        return
    yield Finding("name", "ok", f"{source.name!r} is not taken by any of {len(others)} other sources")
    try:
        graph = compile_graph([*others, source])
    except ContractError as error:
        yield Finding("graph", "fail", str(error), error.hint)
        return
    lonely = False
    for given in source.inputs:
        for kind in given.levels:
            if kind in (Address, Upload) or any(name != source.name for name in graph.contributors[kind.level]):
                continue
            lonely = True
            never = given.kind == "each" or (given.kind == "group" and len(given.levels) == 1)
            said = "the source would never run" if never else "it would always be empty"
            yield Finding(
                "inputs", "fail" if never else "warn", f"no source contributes {kind.level} ({given.parameter}): {said}",
                "is the name right, and its source installed or in --plugins?",
            )  # fmt: skip
    if not lonely:
        yield Finding(
            "graph", "ok", f"it fits among the others; all it reads is contributed ({len(graph.nodes)} sources)"
        )
