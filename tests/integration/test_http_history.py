"""GET /diff and POST /fork: what moved between two revisions, and a new board that goes on from one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard import Each, PermanentFailure, knowledge_source
from blackboard.board import fold
from blackboard.ports import Store
from blackboard.store import RedisStore
from tests.fleet import promises
from tests.integration.doors import Line, Year, door, lines, worker
from tests.integration.serving import Served, serving
from tests.making import end, person, put, source

LARGE = "x" * 400_000


@pytest.fixture
async def served(redis_store: RedisStore) -> AsyncIterator[Served]:
    """A service over a store."""
    async with serving(redis_store) as served:
        yield served


def slug(answer: Any) -> tuple[int, str]:
    """Status and problem."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


class TestDiff:
    async def test_says_what_moved(self, served: Served, redis_store: RedisStore) -> None:
        board = await served.submit()
        await source(redis_store, board, "pages", put("page/0001", {"text": "a"}), put("page/0002", {"text": "b"}))
        await person(redis_store, board, put("page/0001", {"text": LARGE}), put("page/0003", {"text": "c"}))
        await served.client.delete(f"/v1/boards/{board}/entries/page/0002", headers={"If-Match": "*"})
        await end(redis_store, board)
        answer = await served.client.get(f"/v1/boards/{board}/diff", params={"from": 2, "to": 5})
        assert answer.headers["etag"] == '"2-5"'
        said = answer.json()
        assert (said["board"], said["from"], said["to"]) == (board, 2, 5)
        moved = {each["key"]: each for each in said["entries"]}
        assert {key: each["kind"] for key, each in moved.items()} == {
            "page/0001": "changed", "page/0002": "retracted", "page/0003": "added"
        }  # fmt: skip
        one = moved["page/0001"]
        assert (one["before"]["text"], one["value"]["text"]) == ("a", LARGE), "what lies in the blob store is brought"
        assert (one["from_version"], one["to_version"], one["owner"]) == (1, 2, "person:ann")
        assert (moved["page/0002"]["value"], moved["page/0003"]["before"]) == (None, None)
        assert said["head"]["status"] == ["open", "completed"]

    async def test_without_bounds_it_says_everything(self, served: Served, redis_store: RedisStore) -> None:
        board = await served.submit()
        await source(redis_store, board, "pages", put("page/0001", {"text": "a"}))
        said = (await served.client.get(f"/v1/boards/{board}/diff")).json()
        assert (said["from"], said["to"], [each["kind"] for each in said["entries"]]) == (0, 2, ["added", "added"])
        assert (await served.client.get(f"/v1/boards/{board}/diff?from=2")).json()["entries"] == []

    @pytest.mark.parametrize(
        ("asked", "name"), [("from=9", "from"), ("to=9", "to"), ("from=2&to=1", "from"), ("to=0", "to"), ("at=1", None)]
    )
    async def test_bounds_that_are_none(self, served: Served, redis_store: RedisStore, asked: str, name: str) -> None:
        board = await served.submit()
        await source(redis_store, board, "pages", put("page/0001", {"text": "a"}))
        answer = await served.client.get(f"/v1/boards/{board}/diff?{asked}")
        assert slug(answer) == (400, "invalid-parameter")
        assert answer.json().get("parameter") == name


class TestFork:
    async def test_goes_on_from_a_revision(self, redis_url: str, tmp_path: Path) -> None:
        """The source was mended since: what had been done stays, what it made of the rest is made anew."""

        @knowledge_source(carries={"number": "number"})
        async def years(line: Each[Line]) -> list[Year]:
            """Reads lines."""
            if line.number == 2 and not mended:
                raise PermanentFailure("not this one")
            return [Year(number=line.number, text=line.text, by="mended" if mended else "broken")]

        mended: list[int] = []
        async with door(redis_url, tmp_path, lines, years) as service, worker(redis_url, tmp_path, lines, years):
            board = await service.submit()
            ended = await service.ended(board)
            records = [orjson.loads(line) for line in (await service.log(board)).splitlines()]
            first, number = next(
                (record["revision"], int(key.removeprefix("year/")))
                for record in records
                for key in record.get("values", {})
                if key.startswith("year/")
            )
            mended.append(1)
            for at, kept in ((first, {number: "broken"}), (1, {})):
                answer = await service.client.post(f"/v1/boards/{board}/fork", json={"at": at})
                assert answer.status_code == 202, answer.text
                made = answer.json()
                assert answer.headers["location"] == made["links"]["self"] == f"/v1/boards/{made['id']}"
                assert made["parent"] == f"{board}@{at}"
                assert (await service.ended(made["id"]))["status"] == "completed"
                values = (await service.values(made["id"], "year")).values()
                assert {v["number"]: v["by"] for v in values} == dict.fromkeys((1, 2, 3), "mended") | kept
                await promises(service.service.store, made["id"])
            assert await service.board(board) == ended, "the old one stays as it is"

    async def test_of_an_open_board_and_of_its_last_revision(self, served: Served, redis_store: RedisStore) -> None:
        board = await served.submit()
        await source(redis_store, board, "pages", put("page/0001", {"text": LARGE}))
        made = (await served.client.post(f"/v1/boards/{board}/fork")).json()
        assert (made["status"], made["parent"]) == ("open", f"{board}@2")
        entry = (await served.client.get(f"/v1/boards/{made['id']}/entries/page/0001")).json()
        assert (entry["version"], entry["owner"], entry["value"]["text"]) == (1, "pages", LARGE)
        await _folds(redis_store, made["id"])
        assert (await served.client.delete(f"/v1/boards/{board}")).status_code == 204
        again = (await served.client.get(f"/v1/boards/{made['id']}/entries/page/0001")).json()
        assert again == entry, "a fork has its own claim to what it took over"

    async def test_once_for_a_key(self, served: Served) -> None:
        board = await served.submit()
        key = {"Idempotency-Key": '"fork-1"'}
        first, again = [await served.client.post(f"/v1/boards/{board}/fork", headers=key) for _ in range(2)]
        assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
        assert len((await served.client.get("/v1/boards")).json()["items"]) == 2

    @pytest.mark.parametrize("at", [0, 2, -1, "1", True, 1.5])
    async def test_revisions_that_are_none(self, served: Served, at: Any) -> None:
        board = await served.submit()
        answer = await served.client.post(f"/v1/boards/{board}/fork", json={"at": at})
        assert (slug(answer), answer.json()["errors"][0]["pointer"]) == ((422, "validation-error"), "/at")


async def _folds(store: Store, board: str) -> None:
    assert fold(board, await store.log(board)) == await store.projection(board)
