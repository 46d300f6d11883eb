"""Who is there and what they serve: the same of every store."""

from __future__ import annotations

import pytest

from blackboard.ports import Store
from tests.making import until

STORES = ["memory_store", "redis_store", pytest.param("cluster_store", marks=pytest.mark.cluster)]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return found


async def test_nobody_is_there_at_first(store: Store) -> None:
    presence = await store.presence()
    assert (presence.workers, presence.heard) == ({}, {})
    assert presence.since("dates", "1", 7) == 7, "nothing is known from before the board"


async def test_workers_come_stay_and_leave(store: Store) -> None:
    await store.attend("w1", ("dates@1", "pages@1"), 60_000)
    presence = await store.attend("w2", ("dates@2",), 60_000)
    assert presence.workers == {"w1": ("dates@1", "pages@1"), "w2": ("dates@2",)}
    assert (presence.serving("dates", "1"), presence.serving("dates", "2")) == (("w1",), ("w2",))
    assert presence.serving("date", "1") == presence.serving("dates", "") == ()
    assert presence.versions("dates") == {"1": 1, "2": 1}
    assert presence.since("dates", "1", 0) is None
    again = await store.attend("w1", ("dates@1", "pages@1"), 60_000)
    assert again.workers == presence.workers, "who says it again is there once"
    left = await store.attend("w1", ("dates@1", "pages@1"), 0)
    assert set(left.workers) == {"w2"}
    since = left.since("pages", "1", 0)
    assert since is not None and 0 <= left.at - since < 10_000
    assert left.since("pages", "1", left.at + 5) == left.at + 5


async def test_who_is_not_heard_of_is_gone(store: Store) -> None:
    first = await store.attend("w1", ("dates@1",), 50)

    async def gone() -> bool:
        return not (await store.presence()).workers

    await until(gone)
    now = await store.presence()
    assert now.heard == first.heard and now.since("dates", "1", 0) == first.heard["dates@1"]
    assert now.at >= first.at + 50
