"""POST /v1/boards/{id}/commits: all or nothing, and what did not hold is said, all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from blackboard.ports import Store
from tests.integration.serving import Served, serving
from tests.making import consistent, end, put, source

PAGE = {"number": 1, "text": "one"}
LARGE = {"number": 2, "text": "x" * 400_000}


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Both stores."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture
async def served(store: Store) -> AsyncIterator[Served]:
    """A service over each."""
    async with serving(store) as served:
        yield served


async def commit(served: Served, board: str, *writes: Any, **more: Any) -> Any:
    """The answer."""
    return await served.client.post(f"/v1/boards/{board}/commits", json={"writes": list(writes), **more})


def slug(answer: Any) -> tuple[int, str]:
    """Status and problem."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def pointers(answer: Any) -> list[str]:
    """Where a body is off."""
    assert slug(answer) == (422, "validation-error"), answer.text
    return [each["pointer"] for each in answer.json()["errors"]]


async def versions(served: Served, board: str) -> dict[str, int]:
    """Key -> version of what stands there."""
    items = (await served.client.get(f"/v1/boards/{board}/entries")).json()["items"]
    return {item["key"]: item["version"] for item in items if item["level"] != "upload"}


async def test_several_writes_are_one_step(served: Served, store: Store) -> None:
    board = await served.submit()
    await source(store, board, "pages", put("page/0001", PAGE), put("page/0009", PAGE))
    before = (await served.client.get(f"/v1/boards/{board}")).json()["revision"]
    made = await commit(
        served, board,
        {"key": "page/0001", "value": {**PAGE, "text": "two"}, "confidence": 0.5},
        {"op": "put", "key": "page/0002", "value": LARGE, "pin": False},
        {"op": "retract", "key": "page/0009"},
        {"op": "retract", "key": "page/0010"},
        checks={"page/0001": 1, "page/0002": 0, "page/0009": 1}, revision=before,
    )  # fmt: skip
    assert made.status_code == 200, made.text
    said = made.json()
    assert (said["board"], said["revision"], said["already"]) == (board, before + 1, False)
    assert made.headers["etag"] == f'"{before + 1}"'
    assert said["entries"] == [
        {"key": "page/0001", "version": 2, "changed": True},
        {"key": "page/0002", "version": 1, "changed": True},
        {"key": "page/0009", "version": 2, "changed": True},
        {"key": "page/0010", "version": None, "changed": False},
    ]
    items = {i["key"]: i for i in (await served.client.get(f"/v1/boards/{board}/entries")).json()["items"]}
    one, two = items["page/0001"], items["page/0002"]
    assert (one["owner"], one["pinned"], one["confidence"]) == ("person:anonymous", True, 0.5)
    assert (two["pinned"], two["value"]["text"]) == (False, LARGE["text"])
    assert "page/0009" not in items
    _, log = await consistent(store, board)
    assert (log[-1].type, log[-1].by, log[-1].revision) == ("contribution.committed", "person:anonymous", before + 1)


async def test_all_that_does_not_hold_is_said_and_nothing_is_written(served: Served, store: Store) -> None:
    board = await served.submit()
    await source(store, board, "pages", put("page/0001", PAGE), put("page/0002", PAGE))
    checks = {"page/0001": 1, "page/0002": 7, "page/0003": 1}
    refused = await commit(served, board, {"key": "page/0004", "value": PAGE}, checks=checks, revision=9)
    assert slug(refused) == (409, "conflict")
    assert refused.json()["mismatches"] == [
        {"key": "revision", "expected": 9, "actual": 2},
        {"key": "page/0002", "expected": 7, "actual": 1},
        {"key": "page/0003", "expected": 1, "actual": 0},
    ]
    assert refused.json()["revision"] == 2
    assert await versions(served, board) == {"page/0001": 1, "page/0002": 1}
    _, log = await consistent(store, board)
    note = orjson.loads(log[-1].body)
    assert (log[-1].type, log[-1].by, note["refused"]) == ("contribution.refused", "person:anonymous", "conflict")


async def test_the_same_id_is_answered_as_the_first_time(served: Served, store: Store) -> None:
    board = await served.submit()
    write = {"key": "page/0001", "value": PAGE}
    first = await commit(served, board, write, checks={"page/0001": 0}, id="n-1")
    again = await commit(served, board, write, checks={"page/0001": 0}, id="n-1")
    assert (first.json()["already"], again.json()["already"]) == (False, True)
    assert {**again.json(), "already": False} == first.json()
    assert slug(await commit(served, board, {**write, "pin": False}, id="n-1")) == (422, "idempotency-key-reused")
    refused = await commit(served, board, write, checks={"page/0001": 0}, id="n-2")
    await commit(served, board, {"op": "retract", "key": "page/0001"})
    still = await commit(served, board, write, checks={"page/0001": 0}, id="n-2")
    assert (slug(still), refused.json()["already"], still.json()["already"]) == ((409, "conflict"), False, True)
    assert still.json()["mismatches"] == refused.json()["mismatches"]
    await end(store, board)
    assert (await commit(served, board, write, checks={"page/0001": 0}, id="n-1")).json()["already"]
    assert slug(await commit(served, board, write)) == (409, "board-ended")


