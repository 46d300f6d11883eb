"""Exact answers: kept before they are heard, asked for once by the whole fleet, whatever dies or breaks meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from asking import KEY, A, B, Diary, answers_of, answers_on, reply
from redis.asyncio import Redis

from blackboard import keys
from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.models import Caller
from blackboard.store import RedisStore, open_store
from knowledge_sources.llm.answers import KeptAnswers
from knowledge_sources.llm.calls import Reply

ASKER = Path(__file__).with_name("asking.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


@pytest.fixture
async def store(redis_url: str, tmp_path: Path) -> AsyncIterator[RedisStore]:
    """A store with blobs on the disk."""
    opened = await open_store(redis_url, Blobs.at(tmp_path / "blobs"), check=False)
    yield opened
    await opened.close()


@pytest.fixture
async def answers(store: RedisStore) -> AsyncIterator[KeptAnswers]:
    async with answers_of(store) as made:
        yield made


class Asker:
    """A process of asking.py."""

    def __init__(self, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, str(ASKER), *words], stdin=pipe, stdout=pipe, text=True, env=environment
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def askers(count: int, url: str, blobs: Path, diary: Diary, *words: str) -> Iterator[list[Asker]]:
    """Processes that are ready to ask; whatever is left of them is killed."""
    started = [Asker(url, str(blobs), str(diary.path), KEY, *words) for _ in range(count)]
    try:
        for each in started:
            each.ready()
        yield started
    finally:
        for each in started:
            each.process.kill()
            each.process.communicate()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


# -- one asker at a time -----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_64_at_once_from_4_processes_ask_once(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    with askers(4, redis_url, tmp_path / "blobs", diary, "times=16", "takes=0.3") as asked:
        for each in asked:
            each.go()
        said = [each.said() for each in asked]
    assert diary.words == ["began", "ended"]
    assert sorted(said) == ["got 16 made 0"] * 3 + ["got 16 made 1"]


@pytest.mark.long
def test_an_owner_killed_while_it_asks_is_followed_by_one_other(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    with askers(3, redis_url, tmp_path / "blobs", diary, "takes=0.8", "ttl=0.6") as (owner, *others):
        owner.go()
        asyncio.run(until(lambda: diary.words == ["began"]))
        for each in others:
            each.go()
        time.sleep(0.1)
        owner.process.send_signal(signal.SIGKILL)
        said = [each.said() for each in others]
    assert diary.words == ["began", "began", "ended"]
    assert sorted(said) == ["got 1 made 0", "got 1 made 1"]


def test_an_answer_that_was_heard_costs_nothing_again(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    """Killed between the answer and what it would have done with it, and the server forgets everything besides."""
    with askers(1, redis_url, tmp_path / "blobs", diary, "lives") as (first,):
        first.go()
        assert first.said() == "got 1 made 1"
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    with askers(1, redis_url, tmp_path / "blobs", diary) as (second,):
        second.go()
        assert second.said() == "got 1 made 0"

    async def forget_all() -> None:
        async with Redis.from_url(redis_url) as client:
            await client.flushall()

    asyncio.run(forget_all())
    with askers(1, redis_url, tmp_path / "blobs", diary) as (third,):
        third.go()
        assert third.said() == "got 1 made 0"
    assert diary.words == ["began", "ended"]


async def test_a_failure_is_its_callers_alone_and_wakes_the_next(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    async with answers_on(redis_url, tmp_path / "b") as one, answers_on(redis_url, tmp_path / "b") as two:
        left = [3]

        async def make() -> Reply:
            left[0] -= 1
            return await diary.make(0.05, fails=left[0] >= 0)

        began = time.monotonic()
        asked = (answers.once(KEY, A, make) for answers in (one, two, one, two, one, two))
        found = await asyncio.gather(*asked, return_exceptions=True)
        took = time.monotonic() - began
    assert [type(each) for each in found].count(ValueError) == 3
    assert diary.words == ["began", "failed"] * 3 + ["began", "ended"]
    assert [each[1] for each in found if isinstance(each, tuple)].count(False) == 1
    assert took < 1.5, "they are woken, and do not find out by looking"


async def test_a_caller_that_is_cancelled_gives_its_place_to_the_next(answers: KeptAnswers, diary: Diary) -> None:
    first = asyncio.create_task(answers.once(KEY, A, lambda: diary.make(60)))
    await until(lambda: diary.words == ["began"])
    others = [asyncio.create_task(answers.once(KEY, A, diary.make)) for _ in range(3)]
    await asyncio.sleep(0.05)
    first.cancel()
    found = await asyncio.gather(*others)
    assert sorted(kept for _, kept in found) == [False, True, True]
    assert diary.words == ["began", "began", "ended"]


async def test_a_long_make_keeps_its_place(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    async with (
        answers_on(redis_url, tmp_path / "b", ttl_s=0.3) as one,
        answers_on(redis_url, tmp_path / "b", ttl_s=0.3) as two,
    ):
        found = await asyncio.gather(*(each.once(KEY, A, lambda: diary.make(1.2)) for each in (one, two)))
    assert diary.words == ["began", "ended"]
    assert sorted(kept for _, kept in found) == [False, True]


async def test_a_server_that_forgot_who_asks_is_told_again(redis_url: str, tmp_path: Path, diary: Diary) -> None:
    async with answers_on(redis_url, tmp_path / "b", ttl_s=0.8) as one, answers_on(redis_url, tmp_path / "b") as two:
        first = asyncio.create_task(one.once(KEY, A, lambda: diary.make(1.0)))
        await until(lambda: diary.words == ["began"])
        async with Redis.from_url(redis_url) as client:
            await client.flushall()
            while not await client.exists(keys.llm("flight", KEY)):
                await asyncio.sleep(0.01)
        assert (await two.once(KEY, A, diary.make))[1]
        assert not (await first)[1]
    assert diary.words == ["began", "ended"]


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_only_whole_answers_are_kept(answers: KeptAnswers) -> None:
    async def cut() -> Reply:
        return reply("hal", "max_tokens")

    assert await answers.once(KEY, A, cut) == (reply("hal", "max_tokens"), False)
    found = await asyncio.gather(*(answers.once(KEY, A, cut) for _ in range(3)))
    assert not any(kept for _, kept in found)


async def test_every_key_goes_by_itself(answers: KeptAnswers, redis_url: str, diary: Diary) -> None:
    await answers.once(KEY, A, diary.make)
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        found = {key: await client.pttl(key) async for key in client.scan_iter()}
    assert set(found) == {keys.llm("answer", KEY), keys.llm("landed", "all"), keys.lease("answers-tidy")}
    assert all(ttl > 0 for ttl in found.values()), found
    assert all(any(pattern.match(key) for pattern in keys.PATTERNS) for key in found)
    assert found[keys.llm("answer", KEY)] <= 600_000


@pytest.mark.parametrize("damage", [b"", b"junk", b"bba1" + b"x" * 100])
async def test_what_is_damaged_is_a_miss(
    answers: KeptAnswers, redis_url: str, tmp_path: Path, diary: Diary, damage: bytes
) -> None:
    await answers.once(KEY, A, diary.make)
    (file,) = (tmp_path / "blobs" / "answers" / "kept").rglob("abab*")
    async with Redis.from_url(redis_url) as client:
        await client.set(keys.llm("answer", KEY), damage)
        assert (await answers.once(KEY, A, diary.make))[1], "the blob store has it"
        file.write_bytes(damage)
        await client.set(keys.llm("answer", KEY), damage)
        assert await answers.once(KEY, A, diary.make) == (reply(), False)
        assert (await answers.once(KEY, A, diary.make))[1]
    assert diary.words == ["began", "ended"] * 2


async def test_an_answer_under_another_question_s_name_is_a_miss(
    answers: KeptAnswers, redis_url: str, diary: Diary
) -> None:
    await answers.once(KEY, A, diary.make)
    other = "cd" * 32
    async with Redis.from_url(redis_url) as client:
        await client.copy(keys.llm("answer", KEY), keys.llm("answer", other))
    assert not (await answers.once(other, A, diary.make))[1]


async def test_old_answers_are_asked_for_again_and_removed(store: RedisStore, tmp_path: Path, diary: Diary) -> None:
    async with answers_of(store, keep_s=0.05) as answers:
        await answers.once(KEY, A, diary.make)
        await asyncio.sleep(0.06)
        assert not (await answers.once(KEY, A, diary.make))[1]
        assert await answers.tidy() == 0
        place = tmp_path / "blobs" / "answers"
        for path in place.rglob("*"):
            os.utime(path, (1, 1))
        assert await answers.tidy() == 3
        assert not any(path.is_file() for path in place.rglob("*"))


# -- erasure -----------------------------------------------------------------------------------------------------------


async def test_an_erased_board_takes_along_what_it_alone_asked(
    answers: KeptAnswers, tmp_path: Path, diary: Diary
) -> None:
    mine, ours = "01" * 32, "02" * 32
    await answers.once(mine, A, diary.make)
    await answers.once(ours, A, diary.make)
    assert (await answers.once(ours, B, diary.make))[1]
    await answers.forget(A.board)
    assert (await answers.once(ours, B, diary.make))[1]
    left = {path.name for path in (tmp_path / "blobs" / "answers").rglob("*") if path.is_file()}
    assert mine not in left and A.board not in left
    assert not (await answers.once(mine, B, diary.make))[1]
    await answers.forget(B.board)
    assert not any(path.is_file() for path in (tmp_path / "blobs" / "answers").rglob("*"))
    await answers.forget(B.board)


async def test_what_is_answered_after_the_erasure_is_not_kept(
    answers: KeptAnswers, redis_url: str, tmp_path: Path, diary: Diary
) -> None:
    asking = asyncio.create_task(answers.once(KEY, A, lambda: diary.make(0.2)))
    await until(lambda: diary.words == ["began"])
    await answers.forget(A.board)
    assert (await asking)[0] == reply()
    async with Redis.from_url(redis_url) as client:
        assert not await client.exists(keys.llm("answer", KEY))
    assert not any(path.is_file() for path in (tmp_path / "blobs" / "answers").rglob("*"))


async def test_tenants_are_apart_and_any_name_will_do(answers: KeptAnswers, tmp_path: Path, diary: Diary) -> None:
    for tenant in ("../../etc", "Ünï", "", "x" * 300):
        key = keys.derived_board_id(1, tenant).encode().hex()[:64].ljust(64, "0")
        await answers.once(key, Caller(tenant, "0-" + "c" * 26), diary.make)
    place = tmp_path / "blobs" / "answers" / "kept"
    assert len(list(place.iterdir())) == 4
    await answers.forget("0-" + "c" * 26)
    assert not any(path.is_file() for path in place.rglob("*"))


# -- without Redis, without blobs --------------------------------------------------------------------------------------


async def test_without_redis_the_blob_store_is_read_and_a_process_asks_once(tmp_path: Path, diary: Diary) -> None:
    with TemporaryDirectory(prefix="bb-") as place:
        server = await start_server(Path(place))
        try:
            async with answers_on(server.url, tmp_path / "b") as answers:
                await answers.once(KEY, A, diary.make)
                server.kill()
                assert (await answers.once(KEY, A, diary.make))[1]
                other = "cd" * 32
                found = await asyncio.gather(*(answers.once(other, A, lambda: diary.make(0.1)) for _ in range(8)))
                assert sorted(kept for _, kept in found) == [False] + [True] * 7
                assert (await answers.once(other, A, diary.make))[1]
                assert diary.words == ["began", "ended"] * 2
        finally:
            await server.stop()


async def test_a_server_restarted_while_others_wait(tmp_path: Path, diary: Diary) -> None:
    """Who waits knows that somebody asks: it looks for that answer in the blob store, and does not ask, too."""
    with TemporaryDirectory(prefix="bb-") as place:
        server = await start_server(Path(place))
        try:
            async with answers_on(server.url, tmp_path / "b") as one, answers_on(server.url, tmp_path / "b") as two:
                first = asyncio.create_task(one.once(KEY, A, lambda: diary.make(1.5)))
                await until(lambda: diary.words == ["began"])
                second = asyncio.create_task(two.once(KEY, A, diary.make))
                await asyncio.sleep(0.2)
                server.kill()
                await asyncio.sleep(0.3)
                server = await start_server(Path(place))
                assert not (await first)[1]
                assert (await second)[1]
                assert diary.words == ["began", "ended"]
                async with Redis.from_url(server.url) as client:
                    assert await client.exists(keys.llm("answer", KEY))
        finally:
            await server.stop()


async def test_without_a_blob_store_redis_keeps_for_a_while(
    answers: KeptAnswers, redis_url: str, tmp_path: Path, diary: Diary
) -> None:
    (tmp_path / "blobs" / "answers").write_text("a file where the folder should be")
    assert not (await answers.once(KEY, A, diary.make))[1]
    assert (await answers.once(KEY, A, diary.make))[1]
    async with Redis.from_url(redis_url) as client:
        assert 0 < await client.pttl(keys.llm("answer", KEY)) <= 3_600_000


async def test_a_server_out_of_memory_fails_nobody(store: RedisStore, redis_url: str, diary: Diary) -> None:
    async with Redis.from_url(redis_url) as client, answers_of(store) as answers:
        asking = asyncio.create_task(answers.once(KEY, A, lambda: diary.make(0.3)))
        await until(lambda: diary.words == ["began"])
        await client.config_set("maxmemory", 1)
        try:
            assert not (await asking)[1]
            assert not await client.exists(keys.llm("flight", KEY)), "nobody waits for one who is done"
            assert (await answers.once(KEY, A, diary.make))[1], "the blob store has it"
        finally:
            await client.config_set("maxmemory", 0)


@pytest.mark.cluster
async def test_on_a_cluster(cluster_store: RedisStore, diary: Diary) -> None:
    async with answers_of(cluster_store) as one, answers_of(cluster_store) as two:
        began = time.monotonic()
        found = await asyncio.gather(*(each.once(KEY, A, lambda: diary.make(0.2)) for each in (one, two)))
        assert time.monotonic() - began < 1.5
    assert sorted(kept for _, kept in found) == [False, True]
    assert diary.words == ["began", "ended"]
