"""What a server without a model answers: something that fits the schema, or an echo of what it was shown."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from PIL import Image

from knowledge_sources.llm.degrade import IN_WORDS

Brain = Callable[[Mapping[str, Any]], str]
"""The text of the answer to a request's body."""

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 220), "white": (255,) * 3, "black": (0,) * 3}


def answered(body: Mapping[str, Any]) -> str:
    """Deterministic: a smallest value of the schema asked for; else an echo of the texts, and the colours of pictures."""
    schema = schema_in(body)
    if schema is not None:
        return json.dumps(value_of(schema, schema), ensure_ascii=False)
    return f"I read: {' / '.join(seen(body))}"[:4000]


def schema_in(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema asked for: told to the server, or in words in the last of the user's turns that has one."""
    told = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    if told is not None:
        return dict(told)
    for text in reversed(list(seen(body))):
        if text.startswith(IN_WORDS):
            return dict(json.loads(text.removeprefix(IN_WORDS)))
    return None


def value_of(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    """A value that a JSON schema (of the kind that pydantic makes) allows; `whole` holds its definitions."""
    if "$ref" in schema:
        return value_of(whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]], whole)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return value_of(schema[several][0], whole)
    kind = schema.get("type", "object")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            asked = schema.get("required", schema.get("properties", {}))
            return {name: value_of(schema.get("properties", {}).get(name, {}), whole) for name in asked}
        case "array":
            return [value_of(schema.get("items", {}), whole) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "x" * max(schema.get("minLength", 0), 1)
        case "integer" | "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            return min(low, schema["maximum"]) if "maximum" in schema else low
        case "boolean":
            return True
    return None


def seen(body: Mapping[str, Any]) -> Iterator[str]:
    """What the user's turns show, in order: texts, documents' texts, pictures by their colour."""
    for message in body.get("messages") or []:
        content = message.get("content")
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            yield from _looked_at(block)


def _looked_at(block: Mapping[str, Any]) -> Iterator[str]:
    source = block.get("source") or {}
    match block.get("type"):
        case "text":
            yield str(block.get("text", ""))
        case "image":
            yield f"a {_colour(base64.b64decode(source.get('data', '')))} picture"
        case "document" if source.get("type") == "text":
            yield str(source.get("data", ""))
        case "document" if source.get("type") == "content":
            content = source.get("content")
            for one in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
                yield from _looked_at(one)
        case "document":
            yield "a PDF file"


def _colour(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as picture:
        pixel = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return min(COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(COLOURS[name], pixel, strict=True)))
