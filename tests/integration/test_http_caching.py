"""What a cache between a client and the service may keep, and for how long."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from blackboard.store import RedisStore
from controller.access import Admitted, Caller
from controller.access import Scope as Needed
from controller.settings import Settings
from tests.caching_proxy import Cache, caching_proxy
from tests.integration.serving import Served, Small, serving
from tests.listening import listening
from tests.making import end, put, source

LASTING = "public, max-age=60, must-revalidate"
PATHS = ("", "?at=2", "/entries", "/entries?level=page", "/entries/page/0001", "/entries/page/0001?version=1",
         "/report?partial=true", "/log", "/bundle", "/diff?from=1")  # fmt: skip


class Tenants:
    """A gate where every key is its own tenant's."""

    async def admit(self, authorization: Sequence[str], needs: Needed) -> Admitted:
        """Whoever it says."""
        return Admitted(Caller(tenant=authorization[0].removeprefix("Bearer ")))


@dataclass
class Behind:
    """A service behind a cache."""

    served: Served
    cache: Cache
    client: Any
    key: dict[str, str] = field(default_factory=lambda: {"Authorization": "Bearer one"})

    async def get(self, path: str, **headers: str) -> Any:
        """Through the cache."""
        return await self.client.get(path, headers={**self.key, **headers})

    async def board(self, *, ended: bool) -> str:
        """One with a page in two versions."""
        store = self.served.service.store
        made = await self.served.client.post("/v1/documents", json={"text": "x"}, headers=self.key)
        board = str(made.json()["id"])
        for text in ("one", "two"):
            await source(store, board, "pages", put("page/0001", {"number": 1, "text": text}))
        if ended:
            await end(store, board)
        return board


@pytest.fixture
async def behind(redis_store: RedisStore) -> AsyncIterator[Behind]:
    """With a gate that tells tenants apart."""
    service = Small(redis_store, redis_store.blobs, Settings(_env_file=None), gate=Tenants())  # type: ignore[call-arg]
    async with listening(service) as (server, client, base), caching_proxy(base) as (cache, through):
        yield Behind(Served(service, server, client, base), cache, through)
    await service.feed.close()


async def test_of_an_ended_board_all_is_kept_and_of_an_open_one_nothing(behind: Behind) -> None:
    board, under_way = await behind.board(ended=True), await behind.board(ended=False)
    for path in PATHS:
        behind.cache.asked.clear()
        await _kept_and_not(behind, board, under_way, path)


async def _kept_and_not(behind: Behind, board: str, under_way: str, path: str) -> None:
    first = await behind.get(f"/v1/boards/{board}{path}")
    again = await behind.get(f"/v1/boards/{board}{path}")
    assert (first.status_code, first.headers["cache-control"]) == (200, LASTING), first.text
    assert first.headers["vary"].lower() == "authorization"
    assert (again.content, "age" in again.headers, len(behind.cache.asked)) == (first.content, True, 1)
    behind.cache.now += 61
    later = await behind.get(f"/v1/boards/{board}{path}")
    assert (later.content, behind.cache.asked[-1][2]) == (first.content, 304), "asked again, and not sent again"
    direct = await behind.served.client.get(
        f"/v1/boards/{board}{path}", headers={**behind.key, "If-None-Match": first.headers["etag"]}
    )
    assert (direct.status_code, direct.content) == (304, b"")
    for name in ("etag", "cache-control", "vary"):
        assert direct.headers[name] == first.headers[name]
    count = len(behind.cache.asked)
    for _ in range(2):
        now = await behind.get(f"/v1/boards/{under_way}{path}")
        assert (now.status_code, now.headers["cache-control"]) == (200, "no-cache")
    assert len(behind.cache.asked) == count + 2
    same = await behind.get(f"/v1/boards/{under_way}{path}", **{"If-None-Match": now.headers["etag"]})
    assert (same.status_code, same.headers["cache-control"]) == (304, "no-cache")


async def test_what_is_another_tenants_is_not_found_whatever_is_kept(behind: Behind) -> None:
    board = await behind.board(ended=True)
    for path in PATHS:
        assert (await behind.get(f"/v1/boards/{board}{path}")).status_code == 200
        foreign = await behind.get(f"/v1/boards/{board}{path}", Authorization="Bearer two")
        assert (foreign.status_code, foreign.headers["cache-control"]) == (404, "no-store")
        assert (
            await behind.client.get(f"/v1/boards/{board}{path}", headers={"Authorization": "Bearer three"})
        ).status_code == 404


async def test_an_erasure_is_honoured_within_a_minute_and_at_once_by_the_cache_it_passes(behind: Behind) -> None:
    board, other = await behind.board(ended=True), await behind.board(ended=True)
    for id in (board, other):
        assert (await behind.get(f"/v1/boards/{id}")).status_code == 200
    assert (await behind.served.client.delete(f"/v1/boards/{board}", headers=behind.key)).status_code == 204
    behind.cache.now += 59
    assert (await behind.get(f"/v1/boards/{board}")).status_code == 200
    behind.cache.now += 1
    assert (await behind.get(f"/v1/boards/{board}")).status_code == 404
    assert (await behind.get(f"/v1/boards/{other}")).status_code == 200
    assert (await behind.client.delete(f"/v1/boards/{other}", headers=behind.key)).status_code == 204
    assert (await behind.get(f"/v1/boards/{other}")).status_code == 404


async def test_the_end_of_a_board_is_seen_at_once(behind: Behind) -> None:
    board = await behind.board(ended=False)
    assert (await behind.get(f"/v1/boards/{board}")).json()["status"] == "open"
    await end(behind.served.service.store, board)
    assert (await behind.get(f"/v1/boards/{board}")).json()["status"] == "completed"


async def test_the_log_of_an_open_board_has_a_tag_that_notes_change(redis_store: RedisStore) -> None:
    async with serving(redis_store) as served:
        board = await served.submit()
        path = f"/v1/boards/{board}/log"
        before = await served.client.get(path)
        assert before.headers["etag"] == '"1-0"'
        refused = {"writes": [{"key": "page/0001", "value": {"number": 1, "text": "x"}}], "revision": 9}
        assert (await served.client.post(f"/v1/boards/{board}/commits", json=refused)).status_code == 409
        after = await served.client.get(path, headers={"If-None-Match": before.headers["etag"]})
        assert (after.status_code, after.headers["etag"], len(after.text.splitlines())) == (200, '"1-1"', 2)


async def test_bytes_are_kept_no_longer_than_their_board(behind: Behind) -> None:
    board = await behind.board(ended=True)
    value = (await behind.get(f"/v1/boards/{board}/entries/upload/original")).json()["value"]
    behind.served.service.work = _Referring()  # type: ignore[attr-defined]
    blob = await behind.get(f"/v1/blobs/{value['sha256']}?board={board}")
    assert (blob.content, blob.headers["cache-control"], blob.headers["vary"]) == (b"x", LASTING, "Authorization")


class _Referring:
    async def may_read(self, board: str, caller: Caller) -> bool:
        """It may not, but as the tenant that it is."""
        return False

    async def refers(self, board: str, sha256: str) -> bool:
        """It does."""
        return True
