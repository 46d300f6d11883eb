"""People's contributions: nothing is written without a condition, and none that fails changes anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from blackboard.entries import Header
from blackboard.ports import Store
from tests.integration.serving import Served, serving
from tests.making import consistent, put, source

PAGE = {"number": 1, "text": "one"}


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


async def write(
    served: Served, board: str, value: Any = PAGE, name: str = "page/0001", query: str = "", **headers: str
) -> Any:
    """A PUT; header names with underscores."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return await served.client.put(f"/v1/boards/{board}/entries/{name}{query}", json=value, headers=named)


async def test_create_change_retract_and_create_again(served: Served) -> None:
    board = await served.submit()
    target = f"/v1/boards/{board}/entries/page/0001"
    created = await write(served, board, If_None_Match="*")
    assert (created.status_code, created.headers["etag"], created.headers["location"]) == (201, '"1"', target)
    shown = created.json()
    assert (shown["owner"], shown["pinned"], shown["version"]) == ("person:anonymous", True, 1)
    assert shown["value"]["text"] == "one"
    assert (await served.client.get(target)).json() == shown
    changed = await write(served, board, {**PAGE, "text": "two"}, query="?confidence=0.5", If_Match='"1"')
    assert (changed.status_code, changed.headers["etag"], changed.json()["confidence"]) == (200, '"2"', 0.5)
    same = await write(served, board, {**PAGE, "text": "two"}, query="?confidence=0.5", If_Match='"2"')
    assert (same.status_code, same.headers["etag"]) == (200, '"2"')
    gone = await served.client.delete(target, headers={"If-Match": '"2"'})
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await served.client.get(target)).status_code == 404
    assert (await served.client.delete(target, headers={"If-Match": '"3"'})).status_code == 404
    assert (await write(served, board, If_Match='"3"')).status_code == 412
    again = await write(served, board, If_None_Match="*")
    assert (again.status_code, again.headers["etag"]) == (201, '"4"')
    for version, text in ((1, "one"), (2, "two"), (4, "one")):
        answer = await served.client.get(f"{target}?version={version}")
        assert (answer.json()["value"]["text"], answer.headers["etag"]) == (text, f'"{version}"')
    for version in (3, 5):
        assert (await served.client.get(f"{target}?version={version}")).status_code == 404
    await consistent(served.service.store, board)


@pytest.mark.parametrize(
    ("headers", "status", "slug"),
    [
        ({}, 428, "precondition-required"),
        ({"If-Match": '"2"'}, 412, "precondition-failed"),
        ({"If-Match": 'W/"1"'}, 412, "precondition-failed"),
        ({"If-Match": '"x"'}, 412, "precondition-failed"),
        ({"If-Match": '"01"'}, 412, "precondition-failed"),
        ({"If-Match": '"' + "9" * 40 + '"'}, 412, "precondition-failed"),
        ({"If-Match": "1"}, 400, "invalid-header"),
        ({"If-Match": '"1'}, 400, "invalid-header"),
        ({"If-Match": '"1" "2"'}, 400, "invalid-header"),
        ({"If-Match": ""}, 400, "invalid-header"),
        ({"If-None-Match": '"1"'}, 400, "invalid-header"),
        ({"If-None-Match": "*"}, 412, "precondition-failed"),
        ({"If-None-Match": "*", "If-Match": '"1"'}, 400, "invalid-header"),
    ],
)
async def test_conditions_that_fail(served: Served, headers: dict[str, str], status: int, slug: str) -> None:
    board = await served.submit()
    await write(served, board, If_None_Match="*")
    before = await served.service.store.projection(board)
    target = f"/v1/boards/{board}/entries/page/0001"
    answers = [await served.client.put(target, json={**PAGE, "text": "two"}, headers=headers)]
    if "If-None-Match" not in headers or status == 400:
        answers.append(await served.client.delete(target, headers=headers))
    for answer in answers:
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, slug), answer.text
        if status == 412:
            assert answer.json()["current_version"] == 1
            assert answer.headers["etag"] == '"1"'
    assert await served.service.store.projection(board) == before


@pytest.mark.parametrize("condition", ["*", '"1"', '"7", "1"', 'W/"1", "1"'])
async def test_conditions_that_hold(served: Served, condition: str) -> None:
    board = await served.submit()
    await write(served, board, If_None_Match="*")
    assert (await write(served, board, {**PAGE, "text": "two"}, If_Match=condition)).headers["etag"] == '"2"'


