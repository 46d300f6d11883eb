"""Every operation of the OpenAPI document, asked by one tenant about what is another's: it is answered, byte for byte,
as if that were not there, and nothing of the other's is in any answer, list or stream.

Nothing here knows the operations by name. One that is added is walked too, and fails here if it tells tenants apart.
What it takes to ask it must be told by the document, or in `walking`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request as FastRequest

from controller.http import boards
from controller.http.door import api_of
from controller.http.problems import Problem
from controller.views import BoardView
from tests.integration.elsewhere import DATES, Door
from tests.integration.tenants import OWN, tenant, three
from tests.integration.walking import MADE_BY, Operation, Request, operations, unlike

CANARY = "canary7f3a"
PLAIN = "plain"
NOBODYS = {"source": "nobodys_source", "level": "nobodys_level", "name": "nobodys", "tenant": "nobody"}
NEVER_404 = {
    "sources.put": "names of sources are one space: that one is taken is told, and that it can be had",
    "sources.delete": "",
}
FREE = {"name"}
"""What everybody chooses as they like."""
STREAMS = ("text/event-stream", "application/x-ndjson", "application/jsonl")
IDLE_S = 0.12
CHANGING = ("health.", "boards.why", "webhooks.deliver", "metrics")
"""Beginnings of operations whose answers change by themselves."""
BAD = (400, 401, 403, 404, 405, 415, 422)
"""What says that a request was not put well, and therefore proves nothing."""


class Tenant:
    """One tenant, and the ids of what it has."""

    def __init__(self, door: Door, word: str) -> None:
        self.door = door
        self.word = word
        self.ids = {"source": f"{word}_source", "level": f"{word}_level", "name": word, "tenant": word}

    async def furnish(self, document: Any) -> None:
        """A source, a board on which an activation of it runs, an entry, and one of everything that can be made."""
        declared = {**DATES, "outputs": [{**DATES["outputs"][0], "level": self.ids["level"]}], "timeout_s": 600}
        assert (await self.door.put(self.ids["source"], **declared)).status_code == 201
        text = f"{self.word} wrote this."
        self.ids["board"] = await self.door.submit(text=text, filename=f"{self.word}.txt", hold="review")
        self.ids["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        task = await self.door.task(self.ids["source"], worker=self.word)
        self.ids["activation"] = task["activation"]
        path = f"/v1/boards/{task['board']}/entries/{self.ids['level']}/{self.word}"
        value = {"iso": "2024-01-01", "page": 1}
        answer = await self.door.client.put(path, json=value, headers={"if-none-match": "*"})
        assert answer.status_code == 201, answer.text
        await self._make(document)

    async def _make(self, document: Any) -> None:
        """One of each resource that is made by a POST to its collection: keys, webhooks, and what comes."""
        by_id = {each.id: each for each in operations(document)}
        makers = {each.path: each for each in by_id.values() if each.method == "POST"}
        for operation in sorted(by_id.values(), key=lambda each: len(each.kinds)):
            collection, _, last = operation.path.rpartition("/")
            kind = last.strip("{}")
            maker = by_id.get(MADE_BY.get(kind, "")) or makers.get(collection)
            if operation.method == "GET" and last != kind and maker and kind not in self.ids:
                answer = await self.ask(maker.request(self.ids))
                assert answer.status_code in (201, 202), f"teach `walking` to make a {kind}: {answer.text}"
                self.ids[kind] = answer.json()["id"]

    async def ask(self, request: Request) -> httpx2.Response:
        """The answer, whole; of one that goes on for ever, what comes at once."""
        more = {} if request.body is None else {"json": request.body}
        query, headers = dict(request.query), dict(request.headers)
        asked = self.door.client.stream(request.method, request.path, params=query, headers=headers, **more)
        async with asked as answer:
            if answer.headers.get("content-type", "").partition(";")[0] not in STREAMS:
                await answer.aread()
                return answer
            body, chunks = b"", answer.aiter_bytes()
            with contextlib.suppress(TimeoutError, StopAsyncIteration):
                while True:
                    body += await asyncio.wait_for(anext(chunks), IDLE_S)
            kept = [each for each in answer.headers.items() if each[0] not in ("content-length", "transfer-encoding")]
            return httpx2.Response(answer.status_code, content=body, headers=kept)


def plainly(answer: httpx2.Response) -> tuple[int, bytes, tuple[tuple[str, str], ...]]:
    """All of it but its request's id and the time."""
    body = answer.content.replace(answer.headers["x-request-id"].encode(), b"REQUEST")
    body = re.sub(rb"^retry: [0-9]+$", b"retry: N", body, flags=re.M)
    headers = tuple(sorted(each for each in answer.headers.items() if each[0] not in ("x-request-id", "date")))
    return answer.status_code, body, headers


def pairs(operation: Operation, a: dict[str, str], b: dict[str, str]) -> Iterator[tuple[str, Request, Request, bool]]:
    """What is asked in vain: about something of A's, and the same about what is nobody's. Last, whether all is A's."""
    nobodys = {kind: NOBODYS.get(kind) or unlike(id) for kind, id in a.items()}
    kinds = {*operation.kinds.values(), *operation.body_kinds()}
    known = {name: kind for name, kind in operation.queries.items() if kind == "board"}
    for base, whole in ((a, True), (b, False)):
        always = {name: base[kind] for name, kind in known.items() if not kinds & {"board"} and "sha256" in kinds}
        for kind in sorted(kinds - FREE):
            ids = [operation.request({**base, kind: each[kind]}, **always) for each in (a, nobodys)]
            yield f"{operation.id} {kind}", ids[0], ids[1], whole and kind in operation.kinds.values()
    for name, kind in operation.queries.items():
        asked = operation.request(b)
        yield f"{operation.id} ?{name}", asked.asking(**{name: a[kind]}), asked.asking(**{name: nobodys[kind]}), False


