"""Every way a model's server was seen to fail, under a whole service: boards end, and the books agree with the server."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from blackboard.store import RedisStore
from controller.bootstrap import open_service
from controller.settings import Settings
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.ledger import RedisLedger
from tests.faults.model_fleet import said, total
from tests.integration.guests import Open
from tests.listening import listening
from tests.models import FAULTS, Call, Fault, ModelServer, serving

RUNS = 20 if os.environ.get("BLACKBOARD_FAULT_RUNS") else 1
FEW = (
    "bad-key", "throttled-1s", "enforced-spend-limit-reached", "bad-gateway", "overloaded", "cut-midway", "hangs-midway",
    "truncated", "midway-overloaded", "refusal", "html", "invalid-answer",
)  # fmt: skip
"""One of each kind, for every run of the tests."""


@asynccontextmanager
async def service_at(url: str, data: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """A service of its own on a server of its own, so that breakers and limits begin anew."""
    words = {
        "base_url": server.url, "api_key": "sk-test", "names": "claude-haiku-5-5", "backoff_s": "0.01",
        "backoff_most_s": "0.05", "timeout_s": "0.3", "total_timeout_s": "1.0", "patience_s": "0.3", "attempts": "3",
    }  # fmt: skip
    for name, value in words.items():
        monkeypatch.setenv(f"BLACKBOARD_MODEL_{name.upper()}", value)
    settings = Settings(
        redis_url=url, data_dir=data, lease_s=3, sweep_s=0.2, check_s=0.3, backoff_s=0.02, models="always", drain_s=1
    )
    async with open_service(settings, sources=[total, said]) as service, listening(service) as (_, client, _):
        yield Open(service, client)


async def agree(store: RedisStore, server: ModelServer, boards: list[str]) -> None:
    """One line of the ledger for each call the server saw, those of the probe included."""
    ledger = RedisLedger(store.line(0))
    rows, after = await ledger.of_day(day_of(time.time_ns() // 1_000_000), limit=1000)
    assert not after
    lines = [row for row in rows if row.outcome not in ("cache", "recording")]
    assert {row.caller.board for row in lines} <= {*boards, ""}
    assert len(lines) == len(server.calls), (len(lines), [(call.fault, call.status) for call in server.calls])
    for line in lines:
        assert line.nano is not None
        if line.outcome == "unknown":
            assert line.nano > 0, "what nobody knows is settled as spent"
    spent = sum(call.usage.get("output_tokens", 0) for call in server.calls)
    assert sum(line.usage.output for line in lines if line.outcome == "answered") <= spent


def name_of(call: Call) -> str:
    return "stream" if call.said.get("stream") else "ask"


@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.faults) for name in FAULTS]
)
async def test_boards_end_and_the_books_agree(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for run in range(RUNS):
        chance = random.Random(f"{name}-{run}")
        left = {"ask": chance.choice([1, 2, 99]), "stream": chance.choice([0, 1, 2])}

        def meet(call: Call, left: dict[str, int] = left) -> Fault | None:
            left[name_of(call)] -= 1
            return FAULTS[name] if left[name_of(call)] >= 0 else None

        async with serving() as server:
            server.choose(meet)
            async with service_at(redis_url, tmp_path / str(run), server, monkeypatch) as service:
                store = service.service.store
                await store.line(0).issue(("FLUSHALL",))
                boards = []
                for number in range(2):
                    body = {"text": "The total is 12 EUR.", "filename": f"{number}.txt", "deadline_s": 1.5}
                    answer = await service.client.post("/v1/documents", json=body)
                    assert answer.status_code == 202, answer.text
                    boards.append(answer.json()["id"])
                for board in boards:
                    ending = await service.end(board)
                    told = orjson.dumps(ending).decode()
                    assert ending["status"] in ("completed", "failed"), ending
                    if not await service.values(board, "told"):
                        assert ending.get("degraded") or ending.get("slug") not in ("", "complete"), told
                    assert "sk-test" not in told
                await agree(store, server, boards)
                rates = await store.line(0).issue(("KEYS", "bb:{llm}:permits:*"))
                for key in rates:
                    assert not await store.line(0).issue(("ZCARD", key)), "a permit is left"
            assert not server.others
