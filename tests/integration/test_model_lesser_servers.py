"""The gateway before servers of other makes: what they cannot do is done without, and the answers are as good."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from blackboard.models import Caller, Excerpt, Task
from blackboard.store import RedisStore
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.fleet import open_gateway
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.settings import ModelSettings
from tests.models import Settings, serving
from tests.models.brain import answered

MODEL = "claude-haiku-5-5"
PAGES = [Excerpt(1, "Invoice 4711 of Acme Ltd." * 400), Excerpt(2, "Payable within 30 days.")]
OLLAMA = Settings(
    ignores=frozenset({"schema"}),
    lacks=frozenset({"documents", "caching", "counting", "pictures", "rate-headers", "request-id"}),
)
"""Hears of a schema and forgets it, and refuses the rest."""


class Found(BaseModel):
    """An answer."""

    total: str


class Deaf:
    """See blackboard.models.Hearer."""

    def spent(self, usd: float, tokens: int) -> None:
        pass

    def streamed(self, text: str) -> None:
        pass

    async def called(self, body: Mapping[str, Any], recording: bytes | None) -> None:
        pass


def local(body: Mapping[str, Any]) -> str:
    """A small model: it keeps to a schema that it is shown, and puts a fence around."""
    if "JSON Schema" in str(body["messages"][-1]["content"]):
        return '```json\n{"total": "120.00"}\n```'
    return answered(body)


@pytest.mark.parametrize("settings", [Settings(), OLLAMA, Settings(lacks=frozenset({"schema", "streaming"}))])
async def test_answers_are_the_same(redis_store: RedisStore, settings: Settings) -> None:
    async with serving(settings, local) as server:
        asked = ModelSettings(base_url=f"{server.url}/v1", api_key="", names=(MODEL,))  # type: ignore[arg-type]
        async with open_gateway(asked, redis_store.line(0), redis_store.reads, redis_store.blobs) as gateway:
            model = gateway.of_run(Caller("t", "0-" + "a" * 26, "act", source="s"), Deaf())
            found = [await model.ask(Found, Task("totals", f"What is total {at}?"), document=PAGES) for at in range(2)]
        assert all(each.total for each in found)
        assert not any(call.fault for call in server.calls)
        questions = [call for call in server.calls if b"What is total" in call.body]
        assert [call.status for call in questions] == [200, 200], "nothing was tried that the server had refused before"
        rows, _ = await RedisLedger(redis_store.line(0)).of_day(day_of(time.time_ns() // 1_000_000))
        assert len(rows) == len(server.calls), "a line for every call the server saw"
        if settings is OLLAMA:
            assert not any(
                word in call.body for call in questions for word in (b"cache_control", b'"document"', b"output_config")
            )
        elif "schema" not in settings.lacks:
            assert questions[0].prefix == questions[1].prefix != b""
            assert questions[1].usage["cache_read_input_tokens"] > 2000
