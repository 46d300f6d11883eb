"""JSON Schema (2020-12) made into pydantic: the levels of sources that are not written in Python. Pure.

The part of JSON Schema that pydantic itself writes for models without recursion: `type`, `properties`, `required`,
`additionalProperties`, `items`, `enum`, `const`, `anyOf`, `$ref` to `#/$defs/...`, and the bounds of strings, numbers and
lists. Everything else is refused by name, so that no schema promises what nobody checks. Patterns run on Rust's regex engine,
in time linear in the text; references are expanded, at most so many in all: neither a pattern nor a schema can hang a
process. `integer` and `number` are strict: no words, no booleans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, Required

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    create_model,
    model_serializer,
)
from pydantic_core import SchemaError
from typing_extensions import TypedDict

from blackboard.levels import Level
from controller.remote.alternatives import among, one_of
from controller.values import pointer

DEPTH = 16
MOST_PARTS = 1000
MOST_PATTERNS, LONGEST_PATTERN = 20, 200
"""Each may take megabytes once it is compiled."""
FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
TAKEN = frozenset(name for kind in Level.__mro__ for name in vars(kind))
"""Names that an instance of a level answers to already."""

NOTES = frozenset(
    {"title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$comment"}
)
"""Keywords that check nothing."""
BOUNDS: Mapping[str, Mapping[str, str]] = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "integer": {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"},
    "number": {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"},
    "array": {"minItems": "min_length", "maxItems": "max_length"},
    "object": {},
    "boolean": {},
    "null": {},
}
"""Type -> keyword -> what pydantic calls it."""
SCALARS: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
SHAPES = frozenset({"properties", "required", "additionalProperties", "items"})
KEYWORDS = frozenset(
    {"type", "enum", "const", "anyOf", "$ref", *SHAPES, *(word for of in BOUNDS.values() for word in of)}
)


class SchemaRefused(Exception):
    """A schema cannot be used. `where`: JSON pointer into it."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(detail)
        self.where = where
        self.detail = detail


class DeclaredLevel(Level):
    """The base of levels that were declared as JSON Schema: what was not given is not written either."""

    model_config = ConfigDict(protected_namespaces=())

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}


def level_of_schema(level: str, schema: Any, named_by: tuple[str, ...]) -> type[Level]:
    """A level of that name whose values must satisfy the schema. Raises SchemaRefused."""
    compiler = _Compiler(schema.get("$defs", {}) if isinstance(schema, dict) else {})
    fields, extra = compiler.root(schema)
    for name in named_by:
        if name not in schema.get("required", ()):
            raise SchemaRefused("/required", f"the entry's name is made of {name}, so it must be required")
    word = "".join(part.capitalize() for part in level.split("_"))
    try:
        # By another name: the plugin of the type checker reads what it can see called so as a declaration.
        create: Any = create_model
        made: type[Level] = create(word, __base__=_base(extra), **fields)
    except (SchemaError, TypeError, ValueError, NameError) as error:
        raise SchemaRefused("", "it cannot be made into a model: does each bound fit its type?") from error
    made.level, made.named_by = level, named_by
    return made


def _base(extra: str) -> type[DeclaredLevel]:
    class Base(DeclaredLevel):
        model_config = ConfigDict(extra=extra)  # type: ignore[typeddict-item]

    return Base


