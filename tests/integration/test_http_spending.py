"""Spending over HTTP: a tenant's own figures, a board's calls page by page, nobody else's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from blackboard.errors import BoardGone, UsageError
from blackboard.store import RedisStore
from controller.commands import spending as command
from controller.http.spending_models import CallList, SpendingModel
from knowledge_sources.llm.accounts import Books
from knowledge_sources.llm.calls import NANO, Usage
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.ports import Endpoint
from tests.integration.serving import Served, serving
from tests.spending import NOON, OTHER, Clock, caller, row, settings

CENT = NANO // 100


@dataclass
class Spending:
    """A service, and what its fleet spends through."""

    served: Served
    caps: SpendingCaps
    ledger: RedisLedger
    clock: Clock

    async def get(self, path: str, status: int = 200) -> dict[str, object]:
        """The answer's JSON."""
        answer = await self.served.client.get(path)
        assert answer.status_code == status, answer.text
        found: dict[str, object] = answer.json()
        return found


@pytest.fixture
async def spending(redis_store: RedisStore) -> AsyncIterator[Spending]:
    """Over an empty server."""
    line, clock = redis_store.line(0), Clock()
    async with serving(redis_store) as served:
        given = settings(alert_usd_per_hour=5)
        served.service.accounts = Books(line, given, clock=clock)
        yield Spending(served, SpendingCaps(line, given, clock=clock), RedisLedger(line), clock)


async def fill(spending: Spending, board: str) -> None:
    """A call that cost 40 cents, one that failed for nothing, one of the dead, an answer that was kept; another tenant's."""
    mine = caller(board, "default")
    await spending.caps.settle(await spending.caps.reserve(mine, 50 * CENT), 40 * CENT)
    await spending.caps.reserve(mine, 15 * CENT)
    rows = [
        row("c1", nano=40 * CENT, saved_nano=2 * CENT, whose=mine, at=NOON),
        row("c2", outcome="failed", nano=0, usage=Usage(), failure="throttled: later", whose=mine, at=NOON + 1),
        row("c3", outcome="unknown", nano=15 * CENT, usage=Usage(), whose=mine, at=NOON + 2),
        row("c4", outcome="cache", nano=0, saved_nano=40 * CENT, whose=caller(board, "default", "facts"), at=NOON + 3),
    ]
    for each in (*rows, row("x1", nano=99 * CENT, whose=caller(OTHER, "umbrella"))):
        await spending.ledger.end(each)


async def test_a_day(spending: Spending) -> None:
    board = await spending.served.submit()
    await fill(spending, board)
    shown = await spending.get("/v1/spending")
    assert await spending.get("/v1/spending?day=2026-11-21") == shown
    SpendingModel.model_validate(shown, strict=True)
    found = SpendingModel.model_validate(shown)
    assert found.day == "2026-11-21"
    totals = found.totals
    assert (totals.calls, totals.usd, totals.failed, totals.unknown, totals.unpriced) == (3, 0.55, 1, 1, 0)
    assert (totals.input_tokens, totals.output_tokens, totals.cache_read_tokens, totals.cache_write_tokens) == (
        100, 20, 300, 40,
    )  # fmt: skip
    assert (totals.cached_share, totals.cache_saved_usd) == (0.6818, 0.02)
    assert (totals.avoided_calls, totals.avoided_usd) == (1, 0.4)
    assert [(each.source, each.calls, each.avoided_calls) for each in found.by.source] == [
        ("claims_model", 3, 0), ("facts", 0, 1),
    ]  # fmt: skip
    assert [(each.board, each.usd) for each in found.by.board] == [(board, 0.55)]
    assert {each.outcome: each.usd for each in found.by.outcome} == {
        "answered": 0.4, "unknown": 0.15, "failed": 0, "cache": 0,
    }  # fmt: skip
    (cap,) = found.caps.tenants
    assert cap.model_dump() == {
        "tenant": "default", "cap_usd": 10, "spent_usd": 0.4, "reserved_usd": 0.15, "left_usd": 9.45,
    }  # fmt: skip
    assert found.pauses == []
    assert "umbrella" not in str(shown)
    assert OTHER not in str(shown)


