"""A running service over HTTP, for the commands that need one."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import orjson

from blackboard.blobs import BlobCorrupt, BlobMissing
from blackboard.entries import is_shadow, shadow_parts
from blackboard.errors import (
    BlackboardError,
    BoardClosed,
    BoardGone,
    ConflictError,
    LogError,
    StorageUnavailable,
    UsageError,
)
from blackboard.events import LogRecord, from_json
from controller.commands.stream import Message, messages

PATIENCE_S = 60.0
"""How long a watcher that lost its stream tries to get it back."""
SILENCE_S = 60.0
"""A stream on which nothing comes for so long, not even a sign of life, is dead."""


class Client:
    """`async with Client(url) as client`. Every method raises StorageUnavailable when the service cannot be reached."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is not a service's address", hint="like http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        timeout = httpx2.Timeout(30.0, connect=5.0)
        self._http = httpx2.AsyncClient(base_url=self.url, timeout=timeout, headers={"user-agent": "blackboard-cli"})

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def submit(self, file: Path, options: dict[str, str]) -> dict[str, Any]:
        """Send a document; the new board."""
        with file.open("rb") as opened:
            answer = await self._send("POST", "/v1/documents", files={"file": (file.name, opened)}, data=options)
        return self._object(answer)

    async def board(self, id: str) -> dict[str, Any]:
        """The board as it is now."""
        return self._object(await self._send("GET", f"/v1/boards/{quote(id, safe='')}"))

    async def sources(self) -> dict[str, Any]:
        """The sources new boards include, and the plug-ins that are broken."""
        return self._object(await self._send("GET", "/v1/sources"))

    async def log(self, id: str) -> list[LogRecord]:
        """All records, notes included."""
        answer = await self._send("GET", f"/v1/boards/{quote(id, safe='')}/log")
        return [from_json(line) for line in answer.content.splitlines() if line.strip()]

    async def value(self, id: str, key: str, version: int) -> bytes:
        """The value of an entry in one of its versions, as JSON."""
        asked: dict[str, Any] = {"version": version}
        if is_shadow(key):
            source, key = shadow_parts(key)
            asked |= {"space": "shadow", "source": source}
        path = f"/v1/boards/{quote(id, safe='')}/entries/{quote(key)}"
        return orjson.dumps(self._object(await self._send("GET", path, params=asked))["value"])

    async def blob(self, id: str, sha256: str) -> bytes:
        """Bytes that a board refers to. Raises BlobMissing, and BlobCorrupt when others come."""
        try:
            answer = await self._send("GET", f"/v1/blobs/{quote(sha256, safe='')}", params={"board": id})
        except BoardGone as error:
            raise BlobMissing(f"{self.url} has no blob {sha256} for the board {id}") from error
        if hashlib.sha256(answer.content).hexdigest() != sha256:
            raise BlobCorrupt(f"{self.url} sent other bytes than those of the blob {sha256}")
        return answer.content

    async def why(self, id: str) -> list[dict[str, Any]]:
        """Why each source acted or did not."""
        answer = self._object(await self._send("GET", f"/v1/boards/{quote(id, safe='')}/why"))
        return [dict(each) for each in answer["reasons"]]

    async def act(self, id: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """`cancel`, `approve` or `retry`; the board it concerns now (a retry of an ended one makes another)."""
        more = {"json": body} if body else {}
        return self._object(await self._send("POST", f"/v1/boards/{quote(id, safe='')}/{verb}", **more))

    async def erase(self, id: str) -> None:
        """Erase a board and those below it."""
        await self._send("DELETE", f"/v1/boards/{quote(id, safe='')}")

    async def backfill(self, id: str, source: str, params: dict[str, str]) -> dict[str, Any]:
        """Run one more source; the board where it runs."""
        path = f"/v1/boards/{quote(id, safe='')}/sources/{quote(source, safe='')}"
        return self._object(await self._send("POST", path, params=params))

    async def spending(self, day: str = "") -> dict[str, Any]:
        """What models cost on a day, and what is left."""
        return self._object(await self._send("GET", "/v1/spending", params={"day": day} if day else {}))

    async def calls(self, id: str, after: str = "", limit: int = 50) -> dict[str, Any]:
        """A page of a board's calls of models."""
        asked = {"limit": str(limit), **({"cursor": after} if after else {})}
        return self._object(await self._send("GET", f"/v1/boards/{quote(id, safe='')}/calls", params=asked))

    async def events(self, id: str, after: str = "") -> AsyncIterator[Message]:
        """Every message behind `after`, once, in order, over any number of reconnects, until the board's end."""
        lost_at: float | None = None
        known = False
        pause = 0.1
        while True:
            headers = {"accept": "text/event-stream", **({"last-event-id": after} if after else {})}
            try:
                async with self._http.stream(
                    "GET",
                    f"/v1/boards/{quote(id, safe='')}/events",
                    headers=headers,
                    timeout=httpx2.Timeout(SILENCE_S, connect=5.0),
                ) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code != 200:
                        await answer.aread()
                        self._raise_for(answer)
                    known, lost_at, pause = True, None, 0.1
                    async for message in messages(answer.aiter_bytes()):
                        after = message.id or after
                        yield message
                        if message.ends:
                            return
            except (httpx2.TransportError, StorageUnavailable) as error:
                lost_at = lost_at or time.monotonic()
                if not known or time.monotonic() - lost_at > PATIENCE_S:
                    raise self._unreachable(error) from error
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, 5.0)

    async def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        try:
            answer = await self._http.request(method, path, **more)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        if answer.status_code >= 400:
            self._raise_for(answer)
        return answer

    def _unreachable(self, error: BaseException) -> StorageUnavailable:
        if isinstance(error, StorageUnavailable):
            return error
        why = str(error) or type(error).__name__
        return StorageUnavailable(
            f"no service answers at {self.url}: {why}",
            hint="start one with `blackboard up`, or name another with --url (or BLACKBOARD_URL)",
        )

    def _raise_for(self, answer: httpx2.Response) -> None:
        """Raise the error that a problem document stands for."""
        try:
            problem = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        if answer.status_code == 404:
            raise BoardGone(f"{self.url} knows no such board", hint="is the id whole? Ended boards are removed in time")
        said = str(problem.get("detail") or problem.get("title") or f"the service answered {answer.status_code}")
        if problem.get("errors"):
            said = "not accepted"
        for each in problem.get("errors", ()):
            if isinstance(each, dict):
                said += f"; {each.get('pointer', '')}: {each.get('detail', '')}"
        raise _kind_of(answer.status_code, str(problem.get("type", "")))(said, hint=str(problem.get("hint", "")))

    def _object(self, answer: httpx2.Response) -> dict[str, Any]:
        try:
            found = orjson.loads(answer.content)
        except orjson.JSONDecodeError as error:
            raise LogError(
                f"{self.url} does not speak this service's language", hint="is the address right?"
            ) from error
        return dict(found)


def _kind_of(status: int, type: str) -> type[BlackboardError]:
    if status == 409:
        return BoardClosed if type.endswith("board-ended") else ConflictError
    if status in (429, 503) or status >= 500:
        return StorageUnavailable
    return UsageError
