"""Sources registered over HTTP belong to the tenant that made them, unless who operates the service shares them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from blackboard import Blobs, Document, Each, Level, knowledge_source
from tests.fleet import until
from tests.integration.elsewhere import SCHEMA, Door, closing, sheets
from tests.integration.tenants import three

OTHERWISE = {**SCHEMA, "properties": {**SCHEMA["properties"], "iso": {"type": "integer"}}}


@pytest.fixture
async def tenants(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[Door, Door, Door]]:
    """Two tenants and the operator."""
    async with three(redis_url, tmp_path) as found:
        yield found


def same(one: httpx2.Response, other: httpx2.Response) -> bool:
    """Whether two answers are the same but for their request ids."""
    plain = [each.text.replace(each.headers["x-request-id"], "") for each in (one, other)]
    return (one.status_code, plain[0]) == (other.status_code, plain[1])


async def names(place: Door) -> list[str]:
    """The sources a tenant sees."""
    return [each["name"] for each in (await place.client.get("/v1/sources")).json()["items"]]


async def test_nobody_else_sees_a_source_or_its_levels(tenants: tuple[Door, Door, Door]) -> None:
    a, b, ops = tenants
    assert (await a.put("acme_dates")).status_code == 201
    assert await names(a) == ["sheets", "closing", "acme_dates"]
    for other in (b, ops):
        assert await names(other) == ["sheets", "closing"]
        assert (await other.client.get("/v1/sources/acme_dates")).status_code == 404
        assert (await other.client.delete("/v1/sources/acme_dates")).status_code == 404
        levels = (await other.client.get("/v1/capabilities")).json()["levels"]
        assert "date_mention" not in levels
    assert "date_mention" in (await a.client.get("/v1/capabilities")).json()["levels"]
    for options in (
        {"sources": ["sheets", "{}"]},
        {"goal": ["{}"]},
        {"shadow": ["{}"]},
        {"strategy": {"{}": "market"}},
    ):
        asked = [_filled(options, word) for word in ("acme_dates", "no_dates", "date_mention", "no_mention")]
        found = [await b.client.post("/v1/documents", json={"text": "x", **each}) for each in asked]
        assert {each.status_code for each in found} == {422}
        assert same(found[0], found[1]) or "strategy" in options
        assert same(found[2], found[3]) or "strategy" in options
        assert all("acme" not in each.text and "date_mention" not in each.text for each in (found[1], found[3]))
    assert same(await b.claim("acme_dates"), await b.claim("no_dates"))
    board = await b.submit(hold="review")
    hand = [
        await b.client.put(f"/v1/boards/{board}/entries/{level}/x", json={"iso": "2024-01-01", "page": 1},
                           headers={"if-none-match": "*"})
        for level in ("date_mention", "no_mention")
    ]  # fmt: skip
    assert same(*hand)
    added = [await b.client.post(f"/v1/boards/{board}/sources/{name}") for name in ("acme_dates", "no_dates")]
    assert same(*added)
    assert "acme_dates" not in (await b.board(board))["sources"]


def _filled(options: dict[str, Any], word: str) -> dict[str, Any]:
    """The options with `{}` replaced by a word."""
    found: dict[str, Any] = orjson.loads(orjson.dumps(options).replace(b"{}", word.encode()))
    return found


async def test_each_tenant_shapes_its_own_levels(tenants: tuple[Door, Door, Door]) -> None:
    a, b, _ = tenants
    assert (await a.put("acme_dates")).status_code == 201
    declared = [{"level": "date_mention", "schema": OTHERWISE}]
    assert (await b.put("globex_dates", outputs=declared)).status_code == 201, "a level of another's is in nobody's way"
    boards = [await place.submit(hold="review") for place in (a, b)]
    for place, board, value in ((a, boards[0], "2024-01-01"), (b, boards[1], 20240101)):
        path = f"/v1/boards/{board}/entries/date_mention/x"
        wrong: Any = 7 if isinstance(value, str) else "2024-01-01"
        for iso, status in ((wrong, 422), (value, 201)):
            answer = await place.client.put(path, json={"iso": iso, "page": 1}, headers={"if-none-match": "*"})
            assert answer.status_code == status, answer.text


async def test_a_name_that_is_taken_stays_its_tenants(tenants: tuple[Door, Door, Door]) -> None:
    a, b, ops = tenants
    assert (await a.put("acme_dates")).status_code == 201
    taken = await b.put("acme_dates")
    assert (taken.status_code, taken.json()["type"].rpartition("/")[2]) == (409, "source-taken")
    assert same(taken, await b.put("sheets")), "it could be an installed source's"
    assert (await ops.put("acme_dates")).status_code == 409
    assert (await a.client.delete("/v1/sources/acme_dates")).status_code == 204
    # Boards may still wait for the source of that name: another tenant's must not step in.
    assert same(taken, await b.put("acme_dates"))
    assert (await a.put("acme_dates")).status_code == 201


async def test_only_its_tenant_does_its_work(tenants: tuple[Door, Door, Door]) -> None:
    a, b, ops = tenants
    await a.put("acme_dates")
    await b.put("globex_dates")
    board = await a.submit()
    task = await a.task("acme_dates")
    assert task["board"] == board
    assert (await b.claim("globex_dates", wait_s=0)).status_code == 204
    for other in (b, ops):
        unknown = {
            **task,
            "links": {key: f"/v1/activations/acme_dates.{'0' * 20}/{key}" for key in ("renew", "commits")},
        }
        assert same(await other.renew(task), await other.renew(unknown))
        assert (await other.work(task)).status_code == 404
    assert (await a.renew(task)).status_code == 200
    assert (await a.work(task)).status_code == 200
    for _ in range(2):
        assert (await a.work(await a.task("acme_dates"))).status_code == 200
    assert (await a.ended(board))["status"] == "completed"
    assert len(await a.entries(board)) == 3


async def test_who_operates_the_service_may_share_a_source(tenants: tuple[Door, Door, Door]) -> None:
    a, b, ops = tenants
    assert (await a.put("dates", shared=True)).status_code == 403
    assert (await ops.put("dates", shared=True)).status_code == 201
    shown = (await a.client.get("/v1/sources/dates")).json()
    assert shown["registration"]["shared"] is True
    assert (await a.client.delete("/v1/sources/dates")).status_code == 409
    assert (await a.claim("dates", wait_s=0)).status_code == 422, "its work is the operator's"
    boards = {await place.submit(): place for place in (a, b)}
    done: dict[str, int] = dict.fromkeys(boards, 0)
    for _ in range(6):
        task = await ops.task("dates")
        place = boards[task["board"]]
        assert (await place.renew(task)).status_code == 404, "the board's tenant cannot do it in the operator's name"
        assert (await ops.renew(task)).status_code == 200
        sha256 = hashlib.sha256(b"x").hexdigest()
        blob = f"/v1/blobs/{sha256}?board={task['board']}"
        assert (await ops.client.get(blob)).content == b"x"
        assert (await ops.work(task)).status_code == 200
        done[task["board"]] += 1
    assert list(done.values()) == [3, 3]
    for board, place in boards.items():
        assert (await place.ended(board))["status"] == "completed"
        assert len(await place.entries(board)) == 3
    other = await a.submit(sources=["sheets", "closing"])
    await a.ended(other)
    assert (await ops.client.get(f"/v1/blobs/{hashlib.sha256(b'x').hexdigest()}?board={other}")).status_code == 404
    assert (await ops.client.delete("/v1/sources/dates")).status_code == 204


async def test_the_same_idempotency_key_is_each_tenants_own(tenants: tuple[Door, Door, Door]) -> None:
    a, b, _ = tenants
    found = []
    for place in (a, b, a):
        headers = {"idempotency-key": '"one"'}
        answer = await place.client.post("/v1/documents", json={"text": "x", "hold": "review"}, headers=headers)
        found.append((answer.status_code, answer.json()["id"]))
    assert found[0] == found[2] != found[1]
    assert (await b.client.get(f"/v1/boards/{found[0][1]}")).status_code == 404


async def test_readiness_names_no_tenants_source(tenants: tuple[Door, Door, Door]) -> None:
    a, _, _ = tenants
    await a.put("acme_dates")

    async def known() -> bool:
        return "acme_dates" in await names(a)

    await until(known)
    assert "acme" not in (await a.client.get("/readyz")).text


class Peek(Level):
    """What the bytes of a document say."""

    text: str


@knowledge_source(attempts=1)
async def peek(document: Each[Document], blobs: Blobs) -> Peek:
    """Reads whatever a document is said to be."""
    return Peek(text=(await blobs.get(document.sha256)).decode())


async def test_whoever_knows_a_digest_cannot_have_the_bytes_read(redis_url: str, tmp_path: Path) -> None:
    async with three(redis_url, tmp_path, sheets, closing, peek) as (a, b, _):
        boards = [await place.submit(text=text, hold="review") for place, text in ((a, "A's"), (b, "B's"))]
        outcomes = []
        for place, board, text in ((a, boards[0], "A's"), (b, boards[1], "B's"), (b, boards[1], "A's")):
            name = f"d{len(outcomes)}"
            value = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "kind": "txt", "pages": 1}
            path = f"/v1/boards/{board}/entries/document/{name}"
            body = {**value, "media_type": "text/plain"}
            answer = await place.client.put(path, json=body, headers={"if-none-match": "*"})
            assert answer.status_code == 201, answer.text
            outcomes.append(await until(partial(_ran, place, board, name)))
        assert outcomes[:2] == ["done", "done"]
        assert outcomes[2].startswith("failed")
        assert "the board has no such bytes" in outcomes[2]
        assert sorted((await b.entries(boards[1], "peek")).values(), key=str) == [{"text": "B's"}]


async def _ran(place: Door, board: str, name: str) -> str:
    found = (await place.client.get(f"/v1/boards/{board}/activations")).json()["items"]
    ends = [each for each in found if each["binding"].endswith(name) and each["status"] in ("done", "failed")]
    return f"{ends[0]['status']} {ends[0].get('error', '')}".strip() if ends else ""