async def test_a_day_without_calls_and_days_that_are_none(spending: Spending) -> None:
    shown = SpendingModel.model_validate(await spending.get("/v1/spending?day=2020-02-29"))
    assert (shown.day, shown.totals.calls, shown.by.board, shown.caps.tenants) == ("2020-02-29", 0, [], [])
    for day, kept in (("2026-11-15", 1), ("2026-11-14", 0), ("2026-11-22", 1), ("2026-11-23", 0)):
        shown = SpendingModel.model_validate(await spending.get(f"/v1/spending?day={day}"))
        assert len(shown.caps.tenants) == kept
    for day in ("2026-02-30", "20261121", "2026-W47-6", "today", "1969-12-31", "2026-11-21T00", "٢٠٢٦-11-21"):
        problem = await spending.get(f"/v1/spending?day={day}", 400)
        assert str(problem["type"]).endswith("/problems/invalid-parameter")


async def test_a_pause_is_shown_to_who_is_paused(spending: Spending) -> None:
    for tenant in ("default", "umbrella"):
        for board in range(6):
            whose = caller(f"{tenant}-{board}", tenant)
            await spending.caps.settle(await spending.caps.reserve(whose, 90 * CENT), 90 * CENT)
    until = int((NOON + 3600) * 1000)
    assert (await spending.get("/v1/spending"))["pauses"] == [{"tenant": "default", "until": until}]
    spending.clock.now += 3600
    assert (await spending.get("/v1/spending"))["pauses"] == []


async def test_a_board_s_calls(spending: Spending) -> None:
    board = await spending.served.submit()
    await fill(spending, board)
    shown = CallList.model_validate(await spending.get(f"/v1/boards/{board}/calls"))
    assert [(each.id, each.usd, each.outcome) for each in shown.items] == [
        ("c1", 0.4, "answered"), ("c2", 0.0, "failed"), ("c3", 0.15, "unknown"), ("c4", 0.0, "cache"),
    ]  # fmt: skip
    assert shown.items[0].server == "models.test"
    assert shown.items[1].failure == "throttled: later"
    assert (shown.totals.usd, shown.cap.left_usd, shown.next_cursor) == (0.55, 0.45, None)
    first = await spending.served.client.get(f"/v1/boards/{board}/calls?limit=3")
    assert [each["id"] for each in first.json()["items"]] == ["c1", "c2", "c3"]
    onward = first.headers["link"].partition(">")[0].removeprefix("<")
    assert [each.id for each in CallList.model_validate(await spending.get(onward)).items] == ["c4"]


async def test_the_command_reads_the_same_from_a_service(spending: Spending, monkeypatch: pytest.MonkeyPatch) -> None:
    board = await spending.served.submit()
    await fill(spending, board)
    monkeypatch.setattr(command, "PAGE", 3)
    async with command.reader_of(spending.served.base, None) as reader:
        assert await reader.day("2026-11-21") == await spending.get("/v1/spending")
        shown = await command.whole(reader, board)
        assert [each["id"] for each in shown["items"]] == ["c1", "c2", "c3", "c4"]
        assert shown == await spending.get(f"/v1/boards/{board}/calls")
        with pytest.raises(UsageError, match="must be a day"):
            await reader.day("yesterday")
        with pytest.raises(BoardGone):
            await command.whole(reader, OTHER)


async def test_what_is_no_board_or_no_cursor(spending: Spending) -> None:
    board = await spending.served.submit()
    assert (await spending.get(f"/v1/boards/{board}/calls"))["items"] == []
    await fill(spending, OTHER)
    assert (await spending.get(f"/v1/boards/{OTHER}/calls", 404))["status"] == 404
    for query in ("cursor=20261121%7Cc1", "cursor=%00", "limit=0", "limit=201", "page=2"):
        problem = await spending.get(f"/v1/boards/{board}/calls?{query}", 400)
        assert str(problem["type"]).endswith("/problems/invalid-parameter")


async def test_an_address_s_password_is_not_shown(spending: Spending) -> None:
    board = await spending.served.submit()
    shown = row("c1", whose=caller(board, "default"), at=time.time())
    endpoint = Endpoint("https://me:secret@proxy.test:8443/v1", "local")
    await spending.ledger.end(replace(shown, endpoint=endpoint))
    answer = await spending.served.client.get(f"/v1/boards/{board}/calls")
    assert answer.json()["items"][0]["server"] == "proxy.test:8443"
    assert "secret" not in answer.text