async def test_of_many_at_once_one_wins(served: Served) -> None:
    board = await served.submit()
    writes = [
        [{"key": f"page/{n:04}", "value": {"number": n, "text": f"{who}"}} for n in range(1, 6)] for who in range(10)
    ]
    checks = {f"page/{n:04}": 0 for n in range(1, 6)}
    answers = await asyncio.gather(*(commit(served, board, *each, checks=checks) for each in writes))
    assert sorted(each.status_code for each in answers) == [200, *[409] * 9]
    items = (await served.client.get(f"/v1/boards/{board}/entries?level=page")).json()["items"]
    assert len({item["value"]["text"] for item in items}) == 1


async def test_a_board_that_has_ended_says_where_it_goes_on(served: Served, store: Store) -> None:
    board = await served.submit()
    await end(store, board)
    refused = await commit(served, board, {"key": "page/0001", "value": PAGE})
    assert slug(refused) == (409, "board-ended")
    assert refused.json()["links"]["retry"] == f"/v1/boards/{board}/retry"


OFF: list[tuple[Any, str]] = [
    ({}, "/writes"),
    ({"writes": []}, "/writes"),
    ({"writes": [{}] * 101}, "/writes"),
    ({"writes": [{"key": "page/1"}]}, "/writes/0/value"),
    ({"writes": [{"key": "page/1", "op": "retract", "value": None}]}, "/writes/0/value"),
    ({"writes": [{"key": "page/1", "op": "patch", "value": 1}]}, "/writes/0/op"),
    ({"writes": [{"key": "page/1", "value": 1, "confidence": 2}]}, "/writes/0/confidence"),
    ({"writes": [{"key": "page/1", "value": 1, "owner": "me"}]}, "/writes/0/owner"),
    ({"writes": [{"key": "page/1", "value": PAGE}], "checks": {"page/1": True}}, "/checks/page~11"),
    ({"writes": [{"key": "page/1", "value": PAGE}], "checks": {"page/1": -1}}, "/checks/page~11"),
    ({"writes": [{"key": "page/1", "value": PAGE}], "revision": "3"}, "/revision"),
    ({"writes": [{"key": "page/1", "value": PAGE}], "id": "a b"}, "/id"),
    ({"writes": [{"key": "page/1", "value": PAGE}], "by": "somebody"}, "/by"),
]


class TestBodies:
    async def test_every_part_that_is_off_is_pointed_at(self, served: Served) -> None:
        board = await served.submit()
        off = await commit(
            served, board,
            {"key": "page/0001", "value": {"number": "1", "text": "x"}},
            {"key": "nowhere/1", "value": 1},
            {"key": "page/a b", "value": PAGE},
            {"key": "upload/original", "value": PAGE},
            {"op": "retract", "key": "page/0001"},
            {"op": "retract", "key": "page/0001~ocr/x"},
            {"key": "page/0002~ocr", "value": PAGE},
            checks={"page/0001": 1, "x": 1},
        )  # fmt: skip
        assert pointers(off) == [
            "/writes/0/value/number", "/writes/1/key", "/writes/2/key", "/writes/3/key", "/writes/4/key",
            "/writes/5/key", "/writes/6/key", "/checks/x",
        ]  # fmt: skip
        assert "twice" in off.json()["errors"][4]["detail"]
        assert await versions(served, board) == {}

    async def test_what_is_not_a_commit(self, memory_store: Store) -> None:
        async with serving(memory_store) as served:
            board = await served.submit()
            for body, where in OFF:
                answer = await served.client.post(f"/v1/boards/{board}/commits", json=body)
                assert where in pointers(answer), body

    async def test_other_boards_and_other_media(self, served: Served) -> None:
        board = await served.submit()
        write = {"key": "page/0001", "value": PAGE}
        assert slug(await commit(served, "0-" + "a" * 26, write)) == (404, "not-found")
        plain = await served.client.post(f"/v1/boards/{board}/commits", content=b"{}")
        assert slug(plain) == (415, "unsupported-media-type")
        assert slug(await served.client.post(f"/v1/boards/{board}/commits?x=1", json={})) == (400, "invalid-parameter")
