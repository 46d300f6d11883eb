"""Asking for models through the front door: what is taken, what is refused, what is kept. No model is needed for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blackboard import Each, LanguageModel, Level, Upload, knowledge_source
from tests.whole import Whole, whole


class Note(Level):
    """What somebody says of a document."""

    by: str


class Rhyme(Level):
    """What nobody makes with a model."""

    by: str


@knowledge_source()
async def plain(upload: Each[Upload]) -> Note:
    """Local."""
    return Note(by="plain")


@knowledge_source()
async def rhymer(upload: Each[Upload]) -> Rhyme:
    """Local."""
    return Rhyme(by="rhymer")


@knowledge_source(default=False, cost="model")
async def modelled(upload: Each[Upload], model: LanguageModel) -> Note:
    """Asks a model."""
    return Note(by="modelled")


SOURCES = (plain, rhymer, modelled)


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "BLACKBOARD_MODEL_BASE_URL", "BLACKBOARD_MODEL_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def a_key(no_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that happens to lie there, of a server that nobody listens at."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")


async def post(service: Whole, **options: Any) -> Any:
    return await service.client.post("/v1/documents", json={"text": "x", **options})


async def refused(service: Whole, pointer: str, words: str, **options: Any) -> None:
    answer = await post(service, **options)
    assert answer.status_code == 422, answer.text
    error = answer.json()["errors"][0]
    assert error["pointer"].startswith(pointer), error
    assert words in error["detail"]


async def test_models_that_are_not_there_are_refused(no_model: None, redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        await refused(service, "/models", "ANTHROPIC_API_KEY", models="auto")
        await refused(service, "/models", "ANTHROPIC_API_KEY", models={"note": "always"})
        board = await service.submit(models="off")
        assert (await service.ended(board))["status"] == "completed"


async def test_a_key_in_the_environment_asks_nobody(a_key: None, redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        ended = await service.ended(await service.submit())
        assert (ended["models"], list(ended["sources"])) == ("off", ["plain", "rhymer"])
        assert "models" not in ended["outcome"]
        await refused(service, "/sources/0", "models auto or always", sources=["modelled"])
        await refused(service, "/shadow/0", "models auto or always", shadow=["modelled"])
        await refused(service, "/models", "Input should be", models="sometimes")
        await refused(service, "/models/rhyme", "there are note", models={"rhyme": "auto"})
        await refused(service, "/floor", "needs a strategy", floor={"note": 0.5})
        answer = await service.client.post(f"/v1/boards/{ended['id']}/sources/modelled")
        assert answer.status_code == 422 and "models are off on this board" in answer.text


async def test_the_mode_is_the_boards_for_good(a_key: None, redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES) as service:
        board = await service.submit(models="auto", floor={"note": 0.5})
        ended = await service.ended(board)
        assert ended["models"] == ended["policy"]["models"] == "auto"
        assert sorted(ended["sources"]) == ["modelled", "plain", "rhymer"]
        said = ended["outcome"]["models"]
        assert (said["mode"], said["steps"], said["avoided"]["steps"]) == ("auto", {}, {"modelled": 1})
        forked = await service.client.post(f"/v1/boards/{board}/retry")
        again = await service.ended(forked.json()["id"])
        assert (again["parent"], again["models"]) == (f"{board}@{ended['revision']}", "auto")
        form = {"models": '{"note": "always"}'}
        answer = await service.client.post("/v1/documents", data=form, files={"file": ("a.txt", b"plain")})
        assert answer.json()["models"] == {"note": "always"}
        answer = await service.client.post("/v1/documents", data={"models": "auto"}, files={"file": ("a.txt", b"b")})
        assert answer.json()["models"] == "auto"


async def test_the_setting_stands_where_a_submission_says_nothing(a_key: None, redis_url: str, tmp_path: Path) -> None:
    async with whole(redis_url, tmp_path, SOURCES, models="auto") as service:
        assert (await service.ended(await service.submit()))["models"] == "auto"
        assert (await service.ended(await service.submit(models="off")))["models"] == "off"
        listed = (await service.get("/v1/sources"))["items"]
        assert {each["name"]: each["asks_model"] for each in listed} == {
            "plain": False,
            "rhymer": False,
            "modelled": True,
        }
