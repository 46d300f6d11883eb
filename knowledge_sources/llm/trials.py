"""The tiny questions by which it is found out what a server can do. Each shows in its answer that it was understood."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import orjson

from knowledge_sources.llm.calls import CallFailed, Reply, Request
from knowledge_sources.llm.degrade import json_of
from knowledge_sources.llm.ports import Capabilities, Transport

TOKENS: Final = 256
"""Room for a model that thinks before it says one word."""
WORD: Final = "kumquat"
BROKEN: Final = frozenset({200, 500})
"""Statuses with which servers meet what they do not know: an error of their own, or an answer that is none."""


class Cannot(Exception):
    """The server does not do it; says how that showed."""


class Unsure(Exception):
    """It could not be found out."""


def _asked(model: str, *blocks: dict[str, Any], **more: Any) -> Request:
    text = {"max_tokens": TOKENS, "messages": [{"role": "user", "content": list(blocks)}]}
    return Request(model, {**text, **more})


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _red_picture(size: int = 32) -> str:
    """A red PNG of so many pixels each way, base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\xdc\x1e\x1e" * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b64encode(png).decode()


def _plain(model: str) -> Request:
    # The mark makes a server that has a prompt cache tell of it, though this is too short to be kept.
    mark = {"cache_control": {"type": "ephemeral"}}
    return _asked(model, {**_text("Answer with the one word: hello"), **mark})


def _document(model: str) -> Request:
    source = {"type": "text", "media_type": "text/plain", "data": f"The fruit of the day is the {WORD}."}
    return _asked(model, {"type": "document", "source": source, "title": "Menu"}, _text("Which fruit is it? One word."))


def _picture(model: str) -> Request:
    source = {"type": "base64", "media_type": "image/png", "data": _red_picture()}
    return _asked(model, {"type": "image", "source": source}, _text("Which colour is this picture? One word."))


def _schema(model: str) -> Request:
    schema = {
        "type": "object",
        "properties": {"greeting": {"type": "string"}},
        "required": ["greeting"],
        "additionalProperties": False,
    }
    # Asked for something else in words, so that an answer of this form can come from the schema alone.
    return _asked(model, _text("Say hello."), output_config={"format": {"type": "json_schema", "schema": schema}})


def _greets(text: str) -> bool:
    try:
        said = orjson.loads(json_of(text))
    except ValueError:
        return False
    return isinstance(said, dict) and set(said) == {"greeting"} and isinstance(said["greeting"], str)


Way = Literal["plain", "stream", "count"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One question. `what` it decides, for people; `without`: capabilities less that."""

    what: str
    without: Callable[[Capabilities], Capabilities]
    request: Callable[[str], Request]
    shows: Callable[[str], bool]
    """Whether an answer shows that it was understood."""
    way: Way = "plain"


TRIALS: Final = (
    Trial("streams", lambda found: replace(found, streaming=False), _plain, bool, "stream"),
    Trial("answers by a schema", lambda found: replace(found, schema_output=False), _schema, _greets),
    Trial("counts of tokens", lambda found: replace(found, count_tokens=False), _plain, bool, "count"),
    Trial(
        "document blocks", lambda found: replace(found, documents=False), _document, lambda text: WORD in text.lower()
    ),
    Trial("pictures", lambda found: replace(found, pictures=False), _picture, lambda text: "red" in text.lower()),
)


async def plainly(transport: Transport, model: str, deadline_s: float) -> None:
    """The plainest question there is. Raises Unsure where even that gets no answer."""
    try:
        await transport.send(_plain(model), deadline_s=deadline_s)
    except CallFailed as failure:
        if failure.kind != "output":
            raise Unsure(str(failure)) from failure


async def attempt(transport: Transport, trial: Trial, model: str, deadline_s: float) -> None:
    """Make one trial. Raises Cannot where it fails, Unsure where the server does."""
    broke = False
    while True:
        try:
            shown = await _WAYS[trial.way](transport, trial.request(model), deadline_s)
            break
        except CallFailed as failure:
            if failure.kind in ("request", "config", "output") or broke:
                raise Cannot(str(failure)) from failure
            if failure.kind != "upstream-down" or failure.status not in BROKEN:
                raise Unsure(str(failure)) from failure
        # Broken, or by this question alone? By it, if the plainest works between two that break.
        await plainly(transport, model, deadline_s)
        broke = True
    if not trial.shows(shown):
        raise Cannot("the answer does not show that it was understood")


async def _sent(transport: Transport, request: Request, deadline_s: float) -> str:
    return (await transport.send(request, deadline_s=deadline_s)).text


async def _streamed(transport: Transport, request: Request, deadline_s: float) -> str:
    pieces: list[str] = []

    async def heard(piece: str) -> None:
        pieces.append(piece)

    reply: Reply = await transport.send(request, deadline_s=deadline_s, on_delta=heard)
    return reply.text if "".join(pieces) == reply.text else ""


async def _counted(transport: Transport, request: Request, deadline_s: float) -> str:
    return str(await transport.count(request) or "")


_WAYS: Final[dict[Way, Callable[[Transport, Request, float], Awaitable[str]]]] = {
    "plain": _sent,
    "stream": _streamed,
    "count": _counted,
}
