"""The gate before each route: what every operation needs, and what comes of what the gate says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from fastapi.routing import APIRoute

from blackboard.blobs import Blobs
from blackboard.errors import Forbidden, RateLimited, Unauthorized
from blackboard.memory import MemoryStore
from controller.access import Admitted, Caller, Scope
from controller.http.app import create_app
from controller.http.scopes import NEEDS, OPEN
from controller.settings import Settings
from tests.integration.serving import Small
from tests.listening import listening


class Strict:
    """Knows a key for reading alone, and one that is in a hurry."""

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """See access.Gate."""
        if authorization == ["Bearer hurried"]:
            raise RateLimited("Slowly.", after_s=6.2, headers={"RateLimit": '"default";r=0;t=7'})
        if authorization != ["Bearer reader"]:
            raise Unauthorized("no such key")
        if needs != "read":
            raise Forbidden("not for this")
        return Admitted(Caller("acme", "person:reader", frozenset({"read"})), ((b"ratelimit", b'"default";r=9;t=1'),))


@pytest.fixture
async def client(memory_store: MemoryStore) -> AsyncIterator[httpx2.AsyncClient]:
    service = Small(memory_store, memory_store.blobs, Settings(), gate=Strict())
    async with listening(service) as (_, found, _):
        yield found
    await service.feed.close()


async def test_every_operation_says_what_it_needs(memory_store: MemoryStore) -> None:
    service = Small(memory_store, Blobs.at("memory://"), Settings())
    named = {route.operation_id for route in create_app(service).routes if isinstance(route, APIRoute)}
    assert named == NEEDS.keys() | OPEN
    await service.feed.close()


async def test_what_the_gate_raises_is_a_problem(client: httpx2.AsyncClient) -> None:
    unknown = await client.get("/v1/boards")
    assert unknown.status_code == 401
    assert unknown.headers["www-authenticate"] == "Bearer"
    assert unknown.json()["type"].endswith("/problems/unauthorized")
    forbidden = await client.post("/v1/documents", json={"text": "x"}, headers={"authorization": "Bearer reader"})
    assert (forbidden.status_code, forbidden.json()["type"].rpartition("/")[2]) == (403, "forbidden")
    hurried = await client.get("/v1/boards", headers={"authorization": "Bearer hurried"})
    assert (hurried.status_code, hurried.headers["retry-after"]) == (429, "7")
    assert hurried.headers["ratelimit"] == '"default";r=0;t=7'


async def test_who_is_admitted_is_answered_with_the_gates_headers(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/boards", headers={"authorization": "Bearer reader"})
    assert answer.status_code == 200
    assert answer.headers["ratelimit"] == '"default";r=9;t=1'
    assert (await client.get("/livez")).status_code == 200
