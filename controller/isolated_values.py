"""What comes back from a guest's process is checked here once more: the process may be under anybody's control.

A level's model is the author's code, too: its validators must not run in the worker. So what is checked is the model's plain
shape: the types of its fields, which pydantic checks by itself. The validators had their say in the guest's process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import SchemaError, SchemaValidator

from blackboard.contract import Source
from blackboard.contributions import Namer
from blackboard.entries import Put, entry_key, level_of, name_of
from blackboard.errors import InvalidKey, PermanentFailure
from blackboard.levels import Level
from controller.values import pointers

ANY = {"type": "any"}
PLAIN = frozenset(
    {
        *(
            "any",
            "none",
            "bool",
            "int",
            "float",
            "decimal",
            "str",
            "bytes",
            "date",
            "time",
            "datetime",
            "timedelta",
            "uuid",
        ),
        *("url", "multi-host-url", "literal", "list", "tuple", "set", "frozenset", "dict", "json", "nullable"),
        *("union", "tagged-union", "default", "definitions", "definition-ref", "model-fields", "model-field"),
        *("typed-dict", "typed-dict-field", "json-or-python", "lax-or-strict"),
    }
)
"""Schemas that run no code of an author's."""
CODE = frozenset({"serialization", "metadata", "default_factory", "default_factory_takes_data", "validate_default"})


class Checker:
    """Puts out of what a guest says: declared levels, names of the grammar, each key once, values of the right shape."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._shapes = {kind.level: _shape(kind) for kind in source.outputs}

    def of_run(self) -> Callable[[Any, Any, bytes], Put]:
        """A function that checks the contributions of one run. It raises PermanentFailure."""
        namer = Namer(self._source, "")

        def check(key: Any, confidence: Any, raw: bytes) -> Put:
            level = self._check_key(key)
            namer.take(key)
            return Put(key, self._check_value(level, raw), namer.trusted(key, confidence))

        return check

    def _check_key(self, key: Any) -> str:
        try:
            level = level_of(key)
            entry_key(level, name_of(key))
        except (InvalidKey, AttributeError, TypeError) as error:
            raise PermanentFailure(f"contributed under a key that is none: {error}") from error
        if level not in self._shapes:
            names = ", ".join(kind.__name__ for kind in self._source.outputs)
            raise PermanentFailure(
                f"source {self._source.name} contributed {level}, but declares {names}",
                hint="add it to the return type",
            )
        return level

    def _check_value(self, level: str, raw: bytes) -> bytes:
        try:
            value = orjson.loads(raw)
            if not isinstance(value, dict):
                raise PermanentFailure(f"contributed a {level} that is no JSON object")
            shape = self._shapes[level]
            if shape is not None:
                shape.validate_json(raw)
        except orjson.JSONDecodeError as error:
            raise PermanentFailure(f"contributed a {level} that is no JSON: {error}") from error
        except ValidationError as error:
            wrong = "; ".join(f"{pointer or '/'}: {said}" for pointer, said in pointers(error)[:3])
            raise PermanentFailure(f"contributed a {level} that does not fit its model: {wrong}") from error
        return orjson.dumps(value)


def _shape(kind: type[Level]) -> SchemaValidator | None:
    try:
        return SchemaValidator(_plain(kind.__pydantic_core_schema__))
    except (SchemaError, TypeError, ValueError):
        return None


def _plain(schema: Any) -> Any:
    """A core schema without code: models become their fields, validators what they validate, or anything."""
    if isinstance(schema, list | tuple):
        return type(schema)(_plain(item) for item in schema)
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    reference = {"ref": schema["ref"]} if "ref" in schema else {}
    if kind == "model" and not schema.get("root_model"):
        extra = schema.get("config", {}).get("extra_fields_behavior")
        return {**_plain(schema["schema"]), **({"extra_behavior": extra} if extra else {}), **reference}
    if kind == "function-after":
        return {**_plain(schema["schema"]), **reference}
    if kind == "enum":
        # Its class may say in code what becomes of an unknown value.
        return {"type": "literal", "expected": [member.value for member in schema["members"]], **reference}
    if (isinstance(kind, str) and kind not in PLAIN) or callable(schema.get("discriminator")):
        return {**ANY, **reference}
    kept = {name: value for name, value in schema.items() if name not in CODE and name != "computed_fields"}
    if kind == "default" and "default" not in kept:
        kept["default"] = None
    if kind == "literal":
        return {**kept, **reference}
    return {name: _part(name, value) for name, value in kept.items()}


def _part(name: str, value: Any) -> Any:
    if name in ("default", "ref", "schema_ref"):
        return value
    # The names of fields are an author's, and may be those of parts of a schema.
    return {field: _plain(inner) for field, inner in value.items()} if name == "fields" else _plain(value)
