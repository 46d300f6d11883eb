"""One run between the store and an author's code: what an outage, a leak or a careless source may not do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import orjson

from blackboard import Each, knowledge_source
from blackboard.entries import Answer, Commit, Header, Put, Read
from blackboard.errors import StorageUnavailable
from controller.activation import Run
from controller.inputs import Decoder
from controller.isolated import Isolation
from tests.fleet import SOURCES, Paper, Sheet, Total, Words, ended, promises, submit, until
from tests.integration.test_wakeups import service, sheets


class Slow:
    """A store whose large values take a turn of the loop to come."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, value: bytes) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        return orjson.dumps({"number": 1, "text": "x" * 20_000})


def read(version: int, digest: str = "d") -> Read:
    """An entry as a claim hands it out."""
    return Read("sheet/0001", Header.parse(f"{version}|live|0|{digest}|9|1.0|split|a|"), b"{}")


async def test_entries_decoded_twice_at_once_are_kept_once() -> None:
    store = Slow()
    decoder = Decoder(store, most_bytes=50_000)  # type: ignore[arg-type]
    for version in range(1, 20):
        await asyncio.gather(*(decoder.decode("b", Sheet, read(version)) for _ in range(4)))
    asked = store.asked
    for version in (18, 19):
        await decoder.decode("b", Sheet, read(version))
    assert store.asked == asked, "what fits is still there"


async def test_a_version_written_anew_after_a_restart_is_read_anew() -> None:
    store = Slow()
    decoder = Decoder(store)  # type: ignore[arg-type]
    await decoder.decode("b", Sheet, read(1, "old"))
    await decoder.decode("b", Sheet, read(1, "new"))
    assert store.asked == 2


async def test_an_outage_is_not_the_source_s_failure(redis_url: str, tmp_path: Path) -> None:
    runs = []

    @knowledge_source(required=True, attempts=1)
    async def quick(paper: Each[Paper]) -> Total:
        runs.append(1)
        return Total(count=len(runs))

    async with (
        service(redis_url, tmp_path, quick, roles="controller") as running,
        service(redis_url, tmp_path, quick, roles="worker", lease_s=1) as working,
    ):
        whole = working.store.commit
        left = [1]

        async def failing(board: str, commit: Commit) -> Answer:
            if left:
                left.pop()
                raise StorageUnavailable("just now")
            return await whole(board, commit)

        working.store.commit = failing  # type: ignore[method-assign]
        board = await submit(running.store, sources=[quick])
        assert (await ended(running.store, board))["status"] == "completed"
        assert await promises(running.store, board) == {"quick": 1}


async def test_a_run_that_is_stopped_closes_its_source(redis_url: str, tmp_path: Path) -> None:
    """Clean-up code of a generator runs before its activation ends, not when memory is collected."""
    closed: list[str] = []

    @knowledge_source(attempts=1)
    async def liar(paper: Each[Paper]) -> AsyncIterator[Total]:
        try:
            yield Total(count=1)
            yield Sheet(number=1, text="not declared")  # type: ignore[misc]
            yield Total(count=2)
        finally:
            await asyncio.sleep(0.05)
            closed.append("closed")

    async with service(redis_url, tmp_path, liar, roles="controller worker") as running:
        whole = running.store.commit
        seen: list[bool] = []

        async def watching(board: str, commit: Commit) -> Answer:
            if commit.type == "activation.failed":
                seen.append(bool(closed))
            return await whole(board, commit)

        running.store.commit = watching  # type: ignore[method-assign]
        board = await submit(running.store, sources=[liar])
        await ended(running.store, board)
        assert seen == [True]


