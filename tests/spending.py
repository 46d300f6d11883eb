"""What tests of money share: a line to the server, a clock of their own, caps of round figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from blackboard.pipe import Pipe
from knowledge_sources.llm.calls import NANO, Caller, Usage
from knowledge_sources.llm.ports import Endpoint, Outcome, Row
from knowledge_sources.llm.settings import ModelSettings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
BOARD = "3-" + "a" * 26
OTHER = "3-" + "b" * 26
ENDPOINT = Endpoint("http://models.test", "claude-sonnet-5-5")


@dataclass
class Clock:
    """Seconds since 1970, as a test says."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


def settings(**given: Any) -> ModelSettings:
    """Caps of 1, 10 and 100 dollars unless the test says otherwise; nothing of the environment's."""
    base: dict[str, Any] = {"board_usd": 1, "tenant_day_usd": 10, "day_usd": 100, "alert_usd_per_hour": 0}
    return ModelSettings(**(base | given))


def caller(board: str = BOARD, tenant: str = "acme", source: str = "claims_model") -> Caller:
    """One source on one board."""
    return Caller(tenant, board, activation="a1", epoch=1, source=source, binding="page/0001")


def row(
    id: str,
    *,
    outcome: Outcome = "answered",
    nano: int | None = NANO // 10,
    at: float = NOON,
    whose: Caller | None = None,
    **more: Any,
) -> Row:
    """A line of the ledger."""
    given = {"usage": Usage(100, 20, 300, 40), "latency_ms": 7} | more
    return Row(id, int(at * 1000), whose or caller(), ENDPOINT, "d" * 64, "claims@1", outcome, nano=nano, **given)


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Pipe]:
    """Commands to a server."""
    async with Redis.from_url(url) as client:
        line = Pipe(client.connection_pool)
        try:
            yield line
        finally:
            await line.close()


async def without_lifetime(line: Pipe) -> list[str]:
    """Keys that would stay for ever."""
    names = await line.issue(("KEYS", "*"))
    assert names
    return [name.decode() for name in names if await line.issue(("PTTL", name)) < 0]
