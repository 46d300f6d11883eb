"""A pydantic model as the JSON schema that servers take for typed answers. Pure.

They take a part of JSON Schema: objects are closed and list all their properties as required, and bounds on numbers, lengths
and patterns are not among the words. What is left out here is checked when the answer comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from blackboard.errors import ContractError

KEPT = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "description",
        "title",
    }
)
"""Words that are passed on."""
TOLD = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matching {}",
    "format": "in the format {}",
}
"""Words that become part of the description, so that a model knows of them."""


@lru_cache(maxsize=256)
def schema_of(answer: type[BaseModel]) -> Mapping[str, Any]:
    """Raises ContractError for a model that has open objects (a mapping with free keys)."""
    found: dict[str, Any] = _plain(answer.model_json_schema(), answer.__name__)
    return found


def _plain(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return [_plain(each, name) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object" and "properties" not in node:
        raise ContractError(
            f"{name} has an object with free keys, which no typed answer can have",
            hint="make it a list of key and value",
        )
    kept: dict[str, Any] = {}
    for word, value in node.items():
        if word in ("properties", "$defs"):
            kept[word] = {key: _plain(each, name) for key, each in value.items()}
        elif word == "oneOf":
            kept["anyOf"] = _plain(value, name)
        elif word == "prefixItems":
            kept["items"] = {"anyOf": _plain(value, name)}
        elif word in KEPT:
            kept[word] = value if word in ("enum", "const", "required") else _plain(value, name)
    told = [words.format(node[word]) for word, words in TOLD.items() if word in node]
    if told:
        kept["description"] = "; ".join([*([kept["description"]] if kept.get("description") else []), *told])
    if kept.get("type") == "object":
        kept["additionalProperties"] = False
        kept["required"] = list(kept["properties"])
    return kept
