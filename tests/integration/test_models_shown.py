"""What `doctor` and GET /v1/capabilities say of the language models, and that a key is never in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blackboard.errors import StorageUnavailable, UsageError
from controller.commands.models_found import findings
from controller.http.capabilities_models import CapabilitiesModel
from knowledge_sources.llm.breaker import BreakerState
from knowledge_sources.llm.caps import Level
from knowledge_sources.llm.condition import ModelCondition, Parts, shown
from knowledge_sources.llm.ports import Capabilities, Endpoint
from knowledge_sources.llm.settings import ModelSettings, Provider, read_settings
from tests.integration.test_models_asked import modelled, plain
from tests.models import ModelServer
from tests.whole import whole

KEY = "sk-ant-very-secret"
ENVIRONMENT = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "BLACKBOARD_MODEL_API_KEY", "BLACKBOARD_MODEL_BASE_URL")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    yield


def settings(**given: Any) -> ModelSettings:
    words: dict[str, Any] = {
        "api_key": SecretStr(KEY),
        "base_url": "https://models.example/v1",
        "names": ("big",),
    }
    return ModelSettings(**{**words, **given})


async def said(mode: Any, condition: ModelCondition, **asked: Any) -> list[tuple[str, str]]:
    told = await condition.look(**asked)
    assert KEY not in json.dumps(told) and "pw@" not in json.dumps(told)
    return [(state, words) for state, words, _ in findings(mode, told)]


async def test_without_a_model() -> None:
    nothing = ModelCondition(settings(api_key=SecretStr(""), base_url="https://api.anthropic.com"))
    assert not nothing.configured
    assert await said("off", nothing) == [("ok", "no language model is configured: the local sources alone")]
    assert await said({"summary": "off"}, nothing) == await said("off", nothing)
    for mode in ("auto", {"summary": "always"}):
        ((state, words),) = await said(mode, nothing)
        assert state == "fail" and "no language model is configured" in words


async def test_what_is_set_alone() -> None:
    given = settings(
        fallbacks=(Provider(base_url="http://127.0.0.1:11434", models=("small",)),), cassette=Path("there")
    )
    lines = await said("off", ModelCondition(given))
    assert lines[0] == (
        "ok",
        "big at https://models.example/v1, with a key; asked only where a submission says so (--models auto or always)",
    )
    assert ("ok", "fallback: small at http://127.0.0.1:11434") in lines
    assert ("warn", "answers come from a folder of recordings (BLACKBOARD_MODEL_CASSETTE)") in lines
    assert not any("server" in words for _, words in lines)


async def known(endpoint: Endpoint) -> BreakerState:
    return BreakerState(endpoint, "open", 1_000, 1_795_000_000_000, False, 1, 20, 20, shared=True)


async def levels(tenant: str) -> dict[str, Level]:
    return {"tenant_day": Level(settled=20_000_000_000, open=0, cap=20_000_000_000)}


async def test_what_the_fleet_knows() -> None:
    asked: list[str] = []

    async def probe(model: str) -> Capabilities:
        asked.append("probe")
        return Capabilities(schema_output=False, documents=False, notes=("it knows no schema",))

    async def kept(model: str) -> Capabilities | None:
        asked.append("kept")
        return None

    condition = ModelCondition(settings(), Parts(known=kept, probe=probe, breaker=known, levels=levels))
    lines = await said("auto", condition, tenant="default", probe=True)
    assert asked == ["probe"]
    assert ("warn", "the server is without schema output, documents: done otherwise, or left out") in lines
    assert any(
        state == "warn" and words.startswith("big is not asked: its breaker is open until 20") for state, words in lines
    )
    assert ("warn", "today: 20.0000 of 20 USD") in lines
    assert not any("server" in words for _, words in await said("auto", condition))
    assert asked == ["probe", "kept"]


async def test_a_part_that_is_away_keeps_none_of_the_others_away() -> None:
    async def away(*_: Any) -> Any:
        raise StorageUnavailable("the server is away")

    condition = ModelCondition(settings(), Parts(known=away, breaker=away, limits=away, levels=levels))
    told = await condition.look(tenant="default")
    assert told["capabilities"] is None and told["endpoints"] == [{"model": "big", "breaker": None, "limits": None}]
    assert told["spent_today"]["left_usd"] == 0.0


async def test_an_address_that_is_none_is_said_and_stops_nothing_else() -> None:
    lines = await said("off", ModelCondition(settings(base_url="https://user:pw@models.example")))
    assert lines[0] == ("fail", "the address of the model's server holds a password")
    assert lines[1][1].startswith("big at https://models.example, with a key")


def test_addresses_without_what_is_secret() -> None:
    assert shown("https://key@host:8443/a?token=x") == "https://host:8443/a"
    assert shown("http://localhost:11434") == "http://localhost:11434"


def test_a_setting_that_is_off_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLACKBOARD_MODEL_BOARD_USD", KEY)
    with pytest.raises(UsageError, match="BLACKBOARD_MODEL_BOARD_USD is off") as caught:
        read_settings()
    assert KEY not in str(caught.value)


async def test_over_http(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with whole(redis_url, tmp_path / "a", (plain,)) as service:
        told = await service.get("/v1/capabilities")
        CapabilitiesModel.model_validate(told, strict=True)
        assert told["models"] == {"default": "off", "configured": False}
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with whole(redis_url, tmp_path / "b", (plain, modelled), models={"note": "auto"}) as service:
        answer = await service.client.get("/v1/capabilities")
        assert KEY not in answer.text
        told = answer.json()
        CapabilitiesModel.model_validate(told, strict=True)
        models = told["models"]
        assert (models["default"], models["base_url"]) == ({"note": "auto"}, "https://api.anthropic.com")
        assert [each["breaker"]["state"] for each in models["endpoints"]] == ["closed"] * len(models["names"])
        assert models["spent_today"]["spent_usd"] == 0.0


async def test_what_probes_found_is_shown_and_only_asked_for_when_wanted(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_server.settings = replace(model_server.settings, lacks=frozenset({"schema", "counting"}))
    for name, value in (("BASE_URL", f"{model_server.url}/"), ("API_KEY", KEY), ("NAMES", "claude-haiku-5-5")):
        monkeypatch.setenv(f"BLACKBOARD_MODEL_{name}", value)
    async with whole(redis_url, tmp_path, (plain, modelled)) as service:
        shown = (await service.get("/v1/capabilities"))["models"]
        assert shown["capabilities"] is None and shown["endpoints"][0]["limits"]["under_way"] == 0
        assert model_server.calls == [] and model_server.counts == []
        told = await service.service.condition.look(tenant="default", probe=True)
        assert told["capabilities"]["streaming"] and not told["capabilities"]["schema_output"]
        asked = len(model_server.calls)
        assert asked > 0
        again = (await service.get("/v1/capabilities"))["models"]
        assert again["capabilities"] == told["capabilities"]
        assert ("warn", True) in {
            (state, "without schema output" in words) for state, words, _ in findings("off", told)
        }
        assert len(model_server.calls) == asked
        spent = await service.get("/v1/spending")
        assert KEY not in str(spent) + str(again)
