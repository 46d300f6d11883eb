"""This project: the real store, controller and arq workers, versions and durable log on; both roles in one process."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson

from benchmarks.peers.workload import RESULT, STATE, Waiters
from blackboard import All, Each, Level, knowledge_source
from blackboard.entries import Commit, Put
from blackboard.events import LogRecord
from controller.bootstrap import open_service
from controller.settings import Settings


class State(Level):
    """What every stage reads."""

    title: str
    text: str
    page: int


class Read(Level):
    """The first stage's result."""

    found: str


class Names(Level):
    """The second stage's."""

    found: str


class Gist(Level):
    """The third's."""

    found: str


class Checked(Level):
    """The last one's."""

    found: str


@knowledge_source()
async def ocr(state: Each[State]) -> Read:
    """Stage one."""
    return Read(**RESULT)


@knowledge_source()
async def entities(read: Each[Read], state: All[State]) -> Names:
    """Stage two."""
    return Names(**RESULT)


@knowledge_source()
async def summary(read: Each[Read], state: All[State]) -> Gist:
    """Stage three, beside stage two."""
    return Gist(**RESULT)


@knowledge_source()
async def fact_check(names: All[Names], gist: All[Gist], state: All[State]) -> Checked:
    """Stage four, joins both."""
    return Checked(**RESULT)


SOURCES = (ocr, entities, summary, fact_check)


class Ours:
    """See workload.System."""

    name = "ours"

    async def start(self, url: str) -> None:
        """See workload.System."""
        settings = Settings(redis_url=url, data_dir=Path(tempfile.mkdtemp()))
        self._stack = AsyncExitStack()
        opening = open_service(settings, roles=frozenset({"controller", "worker"}), sources=SOURCES)
        service = await self._stack.enter_async_context(opening)
        self.store = service.store
        self._waiters = Waiters()
        self.store.listen(self._heard)
        self._sources = orjson.dumps({source.name: source.version for source in SOURCES}).decode()

    def _heard(self, board: str, record: LogRecord) -> None:
        if record.is_terminal:
            assert record.type == "board.completed", record.say()
            self._waiters.done(board)

    async def submit(self) -> Any:
        """See workload.System."""
        board = self.store.new_id("bench")
        future = self._waiters.new(board)
        head = {"status": "open", "tenant": "bench", "incarnation": "1", "sources": self._sources, "goal": ""}
        await self.store.commit(
            board,
            Commit(
                "board.created", "submitter", id="submit", mode="person", create=True,
                writes=(Put("state/original", STATE),), head=head, due=(("check", 10_000),),
            ),
        )  # fmt: skip
        await future

    async def stop(self) -> None:
        """See workload.System."""
        await self._stack.aclose()
