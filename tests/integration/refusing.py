"""What a table of bad inputs is made of: a service to ask, the problem it answers, and rows of bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from tests.integration.doors import Door
from tests.integration.raw import HOST, Reply, connected

SECRET = "sesame-93"
GOOD = b'{"text": "a"}'
JSON = {"Content-Type": "application/json"}


@dataclass
class Table:
    """A service with keys, a board under way that is held open and one that has ended."""

    door: Door
    key: str
    ended: str
    held: str

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.door.base.rpartition(":")[2])

    async def ask(self, method: str, path: str, headers: Any = None, **more: Any) -> httpx2.Response:
        """With a key for everything."""
        given = httpx2.Headers({"Authorization": f"Bearer {self.key}"})
        given.update(headers or {})
        return await self.door.client.request(method, path, headers=given, **more)

    async def send(self, body: bytes, headers: Any = None, path: str = "/v1/documents") -> httpx2.Response:
        """A POST."""
        return await self.ask("POST", path, JSON if headers is None else headers, content=body)

    async def raw(self, head: bytes, *parts: bytes) -> Reply:
        """Bytes, and the last answer on the connection. A header's end is not added."""
        async with connected(self.port) as line:
            await line.send(head + HOST + b"Authorization: Bearer " + self.key.encode() + b"\r\n")
            await line.send(*parts)
            return await line.last()

    async def made(self, **more: Any) -> tuple[str, str]:
        """Another key: its id, and the secret."""
        name = f"key-{len((await self.ask('GET', '/v1/keys')).json()['items'])}"
        answer = await self.ask("POST", "/v1/keys", json={"name": name, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["secret"]


def problem(answer: httpx2.Response | Reply, status: int, slug: str) -> dict[str, Any]:
    """The problem, after checking what all have in common."""
    code, text = (answer.status, answer.body) if isinstance(answer, Reply) else (answer.status_code, answer.content)
    assert code == status, (code, text)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = orjson.loads(text)
    assert found["type"].endswith(f"/problems/{slug}"), found
    assert found["status"] == status and found["title"] and found["detail"]
    assert found["request_id"] == answer.headers["x-request-id"]
    assert SECRET.encode() not in text, "what was sent is not repeated"
    return found


Row = Callable[[Table], Awaitable[None]]


def bodies(status: int, slug: str, *sent: bytes) -> Row:
    """Each of these bodies is refused so, and nothing comes of it."""

    async def row(table: Table) -> None:
        before = (await table.ask("GET", "/v1/boards?limit=200")).json()
        for body in sent:
            problem(await table.send(body), status, slug)
        after = (await table.ask("GET", "/v1/boards?limit=200")).json()
        assert [board["id"] for board in after["items"]] == [board["id"] for board in before["items"]]

    return row
