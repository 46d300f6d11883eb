"""Fleets that ask a model: one call for a question that many have, none twice after a kill, no board lost to an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.store import RedisStore, open_store
from controller.bootstrap import open_service
from controller.settings import Settings
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.ports import Endpoint
from knowledge_sources.llm.prompting import RULES
from tests.faults.model_fleet import deadly, total
from tests.faults.test_model_faults import service_at
from tests.fleet import Process, ended, promises, until
from tests.listening import listening
from tests.models import Call, ModelServer

FLEET = "tests.faults.model_fleet"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RedisStore]:
    """A server of the fleet's own."""
    server = await start_server(tmp_path)
    store = await open_store(server.url, Blobs.at(str(tmp_path / "blobs")))
    yield store
    await store.close()
    await server.stop()


@pytest.fixture
def set_up(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes started from here know of the model."""
    for name, value in {"BASE_URL": model_server.url, "API_KEY": "sk-test", "NAMES": "claude-haiku-5-5"}.items():
        monkeypatch.setenv(f"BLACKBOARD_MODEL_{name}", value)
    monkeypatch.setenv("BLACKBOARD_MODELS", "always")


def asked(server: ModelServer) -> list[Call]:
    """Calls of sources, those that find out what the server can do left out."""
    return [call for call in server.calls if RULES[:40].encode() in call.body]


async def submitted(url: str, data: Path, sources: Sequence[str], count: int) -> list[str]:
    """The same document, so many times, through a door that does no work itself."""
    settings = Settings(redis_url=url, data_dir=data, models="always")
    body = {"text": "The total is 12 EUR.", "filename": "same.txt", "sources": list(sources)}
    async with (
        open_service(settings, roles=frozenset({"api"}), sources=[total, deadly]) as service,
        listening(service) as (_, client, _),
    ):
        answers = await asyncio.gather(*(client.post("/v1/documents", json=body) for _ in range(count)))
    assert {answer.status_code for answer in answers} == {202}, answers[0].text
    return [str(answer.json()["id"]) for answer in answers]


def url_of(store: RedisStore) -> str:
    """Where the store's server is."""
    return f"unix://{store._commands.connection_pool.connection_kwargs['path']}"


@pytest.mark.faults
async def test_many_processes_with_one_question_make_one_call(
    store: RedisStore, model_server: ModelServer, set_up: None, tmp_path: Path
) -> None:
    model_server.settings = model_server.settings.__class__(latency_s=0.5)
    url = url_of(store)
    fleet = [Process("controller", url=url, data=tmp_path, module=FLEET)]
    fleet += [Process("worker", url=url, data=tmp_path, module=FLEET) for _ in range(4)]
    try:
        for board in await submitted(url, tmp_path, ["total"], 64):
            assert (await ended(store, board))["status"] == "completed"
            await promises(store, board)
    finally:
        for process in fleet:
            process.kill()
    assert len(asked(model_server)) == 1
    rows, _ = await RedisLedger(store.line(0)).of_day(day_of(await store.now()), limit=1000)
    outcomes = [row.outcome for row in rows if row.caller.board]
    assert (outcomes.count("answered"), outcomes.count("cache")) == (1, 63)


@pytest.mark.long
async def test_a_process_killed_with_its_answer_costs_no_second_call(
    store: RedisStore, model_server: ModelServer, set_up: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLACKBOARD_TEST_ONCE", str(tmp_path / "once"))
    url = url_of(store)
    fleet = [Process("controller", "worker", url=url, data=tmp_path, module=FLEET)]
    try:
        (board,) = await submitted(url, tmp_path, ["deadly"], 1)

        async def killed() -> bool:
            return (tmp_path / "once").exists()

        await until(killed)
        fleet.append(Process("controller", "worker", url=url, data=tmp_path, module=FLEET))
        assert (await ended(store, board))["status"] == "completed"
        assert (await promises(store, board)) == {"deadly": 1}
    finally:
        for process in fleet:
            process.kill()
    assert len(asked(model_server)) == 1


@pytest.mark.faults
async def test_boards_wait_for_an_outage_to_end_and_none_fails(
    redis_url: str, model_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service_at(redis_url, tmp_path, model_server, monkeypatch) as service:
        model_server.always("overloaded")
        boards = [await service.submit(f"{n}.txt", "total") for n in range(30)]

        breaker = FleetBreaker(service.service.store.line(0))
        endpoint = Endpoint(model_server.url, "claude-haiku-5-5")

        async def opened() -> bool:
            return (await breaker.state(endpoint)).state == "open"

        await until(opened)
        seen = len(model_server.calls)
        assert seen <= 40, "an open breaker holds the others back"
        await asyncio.sleep(3)
        assert len(model_server.calls) <= seen + 3, "and keeps them back"
        for board in boards:
            assert (await service.service.store.head(board) or {})["status"] == "open"
        model_server.always(None)
        for board in boards:
            head = await ended(service.service.store, board, 120)
            assert head["status"] == "completed", head
            await promises(service.service.store, board)
