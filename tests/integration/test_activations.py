"""What becomes of an activation: retries, dead letters, time-outs, cancellations, stale inputs, giving back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard import All, Blobs, Each, PermanentFailure, knowledge_source
from blackboard.board import fold
from blackboard.entries import Activation, Commit, Put
from blackboard.errors import DocumentUnreadable
from controller.bootstrap import Service, open_service
from controller.settings import Settings
from tests.fleet import Paper, Sheet, Total, ended, promises, submit, until


class Attempts:
    """Counts, shared by a test and the source it defines."""

    def __init__(self) -> None:
        self.count = 0
        self.started = asyncio.Event()
        self.go = asyncio.Event()


@asynccontextmanager
async def service(
    url: str, data: Path, *sources: Any, roles: tuple[str, ...] = ("controller", "worker"), **more: Any
) -> AsyncIterator[Service]:
    """Controller and worker in this process, in a hurry."""
    words = {"lease_s": 3, "sweep_s": 0.3, "check_s": 0.5, "wake_grace_s": 0.5, "backoff_s": 0.05, "drain_s": 1, **more}
    settings = Settings(redis_url=url, data_dir=data, **words)
    async with open_service(settings, roles=frozenset(roles), sources=sources) as running:
        yield running


def outcome(head: dict[str, str]) -> Any:
    """How the board ended."""
    return orjson.loads(head["outcome"])


async def test_a_failure_is_tried_again(redis_url: str, tmp_path: Path) -> None:
    tries = Attempts()

    @knowledge_source(attempts=4)
    async def flaky(paper: Each[Paper]) -> Total:
        tries.count += 1
        if tries.count < 3:
            raise RuntimeError("not yet")
        return Total(count=tries.count)

    async with service(redis_url, tmp_path, flaky) as running:
        board = await submit(running.store, sources=[flaky])
        head = await ended(running.store, board)
        assert head["status"] == "completed"
        types = [record.type for record in await running.store.log(board)]
        assert (types.count("activation.failed"), types.count("activation.retried")) == (2, 2)
        await promises(running.store, board)


async def test_what_fails_for_good_is_a_dead_letter_and_the_rest_goes_on(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(attempts=2)
    async def broken(paper: Each[Paper]) -> Total:
        raise RuntimeError("never")

    @knowledge_source()
    async def fine(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="fine")

    async with service(redis_url, tmp_path, broken, fine) as running:
        board = await submit(running.store, sources=[broken, fine])
        head = await ended(running.store, board)
        assert head["status"] == "completed"
        (step,) = outcome(head)["degraded"]
        assert (step["source"], step["reason"]) == ("broken", "never")
        folded = await running.store.projection(board)
        assert folded is not None
        (dead,) = [a for id in folded.agenda if (a := folded.activation(id)) and a.data.get("dead")]
        assert dead.data["attempts"] == 2


async def test_a_required_failure_fails_the_board_at_once_with_its_reason(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(required=True)
    async def gate(paper: Each[Paper]) -> Sheet:
        raise DocumentUnreadable("the document is encrypted", hint="remove its password")

    @knowledge_source()
    async def after(sheets: All[Sheet]) -> Total:
        return Total(count=len(sheets))

    async with service(redis_url, tmp_path, gate, after) as running:
        board = await submit(running.store, sources=[gate, after])
        head = await ended(running.store, board)
        assert head["status"] == "failed"
        assert outcome(head)["slug"] == "document-unreadable"
        assert outcome(head)["reason"] == "the document is encrypted"
        assert "after" not in await promises(running.store, board)


async def test_a_source_that_hangs_times_out(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(timeout=0.2, attempts=1)
    async def slow(paper: Each[Paper]) -> Total:
        await asyncio.sleep(60)
        return Total(count=0)

    async with service(redis_url, tmp_path, slow) as running:
        board = await submit(running.store, sources=[slow])
        head = await ended(running.store, board)
        assert head["status"] == "failed"
        assert "no result within 0.2 s" in str(outcome(head)["degraded"])


async def test_an_undeclared_contribution_is_refused(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def liar(paper: Each[Paper]) -> Total:
        return Sheet(number=1, text="no total")  # type: ignore[return-value]

    async with service(redis_url, tmp_path, liar) as running:
        board = await submit(running.store, sources=[liar])
        head = await ended(running.store, board)
        assert "contributed Sheet, but declares Total" in str(outcome(head)["degraded"])


async def test_a_cancelled_board_stops_what_runs(redis_url: str, tmp_path: Path) -> None:
    seen = Attempts()

    @knowledge_source()
    async def endless(paper: Each[Paper]) -> Total:
        seen.started.set()
        try:
            await asyncio.sleep(60)
        finally:
            seen.go.set()
        return Total(count=0)

    async with service(redis_url, tmp_path, endless, lease_s=0.6) as running:
        board = await submit(running.store, sources=[endless])
        await seen.started.wait()
        await running.store.commit(board, Commit("board.changed", "person:ann", mode="person", head={"cancel": "ann"}))
        assert (await ended(running.store, board))["status"] == "cancelled"
        await seen.go.wait()
        await promises(running.store, board)


async def test_a_deadline_ends_with_what_there_is(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="quick")

    @knowledge_source()
    async def endless(sheet: Each[Sheet]) -> Total:
        await asyncio.sleep(60)
        return Total(count=0)

    async with service(redis_url, tmp_path, quick, endless) as running:
        board = await submit(running.store, sources=[quick, endless], deadline_ms="500")
        head = await ended(running.store, board)
        assert (head["status"], outcome(head)["partial"]) == ("completed", True)


async def test_a_held_board_waits_for_approval(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with service(redis_url, tmp_path, quick) as running:
        store = running.store
        board = await submit(store, sources=[quick], hold="review")

        async def settled() -> bool:
            folded = await store.projection(board)
            return folded is not None and "total/original-1" in folded.values

        await until(settled)
        await asyncio.sleep(0.7)
        head = await store.head(board)
        assert head is not None and head["status"] == "open"
        await store.commit(board, Commit("board.changed", "person:ann", mode="person", head={"approved": "ann"}))
        assert (await ended(store, board))["status"] == "completed"


async def test_a_correction_while_it_runs_makes_it_run_again_on_the_new_text(redis_url: str, tmp_path: Path) -> None:
    seen = Attempts()

    @knowledge_source()
    async def first(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="one two")

    @knowledge_source()
    async def count(sheet: Each[Sheet]) -> Total:
        seen.count += 1
        seen.started.set()
        if seen.count == 1:
            await seen.go.wait()
        return Total(count=len(sheet.text.split()))

    async with service(redis_url, tmp_path, first, count) as running:
        store = running.store
        board = await submit(store, sources=[first, count])
        await seen.started.wait()
        put = Put("sheet/0001", orjson.dumps({"number": 1, "text": "one two three"}), pin=True)
        answer = await store.commit(
            board,
            Commit("contribution.committed", "person:ann", mode="person", writes=(put,), checks=(("sheet/0001", 1),)),
        )
        assert answer.ok
        seen.go.set()
        assert (await ended(store, board))["status"] == "completed"
        folded = await store.projection(board)
        assert folded is not None
        assert orjson.loads(folded.values["total/0001-1"]) == {"count": 3}
        await promises(store, board)


async def test_a_stopping_worker_gives_back_and_another_finishes(redis_url: str, tmp_path: Path) -> None:
    seen = Attempts()

    @knowledge_source()
    async def long(paper: Each[Paper]) -> Total:
        seen.count += 1
        seen.started.set()
        if seen.count == 1:
            await asyncio.sleep(60)
        return Total(count=seen.count)

    async with service(redis_url, tmp_path, long, drain_s=0.2, lease_s=60) as running:
        board = await submit(running.store, sources=[long])
        await seen.started.wait()
    async with service(redis_url, tmp_path, long, lease_s=60) as running:
        assert (await ended(running.store, board))["status"] == "completed"
        bodies = [record.say() for record in await running.store.log(board) if record.type == "activation.retried"]
        assert bodies == [{"reason": "its worker stops"}]


async def test_a_worker_lost_three_times_makes_a_dead_letter(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(required=True)
    async def deadly(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with service(redis_url, tmp_path, deadly, roles=("controller",)) as running:
        store = running.store
        board = await submit(store, sources=[deadly])

        async def pending() -> str:
            folded = await store.projection(board)
            return next(iter(folded.agenda), "") if folded else ""

        id: str = await until(pending)
        for number in range(3):
            claimed = await store.claim(board, id, nonce=f"lost-{number}", lease_ms=1, worker="ghost")
            assert claimed.status == "claimed"
            await asyncio.sleep(0.01)
    async with service(redis_url, tmp_path, deadly) as running:
        head = await ended(running.store, board)
        assert head["status"] == "failed"
        assert "lost 3 times" in outcome(head)["reason"]


async def test_two_controllers_on_one_server_do_everything_once(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with service(redis_url, tmp_path, quick) as one, service(redis_url, tmp_path, quick):
        boards = [await submit(one.store, sources=[quick]) for _ in range(20)]
        for board in boards:
            assert (await ended(one.store, board))["status"] == "completed"
            assert (await promises(one.store, board)) == {"quick": 1}


async def test_a_pickle_in_the_queue_is_dropped_unopened(redis_url: str, tmp_path: Path) -> None:
    import pickle

    from redis.asyncio import Redis

    trap = tmp_path / "opened"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(trap),)

    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with service(redis_url, tmp_path, quick) as running, Redis.from_url(redis_url) as client:
        payload = pickle.dumps({"f": "activate", "a": (Bomb(),), "k": {}, "t": 1, "et": 1})
        await client.set("arq:job:bomb", payload)
        await client.zadd("arq:queue:quick@1:interactive", {"bomb": int(time.time() * 1000) - 1000})

        async def taken() -> bool:
            return not await client.exists("arq:job:bomb")

        await until(taken)
        board = await submit(running.store, sources=[quick])
        assert (await ended(running.store, board))["status"] == "completed"
    assert not trap.exists()


async def test_nothing_of_arq_is_left_at_rest(redis_url: str, tmp_path: Path) -> None:
    from redis.asyncio import Redis

    @knowledge_source()
    async def quick(paper: Each[Paper]) -> Total:
        return Total(count=1)

    async with Redis.from_url(redis_url) as client:
        async with service(redis_url, tmp_path, quick) as running:
            for _ in range(5):
                await ended(running.store, await submit(running.store, sources=[quick]))

            async def quiet() -> bool:
                left = [key for key in await client.keys("arq:*") if not key.endswith(b":health-check")]
                return not left

            await until(quiet)
        assert await client.keys("arq:*") == []


@pytest.mark.parametrize(
    ("referred", "said"), [(("0" * 64,), "bytes are lost"), ((), "the board has no such bytes")], ids=["own", "others"]
)
async def test_a_blob_that_is_not_there_fails_for_good(
    redis_url: str, tmp_path: Path, referred: tuple[str, ...], said: str
) -> None:
    """Its own that was lost, and what it does not refer to: a source reads its own board's bytes alone."""

    @knowledge_source(attempts=5)
    async def reader(paper: Each[Paper], blobs: Blobs) -> Total:
        return Total(count=len(await blobs.get("0" * 64)))

    async with service(redis_url, tmp_path, reader) as running:
        board = await submit(running.store, sources=[reader], blobs=referred)
        head = await ended(running.store, board)
        (step,) = outcome(head)["degraded"]
        assert said in step["reason"]
        folded = fold(board, await running.store.log(board))
        (failed,) = [Activation.parse(id, stored) for id, stored in folded.agenda.items()]
        assert failed.data["attempts"] == 1


def test_a_permanent_failure_has_a_reason_and_a_hint() -> None:
    with pytest.raises(PermanentFailure) as caught:
        raise DocumentUnreadable("it is empty", hint="send the right file")
    assert (str(caught.value), caught.value.hint) == ("it is empty", "send the right file")
