"""Bad input gets the 4xx problem that the table of problems promises, never repeats what was sent, and harms nobody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from blackboard.blobs import Blobs
from blackboard.entries import Answer, Commit
from blackboard.errors import OutcomeUnknown, StorageFull, StorageUnavailable
from blackboard.memory import MemoryStore
from controller.http.problems import CATALOGUE
from tests.integration.serving import Served, serving
from tests.making import end, new_board

JSON = {"Content-Type": "application/json"}
SECRET = "sesame-93"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A service over a store in memory, with a small limit for uploads."""
    async with serving(MemoryStore(Blobs.at("memory://")), max_upload_bytes=200_000) as served:
        yield served


def is_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """The problem, after checking what all have in common."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["type"].endswith(f"/problems/{slug}"), found
    assert found["type"].startswith("http://127.0.0.1")
    assert found["status"] == status
    assert found["title"] and found["detail"]
    assert found["request_id"] == answer.headers["x-request-id"]
    assert SECRET not in answer.text
    return found


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 400, "invalid-json"),
        (b'{"text": "' + SECRET.encode(), 400, "invalid-json"),
        (b'{"text": "\xff\xfe"}', 400, "invalid-encoding"),
        ('{"text": "a"}'.encode("utf-16"), 400, "invalid-encoding"),
        (b'\xef\xbb\xbf{"text": "a"}', 400, "invalid-encoding"),
        (b'{"text": "a", "deadline_s": NaN}', 400, "invalid-json"),
        (b'{"text": "a", "deadline_s": 1e400}', 400, "invalid-json"),
        (b'{"text": "a", "deadline_s": ' + b"9" * 5000 + b"}", 400, "invalid-json"),
        (b'{"text": "\\ud800"}', 400, "invalid-unicode"),
        (b'{"text": "a\\u0000"}', 400, "invalid-unicode"),
        (b'{"text": "a", "text": "b"}', 400, "duplicate-member"),
        (b'{"text": ' + b"[" * 900 + b"]" * 900 + b"}", 400, "json-too-deep"),
        (b"[" * 100_000, 400, "json-too-deep"),
        (b"{}", 422, "validation-error"),
        (b'"text"', 422, "validation-error"),
        (b"null", 422, "validation-error"),
        (b'{"text": 7}', 422, "validation-error"),
        (b'{"text": "a", "deadline_s": "7"}', 422, "validation-error"),
        (b'{"text": "a", "deadline_s": true}', 422, "validation-error"),
        (b'{"text": "a", "deadline_s": -1}', 422, "validation-error"),
        (b'{"text": "a", "priority": "sesame-93"}', 422, "validation-error"),
        (b'{"text": "a", "url": "http://169.254.169.254/sesame-93"}', 422, "validation-error"),
        (b'{"text": "a", "goal": ["sesame-93"]}', 422, "validation-error"),
        (b'{"text": "a", "sources": ["report", "sesame-93"]}', 422, "validation-error"),
        (b'{"text": "a", "filename": "../sesame-93"}', 422, "invalid-filename"),
        (b'{"text": "<!DOCTYPE a [<!ENTITY x \\"y\\">]><a>&x;</a>"}', 422, "document-unsafe"),
    ],
)
async def test_json_documents(served: Served, body: bytes, status: int, slug: str) -> None:
    answer = await served.client.post("/v1/documents", content=body, headers=JSON)
    is_problem(answer, status, slug)
    assert (await served.client.get("/v1/boards")).json()["items"] == []


async def test_validation_points_at_what_is_off(served: Served) -> None:
    body = {"text": 1, "sesame": 2, "goal": ["page", 3], "hold": "forever"}
    found = is_problem(await served.client.post("/v1/documents", json=body), 422, "validation-error")
    assert {error["pointer"] for error in found["errors"]} == {"/text", "/sesame", "/goal/1", "/hold"}


@pytest.mark.parametrize(
    ("headers", "slug", "hint"),
    [
        ({}, "unsupported-media-type", "Accept-Post"),
        ({"Content-Type": "text/plain"}, "unsupported-media-type", "Accept-Post"),
        ({"Content-Type": "application/xml"}, "unsupported-media-type", "Accept-Post"),
        ({**JSON, "Content-Encoding": "gzip"}, "unsupported-content-encoding", "Accept-Encoding"),
        ({**JSON, "Content-Encoding": "br"}, "unsupported-content-encoding", "Accept-Encoding"),
    ],
)
async def test_media_types(served: Served, headers: dict[str, str], slug: str, hint: str) -> None:
    answer = await served.client.post("/v1/documents", content=b'{"text": "a"}', headers=headers)
    is_problem(answer, 415, slug)
    assert answer.headers[hint]


async def test_large_bodies_are_cut_off_by_what_arrives(served: Served) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"text": "'
        for _ in range(64):
            yield b"x" * 65_536

    announced = await served.client.post("/v1/documents", content=b"x" * 1_048_577, headers=JSON)
    is_problem(announced, 413, "content-too-large")
    assert announced.headers["connection"] == "close"
    head = b"POST /v1/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
    async for part in endless():
        writer.write(b"%x\r\n%b\r\n" % (len(part), part))
    answer = await reader.read()  # to the end of the connection
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"/problems/content-too-large" in answer
    writer.close()


@pytest.mark.parametrize(
    "name",
    [b"../a", b"a/b", b"a\\\\b", b"..", b"a%00b", b"a%0D%0AX-Y: z", b"a\x00b", b"x" * 256, b"\xff", "é".encode() * 128],
)
async def test_filenames(served: Served, name: bytes) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\nhello\r\n--b--\r\n' % name
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    is_problem(await served.client.post("/v1/documents", content=body, headers=headers), 422, "invalid-filename")


@pytest.mark.parametrize(
    ("name", "declared", "content"),
    [
        ("a.pdf", "application/pdf", b"MZ\x90\x00 This program cannot be run"),
        ("a.pdf", "application/octet-stream", b"\x7fELF"),
        ("a.pdf", "application/pdf", b"MZ" + b" " * 100 + b"%PDF-1.7"),
        ("a.pdf", "application/pdf", b"PK\x03\x04" + b" " * 100 + b"%PDF-1.7"),
        ("a.bin", "image/png", b"%PDF-1.7"),
        ("a.docx", "", b"%PDF-1.7"),
        ("a.txt", "text/plain", b"MZ\x90\x00"),
    ],
)
async def test_content_that_contradicts_its_type(served: Served, name: str, declared: str, content: bytes) -> None:
    answer = await served.client.post("/v1/documents", files={"file": (name, content, declared)})
    is_problem(answer, 415, "media-type-mismatch")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b""),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"nothing of the kind"),
        (
            {"Content-Type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx',
        ),
        ({"Content-Type": "multipart/form-data; boundary=" + "b" * 300}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nA: b\r\n\r\nx\r\n" * 40 + b"--b--\r\n"),
    ],
)
async def test_broken_forms(served: Served, headers: dict[str, str], body: bytes) -> None:
    answer = await served.client.post("/v1/documents", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.status_code, "invalid-multipart" if answer.status_code == 400 else "validation-error")


@pytest.mark.parametrize(
    ("data", "files"),
    [
        ({"goal": "sesame-93"}, {"file": ("a", b"x")}),
        ({"deadline_s": "soon"}, {"file": ("a", b"x")}),
        ({"deadline_s": "1_0"}, {"file": ("a", b"x")}),
        ({"sesame-93": "x"}, {"file": ("a", b"x")}),
        ({"priority": ["batch", "interactive"]}, {"file": ("a", b"x")}),
        ({}, {"document": ("a", b"x")}),
        ({"goal": "page"}, None),
    ],
)
async def test_form_options(served: Served, data: Any, files: Any) -> None:
    kwargs: dict[str, Any] = {"data": data, "files": files or {"goal": (None, "page")}}
    if files is None:
        kwargs = {"files": {"goal": (None, "page")}}
    answer = await served.client.post("/v1/documents", **kwargs)
    found = answer.json()
    assert answer.status_code == 422 and found["errors"], answer.text


async def test_nobody_learns_that_a_board_exists(served: Served) -> None:
    foreign = await new_board(served.service.store, tenant="acme")
    unknown = served.service.store.new_id("default")
    odd = ["..%2f..", "a%00b", "%ff%fe", "a%0d%0aX", "x" * 300, "7", f"{unknown}x", unknown.upper()]
    seen = set()
    for board in (foreign, unknown, *odd):
        for method, path in [
            ("GET", ""), ("GET", "?at=1"), ("GET", "/report"), ("GET", "/entries"), ("GET", "/entries/page/0001"),
            ("GET", "/log"), ("GET", "/why"), ("GET", "/activations"), ("GET", "/events"), ("POST", "/cancel"),
            ("POST", "/approve"), ("POST", "/retry"), ("PUT", "/entries/page/0001"), ("DELETE", "/entries/page/0001"),
        ]:  # fmt: skip
            answer = await served.client.request(method, f"/v1/boards/{board}{path}", headers={"If-Match": '"1"'})
            is_problem(answer, 404, "not-found")
            names = sorted(name for name in answer.headers if name not in ("date", "x-request-id"))
            seen.add((re.sub(rb'"request_id":"\w+"', b"", answer.content), tuple(names)))
    is_problem(nowhere := await served.client.get("/v1/nowhere"), 404, "not-found")
    seen.add((re.sub(rb'"request_id":"\w+"', b"", nowhere.content), tuple(names)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    "target",
    [
        "/v1/boards?limit=0", "/v1/boards?limit=abc", "/v1/boards?limit=1_0", "/v1/boards?limit=%D9%A1", "/v1/boards?limit=",
        "/v1/boards?limit=01", "/v1/boards?limit=201", "/v1/boards?limit=1&limit=2", "/v1/boards?sesame-93=1",
        "/v1/boards?cursor=sesame-93", "/v1/boards?cursor=AAAAAAAAAAAAAAAA",
        "{}?at=0", "{}?at=99", "{}?at=-1", "{}/report?partial=yes",
        "{}/report?partial=1", "{}/entries?level=..", "{}/entries/page/0001?version=0", "{}/events?after=abc", "{}/log?x=1",
        "{}/why?partial=true",
    ],
)  # fmt: skip
async def test_query_parameters(served: Served, target: str) -> None:
    board = await served.submit()
    found = await served.client.get(target.replace("{}", f"/v1/boards/{board}"))
    problem = is_problem(found, 400, "invalid-parameter")
    assert problem.get("parameter") in (None, "limit", "cursor", "at", "partial", "level", "version", "after")


async def test_a_tampered_cursor(served: Served) -> None:
    for _ in range(3):
        await served.submit()
    cursor = (await served.client.get("/v1/boards?limit=1")).json()["next_cursor"]
    assert (await served.client.get("/v1/boards", params={"cursor": cursor})).status_code == 200
    for at in range(len(cursor)):
        other = "A" if cursor[at] != "A" else "B"
        changed = cursor[:at] + other + cursor[at + 1 :]
        is_problem(await served.client.get("/v1/boards", params={"cursor": changed}), 400, "invalid-parameter")


@pytest.mark.parametrize("last", ["abc", "-1", str(10**30), "i1.1", "a.1-0-0", "ü.1-0"])
async def test_last_event_ids(served: Served, last: str) -> None:
    board = await served.submit()
    answer = await served.client.get(f"/v1/boards/{board}/events", headers={"Last-Event-ID": last.encode()})
    is_problem(answer, 400, "invalid-last-event-id")


async def test_wrong_methods_and_paths(served: Served) -> None:
    board = await served.submit()
    for method, path, allowed in [
        ("DELETE", "/v1/documents", "POST"),
        ("PATCH", "/v1/boards", "GET"),
        ("POST", f"/v1/boards/{board}/entries/page/0001", "DELETE, GET, PUT"),
        ("GET", f"/v1/boards/{board}/cancel", "POST"),
        ("TRACE", "/livez", "GET"),
    ]:
        answer = await served.client.request(method, path)
        is_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
    for path in ("/", "/v2/boards", "/v1", "/v1/", "/v1/boards/", "/problems/sesame-93"):
        is_problem(await served.client.get(path), 404, "not-found")


async def test_what_is_too_large_to_look_at(served: Served) -> None:
    is_problem(await served.client.get("/livez", headers={"X": "y" * 17_000}), 431, "header-fields-too-large")
    is_problem(await served.client.get("/livez?" + "a" * 9000), 414, "uri-too-long")


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /v1/boards/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/documents HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_http(served: Served, request_: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
    writer.write(request_)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")  # to the end of the connection
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    assert orjson.loads(body)["type"].endswith("/problems/bad-request")
    writer.close()


async def test_hosts_are_not_repeated_blindly(served: Served) -> None:
    answer = await served.client.get("/v1/nowhere", headers={"Host": 'sesame-93"><script>'})
    assert answer.json()["type"] == "/problems/not-found"


async def test_every_problem_has_a_page(served: Served) -> None:
    for slug, kind in CATALOGUE.items():
        answer = await served.client.get(f"/problems/{slug}")
        assert answer.status_code == 200
        assert str(kind.status) in answer.text


class Away(MemoryStore):
    """Fails as told."""

    error: Exception | None = None

    async def commit(self, board: str, commit: Commit) -> Answer:
        if self.error:
            raise self.error
        return await super().commit(board, commit)

    async def head(self, board: str) -> dict[str, str] | None:
        if self.error:
            raise self.error
        return await super().head(board)

    async def now(self) -> int:
        if self.error:
            raise self.error
        return await super().now()


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (StorageUnavailable(SECRET), 503, "storage-unavailable"),
        (OutcomeUnknown(SECRET), 503, "storage-unavailable"),
        (StorageFull(SECRET), 503, "storage-full"),
    ],
)
async def test_storage_that_fails(error: Exception, status: int, slug: str) -> None:
    store = Away(Blobs.at("memory://"))
    async with serving(store) as served:
        board = await served.submit()
        store.error = error
        for answer in (
            await served.client.post("/v1/documents", json={"text": "a"}),
            await served.client.get(f"/v1/boards/{board}"),
            await served.client.get(f"/v1/boards/{board}/events"),
            await served.client.post(f"/v1/boards/{board}/cancel"),
        ):
            is_problem(answer, status, slug)
            assert int(answer.headers["retry-after"]) > 0
        ready = await served.client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["checks"]["storage"] == {"ok": False, "error": slug, "ms": pytest.approx(0, abs=1e3)} or (
            isinstance(error, OutcomeUnknown)
        )
        assert (await served.client.get("/livez")).status_code == 200


async def test_an_unexpected_error_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = Away(Blobs.at("memory://"))
    async with serving(store) as served:
        board = await served.submit()
        store.error = ZeroDivisionError(SECRET)
        answer = await served.client.get(f"/v1/boards/{board}")
        is_problem(answer, 500, "internal-error")


async def test_writes_to_a_board_that_ended(served: Served) -> None:
    board = await served.submit()
    await end(served.service.store, board)
    page = {"number": 1, "text": "x"}
    for answer in (
        await served.client.put(f"/v1/boards/{board}/entries/page/0001", json=page, headers={"If-None-Match": "*"}),
        await served.client.put(f"/v1/boards/{board}/entries/upload/original", json=page, headers={"If-Match": '"9"'}),
        await served.client.put(f"/v1/boards/{board}/entries/page/0001", json=page),
        await served.client.delete(f"/v1/boards/{board}/entries/page/0001", headers={"If-Match": '"1"'}),
        await served.client.post(f"/v1/boards/{board}/approve"),
    ):
        problem = is_problem(answer, 409, "board-ended")
        assert problem["links"]["retry"] == f"/v1/boards/{board}/retry"
    first, second = [await served.client.post(f"/v1/boards/{board}/cancel") for _ in range(2)]
    assert first.status_code == second.status_code == 200
    assert first.content == second.content


def test_the_catalogue_is_well_formed() -> None:
    for slug, kind in CATALOGUE.items():
        assert re.fullmatch(r"[a-z][a-z0-9-]+", slug)
        assert 400 <= kind.status < 600
        assert orjson.dumps([kind.title, kind.about])