@pytest.fixture
async def tenants(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Tenant, Tenant, Any]]:
    """Two tenants with one of everything, and the document."""
    async with three(redis_url, tmp_path, sweep_s=5, lease_s=60) as (_, _, place):
        document = (await place.client.get("/openapi.json")).json()
        a = Tenant(await tenant(place, f"{CANARY}t", OWN, person=f"{CANARY}person"), CANARY)
        b = Tenant(await tenant(place, PLAIN), PLAIN)
        async with a.door.client, b.door.client:
            for each in (b, a):
                each.ids["tenant"] = f"{CANARY}t" if each is a else PLAIN
                await each.furnish(document)
            yield a, b, document


def of_a(a: Tenant) -> list[bytes]:
    """What must be nowhere in an answer to B."""
    return [CANARY.encode(), *(a.ids[kind].encode() for kind in a.ids if kind not in NOBODYS)]


def told(answer: httpx2.Response, a: Tenant) -> list[bytes]:
    """What of A is in an answer."""
    whole = answer.content + str(answer.headers).encode()
    return [each for each in of_a(a) if each in whole]


async def walk(a: Tenant, b: Tenant, document: Any) -> list[str]:
    """What B learns of A, as sentences."""
    wrong = []
    for operation in operations(document):
        unknown = [kind for kind in operation.kinds.values() if kind not in a.ids]
        assert not unknown, f"teach the matrix what {unknown} in {operation.path} is"
        for what, theirs, nobodys, whole in pairs(operation, a.ids, b.ids):
            found, empty = await b.ask(theirs), await b.ask(nobodys)
            asked = f"{what}: {theirs.method} {theirs.path}"
            if said := told(found, a):
                wrong.append(f"{asked} tells {said}")
            if operation.id in NEVER_404:
                continue
            if plainly(found) != plainly(empty):
                wrong.append(f"{asked} {plainly(found)} is not {plainly(empty)}")
            if whole and found.status_code != 404:
                wrong.append(f"{asked} answers {found.status_code} {found.text}")
    return wrong


async def overhear(a: Tenant, b: Tenant, operation: Operation) -> str:
    """What B's stream of everything tells of A, while both are busy."""
    body = b""
    async with b.door.client.stream(operation.method, operation.path) as answer:
        assert answer.status_code == 200, f"{operation.id} answers {answer.status_code}"
        for tenant in (a, b):
            last = await tenant.door.submit(text=tenant.word, filename=f"{tenant.word}.txt")
            await tenant.door.client.post(f"/v1/boards/{last}/cancel")
        async with asyncio.timeout(10):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if last.encode() in body:
                    break
    found = [each for each in of_a(a) if each in body]
    return f"{operation.id} tells {found}" if found else ""


async def test_what_is_anothers_is_as_if_it_were_not_there(tenants: tuple[Tenant, Tenant, Any]) -> None:
    a, b, document = tenants
    whole = list(operations(document))
    before = await state(a, whole)
    wrong = await walk(a, b, document)
    assert await state(a, whole) == before, "B has changed something of A's"
    for operation in whole:
        if operation.kinds or operation.method != "GET":
            continue
        if operation.streams:
            wrong.append(await overhear(a, b, operation))
        else:
            answer = await b.ask(operation.request(b.ids))
            assert answer.status_code < 400 or answer.status_code == 403, f"{operation.id}: {answer.text}"
            wrong += [f"{operation.id} tells {said}" for said in told(answer, a)]
    assert not [each for each in wrong if each], "\n".join(wrong)
    # What was asked in vain about A's is granted about one's own: the requests were well put.
    bad = []
    for operation in sorted(whole, key=lambda each: (each.method == "DELETE", each.method != "GET", -len(each.path))):
        always = {name: b.ids[kind] for name, kind in operation.queries.items() if name == "board"}
        answer = await b.ask(operation.request(b.ids, **always))
        if answer.status_code in BAD and not ("metrics" in operation.path and answer.status_code == 403):
            bad.append(f"teach `walking` how to ask {operation.id}: {answer.status_code} {answer.text}")
    assert not bad, "\n".join(bad)


async def state(a: Tenant, whole: list[Operation]) -> list[Any]:
    """All that A has, but for what changes by itself."""
    wanted = [each for each in whole if each.method == "GET" and not each.id.startswith(CHANGING) and not each.streams]
    found = []
    for operation in wanted:
        always = {name: a.ids[kind] for name, kind in operation.queries.items() if name == "board"}
        status, body, _ = plainly(await a.ask(operation.request(a.ids, **always)))
        found.append((operation.id, status, re.sub(rb'"(last_used|last_heard|ms)":[0-9.]+', b"", body)))
    return found


@pytest.mark.long
async def test_a_route_that_forgets_whose_a_board_is_is_found(
    tenants: tuple[Tenant, Tenant, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, document = tenants

    async def careless(request: FastRequest, board: str) -> BoardView:
        head = await api_of(request).store.head(board)
        if head is None:
            raise Problem("not-found")
        return BoardView(board, head)

    monkeypatch.setattr(boards, "board_of", careless)
    wrong = "\n".join(await walk(a, b, document))
    assert all(f"{id} board: " in wrong for id in ("boards.get", "boards.why"))
    assert "entries." not in wrong


@pytest.mark.long
async def test_boards_that_have_ended_are_told_of_no_more(tenants: tuple[Tenant, Tenant, Any]) -> None:
    a, b, document = tenants
    for each in (a, b):
        board = each.ids["board"]
        await each.door.client.post(f"/v1/boards/{board}/cancel")
        await each.door.ended(board)
    assert await walk(a, b, document) == []
