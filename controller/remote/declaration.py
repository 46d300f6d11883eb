"""What a source that runs elsewhere declares of itself, checked part by part, and the `Source` it comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Literal, NoReturn
from weakref import WeakValueDictionary

import orjson
from pydantic import BaseModel, ConfigDict, Field

from blackboard.contract import Input, Source
from blackboard.entries import LEVEL
from blackboard.errors import ContractError
from blackboard.levels import Level, Upload
from controller.graph import compile_graph
from controller.remote.schemas import SchemaRefused, level_of_schema
from controller.values import InvalidValue, pointer

WORD = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
PARAMETER = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
CONTRACT = frozenset({"inputs", "outputs", "carries"})
"""What may not change within a version: results are remembered by it."""

Word = Annotated[str, Field(pattern=WORD)]
LevelWord = Annotated[str, Field(max_length=64)]


class DeclaredPart(BaseModel):
    """An object of a declaration; unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DeclaredInput(DeclaredPart):
    """What one input waits for."""

    parameter: Annotated[str, Field(pattern=PARAMETER, description="What it is called in a claim's answer.")]
    kind: Annotated[
        Literal["each", "group", "all"],
        Field(
            description="`each`: one activation for each entry; `group`: one for each value of `by`; "
            "`all`: every entry, once the level is settled. At most one input is `each` or `group`."
        ),
    ]
    levels: Annotated[list[LevelWord], Field(min_length=1, max_length=20)]
    by: Annotated[str, Field(max_length=64, description="The field that a group's entries share.")] = ""


class DeclaredOutput(DeclaredPart):
    """A level it contributes to."""

    level: LevelWord
    shape: Annotated[
        dict[str, Any] | None,
        Field(alias="schema", description="JSON Schema of a level that is not there yet; left out where it is."),
    ] = None
    named_by: Annotated[
        list[str], Field(max_length=8, description="Required fields that make an entry's name; else they are numbered.")
    ] = []


class Declaration(DeclaredPart):
    """A knowledge source as its registrant declares it."""

    version: Word
    inputs: Annotated[list[DeclaredInput], Field(min_length=1, max_length=16)]
    outputs: Annotated[list[DeclaredOutput], Field(min_length=1, max_length=16)]
    timeout_s: Annotated[float, Field(gt=0, le=86_400, description="In all, from the claim on.")] = 300.0
    idle_timeout_s: Annotated[
        float | None, Field(gt=0, le=86_400, description="Without progress and without a contribution.")
    ] = None
    required: Annotated[bool, Field(description="Whether a board fails when it fails for good.")] = False
    default: Annotated[bool, Field(description="Whether boards include it that name no sources.")] = True
    cost: Word = "free"
    carries: Annotated[
        dict[str, str],
        Field(max_length=16, description="Field of the outputs -> field of the input it is copied from."),
    ] = {}
    concurrency: Annotated[int, Field(ge=1, le=1000, description="Activations of one board at a time.")] = 64
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    shared: Annotated[
        bool,
        Field(description="For boards of all tenants, and worked for by who operates the service; takes `operate`."),
    ] = False
    registrant: Annotated[
        Word | None, Field(description="Who may change it later; by default whoever registers it.")
    ] = None

    def contract(self) -> str:
        """A digest of what its results depend on."""
        text = orjson.dumps(self.model_dump(include=set(CONTRACT), by_alias=True), option=orjson.OPT_SORT_KEYS)
        return blake2b(text, digest_size=8).hexdigest()


