"""What a server can do is found out once for the fleet, is never wrong because a server was away, and is paid for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from blackboard import keys
from blackboard.coalesce import Coalescer
from knowledge_sources.llm.calls import NANO, Request
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.own_calls import OwnCalls
from knowledge_sources.llm.ports import Capabilities
from knowledge_sources.llm.prices import PriceTable
from knowledge_sources.llm.probe import AWAY_S, KEPT_S, Prober
from knowledge_sources.llm.settings import ANTHROPIC, ModelSettings
from knowledge_sources.llm.transport import AnthropicTransport
from tests.models import Call, Fault, ModelServer, Settings, serving
from tests.models.fixtures import ModelAt
from tests.spending import line_to

MODEL = "claude-haiku-5-5"


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Coalescer]:
    async with line_to(redis_url) as line:
        yield line


@asynccontextmanager
async def prober_of(url: str, line: Coalescer | None) -> AsyncIterator[Prober]:
    transport = AnthropicTransport(url, "sk-test")
    prober = Prober(transport, line, deadline_s=5)
    try:
        yield prober
    finally:
        await prober.close()
        await transport.close()


async def found_by(settings: Settings) -> tuple[Capabilities, list[Call]]:
    async with serving(settings) as server, prober_of(server.url, None) as prober:
        return await prober.found(MODEL), server.calls


FIELDS = {
    "schema": "schema_output", "counting": "count_tokens", "documents": "documents", "pictures": "pictures",
    "streaming": "streaming", "caching": "caching",
}  # fmt: skip


async def test_a_server_that_does_it_all() -> None:
    found, calls = await found_by(Settings())
    assert found == Capabilities()
    assert len(calls) == 5, "a few tiny questions"
    assert sum(call.usage["input_tokens"] for call in calls) < 2500


@pytest.mark.parametrize("lacking", sorted(FIELDS))
async def test_what_a_server_refuses(lacking: str) -> None:
    found, _ = await found_by(Settings(lacks=frozenset({lacking})))
    assert replace(found, notes=()) == replace(Capabilities(), **{FIELDS[lacking]: False})
    assert len(found.notes) == 1


@pytest.mark.parametrize("ignored", ["schema", "documents", "pictures", "caching"])
async def test_what_a_server_takes_no_notice_of(ignored: str) -> None:
    found, _ = await found_by(Settings(ignores=frozenset({ignored})))
    assert replace(found, notes=()) == replace(Capabilities(), **{FIELDS[ignored]: False})


async def test_a_server_that_breaks_on_what_it_does_not_know(model_server: ModelServer) -> None:
    model_server.choose(lambda call: "internal" if b"document" in call.body else None)
    async with prober_of(model_server.url, None) as prober:
        found = await prober.found(MODEL)
    assert replace(found, notes=()) == Capabilities(documents=False)


async def test_it_is_kept_for_a_day_and_for_everybody(
    model_server: ModelServer, line: Coalescer, redis_url: str
) -> None:
    async with AsyncExitStack() as stack:
        probers = [await stack.enter_async_context(prober_of(model_server.url, line)) for _ in range(6)]
        founds = await asyncio.gather(*(prober.found(MODEL) for prober in probers for _ in range(3)))
        assert set(founds) == {Capabilities()}
        assert len(model_server.calls) == 5, "one of them asked"
        assert await probers[5].known(MODEL) == Capabilities()
        assert await probers[5].known("another") is None
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        (key,) = await client.keys("*")
        assert any(pattern.match(key) for pattern in keys.PATTERNS)
        assert 0 < await client.ttl(key) <= KEPT_S


async def test_an_outage_is_not_remembered_as_a_lack(
    model_server: ModelServer, line: Coalescer, redis_url: str
) -> None:
    model_server.always("unavailable")
    async with prober_of(model_server.url, line) as prober, prober_of(model_server.url, line) as other:
        found = await prober.found(MODEL)
        assert replace(found, notes=()) == Capabilities()
        assert found.notes
        assert await prober.known(MODEL) is None
        asked = len(model_server.calls)
        assert (await other.found(MODEL)).notes
        assert len(model_server.calls) == asked, "nobody asks again for a while"
        async with Redis.from_url(redis_url, decode_responses=True) as client:
            (key,) = await client.keys("*")
            assert 0 < await client.ttl(key) <= AWAY_S
            await client.delete(key)
        model_server.always(None)
        assert await other.found(MODEL) == Capabilities()


@pytest.mark.parametrize("fault", ["throttled", "cut-midway", "own-spend-limit", "overloaded", "bad-key"])
@pytest.mark.parametrize("before", [0, 1, 2, 3, 4])
async def test_trouble_midway_leaves_nothing_behind(
    model_server: ModelServer, line: Coalescer, fault: str, before: int
) -> None:
    model_server.script(*[None] * before, fault)
    async with prober_of(model_server.url, line) as prober:
        found = await prober.found(MODEL)
        if fault == "bad-key" and before:
            return  # a key that is wrong for one question alone is a part that is not allowed
        assert replace(found, notes=()) == Capabilities()
        # A connection may be cut once; what breaks twice around a question that works is what the server cannot do.
        assert await prober.known(MODEL) == (Capabilities() if fault == "cut-midway" and before else None)


async def test_without_redis_each_process_finds_out_for_itself(model_server: ModelServer) -> None:
    async with prober_of(model_server.url, None) as prober:
        assert await prober.found(MODEL) == await prober.found(MODEL) == Capabilities()
    assert len(model_server.calls) == 5


async def test_the_vendors_own_server_is_not_asked() -> None:
    async with prober_of(ANTHROPIC, None) as prober:
        assert await prober.found(MODEL) == await prober.known(MODEL) == Capabilities()


async def test_questions_wait_for_what_is_being_found_out() -> None:
    async with serving(Settings(lacks=frozenset({"schema"}))) as server, prober_of(server.url, None) as prober:
        schema = {"format": {"type": "json_schema", "schema": {"type": "string"}}}
        body = {"max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "output_config": schema}
        assert (await prober.adapt(Request(MODEL, body))).body == body, "unknown: as it is, and nobody is asked"
        assert not server.calls
        server.hold()
        prober.start([MODEL])
        adapting = asyncio.create_task(prober.adapt(Request(MODEL, body)))
        while not server.calls:
            await asyncio.sleep(0.005)
        assert not adapting.done()
        server.release()
        assert "output_config" not in (await adapting).body
        assert "output_config" not in (await prober.adapt(Request(MODEL, body))).body


async def test_finding_out_can_be_ended(model_server: ModelServer, line: Coalescer, redis_url: str) -> None:
    model_server.hold()
    async with prober_of(model_server.url, line) as prober:
        prober.start([MODEL])
        while not model_server.calls:
            await asyncio.sleep(0.005)
    async with Redis.from_url(redis_url) as client:
        assert await client.keys("*") == [], "its leave is given back"


async def test_what_it_costs_is_written_down(model_server: ModelServer, line: Coalescer) -> None:
    model_server.script(None, Fault(status=400, type="invalid_request_error"), None, "cut-midway")
    ledger, prices = RedisLedger(line), PriceTable()
    caps = SpendingCaps(line, ModelSettings(day_usd=1.0))
    transport = AnthropicTransport(model_server.url, "sk-test")
    prober = Prober(OwnCalls(transport, caps, ledger, prices), line, deadline_s=5)
    assert (await prober.found(MODEL)).notes
    rows, _ = await ledger.of_day(day_of(time.time_ns() // 1_000_000))
    assert len(rows) == len(model_server.calls)
    assert Counter(row.outcome for row in rows) == {"answered": 5, "failed": 1, "unknown": 1}
    assert {row.request_id for row in rows} == {call.request_id for call in model_server.calls}
    day = (await caps.levels(""))["day"]
    assert (day.open, day.settled) == (0, sum(row.nano or 0 for row in rows))
    assert 0 < day.settled < NANO / 100
    await transport.close()


async def test_a_cap_holds_for_it_too(model_server: ModelServer, line: Coalescer) -> None:
    caps = SpendingCaps(line, ModelSettings(day_usd=0.0))
    transport = AnthropicTransport(model_server.url, "sk-test")
    prober = Prober(OwnCalls(transport, caps, RedisLedger(line), PriceTable()), line, deadline_s=5)
    assert (await prober.found(MODEL)).notes
    assert not model_server.calls
    assert await prober.known(MODEL) is None
    await transport.close()


@pytest.mark.live
async def test_any_server_is_found_out_about(model_at: ModelAt) -> None:
    transport = AnthropicTransport(model_at.base_url, model_at.api_key)
    prober = Prober(transport, None)
    found = await prober._tried(model_at.model)
    assert found.messages
    await transport.close()
