"""Boards whose sources ask a model: a whole service, the real client, and a server that speaks the wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard.registry import find_sources
from controller.bootstrap import open_service
from controller.settings import Settings
from knowledge_sources.llm import gateway
from knowledge_sources.llm.prompting import RULES
from tests import models
from tests.fleet import until
from tests.integration.guests import Open
from tests.listening import listening
from tests.models import ModelServer

PAGES = 20
CONTRACT = "\f".join(
    f"Clause {n}. Marlow Ltd shall pay {n * 1000} EUR to Tarrant Ltd within {n + 10} days of 3 March 2025. " * 4
    for n in range(1, PAGES + 1)
)


@asynccontextmanager
async def serving(
    redis_url: str, data: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> AsyncIterator[Open]:
    """A service whose models are at that server."""
    words = {"base_url": server.url, "api_key": "sk-test", "names": "claude-haiku-5-5", "backoff_s": "0.01", **more}
    for name, value in words.items():
        monkeypatch.setenv(f"BLACKBOARD_MODEL_{name.upper()}", str(value))
    settings = Settings(redis_url=redis_url, data_dir=data, lease_s=3, sweep_s=0.3, check_s=0.5, backoff_s=0.05)
    sources, _ = find_sources()
    async with open_service(settings, sources=sources) as service, listening(service) as (_, client, _):
        yield Open(service, client)


async def submitted(service: Open, text: str, **more: Any) -> str:
    body = {"text": text, "filename": "contract.txt", **more}
    answer = await service.client.post("/v1/documents", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def records(service: Open, board: str) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/v1/boards/{board}/log")
    return [orjson.loads(line) for line in answer.text.splitlines()]


async def test_a_board_on_models_ends_and_every_call_is_written_down(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        # As the real one is said to be: another schema finds nothing in the prompt cache.
        models.serving(models.Settings(schema_counts=True)) as model_server,
        serving(redis_url, tmp_path, model_server, monkeypatch) as service,
    ):
        board = await submitted(service, CONTRACT, models="always")
        ending = await service.end(board)
        assert ending["status"] == "completed", ending
        calls = [record["body"] for record in await records(service, board) if record["type"] == "llm.called"]
        asked = [call for call in model_server.calls if RULES[:40].encode() in call.body]
        assert len(asked) == len([call for call in calls if call["outcome"] == "answered"]) > PAGES
        spent = (await service.client.get(f"/v1/boards/{board}/calls")).json()
        assert len(spent["items"]) == len(calls) or spent["next"]
        tokens = [call["tokens"] for call in calls if call["outcome"] == "answered"]
        written = {each["cache_write"] for each in tokens} - {0}
        assert len(written) == 1, "the document is written to the prompt cache once"
        read = [each["cache_read"] for each in tokens if each["cache_read"]]
        assert set(read) == written, "and read from there by every other question about it"
    shared = set()
    for call in asked:
        body = orjson.loads(call.body)
        content = body["messages"][0]["content"]
        marks = [at for at, block in enumerate(content) if "cache_control" in block]
        if marks:
            shared.add(orjson.dumps([body["system"], content[: marks[0] + 1]]))
    assert len(shared) == 1
    assert len(read) == sum(b"cache_control" in call.body for call in asked) - 1 > PAGES


async def test_nothing_is_asked_unless_a_submission_says_so(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        board = await submitted(service, CONTRACT, strategy={"claim": "market"})
        assert (await service.end(board))["status"] == "completed"
    assert not model_server.calls and not model_server.others


@pytest.mark.long
async def test_boards_wait_for_a_server_that_is_away_and_none_fails_of_it(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_server.always("overloaded")
    monkeypatch.setattr(gateway, "LATER_S", 0.5)
    async with serving(redis_url, tmp_path, model_server, monkeypatch, attempts=1) as service:
        boards = [await submitted(service, text, models="always") for text in (CONTRACT[:600], CONTRACT[900:1500])]

        async def waiting() -> bool:
            for board in boards:
                reasons = (await service.client.get(f"/v1/boards/{board}/why")).json()["reasons"]
                if not any(each["reason"].startswith("waits: ") and each["attempts"] == 0 for each in reasons):
                    return False
            return True

        await until(waiting)
        model_server.always(None)
        for board in boards:
            ending = await service.end(board)
            assert (ending["status"], ending["slug"], ending["degraded"]) == ("completed", "complete", [])
            told = ending["models"]
            assert told["mode"] == "always" and told["steps"]["mentions_model"] >= 1 and told["calls"] > 0