class Refusals:
    """Collects what is off, each with its JSON pointer."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []

    def add(self, detail: str, *path: str | int) -> None:
        """One part that is off."""
        self.errors.append((pointer(*path), detail))

    def settle(self) -> None:
        """Raises InvalidValue when anything was off."""
        if self.errors:
            raise InvalidValue(self.errors)


class Shapes:
    """Levels that were declared as JSON Schema: the same declaration is the same class, for as long as anybody uses it."""

    def __init__(self) -> None:
        self._made: WeakValueDictionary[bytes, type[Level]] = WeakValueDictionary()

    def level(self, level: str, schema: Mapping[str, Any], named_by: Sequence[str]) -> type[Level]:
        """Its class. Raises SchemaRefused."""
        key = orjson.dumps([level, schema, list(named_by)], option=orjson.OPT_SORT_KEYS)
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = level_of_schema(level, schema, tuple(named_by))
        return made


def levels_of(declared: Declaration, known: Mapping[str, type[Level]], shapes: Shapes) -> dict[str, type[Level]]:
    """The levels it reads and writes. `known`: those of other sources. Raises InvalidValue."""
    refused, own = Refusals(), dict[str, type[Level]]()
    for number, output in enumerate(declared.outputs):
        where = ("outputs", number)
        if not LEVEL.match(output.level) or output.level == Upload.level:
            refused.add("is no level's name: a lower-case word of letters, digits and _", *where, "level")
        elif output.level in own:
            refused.add("is declared twice", *where, "level")
        elif output.shape is None and output.level in known:
            own[output.level] = known[output.level]
            if output.named_by and tuple(output.named_by) != known[output.level].named_by:
                refused.add("the level is there already, and named otherwise", *where, "named_by")
        elif output.shape is None:
            refused.add("there is no such level yet: it needs a schema", *where, "schema")
        else:
            made = _made(output, shapes, refused, where)
            if made is not None and known.get(output.level, made) is not made:
                refused.add("the level is there already, and declared otherwise", *where, "schema")
            elif made is not None:
                own[output.level] = made
    for number, given in enumerate(declared.inputs):
        for place, level in enumerate(given.levels):
            if level not in own and level not in known:
                refused.add("there is no such level", "inputs", number, "levels", place)
            elif level in given.levels[:place]:
                refused.add("is named twice", "inputs", number, "levels", place)
    refused.settle()
    read = {level for given in declared.inputs for level in given.levels}
    return own | {level: known[level] for level in read if level not in own}


def _made(
    output: DeclaredOutput, shapes: Shapes, refused: Refusals, where: tuple[str | int, ...]
) -> type[Level] | None:
    assert output.shape is not None
    try:
        return shapes.level(output.level, output.shape, output.named_by)
    except SchemaRefused as error:
        refused.errors.append((pointer(*where, "schema") + error.where, error.detail))
        return None


def source_of(name: str, declared: Declaration, kinds: Mapping[str, type[Level]], where: str = "") -> Source:
    """The source. `kinds`: the levels it reads and writes. Raises InvalidValue."""
    refused = Refusals()
    _check_inputs(declared, kinds, refused)
    if not refused.errors:
        _check_carried(declared, kinds, refused)
    if declared.idle_timeout_s is not None and declared.idle_timeout_s > declared.timeout_s:
        refused.add("is longer than timeout_s", "idle_timeout_s")
    refused.settle()
    return Source(
        name=name,
        version=declared.version,
        function=_elsewhere,
        inputs=tuple(
            Input(given.parameter, given.kind, tuple(kinds[level] for level in given.levels), given.by)
            for given in declared.inputs
        ),
        outputs=tuple(kinds[output.level] for output in declared.outputs),
        cost=declared.cost,
        timeout=declared.timeout_s,
        idle_timeout=declared.idle_timeout_s,
        required=declared.required,
        default=declared.default,
        carries=dict(declared.carries),
        priority=declared.priority,
        concurrency=declared.concurrency,
        attempts=declared.attempts,
        origin="remote",
        where=where,
        trusted=False,
    )


def _check_inputs(declared: Declaration, kinds: Mapping[str, type[Level]], refused: Refusals) -> None:
    seen: set[str] = set()
    binding = ""
    for number, given in enumerate(declared.inputs):
        if given.parameter in seen:
            refused.add("is declared twice", "inputs", number, "parameter")
        seen.add(given.parameter)
        if given.kind != "all":
            if binding:
                refused.add(f"{binding} says already what one activation works on", "inputs", number, "kind")
            binding = given.parameter
        if given.kind != "group":
            if given.by:
                refused.add("only a group has one", "inputs", number, "by")
            continue
        lacking = [level for level in given.levels if given.by not in kinds[level].model_fields]
        if lacking:
            refused.add(f"must be a field of every level; {lacking[0]} has none of that name", "inputs", number, "by")


def _check_carried(declared: Declaration, kinds: Mapping[str, type[Level]], refused: Refusals) -> None:
    binding = next((given for given in declared.inputs if given.kind != "all"), None)
    for output, given in declared.carries.items():
        if binding is None:
            refused.add("there is no `each` or `group` input to carry from", "carries", output)
        elif binding.by and given != binding.by:
            refused.add("a group's entries share only the field they are grouped by", "carries", output)
        elif any(given not in kinds[level].model_fields for level in binding.levels):
            refused.add("the input has no such field", "carries", output)
        elif not any(output in kinds[each.level].model_fields for each in declared.outputs):
            refused.add("no output has such a field", "carries", output)


def check_together(source: Source, others: Sequence[Source]) -> None:
    """Raises InvalidValue when the sources do not fit together with this one."""
    try:
        compile_graph([*(other for other in others if other.name != source.name), source])
    except ContractError:
        raise InvalidValue([("/inputs", "with it, sources would wait for each other in a circle")]) from None


def _elsewhere(**_: Any) -> NoReturn:
    """What stands where a function would: nobody calls it, because no worker serves the source."""
    raise NotImplementedError("this source runs elsewhere")
