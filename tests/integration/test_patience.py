"""Two time-outs for every source: in all, and without a sign of life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from blackboard import Each, Progress, Source, knowledge_source
from blackboard.errors import TransientFailure
from controller.patience import Patience
from tests.fleet import Paper, Sheet, Total, ended, submit
from tests.integration.test_activations import outcome, service


@knowledge_source(timeout=60, idle_timeout=0.3, attempts=1)
async def silent(paper: Each[Paper]) -> AsyncIterator[Sheet]:
    """Something, then nothing."""
    yield Sheet(number=1, text="one")
    await asyncio.sleep(60)


@knowledge_source(timeout=60, idle_timeout=0.3, attempts=1)
def silent_plain(paper: Each[Paper]) -> Iterator[Sheet]:
    """The same in a thread."""
    yield Sheet(number=1, text="one")
    time.sleep(5)


@knowledge_source(timeout=0.6, idle_timeout=0.3, attempts=1)
async def slow(paper: Each[Paper], progress: Progress) -> Total:
    """Always alive, never done."""
    for n in range(10_000):
        progress(n, 10_000)
        await asyncio.sleep(0.01)
    return Total(count=0)


@knowledge_source(timeout=20, idle_timeout=0.5, attempts=1)
async def steady(paper: Each[Paper], progress: Progress) -> AsyncIterator[Sheet]:
    """Longer in all than it may be silent, with both signs of life."""
    for n in range(1, 9):
        await asyncio.sleep(0.1)
        progress(n, 16)
    for n in range(1, 9):
        await asyncio.sleep(0.1)
        yield Sheet(number=n, text="words")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (silent, "neither a contribution nor progress for 0.3 s (its idle_timeout)"),
        (silent_plain, "neither a contribution nor progress for 0.3 s (its idle_timeout)"),
        (slow, "no result within 0.6 s in all (its timeout)"),
    ],
)
async def test_the_reason_names_the_time_out(redis_url: str, tmp_path: Path, source: Source, words: str) -> None:
    async with service(redis_url, tmp_path, source) as running:
        head = await ended(running.store, await submit(running.store, sources=[source]))
        (step,) = outcome(head)["degraded"]
        assert step["reason"] == words


async def test_signs_of_life_put_off_the_one_and_not_the_other(redis_url: str, tmp_path: Path) -> None:
    async with service(redis_url, tmp_path, steady) as running:
        head = await ended(running.store, await submit(running.store, sources=[steady]))
        assert (head["status"], outcome(head)["degraded"]) == ("completed", [])


async def test_a_time_out_of_the_source_s_own_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with Patience(slow):
            raise TimeoutError("mine")


async def test_being_cancelled_is_no_time_out() -> None:
    async def wait() -> None:
        async with Patience(steady):
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_block_that_never_waits_is_not_interrupted() -> None:
    async with Patience(silent) as patience:
        patience.touch()
    with pytest.raises(TransientFailure, match="idle_timeout"):
        async with Patience(silent):
            await asyncio.sleep(60)
