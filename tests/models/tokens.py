"""What a request counts: a token is four bytes of UTF-8, rounded up for each block; pictures and pages have a fixed size.

The sum over the blocks is the request's count, so a prefix of blocks counts what it counts within any request.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

BYTES_PER_TOKEN = 4
PICTURE_TOKENS = 1500
PDF_BYTES_PER_TOKEN = 50


@dataclass(frozen=True)
class Block:
    """A part of a request in the order that prompt caching sees: tools, system, messages."""

    canonical: bytes
    """What it is cached by: JSON without the marker."""
    tokens: int
    breakpoint: bool


def tokens_of(text: str) -> int:
    """Of a text, standing alone."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def _source_tokens(source: Mapping[str, Any]) -> int:
    match source.get("type"):
        case "text":
            return tokens_of(str(source.get("data", "")))
        case "content":
            content = source.get("content", "")
            return tokens_of(content) if isinstance(content, str) else sum(block_tokens(one) for one in content)
        case "base64" if source.get("media_type") == "application/pdf":
            return -(-len(base64.b64decode(source.get("data", ""))) // PDF_BYTES_PER_TOKEN)
    return PICTURE_TOKENS


def block_tokens(block: Mapping[str, Any]) -> int:
    """Of one content block."""
    match block.get("type"):
        case "text":
            return tokens_of(str(block.get("text", "")))
        case "image":
            return PICTURE_TOKENS
        case "document":
            return tokens_of(str(block.get("title") or "")) + _source_tokens(block.get("source") or {})
    return tokens_of(orjson.dumps(block).decode())


def _listed(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    """A request's parts in the order that prompt caching sees."""
    for role, content in (
        ("tool", body.get("tools") or []),
        ("system", _listed(body.get("system"))),
        *((str(message.get("role")), _listed(message.get("content"))) for message in body.get("messages") or []),
    ):
        for block in content:
            bare = {key: value for key, value in block.items() if key != "cache_control"}
            yield Block(
                orjson.dumps([role, bare], option=orjson.OPT_SORT_KEYS),
                block_tokens(bare),
                bool(block.get("cache_control")),
            )


def count(body: Mapping[str, Any]) -> int:
    """All input tokens of a request; a schema asked for counts as the text it is."""
    schema = (body.get("output_config") or {}).get("format")
    return sum(block.tokens for block in blocks(body)) + (tokens_of(orjson.dumps(schema).decode()) if schema else 0)


def prefix(body: Mapping[str, Any]) -> bytes:
    """The bytes up to and with the last cache breakpoint; empty where there is none."""
    parts = list(blocks(body))
    last = max((at for at, part in enumerate(parts) if part.breakpoint), default=-1)
    return b"\n".join(part.canonical for part in parts[: last + 1])
