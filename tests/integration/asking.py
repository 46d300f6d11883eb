"""Askers of one question: what tests put together, and the same as a process of its own.

`python asking.py URL BLOBS DIARY KEY [word...]`: each `make` writes `began` and `ended` to the diary. Words: `times=N`
callers at once, `takes=S` seconds for a make, `ttl=S` for the leave to ask, `fails` every make, `lives` until it is killed.
It says `ready`, waits for a line, asks, and says `got N made M`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from blackboard.blobs import Blobs
from blackboard.models import Caller
from blackboard.store import RedisStore, open_store
from knowledge_sources.llm.answers import KeptAnswers
from knowledge_sources.llm.calls import Reply, Usage
from knowledge_sources.llm.flight import Flights

KEY = "ab" * 32
A, B = Caller("acme", "3-aaaaaaaaaaaaaaaaaaaaaaaaaa"), Caller("acme", "3-bbbbbbbbbbbbbbbbbbbbbbbbbb")


def reply(text: str = "blue", stop_reason: str = "end_turn") -> Reply:
    """An answer."""
    return Reply(text, stop_reason, "model", Usage(10, 5), "req_1")


class Diary:
    """A file where every process writes what its makes do, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, word: str) -> None:
        """Append one line at once."""
        with self.path.open("a") as file:
            file.write(f"{word} {os.getpid()} {time.monotonic():.6f}\n")

    @property
    def words(self) -> list[str]:
        """The first word of every line."""
        return [line.split()[0] for line in self.path.read_text().splitlines()] if self.path.exists() else []

    async def make(self, takes: float = 0.0, *, fails: bool = False) -> Reply:
        """A make that takes its time."""
        self.say("began")
        await asyncio.sleep(takes)
        self.say("failed" if fails else "ended")
        if fails:
            raise ValueError("no answer")
        return reply()


@asynccontextmanager
async def answers_on(
    url: str, blobs: Path, *, ttl_s: float = 20.0, keep_s: float = 600.0
) -> AsyncIterator[KeptAnswers]:
    """As a worker would have them, with a store of their own."""
    store = await open_store(url, Blobs.at(blobs), check=False)
    async with answers_of(store, ttl_s=ttl_s, keep_s=keep_s) as answers:
        yield answers
    await store.close()


@asynccontextmanager
async def answers_of(store: RedisStore, *, ttl_s: float = 20.0, keep_s: float = 600.0) -> AsyncIterator[KeptAnswers]:
    """The same on a store that is there."""
    answers = KeptAnswers(Flights(store.line(0), store.reads, ttl_s=ttl_s), store.blobs, keep_s=keep_s)
    try:
        yield answers
    finally:
        await answers.close()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(url: str, blobs: str, diary: str, key: str, *words: str) -> None:
    options = dict(word.partition("=")[::2] for word in words)
    async with answers_on(url, Path(blobs), ttl_s=float(options.get("ttl", 20))) as answers:
        _say("ready")
        await asyncio.to_thread(sys.stdin.readline)

        async def one() -> bool:
            make = Diary(Path(diary)).make
            _, kept = await answers.once(key, A, lambda: make(float(options.get("takes", 0)), fails="fails" in options))
            return kept

        found = await asyncio.gather(*(one() for _ in range(int(options.get("times", 1)))), return_exceptions=True)
        got = [kept for kept in found if isinstance(kept, bool)]
        _say(f"got {len(got)} made {got.count(False)}")
        if "lives" in options:
            await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
