"""`Idempotency-Key`: one effect however often a request is sent, and the first answer again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from blackboard import once
from blackboard.memory import MemoryStore
from blackboard.once import place_of
from blackboard.ports import Store
from blackboard.store import RedisStore
from controller.access import Admitted, Caller
from controller.access import Scope as Needed
from controller.http import idempotency
from controller.settings import Settings
from tests.integration.serving import Served, Small, serving
from tests.listening import listening
from tests.making import end, until

KEY = {"Idempotency-Key": '"8e03978e-40d5"'}


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
async def served(store: Store) -> AsyncIterator[Served]:
    async with serving(store, max_upload_bytes=3_000_000) as served:
        yield served


async def post(served: Served, key: dict[str, str] = KEY, **body: Any) -> httpx2.Response:
    return await served.client.post("/v1/documents", json=body, headers=key)


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["type"]).rpartition("/")[2]


def same(first: httpx2.Response, again: httpx2.Response) -> None:
    """The answers are alike, but for what tells them apart."""
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    own = {"idempotency-replayed", "x-request-id", "date"}
    assert {k: v for k, v in again.headers.items() if k not in own} == {
        k: v for k, v in first.headers.items() if k not in own
    }


async def boards(served: Served) -> list[str]:
    return [item["id"] for item in (await served.client.get("/v1/boards")).json()["items"]]


async def test_a_repeat_is_answered_as_the_first_was(served: Served) -> None:
    first = await post(served, text="Once.", goal=["report"], filename="a.txt")
    assert first.status_code == 202, first.text
    board = first.json()["id"]
    # Whatever the board came to since.
    await served.client.put(
        f"/v1/boards/{board}/entries/summary/x", json={"value": {"text": "A"}}, headers={"If-None-Match": "*"}
    )
    await end(served.service.store, board)
    same(first, await post(served, text="Once.", goal=["report"], filename="a.txt"))
    assert await boards(served) == [board]


async def test_a_file(served: Served) -> None:
    data = b"%PDF-1.7 and so on" * 60_000
    file = {"file": ("a.pdf", data, "application/pdf")}
    first = await served.client.post("/v1/documents", files=file, data={"priority": "batch"}, headers=KEY)
    assert first.status_code == 202, first.text
    again = await served.client.post("/v1/documents", files=file, data={"priority": "batch"}, headers=KEY)
    same(first, again)
    for other in (
        {"files": {"file": ("a.pdf", data + b".", "application/pdf")}, "data": {"priority": "batch"}},
        {"files": {"file": ("b.pdf", data, "application/pdf")}, "data": {"priority": "batch"}},
        {"files": file, "data": {"priority": "interactive"}},
        {"json": {"text": "Something else."}},
    ):
        refused = await served.client.post("/v1/documents", headers=KEY, **other)  # type: ignore[arg-type]
        assert slug(refused) == (422, "idempotency-key-reused")
    assert await boards(served) == [first.json()["id"]]


async def test_another_key_makes_another_board_of_the_same_text(served: Served) -> None:
    first, second = await post(served, text="Same."), await post(served, {"Idempotency-Key": '"b"'}, text="Same.")
    third, fourth = await served.submit("Same."), await served.submit("Same.")
    assert len({first.json()["id"], second.json()["id"], third, fourth}) == 4


BROKEN = ["", "unquoted", '"', '""', f'"{"x" * 256}"', '"a"b', '"a\\"', '"a\\n"', '"é"', '"a", "b"', "'a'"]


async def test_a_key_that_is_none(served: Served) -> None:
    for value in BROKEN:
        headers = [(b"Idempotency-Key", value.encode())]
        answer = await served.client.post("/v1/documents", json={"text": "x"}, headers=headers)
        assert slug(answer) == (400, "idempotency-key-invalid"), value
    assert await boards(served) == []


async def test_two_keys(served: Served) -> None:
    both = [("Idempotency-Key", '"a"'), ("Idempotency-Key", '"a"')]
    answer = await served.client.post("/v1/documents", json={"text": "x"}, headers=both)
    assert slug(answer) == (400, "idempotency-key-invalid")


async def test_keys_of_any_form(served: Served) -> None:
    for value in (f'"{"x" * 255}"', r'"a\"b\\c"', '" "'):
        first, again = [await post(served, {"Idempotency-Key": value}, text="x") for _ in range(2)]
        assert (first.status_code, again.json()["id"]) == (202, first.json()["id"])


async def test_what_was_refused_leaves_the_key_free(served: Served) -> None:
    assert slug(await post(served, text="x", goal=["nothing"])) == (422, "validation-error")
    assert slug(await post(served, text="x", unknown=1)) == (422, "validation-error")
    assert (await post(served, text="x")).status_code == 202


async def test_many_at_once_make_one_board(served: Served) -> None:
    answers = await asyncio.gather(*(post(served, text="One of many.") for _ in range(40)))
    made = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len({answer.content for answer in made}) == 1
    assert {slug(answer) for answer in refused} <= {(409, "idempotency-in-progress")}
    assert len(await boards(served)) == 1


async def test_while_an_upload_is_under_way(served: Served) -> None:
    going_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nslow'
        await going_on.wait()
        yield b"ly\r\n--b--\r\n"

    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
    uploading = asyncio.create_task(served.client.post("/v1/documents", content=body(), headers=headers))

    place = place_of(16, "default", "/v1/documents", "8e03978e-40d5")
    await until(lambda: _busy(served.service.store, place))
    answer = await post(served, text="x")
    assert slug(answer) == (409, "idempotency-in-progress")
    assert answer.headers["retry-after"] == "1"
    going_on.set()
    first = await uploading
    assert first.status_code == 202, first.text
    whole = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nslowly\r\n--b--\r\n'
    same(first, await served.client.post("/v1/documents", content=whole, headers=headers))


async def test_an_upload_keeps_its_turn_however_long_it_takes(
    redis_store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "HOLD_MS", 200)
    going_on, place = asyncio.Event(), place_of(16, "default", "/v1/documents", "8e03978e-40d5")

    async def body() -> AsyncIterator[bytes]:
        yield b'{"text":'
        await going_on.wait()
        yield b'"x"}'

    async with serving(redis_store) as served:
        headers = {**KEY, "Content-Type": "application/json"}
        uploading = asyncio.create_task(served.client.post("/v1/documents", content=body(), headers=headers))
        await until(lambda: _busy(redis_store, place))
        clock = asyncio.get_running_loop()
        end = clock.time() + 0.8
        while clock.time() < end:
            assert await _busy(redis_store, place)
        going_on.set()
        assert (await uploading).status_code == 202


async def test_a_crash_frees_the_key_after_a_while(redis_store: RedisStore) -> None:
    place = place_of(16, "default", "/v1/documents", "8e03978e-40d5")
    async with serving(redis_store) as served:
        # Whoever took it is gone without a word.
        assert await redis_store.once(*place, "f" * 32, 300) == "mine"
        assert slug(await post(served, text="x")) == (409, "idempotency-in-progress")

        async def free() -> httpx2.Response | None:
            answer = await post(served, text="x")
            return answer if answer.status_code == 202 else None

        board = (await until(free)).json()["id"]
        assert await boards(served) == [board]


async def _busy(store: Store, place: tuple[int, str]) -> bool:
    return await store.once(*place, "d4", 0) == "busy"


async def test_it_is_kept_for_a_day_beside_its_board(redis_store: RedisStore) -> None:
    async with serving(redis_store) as served:
        board = (await post(served, text="x")).json()["id"]
        partition, name = place_of(16, "default", "/v1/documents", "8e03978e-40d5")
        assert board.startswith(f"{partition}-")
        left = await redis_store._commands.pttl(f"bb:{{{partition}}}:once:{name}")
        assert once.KEEP_MS - 60_000 < left <= once.KEEP_MS


async def test_a_board_that_is_gone_does_not_come_back(served: Served) -> None:
    board = (await post(served, text="x")).json()["id"]
    await end(served.service.store, board)
    await served.service.store.retire(board)
    assert slug(await post(served, text="x")) == (404, "not-found")
    assert await boards(served) == []


class ByName:
    """The key is the tenant."""

    async def admit(self, authorization: Any, needs: Needed) -> Admitted:
        """See access.Gate."""
        return Admitted(Caller(authorization[0].removeprefix("Bearer ")))


async def test_a_key_is_a_tenant_s_own(memory_store: MemoryStore) -> None:
    service = Small(memory_store, memory_store.blobs, Settings(), gate=ByName())
    async with listening(service) as (_, client, _):
        made = [
            await client.post(
                "/v1/documents", json={"text": text}, headers={**KEY, "Authorization": f"Bearer {tenant}"}
            )
            for tenant, text in (("a", "x"), ("b", "y"), ("a", "x"))
        ]
    await service.feed.close()
    assert [answer.status_code for answer in made] == [202, 202, 202]
    assert made[0].json()["id"] == made[2].json()["id"] != made[1].json()["id"]


async def test_a_retry_forks_once(served: Served) -> None:
    board = await served.submit()
    await end(served.service.store, board)
    first, again = [await served.client.post(f"/v1/boards/{board}/retry", headers=KEY) for _ in range(2)]
    assert first.status_code == 202, first.text
    same(first, again)
    fork = first.json()["id"]
    assert fork.partition("-")[0] == board.partition("-")[0]
    other = await served.client.post(f"/v1/boards/{board}/retry", headers=KEY, json={"activation": "a"})
    assert slug(other) == (422, "idempotency-key-reused")
    assert set(await boards(served)) == {board, fork}
    # The same key under another path stands for something else.
    third = await served.client.post(f"/v1/boards/{fork}/retry", headers=KEY)
    assert slug(third) == (409, "nothing-to-retry")


async def test_a_source_is_added_once(served: Served) -> None:
    board = await served.submit(sources=["intake", "pages"])
    first, again = [await served.client.post(f"/v1/boards/{board}/sources/report", headers=KEY) for _ in range(2)]
    assert first.status_code == 202, first.text
    same(first, again)
    assert slug(await served.client.post(f"/v1/boards/{board}/sources/report")) == (409, "source-present")
    await end(served.service.store, board)
    copies = [
        await served.client.post(f"/v1/boards/{board}/sources/report?space=shadow", headers={"Idempotency-Key": '"c"'})
        for _ in range(2)
    ]
    assert copies[0].status_code == 202, copies[0].text
    same(*copies)
    assert set(await boards(served)) == {board, copies[0].json()["id"]}