async def test_nothing_matches_what_is_not_there(served: Served) -> None:
    board = await served.submit()
    for condition in ("*", '"1"', '"0"'):
        answer = await write(served, board, If_Match=condition)
        assert (answer.status_code, answer.json()["current_version"]) == (412, 0)
        assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("name", "value", "status", "pointers"),
    [
        ("page/0001", {"number": "1", "text": "x"}, 422, {"/number"}),
        ("page/0001", {"number": True, "text": "x"}, 422, {"/number"}),
        ("page/0001", {"number": 0, "text": "x"}, 422, {"/number"}),
        ("page/0001", {"number": 1, "more": 2}, 422, {"/text", "/more"}),
        ("page/0001", {"number": 1, "text": "x", "lines": [{"start": 0, "end": "1"}]}, 422, {"/lines/0/end"}),
        ("page/0001", [], 422, {""}),
        ("nonsense/0001", {}, 422, {""}),
        ("upload/original", {"sha256": "0" * 64, "size": 1}, 422, {""}),
        ("page/0001~pages", PAGE, 422, set()),
        ("Page/0001", PAGE, 422, set()),
        ("page/%C3%A9", PAGE, 422, set()),
        ("page/" + "x" * 200, PAGE, 422, set()),
    ],
)
async def test_values_and_keys_that_do_not_fit(
    served: Served, name: str, value: Any, status: int, pointers: set[str]
) -> None:
    board = await served.submit()
    answer = await write(served, board, value, name, If_None_Match="*")
    assert answer.status_code == status, answer.text
    assert {error["pointer"] for error in answer.json().get("errors", [])} == pointers
    assert (await served.service.store.head(board) or {})["revision"] == "1"


@pytest.mark.parametrize("query", ["?pin=no", "?confidence=2", "?confidence=1e1", "?confidence=nan", "?if=1"])
async def test_parameters_of_a_write(served: Served, query: str) -> None:
    board = await served.submit()
    assert (await write(served, board, query=query, If_None_Match="*")).status_code == 400


async def test_one_of_many_wins(served: Served) -> None:
    board = await served.submit()
    answers = await asyncio.gather(
        *(write(served, board, {**PAGE, "text": str(number)}, If_None_Match="*") for number in range(16))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 15
    _, log = await consistent(served.service.store, board)
    assert sum(record.is_note for record in log) == 15


async def test_pins_and_rivals(served: Served) -> None:
    board, store = await served.submit(), served.service.store
    target = f"/v1/boards/{board}/entries"
    await source(store, board, "pages", put("page/0001", {"number": 1, "text": "machine"}))
    mine = await write(served, board, {"number": 1, "text": "human"}, If_Match='"1"')
    assert mine.status_code == 200
    await source(store, board, "pages", put("page/0001", {"number": 1, "text": "machine again"}))
    items = (await served.client.get(f"{target}?level=page")).json()["items"]
    assert [(item["key"], item["value"]["text"]) for item in items] == [
        ("page/0001", "human"), ("page/0001~pages", "machine again"),
    ]  # fmt: skip
    assert items[1]["rival_of"] == "page/0001"
    rival = await served.client.get(f"{target}/page/0001~pages")
    assert rival.json()["owner"] == "pages"
    unpinned = await write(served, board, {"number": 1, "text": "human"}, query="?pin=false", If_Match='"2"')
    assert (unpinned.json()["pinned"], unpinned.headers["etag"]) == (False, '"3"')
    await source(store, board, "pages", put("page/0001", {"number": 1, "text": "machine at last"}))
    assert (await served.client.get(f"{target}/page/0001")).json()["value"]["text"] == "machine at last"
    dismissed = await served.client.delete(f"{target}/page/0001~pages", headers={"If-Match": rival.headers["etag"]})
    assert dismissed.status_code == 204


async def test_large_values_come_back_whole(served: Served) -> None:
    board = await served.submit()
    text = "x" * 600_000
    answer = await write(served, board, {**PAGE, "text": text}, If_None_Match="*")
    assert answer.json()["value"]["text"] == text
    found = await served.service.store.entry(board, "page/0001")
    assert found is not None and found[1] is not None and len(found[1]) < 200
    assert Header.parse(found[0]).size > 600_000
    target = f"/v1/boards/{board}/entries"
    assert (await served.client.get(f"{target}?level=page")).json()["items"][0]["value"]["text"] == text
    assert (await served.client.get(f"{target}/page/0001?version=1")).json()["value"]["text"] == text


async def test_entity_tags_of_reads(served: Served) -> None:
    board = await served.submit()
    listing = await served.client.get(f"/v1/boards/{board}/entries")
    entry = await served.client.get(f"/v1/boards/{board}/entries/upload/original")
    for target, tag in (
        (f"/v1/boards/{board}/entries", listing),
        (f"/v1/boards/{board}/entries/upload/original", entry),
    ):
        same = await served.client.get(target, headers={"If-None-Match": tag.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        other = await served.client.get(target, headers={"If-None-Match": '"99"'})
        assert other.status_code == 200
    assert (await served.client.get(f"/v1/boards/{board}/entries?level=nothing_yet")).json()["items"] == []
