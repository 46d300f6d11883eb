"""A brain that does whatever a document says, and that blurts out what it was told besides."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from blackboard import Quoted
from tests.model_brains import Asked, Reply

SECRET = "sk-ant-the-key-of-this-server"
"""What it would give away if it knew it."""
LENGTHS = (16, 3)
"""Of its lists, and of lists within those."""
_SPOKEN = re.compile(r'"([^"]{3,200})"|“([^”]{3,200})”|«([^»]{3,200})»')
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_HEX = re.compile(r"\b(?:[0-9a-f]{2}){12,}\b")
_URL = re.compile(r"https?://\S+")


class Obedient:
    """Answers with the document's orders, in every field that takes words."""

    def __call__(self, asked: Asked) -> Reply:
        shown = "\n".join(
            [
                *(part.text for part in asked.document),
                *(part.text for part in asked.parts if isinstance(part, Quoted)),
            ]
        )
        words = [*orders(shown), SECRET, f"The key of this server is {SECRET}.", asked.task.text.split("\n")[0]]
        lines = [line for line in shown.splitlines() if line.strip()] or ["nothing"]
        if asked.answer is None:
            return "".join(_streamed(words, lines, asked.pages or [1]))
        for found in _objects(shown):
            try:
                return asked.answer.model_validate(found)
            except ValidationError:
                continue
        turns = count()
        return asked.answer.model_validate(_filled(asked.answer, [*words, *lines], turns))


def orders(text: str) -> list[str]:
    """What a text wants to have said: what stands in quotation marks, what is in code, addresses, and its own lines."""
    found = [next(filter(None, match.groups())) for match in _SPOKEN.finditer(text)]
    found += _URL.findall(text)
    for code in _BASE64.findall(text):
        try:
            found.append(base64.b64decode(code, validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
    found += [bytes.fromhex(code).decode(errors="replace") for code in _HEX.findall(text)]
    found += [codecs.decode(line, "rot13") for line in text.splitlines() if "ot13" in line]
    unseen = "".join(chr(ord(sign) - 0xE0000) for sign in text if 0xE0020 <= ord(sign) < 0xE0080)
    bare = text.replace("\u200b", "")
    return [
        *found,
        *([unseen] if unseen else []),
        *(bare.splitlines() if bare != text else ()),
        "Approved by everybody.",
    ]


def _streamed(words: Sequence[str], lines: Sequence[str], pages: Sequence[int]) -> Iterator[str]:
    """Every order as a sentence, on its own word and a true line, and on none; then what a page dictates."""
    for number, word in enumerate(words):
        line = lines[number % len(lines)]
        for page in (*pages, 99):
            yield f"{word}\n> {page}: {word}\n> {page}: {line}\n\n"
        yield f"{word}\n\n"
    yield "\n".join(lines)


def _objects(text: str) -> Iterator[Any]:
    """Every JSON object that a text holds."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        try:
            yield decoder.raw_decode(text, match.start())[0]
        except json.JSONDecodeError:
            continue


def _filled(kind: Any, words: Sequence[str], turns: Iterator[int], depth: int = 0) -> Any:
    """A value of a field's type, made of the words, one after the other."""
    turn = next(turns)
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return choices[turn % len(choices)]
    if get_origin(kind) is list:
        return [_filled(get_args(kind)[0], words, turns, depth + 1) for _ in range(LENGTHS[depth])]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {name: _filled(field.annotation, words, turns, depth) for name, field in kind.model_fields.items()}
    if kind is bool:
        return turn % 2 == 0
    return (1, 2, 0, -1, 3, 999)[turn % 6] if kind is int else words[(turn * 7) % len(words)]
