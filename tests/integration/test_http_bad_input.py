"""Bad input gets the 4xx problem that the table of problems promises, never repeats what was sent, and harms nobody."""

from __future__ import annotations

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


async def test_validation_points_at_what_is_off(served: Served) -> None:
    body = {"text": 1, "sesame": 2, "goal": ["page", 3], "hold": "forever"}
    found = is_problem(await served.client.post("/v1/documents", json=body), 422, "validation-error")
    assert {error["pointer"] for error in found["errors"]} == {"/text", "/sesame", "/goal/1", "/hold"}


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
