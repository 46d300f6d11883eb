"""Sources that run elsewhere: registered, given work, heard, and replaced when they are lost; over real HTTP."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard import Each, Page, Report, knowledge_source
from controller.remote.declaration import Declaration
from tests.end_to_end.command import SCRIPT
from tests.fleet import ROOT, promises, until
from tests.integration.elsewhere import Door, door, sheets

DOCS = ROOT / "docs" / "remote-sources.md"


@pytest.fixture
async def served(redis_url: str, tmp_path: Path) -> AsyncIterator[Door]:
    async with door(redis_url, tmp_path) as served:
        yield served


def is_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    """The problem."""
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    assert found["type"].endswith(f"/problems/{slug}"), found
    return found


async def test_a_board_is_completed_with_what_a_source_elsewhere_contributes(served: Door) -> None:
    answer = await served.put()
    assert answer.status_code == 201 and answer.headers["location"] == "/v1/sources/dates"
    board = await served.submit()
    assert "dates" in (await served.board(board))["sources"]
    for _ in range(3):
        task = await served.task()
        assert task["board"] == board and task["source"] == "dates" and task["version"] == "1"
        (page,) = task["inputs"]["page"]
        assert page["key"] == task["binding"] and page["version"] == 1 and page["owner"] == "sheets"
        answer = await served.work(task)
        assert answer.status_code == 200 and answer.json()["status"] == "done"
    ended = await served.ended(board)
    assert ended["status"] == "completed"
    assert ended["outcome"]["coverage"]["dates"] == {"1": "done", "2": "done", "3": "done"}
    found = await served.entries(board)
    assert found == {
        "date_mention/0001-1": {"iso": "2024-03-01", "page": 1},
        "date_mention/0001-2": {"iso": "2025-06-30", "page": 1},
        "date_mention/0003-1": {"iso": "2026-01-15", "page": 3},
    }
    assert (await promises(served.service.store, board))["dates"] == 3
    assert (await served.claim(wait_s=0)).status_code == 204


async def test_partial_commits_are_seen_at_once_and_numbering_goes_on(served: Door) -> None:
    await served.put()
    board = await served.submit()
    task = await served.task()
    first = await served.commit(task, 1, {"iso": "2024-01-01", "page": 1})
    assert first.json()["status"] == "running" and first.json()["entries"][0]["version"] == 1
    name = task["binding"].partition("/")[2]
    assert list(await served.entries(board)) == [f"date_mention/{name}-1"]
    second = await served.commit(task, 2, {"iso": "2024-01-02", "page": 1}, {"iso": "2024-01-03", "page": 1})
    assert [row["key"] for row in second.json()["entries"]] == [f"date_mention/{name}-2", f"date_mention/{name}-3"]
    assert (await served.commit(task, 3, status="done")).json()["status"] == "done"
    assert len(await served.entries(board)) == 3, "the last commit retracts nothing of what came before it"
    for _ in range(2):
        await served.work(await served.task())
    assert (await served.ended(board))["status"] == "completed"
    assert len(await served.entries(board)) >= 3
    await promises(served.service.store, board)


async def test_every_request_may_be_repeated(served: Door) -> None:
    assert (await served.put()).status_code == 201
    assert (await served.put()).status_code == 200
    board = await served.submit()
    task = await served.task()
    for already in (False, True, True):
        answer = (await served.commit(task, 1, {"iso": "2024-01-01", "page": 1})).json()
        assert answer["already"] is already and answer["entries"][0]["version"] == 1 and answer["status"] == "running"
    for _ in range(2):
        assert (await served.renew(task)).status_code == 200
    for already in (False, True):
        answer = (await served.commit(task, 2, {"iso": "2024-01-02", "page": 1}, status="done")).json()
        assert answer["already"] is already and answer["status"] == "done"
    answer = (await served.commit(task, 1, {"iso": "2024-01-01", "page": 1})).json()
    assert answer["already"], "long after"
    is_problem(await served.renew(task), 409, "fenced")
    is_problem(await served.commit(task, 3, {"iso": "2024-01-02", "page": 1}), 409, "fenced")
    assert len(await served.entries(board)) == 2
    versions = [item["version"] for item in (await served.client.get(f"/v1/boards/{board}/entries")).json()["items"]]
    assert set(versions) == {1}
    for status in (204, 404):
        assert (await served.client.delete("/v1/sources/dates")).status_code == status


async def test_commits_come_one_after_the_other(served: Door) -> None:
    await served.put()
    board = await served.submit()
    task = await served.task()
    is_problem(await served.commit(task, 2, {"iso": "2024-01-01", "page": 1}), 409, "out-of-order")
    both = await asyncio.gather(
        served.commit(task, 1, {"iso": "2024-01-01", "page": 1}),
        served.commit(task, 1, {"iso": "2024-01-01", "page": 1}),
    )
    assert [answer.status_code for answer in both] == [200, 200]
    assert sorted(answer.json()["already"] for answer in both) == [False, True]
    assert len(await served.entries(board)) == 1


async def test_a_lost_worker_is_replaced_and_comes_too_late(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    lost = await served.task(worker="lost")
    await served.commit(lost, 1, {"iso": "1999-01-01", "page": 1})
    taken = await served.task(worker="heir")
    assert taken["activation"] == lost["activation"] and taken["epoch"] == lost["epoch"] + 1
    is_problem(await served.commit(lost, 2, {"iso": "1999-01-02", "page": 1}), 409, "fenced")
    is_problem(await served.renew(lost), 409, "fenced")
    answer = await served.commit(taken, 1, {"iso": "2024-03-01", "page": 1}, status="done")
    assert answer.status_code == 200
    name = taken["binding"].partition("/")[2]
    assert (await served.entries(board)) == {f"date_mention/{name}-1": {"iso": "2024-03-01", "page": 1}}
    for _ in range(2):
        await served.work(await served.task())
    assert (await served.ended(board))["status"] == "completed"
    await promises(served.service.store, board)
    log = (await served.client.get(f"/v1/boards/{board}/log")).text
    assert "remote:lost" in log and "remote:heir" in log and "contribution.refused" in log


async def test_what_a_lost_worker_wrote_is_retracted_by_its_heir(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    lost = await served.task()
    await served.commit(lost, 1, {"iso": "1999-01-01", "page": 1}, {"iso": "1999-01-02", "page": 1})
    taken = await served.task()
    answer = (await served.commit(taken, 1, status="done")).json()
    name = taken["binding"].partition("/")[2]
    assert answer["retracted"] == [f"date_mention/{name}-1", f"date_mention/{name}-2"]
    assert await served.entries(board) == {}


async def test_a_lease_that_is_renewed_is_kept(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    task = await served.task()
    progress = {"done": 1, "total": 2, "note": "half"}
    end = asyncio.get_running_loop().time() + 2 * served.service.settings.lease_s
    while asyncio.get_running_loop().time() < end:
        answer = await served.renew(task, progress=progress)
        assert answer.status_code == 200 and answer.json()["lease_s"] == 2
        await asyncio.sleep(0.3)
    assert (await served.claim(wait_s=0)).status_code == 204
    assert (await served.work(task)).json()["status"] == "done"
    assert len(await served.entries(board)) <= 2


async def test_two_compete_and_each_activation_is_one_s(served: Door) -> None:
    await served.put()
    boards = [await served.submit() for _ in range(3)]
    done: list[str] = []

    async def one(worker: str) -> None:
        while (answer := await served.claim(wait_s=1.5, worker=worker)).status_code == 200:
            task = answer.json()
            assert (await served.work(task)).status_code == 200
            done.append(task["activation"] + task["board"])

    await asyncio.gather(one("a"), one("b"))
    assert len(done) == len(set(done)) == 9
    for board in boards:
        assert (await served.ended(board))["status"] == "completed"
        assert (await promises(served.service.store, board))["dates"] == 3


async def test_a_cancelled_board_s_worker_is_told(served: Door) -> None:
    await served.put()
    board = await served.submit()
    task = await served.task()
    await served.client.post(f"/v1/boards/{board}/cancel")
    assert (await served.ended(board))["status"] == "cancelled"
    is_problem(await served.renew(task), 409, "cancelled")
    is_problem(await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}), 409, "board-ended")
    assert (await served.claim(wait_s=0)).status_code == 204


async def test_failures_are_tried_again_and_then_are_for_good(served: Door) -> None:
    await served.put(attempts=2, concurrency=1)
    board = await served.submit()
    first = await served.task()
    error = {"message": "the model is away"}
    answer = (await served.commit(first, 1, status="failed", error=error)).json()
    assert answer["status"] == "failed" and answer["final"] is False and answer["retry_at"] > 0
    seen = {}
    for _ in range(3):
        task = await served.task()
        seen[task["binding"]] = task["attempt"]
        if task["binding"] == first["binding"]:
            answer = (
                await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}, status="failed", error=error)
            ).json()
            assert answer["final"] is True and answer["entries"][0]["version"] == 1
            again = (
                await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}, status="failed", error=error)
            ).json()
            assert again["already"] and again["status"] == "failed" and again["final"]
        else:
            await served.work(task)
    assert seen[first["binding"]] == 2
    ended = await served.ended(board)
    assert ended["status"] == "completed"
    (step,) = ended["outcome"]["degraded"]
    assert step["reason"] == "the model is away" and step["source"] == "dates"


async def test_to_put_off_counts_as_no_attempt(served: Door) -> None:
    await served.put(attempts=1, required=True, concurrency=1)
    board = await served.submit()
    first = await served.task()
    error = {"message": "the model is away", "after_s": 0.01}
    is_problem(
        await served.commit(first, 1, status="failed", error={**error, "permanent": True}), 422, "validation-error"
    )
    answer = (await served.commit(first, 1, status="failed", error=error)).json()
    assert answer["status"] == "failed" and answer["final"] is False and answer["retry_at"] > 0
    seen = []
    for _ in range(3):
        task = await served.task()
        seen.append((task["binding"], task["attempt"]))
        await served.work(task)
    assert (first["binding"], 1) in seen
    assert (await served.ended(board))["status"] == "completed"


async def test_a_permanent_failure_of_a_required_source_fails_the_board(served: Door) -> None:
    await served.put(required=True)
    board = await served.submit()
    task = await served.task()
    error = {"message": "no such language", "permanent": True}
    assert (await served.commit(task, 1, status="failed", error=error)).json()["final"] is True
    ended = await served.ended(board)
    assert ended["status"] == "failed" and ended["outcome"]["reason"] == "no such language"


async def test_what_is_given_back_is_another_s_at_once(served: Door) -> None:
    await served.put(concurrency=1)
    await served.submit()
    first = await served.task()
    answer = (await served.commit(first, 1, status="released")).json()
    assert answer["status"] == "pending"
    assert (await served.commit(first, 1, status="released")).json()["already"]
    again = await served.task(worker="other")
    assert again["activation"] == first["activation"] and again["attempt"] == 1


async def test_time_is_limited_whatever_is_renewed(served: Door) -> None:
    await served.put(timeout_s=1, concurrency=1)
    await served.submit()
    task = await served.task()

    async def refused() -> Any:
        answer = await served.renew(task)
        return answer if answer.status_code != 200 else None

    problem = is_problem(await until(refused), 409, "fenced")
    assert "no result within 1 s" in problem["detail"]
    while (again := await served.task())["activation"] != task["activation"]:
        await served.work(again)
    assert again["attempt"] == 2


async def test_progress_keeps_the_idle_time_from_running_out(served: Door) -> None:
    await served.put(timeout_s=50, idle_timeout_s=1, concurrency=1)
    await served.submit()
    task = await served.task()
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.6
    while loop.time() < end:
        assert (await served.renew(task, progress={"done": 1, "total": 2})).status_code == 200
        await asyncio.sleep(0.2)

    async def refused() -> Any:
        answer = await served.renew(task)
        return answer if answer.status_code != 200 else None

    problem = is_problem(await until(refused), 409, "fenced")
    assert "no progress within 1 s" in problem["detail"]


async def test_an_input_that_a_person_changed_ends_the_run_as_stale(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    task = await served.task()
    page = {**task["inputs"]["page"][0]["value"], "text": "It was 2020-02-02."}
    path = f"/v1/boards/{board}/entries/{task['binding']}"
    assert (await served.client.put(path, json=page, headers={"If-Match": '"1"'})).status_code == 200
    answer = await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}, status="done")
    # The controller may have cancelled it first.
    assert answer.status_code == 409 and answer.json()["type"].rpartition("/")[2] in ("conflict", "fenced")
    assert (await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}, status="done")).status_code == 409
    for _ in range(3):
        await served.work(await served.task())
    assert (await served.ended(board))["status"] == "completed"
    assert {"iso": "2020-02-02", "page": page["number"]} in (await served.entries(board)).values()
    await promises(served.service.store, board)


async def test_a_restart_keeps_registrations_and_the_work(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path) as served:
        await served.put()
        board = await served.submit()
        task = await served.task()
        await served.commit(task, 1, {"iso": "2024-01-01", "page": 1})
    async with door(redis_url, tmp_path) as served:
        items = (await served.client.get("/v1/sources")).json()["items"]
        (mine,) = [item for item in items if item["origin"] == "remote"]
        assert mine["name"] == "dates" and mine["registration"]["last_heard"] > 0
        assert (await served.commit(task, 2, status="done")).status_code == 200, "its lease is not over yet"
        for _ in range(2):
            await served.work(await served.task())
        assert (await served.ended(board))["status"] == "completed"


async def test_several_processes_learn_of_it(redis_url: str, tmp_path: Path) -> None:
    """The board is submitted where the source is known only by then, and decided where it never was asked for."""
    async with (
        door(redis_url, tmp_path, roles=frozenset({"controller", "worker"})) as deciding,
        door(redis_url, tmp_path, roles=frozenset()) as first,
        door(redis_url, tmp_path, roles=frozenset()) as second,
    ):
        assert (await first.put()).status_code == 201
        board = await second.submit(sources=["sheets", "closing", "dates"])
        for one in (second, first, deciding):
            await one.work(await one.task())
        assert (await second.ended(board))["status"] == "completed"
        assert len(await first.entries(board)) == 3


async def test_registrations_at_once_are_all_kept_and_a_name_is_one_s(redis_url: str, tmp_path: Path) -> None:
    async with (
        door(redis_url, tmp_path, roles=frozenset()) as first,
        door(redis_url, tmp_path, roles=frozenset()) as second,
    ):
        answers = await asyncio.gather(
            *(one.put(f"dates_{number}") for number, one in enumerate((first, second) * 4)),
            *(one.put("wanted", registrant=f"lab-{number}") for number, one in enumerate((first, second) * 4)),
        )
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [201] * 9 + [409] * 7
        for one in (first, second):
            items = (await one.client.get("/v1/sources")).json()["items"]
            assert len([item for item in items if item["origin"] == "remote"]) == 9


async def test_the_command_line_lists_them(served: Door) -> None:
    await served.put(priority=3)
    for options, wanted in ((("--table",), b"nobody serves it"), (("--json",), b'"last_heard":')):
        listing = await asyncio.create_subprocess_exec(
            SCRIPT, "sources", "list", "--url", served.url, *options, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        out, _ = await listing.communicate()
        assert listing.returncode == 0 and b"dates" in out and wanted in out.replace(b'": ', b'":'), out.decode()


async def test_an_unregistered_source_is_waited_for_by_old_boards_alone(served: Door) -> None:
    await served.put()
    old = await served.submit()
    task = await served.task()
    assert (await served.client.delete("/v1/sources/dates")).status_code == 204
    is_problem(await served.claim(wait_s=0), 422, "validation-error")
    assert (await served.client.get("/v1/sources/dates")).status_code == 404
    new = await served.submit()
    assert (await served.ended(new))["status"] == "completed"
    reasons = (await served.client.get(f"/v1/boards/{old}/why")).json()["reasons"]
    waiting = [reason for reason in reasons if reason["source"] == "dates" and reason["status"] == "pending"]
    assert len(waiting) == 2 and all("waits for a worker" in reason["reason"] for reason in waiting)
    assert (await served.work(task)).status_code == 200, "what was claimed before may be finished"
    assert (await served.put()).status_code == 201, "it comes back"
    for _ in range(2):
        await served.work(await served.task())
    assert (await served.ended(old))["status"] == "completed"


async def test_blobs_are_read_through_a_board_that_refers_to_them(served: Door) -> None:
    declared = {
        "inputs": [{"parameter": "upload", "kind": "each", "levels": ["upload"]}],
    }
    await served.put(**declared)
    board = await served.submit()
    task = await served.task()
    (upload,) = task["inputs"]["upload"]
    url = task["links"]["blob"].replace("{sha256}", upload["value"]["sha256"])
    answer = await served.client.get(url)
    assert answer.status_code == 200 and answer.content == b"x"
    assert answer.headers["content-type"] == "application/octet-stream"
    again = await served.client.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content
    other = (await served.client.post("/v1/documents", json={"text": "another", "sources": ["sheets"]})).json()["id"]
    sha256 = upload["value"]["sha256"]
    for path in (
        f"/v1/blobs/{sha256}?board={other}",
        f"/v1/blobs/{'0' * 64}?board={board}",
        f"/v1/blobs/..%2f..?board={board}",
        f"/v1/blobs/{sha256.upper()}?board={board}",
        f"/v1/blobs/{sha256}?board=7-aaaaaaaaaaaaaaaaaaaaaaaaaa",
    ):
        is_problem(await served.client.get(path), 404, "not-found")
    is_problem(await served.client.get(f"/v1/blobs/{sha256}"), 400, "invalid-parameter")


async def test_money_that_was_spent_is_counted(served: Door) -> None:
    await served.put(concurrency=1)
    board = await served.submit()
    task = await served.task()
    await served.commit(task, 1, {"iso": "2024-01-01", "page": 1}, spent={"usd": 0.25, "tokens": 10})
    await served.commit(task, 2, status="done", spent={"usd": 0.5})
    for _ in range(2):
        await served.work(await served.task())
    assert (await served.ended(board))["outcome"]["cost_usd"] == pytest.approx(0.75)


async def test_nothing_is_left_on_the_server_but_what_is_documented(served: Door) -> None:
    from blackboard import keys

    await served.put(idle_timeout_s=30)
    board = await served.submit()
    for _ in range(3):
        await served.work(await served.task())
    await served.ended(board)
    found = [name.decode() for name in await served.service.store._blocking.keys("bb:*")]
    assert found and all(any(pattern.match(name) for pattern in keys.PATTERNS) for name in found), found
    assert not [name for name in found if ":idle:" in name]


async def test_a_group_and_all_of_a_level_and_a_field_that_is_carried(served: Door) -> None:
    """Words of a page are counted when its page is there; the sum waits for all of them, elsewhere too."""
    number = {"type": "object", "properties": {"number": {"type": "integer"}, "words": {"type": "integer"}}}
    count = {
        "inputs": [{"parameter": "pages", "kind": "group", "levels": ["page"], "by": "number"}],
        "outputs": [{"level": "count", "schema": {**number, "required": ["number", "words"]}, "named_by": ["number"]}],
        "carries": {"number": "number"},
    }
    total = {
        "inputs": [
            {"parameter": "counts", "kind": "all", "levels": ["count"]},
            {"parameter": "pages", "kind": "all", "levels": ["page"]},
        ],
        "outputs": [{"level": "total", "schema": {**number, "required": ["words"]}}],
    }
    assert (await served.put("counting", **count)).status_code == 201
    assert (await served.put("adding", **total)).status_code == 201
    board = await served.submit()
    for _ in range(3):
        task = await served.task("counting", "adding")
        assert task["source"] == "counting", "the other one waits for all of them"
        (page,) = task["inputs"]["pages"]
        value = {"number": page["value"]["number"], "words": len(page["value"]["text"].split())}
        assert task["binding"] == str(value["number"])
        entries = [{"level": "count", "value": value, "confidence": 0.5}]
        written = (await served.commit(task, 1, entries=entries, status="done")).json()
        assert written["entries"][0]["key"] == f"count/{value['number']:04d}"
    task = await served.task("counting", "adding")
    assert task["source"] == "adding" and task["binding"] == "board" and len(task["inputs"]["pages"]) == 3
    assert [entry["confidence"] for entry in task["inputs"]["counts"]] == [0.5] * 3
    words = sum(entry["value"]["words"] for entry in task["inputs"]["counts"])
    await served.commit(task, 1, entries=[{"level": "total", "value": {"words": words}}], status="done")
    assert (await served.ended(board))["status"] == "completed"
    assert await served.entries(board, "total") == {"total/board-1": {"words": 10}}


async def test_a_source_that_is_no_default_works_where_it_is_asked_for(served: Door) -> None:
    await served.put(default=False)
    assert (await served.ended(await served.submit()))["status"] == "completed"
    board = await served.submit(sources=["sheets", "dates"])
    for _ in range(3):
        await served.work(await served.task())
    assert (await served.ended(board))["status"] == "completed"


async def test_each_version_is_served_by_who_has_it(served: Door) -> None:
    await served.put()
    old = await served.submit()
    await until(lambda: _pending(served, old))
    assert (await served.put(version="2")).status_code == 200
    new = await served.submit()
    await until(lambda: _pending(served, new))
    for _ in range(3):
        task = await served.task("dates")
        assert (task["board"], task["version"]) == (new, "2")
        await served.work(task)
    assert (await served.claim("dates@2", wait_s=0)).status_code == 204
    for _ in range(3):
        task = await served.task("dates@1")
        assert (task["board"], task["version"]) == (old, "1")
        await served.work(task)
    for board in (old, new):
        assert (await served.ended(board))["status"] == "completed"
    problem = is_problem(await served.claim("dates@3", wait_s=0), 422, "validation-error")
    assert problem["errors"] == [{"pointer": "/sources/0", "detail": "no such version; there are 1, 2"}]


async def _pending(served: Door, board: str) -> bool:
    items = (await served.client.get(f"/v1/boards/{board}/activations")).json()["items"]
    return sum(item["source"] == "dates" and item["status"] == "pending" for item in items) == 3


async def test_who_serves_it_is_told(served: Door) -> None:
    await served.put(concurrency=1)
    await served.submit()
    before = (await served.client.get("/v1/sources/dates")).json()
    assert before["workers"] == [] and before["registration"]["last_heard"] is None
    task = await served.task(worker="reader-7")
    now = (await served.client.get("/v1/sources/dates")).json()
    assert now["workers"] == ["remote:reader-7"] and now["registration"]["last_heard"] > 0
    await served.renew(task)
    assert (await served.client.get("/v1/sources/dates")).json()["workers"] == ["remote:reader-7"]
    reasons = (await served.client.get(f"/v1/boards/{task['board']}/why")).json()["reasons"]
    (running,) = [reason for reason in reasons if reason["activation"] == task["activation"]]
    assert running["lease_by"] == "remote:reader-7"


async def test_as_a_shadow_it_writes_to_the_side_space(served: Door) -> None:
    await served.put()
    board = await served.submit(shadow=["dates"])
    for n in range(3):
        task = await served.task()
        if n == 0:
            assert (await served.commit(task, 1, {"iso": "2020-01-01", "page": 1})).status_code == 200
            assert (await served.commit(task, 2, {"iso": "2020-01-02", "page": 1}, status="done")).status_code == 200
        else:
            assert (await served.work(task)).status_code == 200

    async def all_there() -> bool:
        found = await served.client.get(f"/v1/boards/{board}/entries", params={"space": "shadow"})
        return len(found.json()["items"]) >= 3

    await until(all_there)
    assert await served.entries(board) == {}
    assert (await served.ended(board))["status"] == "completed"


async def test_what_local_workers_serve_does_not_matter(redis_url: str, tmp_path: Path) -> None:
    async with door(redis_url, tmp_path, only=("sheets", "closing")) as served:
        await served.put()
        board = await served.submit()
        for _ in range(3):
            await served.work(await served.task())
        assert (await served.ended(board))["status"] == "completed"


async def test_old_registrations_are_forgotten(served: Door) -> None:
    await served.put()
    await served.client.delete("/v1/sources/dates")
    directory, store = served.service.directory, served.service.store
    now = await store.now()
    await directory.tidy(now)
    assert directory.remote("dates") is not None, "boards that began with it may be there still"
    await directory.tidy(now + int(served.service.settings.retention_s * 1000) + 1000)
    assert directory.remote("dates") is None


async def test_a_registration_that_no_longer_fits_is_told(redis_url: str, tmp_path: Path) -> None:
    """Its name was taken by a plug-in that was installed while the service was down."""
    async with door(redis_url, tmp_path) as served:
        await served.put()

    @knowledge_source()
    def dates(page: Each[Page]) -> Report:
        raise NotImplementedError

    async with door(redis_url, tmp_path, sheets, dates, roles=frozenset()) as served:
        found = (await served.client.get("/v1/sources")).json()
        assert [each["origin"] for each in found["items"] if each["name"] == "dates"] == ["installed"]
        (broken,) = found["broken"]
        assert broken["name"] == "dates" and broken["origin"] == "remote" and "installed here" in broken["error"]


async def test_the_example_runs(served: Door) -> None:
    text = "ISBN 978-3-16-148410-0, not 978-3-16-148410-1."
    example = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(ROOT / "examples" / "remote_source.py"), served.url, stdout=asyncio.subprocess.PIPE
    )
    try:

        async def registered() -> bool:
            return (await served.client.get("/v1/sources/isbns")).status_code == 200

        await until(registered)
        board = await served.submit()
        assert (await served.ended(board))["status"] == "completed"
        assert await served.entries(board, "isbn") == {}
        page = {"number": 2, "text": text}
        more = await served.submit(hold="review")
        path = f"/v1/boards/{more}/entries/page/0002"

        async def there() -> bool:
            return (await served.client.get(path)).status_code == 200

        await until(there)
        assert (await served.client.put(path, json=page, headers={"If-Match": '"1"'})).status_code == 200

        async def found() -> dict[str, Any]:
            return await served.entries(more, "isbn")

        assert await until(found) == {"isbn/0002.9783161484100": {"page": 2, "number": "9783161484100"}}
    finally:
        example.kill()
        out, _ = await example.communicate()
    assert b"page/0002 done 1" in out


async def test_the_declaration_of_the_documentation_is_accepted(served: Door) -> None:
    (declaration,) = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.S)
    assert (await served.client.put("/v1/sources/isbns", json=orjson.loads(declaration))).status_code == 201


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_the_example_in_javascript_runs(served: Door, tmp_path: Path) -> None:
    (code,) = re.findall(r"```javascript\n(.*?)```", DOCS.read_text(), re.S)
    program = tmp_path / "shouts.mjs"
    program.write_text(code)
    example = await asyncio.create_subprocess_exec("node", str(program), served.url)
    try:

        async def registered() -> bool:
            return (await served.client.get("/v1/sources/shouts")).status_code == 200

        await until(registered)
        board = await served.submit()
        assert (await served.ended(board))["status"] == "completed"
        assert await served.entries(board, "shout") == {"shout/0002-1": {"word": "NOTHING"}}
    finally:
        example.kill()
        await example.wait()


async def test_the_documentation_names_every_member_of_a_declaration() -> None:
    section = DOCS.read_text().partition("## Register")[2].partition("## Claim")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(Declaration.model_fields)
