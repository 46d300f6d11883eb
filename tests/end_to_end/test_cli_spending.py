"""`blackboard spending` on a data directory: sums, caps, a board's calls, pauses and their end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from blackboard.embedded import Embedded
from knowledge_sources.llm.calls import NANO, Usage
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.ledger import RedisLedger
from tests.end_to_end.command import Cli
from tests.spending import BOARD, caller, line_to, row, settings

CENT = NANO // 100


async def spend(data: Path) -> None:
    """What a worker on that data directory would have spent: enough to be paused."""
    async with Embedded(data / "server") as server, line_to(server.url) as line:
        caps = SpendingCaps(line, settings(alert_usd_per_hour=0.3))
        ledger = RedisLedger(line)
        await caps.settle(await caps.reserve(caller(), 50 * CENT), 40 * CENT)
        now = time.time()
        await ledger.end(row("c1", nano=40 * CENT, at=now, saved_nano=CENT))
        await ledger.end(row("c2", outcome="failed", nano=0, usage=Usage(), at=now, failure="output: refused"))
        await ledger.end(row("c3", outcome="cache", nano=0, saved_nano=40 * CENT, at=now))
        await ledger.end(row("c4", nano=None, at=now))


@pytest.mark.long
async def test_spending(tmp_path: Path) -> None:
    started = time.gmtime().tm_yday
    await spend(tmp_path)
    cli = Cli(tmp_path, {"BLACKBOARD_MODEL_TENANT_DAY_USD": "2"})
    told = cli("spending")
    shown = cli("spending", "--json").json()
    if time.gmtime().tm_yday != started:
        pytest.skip("midnight passed meanwhile")
    assert told.code == 0, told.err
    lines = [line.split() for line in told.out.splitlines()]
    assert ["everybody", "100.00", "0.40", "0.00", "99.60"] in lines
    assert ["tenant", "acme", "2.00", "0.40", "0.00", "1.60"] in lines
    assert ["claims_model", "3", "0.40", "880", "600", "40", "1", "0", "1", "0.40"] in lines
    assert "prompt cache: 600 tokens read (68% of all input), 0.01 USD saved" in told.out
    assert "in no sum: 1" in told.err
    assert "tenant acme is paused until" in told.err
    assert (shown["totals"]["calls"], shown["totals"]["usd"]) == (3, 0.4)
    assert [each["tenant"] for each in shown["pauses"]] == ["acme"]

    board = cli("spending", "--board", BOARD)
    assert board.code == 0, board.err
    rows = [line.split() for line in board.out.splitlines()[1:5]]
    assert [each[4] for each in rows] == ["answered", "failed", "cache", "answered"]
    assert rows[1][-2:] == ["output:", "refused"]
    assert rows[3][-1] == "?"
    asked = Cli(tmp_path, {"BLACKBOARD_MODEL_NAMES": "claude-haiku-5-5 llama3"})("spending", "prices")
    priced = [line.split() for line in asked.out.splitlines()[1:4]]
    assert [each[:6] for each in priced] == [
        ["claude-haiku-5-5", "asked", "0.10", "0.01", "0.125", "0.50"],
        ["claude-haiku-5-5,", "above", "100000", "tokens", "asked", "0.50"],
        ["llama3", "asked", "?", "?", "?", "?"],
    ]  # fmt: skip
    assert asked.err == "nobody knows what llama3 costs: it is not asked until BLACKBOARD_MODEL_PRICES says\n"

    assert cli("spending", "resume", "acme").code == 0
    again = cli("spending", "resume", "acme")
    assert (again.code, again.err.splitlines()[0]) == (2, "error: acme is not paused")
    off = cli("spending", "--day", "yesterday")
    assert (off.code, off.err.splitlines()[0]) == (2, "error: 'yesterday' must be a day, like 2026-11-21")
