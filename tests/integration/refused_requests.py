"""Rows of the table of bad inputs that are about the request: who asks, for what, under which conditions, and how."""

from __future__ import annotations

import asyncio
import re

from tests.integration.raw import HOST, connected
from tests.integration.refusing import GOOD, JSON, SECRET, Table, problem

ODD = ("..%2f..", "a%00b", "%ff%fe", "a%0d%0aX", "x" * 300)


async def keys(table: Table) -> None:
    id, revoked = await table.made()
    assert (await table.ask("DELETE", f"/v1/keys/{id}")).status_code == 204
    garbled = table.key[:-1] + ("a" if table.key[-1] != "a" else "b")
    seen = set()
    for header in (
        None,
        "",
        "Bearer",
        "Basic YTpi",
        f"Bearer {revoked}",
        f"Bearer {garbled}",
        "Bearer bb_nobody_x",
        "é",
    ):
        headers = {} if header is None else {"Authorization": header.encode()}
        answer = await table.door.client.get("/v1/boards", headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        seen.add(re.sub(r'"(request_id|instance)":"[^"]*"', "", answer.text))
    assert len(seen) == 1
    _, reader = await table.made(scopes=["read"])
    answer = await table.ask("POST", "/v1/documents", {"Authorization": f"Bearer {reader}"}, json={"text": "a"})
    problem(answer, 403, "forbidden")


async def foreign_ids(table: Table) -> None:
    _, other = await table.made(tenant="acme", scopes=["read", "submit"])
    headers = {"Authorization": f"Bearer {other}"}
    foreign = (await table.ask("POST", "/v1/documents", headers, json={"text": "a"})).json()["id"]
    unknown = table.door.service.store.new_id("default")
    seen = set()
    for id in (foreign, unknown, *ODD):
        for path in ("", "/report", "/entries", "/events", "/log"):
            answer = await table.ask("GET", f"/v1/boards/{id}{path}")
            problem(answer, 404, "not-found")
            names = tuple(sorted(name for name in answer.headers if name not in ("date", "x-request-id")))
            # What is no path of this service at all is not counted as one of the key's requests.
            seen.add((re.sub(r'"request_id":"\w+"', "", answer.text), () if id in ODD else names))
    assert len({text for text, _ in seen}) == 1
    assert len({names for _, names in seen if names}) == 1


async def preconditions(table: Table) -> None:
    path, line = f"/v1/boards/{table.held}/entries/line/0001", {"number": 1, "text": "a"}
    problem(await table.ask("PUT", path, json=line), 428, "precondition-required")
    assert (await table.ask("PUT", path, {"If-None-Match": "*"}, json=line)).status_code in (201, 412)
    for tag in ('"9"', 'W/"1"'):
        answer = await table.ask("PUT", path, {"If-Match": tag}, json=line)
        problem(answer, 412, "precondition-failed")
        assert answer.headers["etag"] == '"1"'
    problem(await table.ask("PUT", path, {"If-Match": "1"}, json=line), 400, "invalid-header")


async def repeated(table: Table) -> None:
    for key in ("unquoted", '""', '"%s"' % ("x" * 256), '"a'):
        problem(await table.send(GOOD, {**JSON, "Idempotency-Key": key}), 400, "idempotency-key-invalid")
    twice = [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"b"'), *JSON.items()]
    answer = await table.door.client.post(
        "/v1/documents", content=GOOD, headers=[("Authorization", f"Bearer {table.key}"), *twice]
    )
    problem(answer, 400, "idempotency-key-invalid")
    once = {**JSON, "Idempotency-Key": '"once"'}
    assert (await table.send(GOOD, once)).status_code == 202
    problem(await table.send(b'{"text": "b"}', once), 422, "idempotency-key-reused")
    async with connected(table.port) as line:
        await line.send(
            b"POST /v1/documents HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + table.key.encode() + b"\r\n"
            b'Content-Type: application/json\r\nIdempotency-Key: "held"\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n'
        )
        assert b"100" in await line.reader.readuntil(b"\r\n\r\n"), "it has its turn, and waits for the body"
        answer = await table.send(GOOD, {**JSON, "Idempotency-Key": '"held"'})
        problem(answer, 409, "idempotency-in-progress")
        assert answer.headers["retry-after"] == "1"
        await line.send(GOOD)
        assert (await line.reply()).status == 202


async def parameters(table: Table) -> None:
    for query in ("limit=0", "limit=abc", "limit=1_0", "limit=1&limit=2", "sesame-93=1", "cursor=AAAA"):
        found = problem(await table.ask("GET", f"/v1/boards?{query}"), 400, "invalid-parameter")
        assert found.get("parameter") == (None if SECRET in query else query.partition("=")[0])


async def too_many_requests(table: Table) -> None:
    _, hurried = await table.made(requests_per_minute=1)
    headers = {"Authorization": f"Bearer {hurried}"}
    while (answer := await table.ask("GET", "/v1/boards", headers)).status_code == 200:
        assert answer.headers["ratelimit"] and answer.headers["ratelimit-policy"]
    problem(answer, 429, "rate-limited")
    assert int(answer.headers["retry-after"]) > 0
    assert ";r=0;" in answer.headers["ratelimit"]


async def resuming(table: Table) -> None:
    path = f"/v1/boards/{table.ended}/events"
    for last in ("abc", "-1", "1" + "0" * 30, "i1.1", "a.1-0-0", "ü.1-0"):
        problem(await table.ask("GET", path, {"Last-Event-ID": last.encode()}), 400, "invalid-last-event-id")
    head = (await table.ask("GET", f"/v1/boards/{table.ended}")).json()
    for last in (f"{head['incarnation']}.999999-0", "000000000000.1-0"):
        answer = await table.ask("GET", path, {"Last-Event-ID": last})
        assert answer.status_code == 200 and b"event: reset\n" in answer.content
    seen = f"{head['incarnation']}.{head['revision']}-0"
    assert (await table.ask("GET", path, {"Last-Event-ID": seen})).status_code == 204
    _, single = await table.made(streams=1)
    headers = {"Authorization": f"Bearer {single}"}
    held = f"/v1/boards/{table.held}/events"
    async with table.door.client.stream("GET", held, headers=headers) as first:
        assert first.status_code == 200
        problem(await table.ask("GET", held, headers), 429, "too-many-streams")


async def too_late(table: Table) -> None:
    path = f"/v1/boards/{table.ended}"
    line = {"number": 1, "text": "a"}
    answer = await table.ask("PUT", f"{path}/entries/line/0001", {"If-None-Match": "*"}, json=line)
    assert problem(answer, 409, "board-ended")["links"]["retry"]
    first, second = [await table.ask("POST", f"{path}/cancel") for _ in range(2)]
    assert first.status_code == second.status_code == 200
    assert first.content == second.content


async def two_framings(table: Table) -> None:
    head = b"POST /v1/documents HTTP/1.1\r\nContent-Type: application/json\r\n"
    for framings in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    ):
        problem(await table.raw(head, framings + b"\r\n\r\n0\r\n\r\n"), 400, "bad-request")


async def large_headers(table: Table) -> None:
    for more in (b"A: " + b"b" * 17_000 + b"\r\n", b"A: b\r\n" * 3000):
        problem(await table.raw(b"GET /livez HTTP/1.1\r\n", more + b"\r\n"), 431, "header-fields-too-large")
    problem(await table.raw(b"GET /livez?" + b"a" * 9000 + b" HTTP/1.1\r\n", b"\r\n"), 414, "uri-too-long")


async def slowness(table: Table) -> None:
    """Both at a time: each takes as long as a client may be silent."""
    head = b"POST /v1/documents HTTP/1.1\r\nContent-Type: application/json\r\n"
    ways = (table.raw(head), table.raw(head, b"Content-Length: 100\r\n\r\n", b'{"text'))
    for reply in await asyncio.gather(*ways):
        problem(reply, 408, "request-timeout")


async def wrong_ways(table: Table) -> None:
    for method, path, allowed in (("DELETE", "/v1/documents", "POST"), ("PATCH", "/v1/boards", "GET")):
        answer = await table.ask(method, path)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
    for method in ("GET", "POST", "OPTIONS", "PROPFIND"):
        problem(await table.ask(method, "/v1/nowhere"), 404, "not-found")


async def webhooks(table: Table) -> None:
    hook = {"url": "https://example.org/hook"}
    assert (await table.ask("POST", "/v1/webhooks", json=hook)).status_code == 201
    problem(await table.ask("POST", "/v1/webhooks", json=hook), 409, "webhook-exists")
    short = {"url": "https://example.org/other", "secret": "whsec_c2hvcnQ="}
    problem(await table.ask("POST", "/v1/webhooks", json=short), 422, "validation-error")
