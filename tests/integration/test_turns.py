"""A controller between its server and its boards: no mark is lost, no error ends it, a decision refused is made again."""

from __future__ import annotations

import asyncio
import gc
import secrets
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from blackboard import Each, knowledge_source
from blackboard.embedded import start_server
from blackboard.entries import Answer, Commit
from blackboard.errors import StorageUnavailable
from blackboard.events import LogRecord
from blackboard.store import RedisStore
from controller.queue import Queue
from controller.settings import Settings
from controller.turns import Desk, Turns
from tests.fleet import SOURCES, Paper, Total, ended, promises, submit, until
from tests.integration.test_wakeups import NEVER, service


@pytest.fixture(autouse=True)
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards whose `check` comes too late to help."""
    monkeypatch.setenv("BLACKBOARD_CHECK_S", "60")


@knowledge_source()
async def quick(paper: Each[Paper]) -> Total:
    """One step."""
    return Total(count=len(paper.pages))


async def test_a_decision_refused_is_made_again_at_once(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path, quick, roles="controller worker", **NEVER) as running:
        whole, refused = running.store.commit, []

        async def refusing(board: str, commit: Commit) -> Answer:
            if commit.type == "controller.decided" and not refused:
                refused.append(board)
                return Answer("conflict")
            return await whole(board, commit)

        running.store.commit = refusing  # type: ignore[method-assign]
        board = await submit(running.store, sources=[quick])
        assert (await ended(running.store, board, 5))["status"] == "completed"
        assert refused == [board]


async def test_a_turn_that_failed_is_taken_again_soon(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path, quick, roles="controller worker", **NEVER) as running:
        whole, failed = running.store.commit, []

        async def failing(board: str, commit: Commit) -> Answer:
            if commit.by == "controller" and len(failed) < 2:
                failed.append(board)
                raise StorageUnavailable("just now")
            return await whole(board, commit)

        running.store.commit = failing  # type: ignore[method-assign]
        board = await submit(running.store, sources=[quick])
        assert (await ended(running.store, board, 8))["status"] == "completed"
        assert len(failed) == 2


async def test_what_is_told_while_the_log_is_read_is_read_too(redis_store: RedisStore) -> None:
    board = await submit(redis_store, sources=[quick])
    settings = Settings()
    turns = Turns(
        store=redis_store, queue=Queue(redis_store.line(0)), sources=[quick], settings=settings, with_store=True
    )
    desk = Desk()
    await turns._catch_up(board, desk)
    assert desk.plan is not None and desk.plan.revision == 1
    whole = redis_store.log

    async def change() -> None:
        answer = await redis_store.commit(
            board, Commit("board.changed", "person:ann", head={"note": secrets.token_hex(2)})
        )
        desk.known = answer.revision

    async def reading(*args: Any, **more: Any) -> list[LogRecord]:
        found = await whole(*args, **more)
        redis_store.log = whole  # type: ignore[method-assign]
        await change()
        return found

    await change()
    redis_store.log = reading  # type: ignore[method-assign]
    await turns._catch_up(board, desk)
    assert (desk.plan.revision, desk.known) == (2, 3)
    await turns._catch_up(board, desk)
    assert desk.plan.revision == 3


async def test_no_error_ends_a_controller(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path, quick, roles="controller worker") as running:
        whole, asked = running.store.due, 0

        async def due(*args: Any, **more: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise RuntimeError("the blob store's disk is full")
            return await whole(*args, **more)

        running.store.due = due  # type: ignore[method-assign]

        async def swept() -> bool:
            return asked > 40

        await until(swept)
        board = await submit(running.store, sources=[quick])
        assert (await ended(running.store, board))["status"] == "completed"


async def test_the_queues_server_may_be_away(redis_url: str, tmp_path: Path) -> None:
    queues = await start_server(tmp_path / "queues")
    try:
        options = {"queue_url": queues.url, "check_s": 2}
        async with service(redis_url, tmp_path, *SOURCES, roles="controller worker", **options) as running:
            await ended(running.store, await submit(running.store))
            queues.kill()
            boards = [await submit(running.store) for _ in range(3)]
            await asyncio.sleep(1)
            queues = await start_server(tmp_path / "queues")
            for board in boards:
                assert (await ended(running.store, board))["status"] == "completed"
                await promises(running.store, board)
    finally:
        await queues.stop()


async def test_a_server_that_lost_its_tail_is_found_out_when_it_is_back(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(timeout=25)
    async def held(paper: Each[Paper]) -> Total:
        await asyncio.sleep(60)
        return Total(count=1)

    async with (
        Redis.from_url(redis_url) as client,
        service(redis_url, tmp_path, held, roles="controller worker", drain_s=0.1, **NEVER) as running,
    ):
        board = await submit(running.store, sources=[held])

        async def claimed() -> bool:
            return any(record.type == "activation.claimed" for record in await running.store.log(board))

        await until(claimed)
        answer = await running.store.commit(board, Commit("board.changed", "person:ann", head={"note": "1"}))
        head = (await running.store.head(board)) or {}
        # What a restart without the last record leaves.
        key = f"bb:{{{board.partition('-')[0]}}}:b:{board}"
        await client.xdel(f"{key}:log", f"{answer.revision}-0")
        await client.hset(f"{key}:head", "revision", answer.revision - 1)
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        async def redrawn() -> bool:
            now = await running.store.head(board)
            return now is not None and now["incarnation"] != head["incarnation"]

        await until(redrawn, 8)


async def test_nothing_is_left_of_a_service_that_stops_in_a_flood(redis_url: str, tmp_path: Path) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    async with service(redis_url, tmp_path, *SOURCES, roles="controller worker", drain_s=0.2) as running:
        boards = [await submit(running.store) for _ in range(30)]
        await asyncio.sleep(0.15)
    gc.collect()
    assert complaints == []
    assert asyncio.all_tasks() == before
    async with service(redis_url, tmp_path, *SOURCES, roles="controller worker") as running:
        for board in boards:
            assert (await ended(running.store, board))["status"] == "completed"
            await promises(running.store, board)
