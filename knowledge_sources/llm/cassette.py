"""A folder of recorded answers, for tests: one file for each question, to be read, reviewed and kept under version control.

`<digest of the question>.json`: what was asked (the prompt's name, and how its last words began), and the answer, as lines
or, where it is JSON, as that. The same answer makes the same bytes, so recording again changes no file that is still right.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from blackboard.errors import UsageError
from knowledge_sources.llm.calls import FINISHED, Reply, Request, Usage

SHOWN = 400
"""Characters of a question's parts that a file shows."""
FORMS: Mapping[str, Callable[[Any], str]] = {
    "compact": partial(json.dumps, ensure_ascii=False, separators=(",", ":")),
    "spaced": partial(json.dumps, ensure_ascii=False),
    "ascii": json.dumps,
    "indented": partial(json.dumps, ensure_ascii=False, indent=2),
}
"""How models write JSON."""
DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Cassette:
    """See ports.Recordings. `record`: what is put is written; else a put does nothing, and the folder is only read."""

    def __init__(self, folder: Path, *, record: bool = False) -> None:
        self._folder = folder
        self._record = record

    async def get(self, request: Request) -> Reply | None:
        """See ports.Recordings. Raises UsageError for a file that holds no answer to this question."""
        path = self._path(request)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            return None
        try:
            return _reply(json.loads(data.decode("utf-8", "surrogatepass")), request)
        except (LookupError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path} holds no recorded answer: {error}", hint="remove it and record it again"
            ) from error

    async def put(self, request: Request, reply: Reply) -> None:
        """See ports.Recordings. Answers that are not whole are not recorded."""
        if self._record and reply.stop_reason in FINISHED:
            await asyncio.to_thread(_write, self._path(request), _file(request, reply))

    def _path(self, request: Request) -> Path:
        assert DIGEST.match(request.digest), request.digest
        return self._folder / f"{request.digest}.json"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside first: tests of several processes may record and read the same folder.
    passing = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        passing.write_bytes(data)
        passing.replace(path)
    finally:
        passing.unlink(missing_ok=True)


def _file(request: Request, reply: Reply) -> bytes:
    usage = reply.usage
    said: dict[str, Any] = {
        "question": request.digest,
        "prompt": request.prompt,
        "asked": [_cut(text) for text in _asked(request.body)],
        "model": reply.model,
        "stop_reason": reply.stop_reason,
        # Not the request's id: it differs each time.
        "usage": {
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_write": usage.cache_write,
        },
        **_answer(reply.text),
    }
    return (json.dumps(said, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "surrogatepass")


def _asked(body: Mapping[str, Any]) -> Iterator[str]:
    """The texts of the last turn; of documents and pictures their titles."""
    content = body["messages"][-1]["content"] if body.get("messages") else ()
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, str):
            yield block
        elif block.get("type") == "text":
            yield str(block.get("text", ""))
        else:
            yield f"[{block.get('type', '?')}{': ' + str(block['title']) if block.get('title') else ''}]"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _answer(text: str) -> dict[str, Any]:
    """As JSON where that gives the same text back, else as lines."""
    try:
        value = json.loads(text)
        if isinstance(value, dict | list):
            for form, write in FORMS.items():
                if write(value) == text:
                    return {"form": form, "json": value}
    except (ValueError, RecursionError):
        pass
    return {"text": text.split("\n")}


def _reply(said: Mapping[str, Any], request: Request) -> Reply:
    if said["question"] != request.digest:
        raise ValueError("it is an answer to another question")
    if said["stop_reason"] not in FINISHED:
        raise ValueError(f"it was not whole (stop_reason {said['stop_reason']})")
    text = FORMS[said["form"]](said["json"]) if "json" in said else "\n".join(said["text"])
    usage = said["usage"]
    counted = Usage(*(int(usage[name]) for name in ("input", "output", "cache_read", "cache_write")))
    return Reply(text, str(said["stop_reason"]), str(said["model"]), counted)
