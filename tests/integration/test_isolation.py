"""Third parties' sources in their processes: each way to misbehave fails its own activation, in words, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.guests import Open, guest, opened

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="these look at processes through /proc")

SECRET = "canary-2f1c"
SOURCES = ("calm", "healthy", "hostile", "hostile_plain", "mortal", "curious")


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder of the test's own, and a secret in the worker's environment."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    monkeypatch.setenv("BLACKBOARD_SOURCE_HEALTHY__FACTOR", "21")


@pytest.fixture
async def service(redis_url: str, tmp_path: Path) -> AsyncIterator[Open]:
    """A service with the hostile plug-in."""
    async with opened(redis_url, tmp_path / "data", *(guest(name) for name in SOURCES)) as running:
        yield running


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("fail", "ValueError: no good"),
        pytest.param("unprintable", "message cannot be shown", marks=pytest.mark.long),
        pytest.param("wrong", "contributed int, but declares Finding", marks=pytest.mark.long),
        pytest.param("undeclared", "contributed Hidden, but declares Finding", marks=pytest.mark.long),
        pytest.param("twice", "contributed finding/0001 twice", marks=pytest.mark.long),
        pytest.param("hoard", "more than 1,024 MB of memory", marks=pytest.mark.long),
        pytest.param("pile", "more than 1,024 MB of memory", marks=pytest.mark.long),
        pytest.param("fork", "Operation not permitted", marks=pytest.mark.long),
        pytest.param("spawn", "Operation not permitted", marks=pytest.mark.long),
        pytest.param("exit", r"called exit\(3\)", marks=pytest.mark.long),
        pytest.param("vanish", r"ended by itself \(exit code 3\)", marks=pytest.mark.long),
        pytest.param("die", "was killed", marks=pytest.mark.long),
        ("crash", "SIGSEGV"),
        pytest.param("close", "closed the pipe", marks=pytest.mark.long),
        pytest.param("garble", "what no source says|closed the pipe", marks=pytest.mark.long),
        pytest.param("nan", "score is no finite number", marks=pytest.mark.long),
        pytest.param("huge", "JSON cannot hold", marks=pytest.mark.long),
        pytest.param("long", "value of more than 8 MB", marks=pytest.mark.long),
        pytest.param("heavy", "contributed more than 64 MB", marks=pytest.mark.long),
        pytest.param("recurse", "RecursionError", marks=pytest.mark.long),
        pytest.param("patch", "contributed report, but declares Finding", marks=pytest.mark.long),
        pytest.param("forge", "does not fit its model: /n:", marks=pytest.mark.long),
        pytest.param("flood", "more than 10,000 entries", marks=pytest.mark.long),
        pytest.param("litter", "temporary folder|File too large", marks=pytest.mark.long),
        pytest.param("no_such_deed", "KeyError", marks=pytest.mark.long),
    ],
)
async def test_a_hostile_source_fails_alone(service: Open, deed: str, words: str) -> None:
    bad, good = await asyncio.gather(service.submit(deed, "calm", "hostile"), service.submit("x", "calm", "healthy"))
    ending = await service.end(bad)
    assert ending["status"] == "completed"
    (step,) = ending["degraded"]
    assert step["source"] == "hostile"
    assert re.search(words, step["reason"]), step["reason"]
    assert await service.values(bad, "calm") == [{"text": deed}]
    ending = await service.end(good)
    assert (ending["status"], ending["degraded"]) == ("completed", [])
    ending = await service.run("behave", "hostile")
    assert (ending["status"], ending["degraded"]) == ("completed", [])


@pytest.mark.parametrize(
    ("source", "deed", "words"),
    [
        ("hostile_plain", "sleep", "no result within 1 s in all"),
        ("hostile", "hang", "neither a contribution nor progress for 0.5 s"),
        ("hostile", "spin", "neither a contribution nor progress for 0.5 s"),
    ],
)
async def test_a_source_that_hangs_is_ended(redis_url: str, tmp_path: Path, source: str, deed: str, words: str) -> None:
    more: dict[str, Any] = {"idle_timeout": 0.5} if source == "hostile" else {}
    async with opened(redis_url, tmp_path / "data", guest("calm"), guest(source, **more)) as service:
        board = await service.submit(deed, "calm", source)
        ending = await service.end(board)
        assert ending["status"] == "completed"
        (step,) = ending["degraded"]
        assert words in step["reason"]
        assert len(await service.values(board, "finding")) == 1, "what came before stays"


async def test_printing_harms_nothing(service: Open) -> None:
    ending = await service.run("chatter", "hostile")
    assert (ending["status"], ending["degraded"]) == ("completed", [])


async def test_the_worker_s_secrets_are_out_of_sight(service: Open) -> None:
    board = await service.submit("look", "hostile")
    assert (await service.end(board))["degraded"] == []
    (found,) = await service.values(board, "finding")
    assert SECRET not in found["text"]
    seen = json.loads(found["text"])
    assert "ANTHROPIC_API_KEY" not in seen["environment"]
    assert {seen[place] for place in seen if place != "environment"} == {"PermissionError"}


async def test_nothing_beyond_its_process_is_in_reach(service: Open) -> None:
    board = await service.submit("reach", "hostile")
    assert (await service.end(board))["degraded"] == []
    (found,) = await service.values(board, "finding")
    tried = json.loads(found["text"])
    assert {tried.pop("own file"), tried.pop("thread")} == {"done"}
    assert set(tried.values()) == {"PermissionError"}, tried


async def test_a_flood_leaves_no_more_than_its_first_thousand(service: Open) -> None:
    board = await service.submit("flood", "calm", "hostile")
    assert "more than 10,000 entries" in (await service.end(board))["degraded"][0]["reason"]
    folded = await service.service.store.projection(board)
    assert folded is not None
    assert 0 < sum(key.startswith("finding/") for key in folded.entries) <= 1000


async def test_a_process_that_dies_is_tried_again(service: Open) -> None:
    board = await service.submit("x", "calm", "mortal")
    assert "was killed" in (await service.end(board))["degraded"][0]["reason"]
    types = [record.type for record in await service.service.store.log(board)]
    assert types.count("activation.failed") == 3


@pytest.mark.parametrize(("deed", "words"), [("blob-x", "no SHA-256"), ("entry-x", "entry name")])
async def test_what_it_asks_for_is_looked_at(service: Open, deed: str, words: str) -> None:
    (step,) = (await service.run(deed, "calm", "curious"))["degraded"]
    assert words in step["reason"]


async def test_a_warm_process_serves_many_and_one_with_leftovers_none(service: Open) -> None:
    pids = []
    for deed in ("behave", "behave", "linger", "behave"):
        board = await service.submit(deed, "hostile")
        await service.end(board)
        pids += [found["n"] for found in await service.values(board, "finding")]
    first, second, third, fourth = pids
    assert first == second == third != fourth


async def test_a_healthy_source_has_all_that_it_is_handed(service: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "blackboard.source.healthy")
    board = await service.submit("x", "calm", "healthy")
    assert (await service.end(board))["degraded"] == []
    one, two = await service.values(board, "finding")
    assert one == {"n": 1, "text": "some text in upload/original@1", "score": 0.5}
    assert two == {"n": 42, "text": "calm said ['x']", "score": 0.0}
    folded = await service.service.store.projection(board)
    assert folded is not None
    (run,) = [each for id in folded.agenda if (each := folded.activation(id)) and each.data["source"] == "healthy"]
    assert run.data["lookups"]["keys"] == {"calm/original-1": 1}
    assert list(run.data["lookups"]["levels"]) == ["calm"]
    assert (run.data["usd"], run.data["tokens"]) == (0.25, 7)
    assert [record.getMessage() for record in caplog.records if record.name.endswith(".healthy")] == [
        "calm said x",
        "heard text='x'",
    ]


async def test_what_is_yielded_lands_before_the_run_ends(redis_url: str, tmp_path: Path) -> None:
    async with opened(redis_url, tmp_path / "data", guest("healthy"), guest("calm")) as service:
        # Nobody contributes to `calm` at first: the healthy source waits for it.
        board = await service.submit("x", "healthy")
        async with asyncio.timeout(15):
            while not await service.values(board, "finding"):
                await asyncio.sleep(0.01)
        answer = await service.client.put(
            f"/v1/boards/{board}/entries/calm/original-1", json={"text": "now"}, headers={"If-None-Match": "*"}
        )
        assert answer.status_code == 201, answer.text
        assert (await service.end(board))["degraded"] == []
        assert len(await service.values(board, "finding")) == 2


async def test_a_trusted_one_runs_in_the_worker(redis_url: str, tmp_path: Path) -> None:
    import os

    async with opened(redis_url, tmp_path / "data", guest("hostile", trusted=True)) as service:
        board = await service.submit("behave", "hostile")
        await service.end(board)
        assert [found["n"] for found in await service.values(board, "finding")] == [os.getpid()]


async def test_one_that_cannot_be_loaded_says_so(redis_url: str, tmp_path: Path) -> None:
    source = guest("hostile", where=str(tmp_path / "gone.py"))
    async with opened(redis_url, tmp_path / "data", guest("calm"), source) as service:
        (step,) = (await service.run("behave", "calm", "hostile"))["degraded"]
        assert "cannot be loaded" in step["reason"]