async def test_a_plain_function_that_runs_out_of_items_fails_at_once(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(attempts=1, timeout=20)
    def careless(paper: Each[Paper]) -> Total:
        return Total(count=next(iter(())))

    async with service(redis_url, tmp_path, careless, roles="controller worker") as running:
        board = await submit(running.store, sources=[careless])
        head = await ended(running.store, board, 8)
        assert "StopIteration" in head["outcome"]


async def test_a_source_that_exits_does_not_end_the_worker(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source(attempts=1)
    def leaving(paper: Each[Paper]) -> Total:
        raise SystemExit(3)

    @knowledge_source()
    async def staying(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="here")

    both = (leaving, staying)
    async with service(redis_url, tmp_path, *both, roles="controller worker") as running:
        board = await submit(running.store, sources=both)
        head = await ended(running.store, board)
        assert head["status"] == "completed"
        assert "it called exit" in head["outcome"]


async def test_rolling_restarts_and_moved_inputs_are_no_losses(redis_url: str, tmp_path: Path) -> None:
    """Given back three times, then stale, then run: nobody was lost, so it is no dead letter."""
    started = asyncio.Event()
    calm: list[bool] = []

    @knowledge_source(required=True)
    async def patient(paper: Each[Paper]) -> Total:
        started.set()
        if not calm:
            await asyncio.sleep(60)
        return Total(count=1)

    async with service(redis_url, tmp_path, patient, roles="controller", lease_s=30) as running:
        board = await submit(running.store, sources=[patient])
        for _ in range(3):
            async with service(redis_url, tmp_path, patient, roles="worker", lease_s=30, drain_s=0.05):
                await started.wait()
                started.clear()
        folded = await running.store.projection(board)
        assert folded is not None
        (id,) = folded.agenda
        activation = folded.activation(id)
        assert activation is not None and (activation.status, activation.epoch) == ("pending", 3)
        claimed = await running.store.claim(board, id, nonce="by hand", lease_ms=30_000, worker="hand")
        assert claimed.activation is not None
        run = Run(
            running.store,
            patient,
            board,
            claimed.activation,
            claimed,
            0.01,
            {},
            Decoder(running.store),
            Isolation(running.settings),
        )
        assert await run._stale() == "stale"
        calm.append(True)
        async with service(redis_url, tmp_path, patient, roles="worker"):
            assert (await ended(running.store, board))["status"] == "completed"


async def test_a_reviser_lost_after_it_wrote_its_own_input_is_taken_over(redis_url: str, tmp_path: Path) -> None:
    """What the lost epoch wrote is no move of its inputs: else nobody could ever claim it again."""

    @knowledge_source()
    async def first(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="draft")

    @knowledge_source(revises=(Sheet,), max_rounds=1)
    async def polish(sheet: Each[Sheet]) -> Sheet:
        return Sheet(number=1, text="polished")

    both = (first, polish)
    async with service(redis_url, tmp_path, *both, roles="controller") as running:
        board = await submit(running.store, sources=both)
        async with service(redis_url, tmp_path, first, roles="worker"):

            async def pending() -> str:
                folded = await running.store.projection(board)
                return next((id for id in folded.agenda if id.startswith("polish.")), "") if folded else ""

            id: str = await until(pending)
        claimed = await running.store.claim(board, id, nonce="lost", lease_ms=200, worker="lost")
        assert claimed.activation is not None
        run = Run(
            running.store,
            polish,
            board,
            claimed.activation,
            claimed,
            0.01,
            {},
            Decoder(running.store),
            Isolation(running.settings),
        )
        half = Put("sheet/0001", orjson.dumps({"number": 1, "text": "half polished"}))
        assert (await run._commit("contribution.committed", puts=[half])).ok
        async with service(redis_url, tmp_path, *both, roles="worker"):
            assert (await ended(running.store, board, 10))["status"] == "completed"
            folded = await running.store.projection(board)
            assert folded is not None
            assert orjson.loads(folded.values["sheet/0001"])["text"] == "polished"
            await promises(running.store, board)


async def test_a_reviser_may_write_its_own_input_more_than_once(redis_url: str, tmp_path: Path) -> None:
    @knowledge_source()
    async def first(paper: Each[Paper]) -> Sheet:
        return Sheet(number=1, text="draft")

    @knowledge_source(revises=(Total, Sheet), max_rounds=1)
    async def polish(sheet: Each[Sheet]) -> AsyncIterator[Sheet | Total]:
        yield Sheet(number=1, text="polished")
        await asyncio.sleep(0.7)
        yield Total(count=2)

    both = (first, polish)
    async with service(redis_url, tmp_path, *both, roles="controller worker") as running:
        board = await submit(running.store, sources=both)
        assert (await ended(running.store, board, 10))["status"] == "completed"
        runs = await promises(running.store, board)
        assert runs == {"first": 1, "polish": 1}
        folded = await running.store.projection(board)
        assert folded is not None
        assert orjson.loads(folded.values["sheet/0001"])["text"] == "polished"


async def test_what_a_run_looked_up_makes_it_run_again(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path, *SOURCES, roles="controller worker", sweep_s=0.2) as running:
        store = running.store
        board = await submit(store, hold="review")

        async def echoed() -> int:
            folded = await store.projection(board)
            found = [v for k, v in folded.values.items() if k.startswith("echo/")] if folded else []
            return int(orjson.loads(found[0])["seen"]) if found else 0

        first: int = await until(echoed)
        words = Put("words/0001", orjson.dumps({"number": 1, "count": 100}), pin=True)
        answer = await store.commit(
            board, Commit("contribution.committed", "person:ann", mode="person", writes=(words,), id="ann")
        )
        assert answer.ok

        async def more() -> bool:
            return await echoed() > first + 90

        await until(more, 10)
        await store.commit(board, Commit("board.changed", "person:ann", mode="person", head={"approved": "ann"}))
        assert (await ended(store, board))["status"] == "completed"
        await promises(store, board)


async def test_a_cancellation_that_leaks_out_of_a_source_is_a_failure(redis_url: str, tmp_path: Path) -> None:
    tries: list[int] = []

    @knowledge_source(attempts=2)
    async def leaky(paper: Each[Paper]) -> Total:
        tries.append(1)
        raise asyncio.CancelledError

    async with service(redis_url, tmp_path, leaky, roles="controller worker") as running:
        board = await submit(running.store, sources=[leaky])
        assert "cancelled from within" in (await ended(running.store, board))["outcome"]
        assert len(tries) == 2


async def test_plain_functions_that_hang_take_no_place_from_others(redis_url: str, tmp_path: Path) -> None:
    release = threading.Event()

    @knowledge_source(attempts=1, timeout=0.3)
    def hanging(sheet: Each[Sheet]) -> Total:
        release.wait(60)
        return Total(count=0)

    @knowledge_source(attempts=1, timeout=2)
    def counting(paper: Each[Paper]) -> Words:
        return Words(number=1, count=len(paper.pages))

    async with service(redis_url, tmp_path, sheets, hanging, counting, roles="controller worker") as running:
        first = await submit(running.store, sources=[sheets, hanging], texts=("a",) * 40)
        await ended(running.store, first)
        second = await submit(running.store, sources=[counting])
        head = await ended(running.store, second)
        release.set()
        assert head["status"] == "completed"
        assert await promises(running.store, second) == {"counting": 1}
