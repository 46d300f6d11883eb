"""A shadow says what it would have said, and changes nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.end_to_end.command import Cli
from tests.fleet import promises, until
from tests.integration.doors import TEXT, V1, V2, count, door, failing_years, lines, slow, worker, years, years_2
from tests.integration.guests import guest

ALL = "controller worker"


def proper(entries: dict[str, Any]) -> list[tuple[str, Any]]:
    """Keys and values of a listing."""
    return [(item["key"], item["value"]) for item in entries["items"]]


async def test_a_shadow_changes_nothing(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        without, beside = await here.submit(sources=["lines", "count"]), await here.submit(shadow=["years"])
        plain, shown = await here.ended(without), await here.ended(beside)
        assert shown["sources"] == plain["sources"] == {"lines": "1", "count": "1"}
        assert shown["shadow"] == {"years": "1"}
        for word in ("slug", "reason", "disputes", "degraded", "coverage"):
            assert shown["outcome"][word] == plain["outcome"][word]
        assert shown["outcome"]["shadow"] == {"shadow.years": {"1": "done", "2": "done", "3": "done"}}
        entries = await here.get(f"/v1/boards/{beside}/entries")
        assert proper(entries) == proper(await here.get(f"/v1/boards/{without}/entries"))
        assert await here.values(beside, "sum") == {"sum/board-1": {"years": 0, "by": ""}}
        assert await here.values(beside, "year") == {}
        at = await here.get(f"/v1/boards/{beside}", at=shown["revision"])
        assert not [item for item in at["entries"] if item["key"].startswith("shadow.")]
        report = await here.get(f"/v1/boards/{beside}/report", partial="true")
        assert set(report["contributions"]) == {"line", "sum"}
        runs = await promises(here.service.store, beside)
        assert runs == {"lines": 1, "count": 1, "shadow.years": 3}


async def test_what_it_would_have_said(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        board = await here.submit(shadow=["years"])
        await here.ended(board)
        listed = await here.get(f"/v1/boards/{board}/entries", space="shadow")
        assert [item["key"] for item in listed["items"]] == ["year/0001", "year/0002", "year/0003"]
        first = listed["items"][0]
        assert (first["level"], first["name"], first["space"], first["source"]) == ("year", "0001", "shadow", "years")
        assert (first["owner"], first["value"]["text"]) == ("shadow.years", "2024")
        assert await here.values(board, "sum", space="shadow") == {}
        one = await here.client.get(f"/v1/boards/{board}/entries/year/0002", params={"space": "shadow"})
        assert (one.status_code, one.headers["etag"], one.json()["value"]["text"]) == (200, '"1"', "2025")
        assert (await here.client.get(f"/v1/boards/{board}/entries/year/0002")).status_code == 404
        for name, params in (("0009", {}), ("0002", {"source": "count"})):
            path = f"/v1/boards/{board}/entries/year/{name}"
            assert (await here.client.get(path, params={"space": "shadow", **params})).status_code == 404
        for params in ({"space": "other"}, {"diff": "true"}, {"source": "years"}):
            assert (await here.client.get(f"/v1/boards/{board}/entries", params=params)).status_code == 400
        written = await here.client.put(
            f"/v1/boards/{board}/entries/shadow.years.year/0001", json={}, headers={"If-None-Match": "*"}
        )
        assert written.status_code in (404, 409, 422)


async def test_a_form_takes_shadows_too(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        answer = await here.client.post(
            "/v1/documents", files={"file": ("a.txt", TEXT.encode(), "text/plain")}, data={"shadow": "years, count"}
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["shadow"] == {"years": "1", "count": "1"}
        shown = await here.ended(answer.json()["id"])
        assert (shown["status"], shown["sources"]) == ("completed", {"lines": "1"})
        # A shadow does not read what another shadow writes.
        assert await here.values(shown["id"], "sum", space="shadow") == {"sum/board-1": {"years": 0, "by": ""}}


async def test_wrong_shadows_are_refused(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, *V1) as here:
        for options, pointer in (
            ({"shadow": ["nonsense"]}, "/shadow/0"),
            ({"shadow": ["years"], "sources": ["lines", "years"]}, "/shadow/0"),
            ({"shadow": ["years"], "goal": ["year"]}, "/goal/0"),
            ({"shadow": ["lines", "years", "count"]}, "/shadow"),
        ):
            answer = await here.client.post("/v1/documents", json={"text": "a", **options})
            assert answer.status_code == 422
            assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_shadow_that_fails_degrades_nothing(redis_url: str, tmp_path: Path) -> None:
    required = replace(failing_years, required=True)
    async with door(redis_url, tmp_path, lines, required, count, roles=ALL) as here:
        shown = await here.ended(await here.submit(shadow=["years"]))
        assert (shown["status"], shown["outcome"]["degraded"]) == ("completed", [])
        assert shown["outcome"]["reason"] == "every goal is settled"
        assert set(shown["outcome"]["shadow"]["shadow.years"].values()) == {"failed"}


async def test_the_board_waits_for_its_shadows(redis_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, lines, slow(years, gate), count):
        board = await here.submit(shadow=["years"])

        async def counted() -> bool:
            return bool(await here.values(board, "sum"))

        await until(counted)
        await here.reason(board, "it is running")
        assert (await here.board(board))["status"] == "open"
        gate.set()
        await here.ended(board)
        assert len(await here.values(board, "year", space="shadow")) == 3


async def test_a_deadline_does_not_wait_for_shadows(redis_url: str, tmp_path: Path) -> None:
    """Everything else was settled by then, so the result is whole."""
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, worker(*place, lines, slow(years, asyncio.Event()), count, drain_s=0.1):
        shown = await here.ended(await here.submit(shadow=["years"], deadline_s=1.5))
        assert (shown["status"], shown["outcome"]["slug"]) == ("completed", "complete")
        assert "partial" not in shown["outcome"]
        await promises(here.service.store, shown["id"])


async def test_a_shadow_nobody_serves_is_left_out(redis_url: str, tmp_path: Path) -> None:
    place = (redis_url, tmp_path)
    async with door(*place, *V1, adopt_s=0.5) as here, worker(*place, lines, count):
        board = await here.submit(shadow=["years"])
        assert "as a shadow it is left out" in (await here.reason(board, "no worker serves years@1"))["reason"]
        shown = await here.ended(board)
        assert (shown["status"], shown["shadow"]) == ("completed", {})
        (change,) = [r for r in await here.service.store.log(board) if r.type == "board.changed"]
        assert change.say()["left_out"] == [{"source": "shadow.years", "from": "1"}]
        await promises(here.service.store, board)


async def test_a_new_version_beside_the_old_one(redis_url: str, tmp_path: Path) -> None:
    """Version 2 in the shadow of version 1: on a board that ended, and the difference in one look."""
    place = (redis_url, tmp_path)
    async with door(*place, *V1, roles=ALL) as here:
        board = await here.submit()
        await here.ended(board)
        log = await here.log(board)
    async with door(*place, *V2, roles=ALL) as here:
        answer = await here.client.post(f"/v1/boards/{board}/sources/years", params={"space": "shadow"})
        assert answer.status_code == 202, answer.text
        copy = await here.ended(answer.json()["id"])
        assert copy["sources"]["years"] == "1" and copy["shadow"] == {"years": "2"}
        assert copy["outcome"]["backfill"]["ran"] == {"shadow.years": 3}
        assert {value["by"] for value in (await here.values(copy["id"], "year")).values()} == {"1"}
        diff = await here.get(f"/v1/boards/{copy['id']}/entries", space="shadow", diff="true")
        assert [(item["key"], item["against"]) for item in diff["items"]] == [
            ("year/0001", "different"), ("year/0003", "different"),
        ]  # fmt: skip
        assert diff["missing"] == ["year/0002"]
        assert await here.log(board) == log
        again = await here.client.post(f"/v1/boards/{copy['id']}/sources/years", params={"space": "shadow"})
        assert again.status_code == 409


async def test_a_shadow_on_an_open_board(redis_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    place = (redis_url, tmp_path)
    async with door(*place, *V1) as here, door(*place, *V2, roles="api") as new:
        async with worker(*place, slow(lines, gate), years, count), worker(*place, years_2):
            board = await here.submit()
            await new.client.post(f"/v1/boards/{board}/sources/years", params={"space": "shadow"})
            gate.set()
            await here.ended(board)
        assert {value["by"] for value in (await here.values(board, "year")).values()} == {"1"}
        assert {value["by"] for value in (await here.values(board, "year", space="shadow")).values()} == {"2"}


@pytest.mark.long
async def test_the_commands(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    async with door(redis_url, tmp_path, *V1, roles=ALL) as here:
        cli = Cli(tmp_path, {"BLACKBOARD_URL": here.base})

        async def run(*words: Any) -> Any:
            ran = await asyncio.to_thread(cli, *words)
            assert ran.code == 0, ran
            return ran

        board = (await run("submit", tmp_path / "a.txt", "--shadow", "years", "--wait")).out.strip()
        plain = (await run("show", board, "--url", here.base)).out
        assert "shadow." not in plain
        assert "years: 3 done" in plain
        shown = await run("show", board, "--space", "shadow", "--json", "--url", here.base)
        keys = [entry["key"] for entry in orjson.loads(shown.out)["entries"]]
        assert keys == [f"shadow.years.year/000{number}" for number in (1, 2, 3)]
        one = await run("show", board, "shadow.years.year/0003", "--space", "shadow", "--url", here.base)
        assert orjson.loads(one.out)["text"] == "2026"


async def test_a_third_party_s_source_as_a_shadow(redis_url: str, tmp_path: Path) -> None:
    """It runs in a process with limits, as it always does, and writes aside."""
    calm = guest("calm")
    assert not calm.trusted
    async with door(redis_url, tmp_path, *V1, calm, roles=ALL) as here:
        board = await here.submit(shadow=["calm"], filename="a.txt")
        shown = await here.ended(board)
        assert shown["outcome"]["shadow"] == {"shadow.calm": {"board": "done"}}
        assert await here.values(board, "calm") == {}
        assert list((await here.values(board, "calm", space="shadow")).values()) == [{"text": "a.txt"}]
        assert (await promises(here.service.store, board))["shadow.calm"] == 1