@dataclass(slots=True)
class _Compiler:
    """From a schema to a type, part by part."""

    definitions: Any
    path: list[str | int] = field(default_factory=list)
    depth: int = 0
    parts: int = 0
    patterns: int = 0

    def refuse(self, detail: str, *more: str | int) -> SchemaRefused:
        """What is wrong where we are."""
        return SchemaRefused(pointer(*self.path, *more), detail)

    @contextmanager
    def at(self, *steps: str | int) -> Iterator[None]:
        """One part further in."""
        self.path.extend(steps)
        self.depth += 1
        self.parts += 1
        try:
            if self.depth > DEPTH:
                raise self.refuse(f"it is nested more than {DEPTH} deep, or refers to itself")
            if self.parts > MOST_PARTS:
                raise self.refuse(f"it has more than {MOST_PARTS} parts, references counted as often as they are used")
            yield
        finally:
            self.depth -= 1
            del self.path[-len(steps) :]

    def root(self, schema: Any) -> tuple[dict[str, Any], str]:
        """Fields of the level, and what becomes of members that are not declared."""
        if not isinstance(schema, dict) or schema.get("type") != "object" or not schema.get("properties"):
            raise self.refuse('a level is an object: {"type": "object", "properties": {...}}')
        if not isinstance(self.definitions, dict):
            raise self.refuse("must be an object", "$defs")
        self._check_words({word: value for word, value in schema.items() if word not in ("$defs", "$schema", "$id")})
        extra = schema.get("additionalProperties", True)
        if not isinstance(extra, bool):
            raise self.refuse("at the top only true or false", "additionalProperties")
        fields: dict[str, Any] = {}
        for name, (required, kind) in self._members(schema).items():
            if not FIELD.match(name) or name in TAKEN:
                raise self.refuse(
                    "a field of a level is a word of letters, digits and _, and none of: "
                    f"{', '.join(sorted(word for word in TAKEN if FIELD.match(word)))}",
                    "properties",
                    name,
                )
            fields[name] = (kind, ...) if required else (kind, None)
        return fields, "allow" if extra else "forbid"

    def kind(self, schema: Any) -> Any:
        """The type of one part."""
        if schema is True:
            return Any
        if not isinstance(schema, dict):
            raise self.refuse("must be a schema: an object")
        self._check_words(schema)
        if "$ref" in schema:
            return self._referred(schema)
        if "anyOf" in schema:
            return self._alternatives(schema["anyOf"])
        named = schema.get("type")
        choice = self._choice(schema)
        if named is None:
            stray = (SHAPES | {word for of in BOUNDS.values() for word in of}) & schema.keys()
            if stray:
                raise self.refuse("say its `type` too", min(stray))
            return Any if choice is None else Annotated[Any, choice]
        names = named if isinstance(named, list) else [named]
        if not names or not all(isinstance(name, str) and name in BOUNDS for name in names):
            raise self.refuse(f"must be one or several of: {', '.join(BOUNDS)}", "type")
        self._check_fit(schema, names)
        kind = one_of([self._typed(name, schema) for name in dict.fromkeys(names)])
        return kind if choice is None else Annotated[kind, choice]

    def _check_words(self, schema: Mapping[str, Any]) -> None:
        for word in schema:
            if word not in KEYWORDS and word not in NOTES:
                raise self.refuse(f"is not supported; there are: {', '.join(sorted(KEYWORDS))}", word)

    def _check_fit(self, schema: Mapping[str, Any], names: list[str]) -> None:
        fitting = {word for name in names for word in BOUNDS[name]}
        fitting |= {"items"} if "array" in names else set()
        fitting |= SHAPES - {"items"} if "object" in names else set()
        for word in schema:
            if word in KEYWORDS - {"type", "enum", "const"} and word not in fitting:
                raise self.refuse(f"says nothing about its type, {' or '.join(names)}", word)

    def _choice(self, schema: Mapping[str, Any]) -> BeforeValidator | None:
        word = "enum" if "enum" in schema else "const"
        if word not in schema:
            return None
        values = schema[word] if word == "enum" else [schema[word]]
        if not isinstance(values, list) or not values or any(isinstance(value, (list, dict)) for value in values):
            raise self.refuse("must hold words, numbers, true, false or null", word)
        return among(values)

    def _referred(self, schema: Mapping[str, Any]) -> Any:
        where = schema["$ref"]
        name = where.removeprefix("#/$defs/") if isinstance(where, str) else ""
        if not isinstance(where, str) or not where.startswith("#/$defs/") or name not in self.definitions:
            raise self.refuse("must name one of its own `$defs`: `#/$defs/<name>`", "$ref")
        if schema.keys() - NOTES - {"$ref"}:
            raise self.refuse("cannot stand beside other keywords", "$ref")
        with self.at("$ref"):
            return self.kind(self.definitions[name])

    def _alternatives(self, options: Any) -> Any:
        if not isinstance(options, list) or not options:
            raise self.refuse("must be a list of schemas", "anyOf")
        kinds = []
        for number, option in enumerate(options):
            with self.at("anyOf", number):
                kinds.append(self.kind(option))
        return one_of(kinds)

    def _typed(self, name: str, schema: Mapping[str, Any]) -> Any:
        bounds: dict[str, Any] = {}
        for word, ours in BOUNDS[name].items():
            if word in schema:
                bounds[ours] = self._bound(word, schema[word])
        if name == "array":
            items: Any = Any
            if "items" in schema:
                with self.at("items"):
                    items = self.kind(schema["items"])
            kind: Any = list[items]
        elif name == "object":
            kind = self._object(schema)
        else:
            kind = SCALARS[name]
        if not bounds:
            return kind
        try:
            TypeAdapter(Annotated[kind, Field(**bounds)])
        except SchemaError as error:
            if "pattern" in bounds:
                raise self.refuse("is no regular expression that runs in linear time", "pattern") from error
            raise self.refuse("its bounds do not fit its type", "type") from error
        return Annotated[kind, Field(**bounds)]

    def _bound(self, word: str, value: Any) -> Any:
        if word == "pattern":
            self.patterns += 1
            if not isinstance(value, str) or len(value) > LONGEST_PATTERN or self.patterns > MOST_PATTERNS:
                raise self.refuse(
                    f"must be a regular expression of at most {LONGEST_PATTERN} characters, one of {MOST_PATTERNS}",
                    word,
                )
        elif word.startswith(("min", "max")) and word[3:] in ("Length", "Items"):
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise self.refuse("must be a whole number, at least 0", word)
        elif not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self.refuse("must be a number", word)
        return value

    def _object(self, schema: Mapping[str, Any]) -> Any:
        extra = schema.get("additionalProperties", True)
        if "properties" not in schema and "required" not in schema:
            if extra is False:
                raise self.refuse("nothing could stand in it", "additionalProperties")
            with self.at("additionalProperties"):
                return dict[str, self.kind(extra)]  # type: ignore[misc]
        if not isinstance(extra, bool):
            raise self.refuse("beside `properties` only true or false", "additionalProperties")
        members = {
            name: Required[kind] if required else NotRequired[kind]
            for name, (required, kind) in self._members(schema).items()
        }
        typed: Any = TypedDict
        made = typed("Part", members)
        made.__pydantic_config__ = ConfigDict(extra="allow" if extra else "forbid")
        return made

    def _members(self, schema: Mapping[str, Any]) -> dict[str, tuple[bool, Any]]:
        declared, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(declared, dict):
            raise self.refuse("must be an object", "properties")
        if not isinstance(required, list) or not all(isinstance(name, str) and name in declared for name in required):
            raise self.refuse("must list names of `properties`", "required")
        found = {}
        for name, part in declared.items():
            with self.at("properties", name):
                found[name] = (name in required, self.kind(part))
        return found
