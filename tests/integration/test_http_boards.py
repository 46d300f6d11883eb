"""Documents in, boards out: submit, list, look at any revision, the report, the log, and what people may ask."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson
import pytest
from obstore.store import MemoryStore as ObjectMemory

from blackboard.blobs import Blobs
from blackboard.board import fold
from blackboard.entries import Commit
from blackboard.events import from_json
from blackboard.memory import MemoryStore
from blackboard.ports import Store
from blackboard.store import RedisStore
from tests.integration.serving import Served, serving
from tests.making import activation, agenda, consistent, end, person, put, source

LIMIT = 3_000_000


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
async def served(store: Store) -> AsyncIterator[Served]:
    """A service over each."""
    async with serving(store, max_upload_bytes=LIMIT) as served:
        yield served


async def test_a_file(served: Served) -> None:
    data = b"%PDF-1.7 and so on" * 100
    answer = await served.client.post(
        "/v1/documents",
        files={"file": ("Rëport 1.pdf", data, "application/pdf")},
        data={"goal": "page, report", "sources": "intake,pages,report", "deadline_s": "90.5",
              "priority": "batch", "hold": "review"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    board = shown["id"]
    assert answer.headers["location"] == f"/v1/boards/{board}" == shown["links"]["self"]
    assert shown["status"] == "open"
    assert shown["goal"] == ["page", "report"]
    assert shown["sources"] == {"intake": "3", "pages": "1", "report": "1"}
    assert (shown["deadline_ms"], shown["priority"], shown["hold"]) == (90_500, "batch", "review")
    upload = (await served.client.get(f"/v1/boards/{board}/entries/upload/original")).json()
    sha256 = hashlib.sha256(data).hexdigest()
    assert upload["value"] == {
        "sha256": sha256, "size": len(data), "filename": "Rëport 1.pdf", "declared_type": "application/pdf",
    }  # fmt: skip
    assert (upload["owner"], upload["pinned"]) == ("submitter", False)
    assert await served.service.blobs.get(sha256) == data
    assert (await served.client.get(answer.headers["location"])).json() == shown
    due = {row.name: row.at - shown["created"] for row in await _due(served.service.store, board)}
    assert due == {"check": served.service.settings.check_ms, "deadline": 90_500}


async def _due(store: Store, board: str) -> list[Any]:
    """Everything a board will be looked at for: by making all of it due at once."""
    if isinstance(store, RedisStore):
        partition = board.partition("-")[0]
        flat = await store._commands.zrange(f"bb:{{{partition}}}:due", 0, -1, withscores=True)
        names = [(member.decode().partition("|")[2], int(at)) for member, at in flat]
    else:
        names = list(store._shelves[board].due.items())  # type: ignore[attr-defined]
    return [type("Row", (), {"name": name, "at": at}) for name, at in names]


async def test_a_text(served: Served) -> None:
    board = await served.submit("Grüße 😀", filename="note.txt", goal=["report"])
    value = (await served.client.get(f"/v1/boards/{board}/entries/upload/original")).json()["value"]
    assert value["filename"] == "note.txt"
    assert (await served.service.blobs.get(value["sha256"])).decode() == "Grüße 😀"


async def test_fields_behind_the_file_count_too(served: Served) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n'
        b"--b\r\ncontent-disposition: FORM-DATA; name=goal\r\n\r\npage\r\n--b--\r\nepilogue"
    )
    headers = {"Content-Type": 'multipart/form-data; boundary="b"'}
    answer = await served.client.post("/v1/documents", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["goal"] == ["page"]


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 202), (LIMIT + 1, 413), (LIMIT * 3, 413)])
async def test_the_limit_of_a_file(served: Served, size: int, status: int) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for at in range(0, size, 65_536):
            yield b"x" * min(65_536, size - at)
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await served.client.post("/v1/documents", content=body(), headers=headers)
    assert answer.status_code == status
    if status == 413:
        assert answer.json()["limit"]
        assert answer.headers["connection"] == "close"


class Sieve(Blobs):
    """Keeps nothing of a stream, so that what is held is held by the door."""

    async def put_stream(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        async for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size


async def test_memory_does_not_grow_with_the_file() -> None:
    size = 64 << 20

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(size >> 16):
            yield b"x" * 65_536
        yield b"\r\n--b--\r\n"

    async with serving(MemoryStore(Sieve(ObjectMemory())), max_upload_bytes=size) as served:
        await served.submit()
        tracemalloc.start()
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await served.client.post("/v1/documents", content=body(), headers=headers)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        shown = answer.json()
        upload = (await served.client.get(f"{shown['links']['entries']}/upload/original")).json()
        assert upload["value"]["size"] == size
        assert peak < 4 << 20


async def test_listing_page_by_page(served: Served) -> None:
    boards = [await served.submit(f"text {number}") for number in range(7)]
    found, target = [], "/v1/boards?limit=3"
    while target:
        answer = await served.client.get(target)
        page = answer.json()
        found += [item["id"] for item in page["items"]]
        link = answer.headers.get("link", "")
        assert bool(link) == bool(page["next_cursor"])
        target = link.partition(">")[0].lstrip("<")
        if target:
            await served.submit("one that came later")
    assert len(found) == 7
    assert set(found) == set(boards)
    everything = (await served.client.get("/v1/boards")).json()
    assert len(everything["items"]) == 9
    assert everything["next_cursor"] is None
    created = [item["created"] for item in everything["items"]]
    assert created == sorted(created, reverse=True)


async def test_a_board_at_every_revision(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    for number in range(5):
        await source(
            store,
            board,
            "pages",
            put(f"page/{number % 2:04}", {"number": number, "text": "x" * 400_000 * (number % 2)}),
        )
    await agenda(store, board, activation("pages.1", source="pages", binding="document/original", version="1", n=1))
    log = await store.log(board)
    for at in range(1, 8):
        answer = await served.client.get(f"/v1/boards/{board}?at={at}")
        shown, folded = answer.json(), fold(board, log, at=at)
        assert answer.headers["etag"] == f'"{at}"'
        assert shown["revision"] == at
        values = {entry["key"]: entry["value"] for entry in shown["entries"]}
        assert values.keys() == folded.values.keys()
        for key, value in folded.values.items():
            assert values[key] == orjson.loads(await store.resolve(value))
        assert len(shown["activations"]) == (1 if at == 7 else 0)
    now = await served.client.get(f"/v1/boards/{board}")
    assert now.headers["etag"] == '"7"'
    for tag in ('"7"', 'W/"7"', '"1", "7"', "*"):
        same = await served.client.get(f"/v1/boards/{board}", headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", '"7"')
    assert (await served.client.get(f"/v1/boards/{board}", headers={"If-None-Match": '"6"'})).status_code == 200
    assert (await served.client.get(f"/v1/boards/{board}", headers={"If-None-Match": "7"})).status_code == 400


async def test_the_log_folds_to_the_board(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    for number in range(450):
        await source(store, board, "pages", put("page/0001", number))
    await end(store, board)
    answer = await served.client.get(f"/v1/boards/{board}/log")
    assert answer.headers["content-type"].startswith("application/jsonl")
    records = [from_json(line) for line in answer.content.splitlines()]
    state, log = await consistent(store, board)
    assert records == log
    assert fold(board, records) == state


async def test_the_report(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    target = f"/v1/boards/{board}/report"
    early = await served.client.get(target)
    assert (early.status_code, early.headers["retry-after"]) == (409, "1")
    await source(store, board, "pages", put("page/0001", {"number": 1, "text": "x"}), put("layer/0001", {"page": 1}))
    partial = (await served.client.get(f"{target}?partial=true")).json()
    assert (partial["partial"], partial["report"]) == (True, None)
    assert [entry["key"] for entry in partial["contributions"].pop("page")] == ["page/0001"]
    assert partial["contributions"] == {}
    await source(store, board, "report", put("report/board-1", {"title": "T"}))
    await source(store, board, "other", put("report/board-1", {"title": "Rival"}))
    still = (await served.client.get(f"{target}?partial=true")).json()
    assert (still["partial"], still["report"]) == (True, {"title": "T"})
    outcome = {
        "slug": "complete",
        "reason": "every goal is settled",
        "disputes": 1,
        "degraded": [],
        "coverage": {},
        "cost_usd": 0,
    }
    await store.commit(
        board,
        Commit(
            "board.completed", "controller", head={"status": "completed", "outcome": orjson.dumps(outcome).decode()}
        ),
    )
    answer = await served.client.get(target)
    shown = answer.json()
    assert (shown["partial"], shown["report"], shown["outcome"]) == (False, {"title": "T"}, outcome)
    assert "contributions" not in shown
    again = await served.client.get(target, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_the_report_of_a_failure(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    outcome = {"slug": "document-unreadable", "reason": "The file is encrypted."}
    head = {"status": "failed", "outcome": orjson.dumps(outcome).decode()}
    await store.commit(board, Commit("board.failed", "controller", head=head))
    answer = await served.client.get(f"/v1/boards/{board}/report")
    assert (answer.status_code, answer.json()["reason"]) == (409, "document-unreadable")
    shown = (await served.client.get(f"/v1/boards/{board}")).json()
    assert shown["status"] == "failed"
    assert shown["problem"]["type"] == "/problems/document-unreadable"
    assert shown["problem"]["detail"] == "The file is encrypted."
    assert (await served.client.get(f"/v1/boards/{board}/report?partial=true")).json()["partial"] is True


async def test_cancel_and_approve(served: Served) -> None:
    board, store = await served.submit(hold="review"), served.service.store
    for verb, field in (("approve", "approved"), ("cancel", "cancelled_by")):
        first, second = [await served.client.post(f"/v1/boards/{board}/{verb}") for _ in range(2)]
        assert first.status_code == second.status_code == 202
        assert first.content == second.content
        assert first.json()[field] == "person:anonymous"
    head = await store.head(board)
    assert head is not None and (head["cancel"], head["approved"], head["revision"]) == (*["person:anonymous"] * 2, "3")
    assert [record.type for record in await store.log(board)][1:] == ["board.changed"] * 2
    bad = await served.client.post(f"/v1/boards/{board}/cancel", json={"why": "x"})
    assert bad.status_code == 422


async def test_retrying_an_ended_board_forks_it(served: Served) -> None:
    board, store = await served.submit(filename="a.txt", goal=["report"], deadline_s=60.0), served.service.store
    await source(store, board, "pages", put("page/0001", {"number": 1, "text": "x" * 300_000}))
    runs = [activation(f"{status}.1", status, 1, source="pages", binding=status, version="1", n=1) for status in
            ("done", "failed", "stale", "cancelled")]  # fmt: skip
    await agenda(store, board, *runs)
    await end(store, board, "failed")
    answer = await served.client.post(f"/v1/boards/{board}/retry")
    assert answer.status_code == 202
    fork = answer.json()["id"]
    assert fork != board
    assert answer.headers["location"] == f"/v1/boards/{fork}"
    state, _ = await consistent(store, fork)
    old = await store.projection(board)
    assert old is not None
    assert (state.entries, state.values) == (old.entries, old.values)
    assert list(state.agenda) == ["done.1"]
    assert state.head["parent"] == f"{board}@{old.revision}"
    assert state.head["incarnation"] != old.head["incarnation"]
    assert {"outcome", "ended", "cancel"}.isdisjoint(state.head)
    assert (state.status, state.head["goal"], state.head["deadline_ms"]) == ("open", "report", "60000")
    assert (await store.projection(board)) == old


async def test_retrying_an_open_board(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    nothing = await served.client.post(f"/v1/boards/{board}/retry")
    assert (nothing.status_code, nothing.json()["type"].rpartition("/")[2]) == (409, "nothing-to-retry")
    dead = {"source": "pages", "version": "1", "n": 2, "error": {"message": "m"}, "dead": True, "attempts": 4}
    await agenda(
        store, board,
        activation("p.old", "failed", 1, source="pages", binding="a", version="1", n=1, error={}),
        activation("p.new", "failed", 3, "=page/0001@1", binding="a", **dead),
        activation("p.soon", "failed", 1, binding="b", retry_at=5, **dead),
        activation("p.other", "failed", 1, binding="c", **dead),
    )  # fmt: skip
    unknown = await served.client.post(f"/v1/boards/{board}/retry", json={"activation": "p.none"})
    assert unknown.status_code == 422
    one = await served.client.post(f"/v1/boards/{board}/retry", json={"activation": "p.new"})
    assert (one.status_code, one.json()["id"]) == (202, board)
    shown = {item["id"]: item for item in (await served.client.get(f"/v1/boards/{board}/activations")).json()["items"]}
    assert {id: item["status"] for id, item in shown.items()} == {
        "p.old": "failed", "p.new": "pending", "p.soon": "failed", "p.other": "failed",
    }  # fmt: skip
    assert shown["p.new"]["epoch"] == 3
    assert shown["p.new"]["inputs"] == [{"key": "page/0001", "version": 1, "checked": True}]
    assert {"error", "dead", "attempts"}.isdisjoint(shown["p.new"])
    assert (await served.client.post(f"/v1/boards/{board}/retry")).status_code == 202
    record = (await store.log(board))[-1]
    assert (record.type, list(record.agenda)) == ("activation.retried", ["p.other"])


async def test_when_activations_ran(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    await agenda(store, board, activation("pages.1", source="pages", binding="b", version="1", n=1))
    claimed = await store.claim(board, "pages.1", nonce="n", lease_ms=10_000, worker="w1")
    assert claimed.activation is not None
    running = (await served.client.get(f"/v1/boards/{board}/activations")).json()["items"][0]
    assert (running["status"], running["epoch"]) == ("running", 1)
    assert "finished_at" not in running
    done = activation("pages.1", "done", 1, source="pages", binding="b", version="1", n=1)
    await agenda(store, board, done, fence=("pages.1", 1))
    answer = await served.client.get(f"/v1/boards/{board}/activations")
    shown = answer.json()["items"][0]
    assert shown["pending_at"] <= shown["claimed_at"] <= shown["finished_at"]
    again = await served.client.get(
        f"/v1/boards/{board}/activations", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304


async def test_sources_why_and_health(served: Served) -> None:
    sources = (await served.client.get("/v1/sources")).json()
    assert [item["name"] for item in sources["items"]] == ["intake", "pages", "report"]
    assert sources["items"][0]["inputs"] == [{"parameter": "upload", "kind": "each", "levels": ["upload"]}]
    assert sources["broken"] == [
        {"name": "dates", "origin": "installed", "where": "dates:dates", "error": "ModuleNotFoundError: dates"}
    ]
    board = await served.submit()
    why = (await served.client.get(f"/v1/boards/{board}/why")).json()
    assert len(why["reasons"]) == 3
    assert (await served.client.get("/livez")).json() == {"status": "ok"}
    ready = await served.client.get("/readyz")
    assert ready.status_code == 200
    assert {name: check["ok"] for name, check in ready.json()["checks"].items()} == {
        "storage": True, "server": True, "scripts": True, "blobs": True, "feed": True, "load": True,
        "controller": False, "workers": False,
    }  # fmt: skip


async def test_many_at_once(served: Served) -> None:
    boards = await asyncio.gather(*(served.submit(f"text {number}") for number in range(64)))
    assert len(set(boards)) == 64
    incarnations = {(await served.service.store.head(board) or {})["incarnation"] for board in boards}
    assert len(incarnations) == 64
    await person(served.service.store, boards[0], put("page/0001"))
