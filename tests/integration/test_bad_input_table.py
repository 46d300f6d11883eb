"""The table of bad inputs, row by row over real HTTP: each is answered exactly so, and the service stands as before.

What needs a set-up of its own is tested where that is; `ELSEWHERE` names the test, and that it is there is tested here.
"""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from blackboard import Document, Each, Source, knowledge_source
from blackboard.embedded import Server, start_server
from controller.access import SCOPES
from knowledge_sources.intake import intake
from tests.integration.doors import Door, Line, door
from tests.integration.raw import HOST, Reply, connected
from tests.proxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[1]
SECRET = "sesame-93"
GOOD = b'{"text": "a"}'
JSON = {"Content-Type": "application/json"}
CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
URLS = (
    "http://127.0.0.1/", "https://127.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
    "https://2130706433/", "https://0x7f.1/", "https://localhost./", "https://user:pass@example.org/", "file:///etc/passwd",
    "gopher://example.org/", "https://example.org:22/",
)  # fmt: skip
ODD = ("..%2f..", "a%00b", "%ff%fe", "a%0d%0aX", "x" * 300)


@knowledge_source()
async def remarks(document: Each[Document]) -> list[Line]:
    """None: people may write them."""
    return []


SOURCES: tuple[Source, ...] = (intake, remarks)


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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def table(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Table]:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
    more: dict[str, Any] = {"max_upload_bytes": 200_000, "http_header_s": 0.5, "http_body_s": 0.5}
    async with door(server.url, tmp_path_factory.mktemp("data"), *SOURCES, roles="controller worker", **more) as found:
        ended, held = await found.submit("x"), await found.submit("x", hold="review")
        await found.ended(ended)
        _, key = await found.service.keyring.create("admin", tenant="default", scopes=sorted(SCOPES), by="person:admin")
        yield Table(found, key, ended, held)


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


async def invalid_content(table: Table) -> None:
    await bodies(
        422, "validation-error", b'"text"', b"null", b'{"text": "a", "deadline_s": -1}',
        b'{"text": "a", "priority": "sesame-93"}', b'{"text": "a", "url": "https://example.org/sesame-93"}',
        b'{"text": "a", "goal": ["sesame-93"]}', b'{"text": "a", "sources": ["remarks", "sesame-93"]}',
    )(table)  # fmt: skip
    await bodies(422, "invalid-filename", b'{"text": "a", "filename": "../sesame-93"}')(table)
    for body, pointer in (
        (b"{}", "/text"), (b'{"text": 7}', "/text"), (b'{"text": "a", "sesame-93": 1}', "/sesame-93"),
        (b'{"text": "a", "deadline_s": "7"}', "/deadline_s"), (b'{"text": "a", "deadline_s": true}', "/deadline_s"),
    ):  # fmt: skip
        answer = await table.send(body)
        assert answer.status_code == 422 and answer.json()["type"].endswith("/validation-error")
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def media_types(table: Table) -> None:
    for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}):
        answer = await table.send(GOOD, headers)
        problem(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-post"]


async def codings(table: Table) -> None:
    for coding in ("gzip", "br", "x-unknown", "gzip, identity"):
        answer = await table.send(GOOD, {**JSON, "Content-Encoding": coding})
        problem(answer, 415, "unsupported-content-encoding")
        assert answer.headers["accept-encoding"] == "identity"


async def too_large(table: Table) -> None:
    head = b"POST /v1/documents HTTP/1.1\r\nContent-Type: application/json\r\n"
    announced = await table.raw(head, b"Content-Length: 99999999\r\n\r\n")
    problem(announced, 413, "content-too-large")
    problem(await table.raw(head, b"Transfer-Encoding: chunked\r\n\r\n", *[CHUNK] * 17), 413, "content-too-large")


async def wrong_magic(table: Table) -> None:
    for name, declared, content in (
        ("a.pdf", "application/pdf", b"MZ\x90\x00 This program"),
        ("a.pdf", "application/octet-stream", b"\x7fELF"),
        ("a.pdf", "application/pdf", b"MZ" + b" " * 100 + b"%PDF-1.7"),
        ("a.pdf", "application/pdf", b"PK\x03\x04" + b" " * 100 + b"%PDF-1.7"),
        ("a.bin", "image/png", b"%PDF-1.7"),
        ("a.docx", "", b"%PDF-1.7"),
        ("a.txt", "text/plain", b"MZ\x90\x00"),
    ):
        files = {"file": (name, content, declared)}
        problem(await table.ask("POST", "/v1/documents", files=files), 415, "media-type-mismatch")


async def filenames(table: Table) -> None:
    for name in (
        b"../a",
        b"a/b",
        b"a\\\\b",
        b"..",
        b"a\x00b",
        b"a%00b",
        b"a%0D%0AX",
        b"x" * 256,
        b"\xff",
        "é".encode() * 128,
    ):
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\nhello\r\n--b--\r\n' % name
        problem(await table.send(body, FORM), 422, "invalid-filename")


async def fails(table: Table, name: str, content: bytes, slug: str) -> None:
    """Accepted, and the board says why it could not be read."""
    answer = await table.ask("POST", "/v1/documents", files={"file": (name, content)})
    assert answer.status_code == 202, answer.text
    path = answer.json()["links"]["self"]
    while (board := (await table.ask("GET", path)).json())["status"] == "open":
        await asyncio.sleep(0.02)
    assert board["status"] == "failed"
    assert board["problem"]["type"].endswith(f"/problems/{slug}"), board["problem"]
    assert board["problem"]["detail"]


def packed(**members: bytes) -> bytes:
    """A word processor's file with these members."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, content in members.items():
            archive.writestr(f"word/{name}.xml", content)
    return found.getvalue()


async def unreadable(table: Table) -> None:
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
    for name, content in (("a.pdf", b"%PDF-1.7\nnothing of the kind"), ("a", encrypted), ("a", b"")):
        await fails(table, name, content, "document-unreadable")


async def too_complex(table: Table) -> None:
    await fails(table, "a.docx", packed(document=b" " * 30_000_000), "document-too-complex")


async def unsafe(table: Table) -> None:
    laughs = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'
    await fails(table, "a.html", laughs, "document-unsafe")
    problem(await table.send(orjson.dumps({"text": laughs.decode()})), 422, "document-unsafe")


async def addresses(table: Table) -> None:
    for url in URLS:
        problem(await table.send(orjson.dumps({"url": url})), 422, "url-not-allowed")
        problem(await table.send(orjson.dumps({"url": url}), path="/v1/webhooks"), 422, "url-not-allowed")


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


ROWS: dict[str, Row] = {
    "01-no-json": bodies(400, "invalid-json", b"", b'{"text": "sesame-93'),
    "02-encoding": bodies(
        400, "invalid-encoding", b'{"text": "\xff\xfe"}', '{"text": "a"}'.encode("utf-16"), b"\xef\xbb\xbf" + GOOD
    ),
    "03-numbers": bodies(
        400,
        "invalid-json",
        *(b'{"text": "a", "deadline_s": %b}' % number for number in (b"NaN", b"Infinity", b"1e400", b"9" * 5000)),
    ),
    "04-lone-surrogate": bodies(400, "invalid-unicode", b'{"text": "\\ud800"}', b'{"text": "a\\u0000"}'),
    "05-duplicate-member": bodies(400, "duplicate-member", b'{"text": "a", "text": "b"}'),
    "06-depth": bodies(400, "json-too-deep", b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", b"[" * 100_000),
    "07-content": invalid_content,
    "08-media-type": media_types,
    "09-content-encoding": codings,
    "10-too-large": too_large,
    "11-magic": wrong_magic,
    "12-filename": filenames,
    "13-unreadable": unreadable,
    "14-too-complex": too_complex,
    "15-unsafe": unsafe,
    "16-address": addresses,
    "18-keys": keys,
    "19-ids": foreign_ids,
    "20-preconditions": preconditions,
    "21-idempotency": repeated,
    "22-parameters": parameters,
    "23-rate": too_many_requests,
    "24-last-event-id": resuming,
    "25-too-late": too_late,
    "26-two-framings": two_framings,
    "27-large-headers": large_headers,
    "28-slowness": slowness,
    "29-method-and-path": wrong_ways,
    "31-webhooks": webhooks,
}
ELSEWHERE = {
    "17-private-when-fetched": ("integration/test_submit_url.py", "test_a_name_that_leads_inside_is_refused"),
    "17-redirect": ("integration/test_submit_url.py", "test_a_redirect_is_not_followed"),
    "17-webhook": ("integration/test_webhooks_kept.py", "test_a_name_that_leads_inside_is_blocked"),
    "23-budget": ("integration/test_room.py", "test_tokens_of_the_day"),
    "23-overloaded": ("integration/test_room.py", "test_too_much_waits"),
    "25-lease-lost": ("integration/test_remote.py", "fenced"),
    "32-output-of-plug-ins": ("integration/test_isolation.py", "async def test_"),
    "33-replay": ("unit/test_replay.py", "test_a_gap_and_a_record_behind_the_end_are_refused"),
}


@pytest.mark.parametrize("row", ROWS)
async def test_row(table: Table, row: str) -> None:
    await ROWS[row](table)
    live = await table.door.client.get("/livez")
    assert live.json() == {"status": "ok"}


@pytest.mark.parametrize("row", ELSEWHERE)
async def test_rows_that_are_tested_elsewhere(row: str) -> None:
    path, name = ELSEWHERE[row]
    assert name in (ROOT / path).read_text(encoding="utf-8")


async def test_every_row_is_here() -> None:
    assert {int(row[:2]) for row in (*ROWS, *ELSEWHERE)} | {30} == set(range(1, 34))


async def test_row_30_storage(tmp_path: Path) -> None:
    """Full, away, and well again: with a real server behind a door that can be shut."""
    server = await start_server(tmp_path / "server")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        await _out_of_order(server, tmp_path)


async def _out_of_order(server: Server, tmp_path: Path) -> None:
    async with (
        Redis.from_url(server.url) as direct,
        Proxy(server.url, tmp_path / "proxy.sock") as proxy,
        door(proxy.url, tmp_path / "data", *SOURCES, roles="controller") as found,
    ):
        await direct.config_set("maxmemory", "1")
        try:
            while (answer := await found.client.post("/v1/documents", json={"text": "a"})).status_code != 503:
                await asyncio.sleep(0.02)
            problem(answer, 503, "storage-full")
            assert int(answer.headers["retry-after"]) > 0
        finally:
            await direct.config_set("maxmemory", "0")
        await proxy.cut(refuse=True)
        for method, path in (("GET", "/v1/boards"), ("POST", "/v1/documents")):
            answer = await found.client.request(method, path, json={"text": "a"} if method == "POST" else None)
            problem(answer, 503, "storage-unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert (await found.client.get("/livez")).status_code == 200
        proxy.heal()
        while (await found.client.post("/v1/documents", json={"text": "a"})).status_code != 202:
            await asyncio.sleep(0.05)
