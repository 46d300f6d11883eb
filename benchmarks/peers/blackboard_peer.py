"""This project: the real store, controller and arq workers, versions and durable log on; both roles in one process."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import orjson
from arq import ArqRedis

from benchmarks.peers.workload import RESULT, STATE, Waiters
from blackboard import All, Each, Level, knowledge_source
from blackboard.blobs import Blobs
from blackboard.connect import client_of, connect
from blackboard.entries import Commit, Put
from blackboard.events import LogRecord
from blackboard.store import RedisStore
from controller.loop import Controller
from controller.queue import Queue
from controller.settings import Settings
from controller.worker import ActivationWorker


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
        commands, blocking = await connect(url)
        self.store = RedisStore(commands, blocking=blocking, blobs=Blobs.at(settings.blobs))
        queue = Queue(self.store.line(0))
        self._clients = [client_of(url, connections=2), client_of(url, connections=1)]
        self._controller = Controller(
            store=self.store, queue=queue, sources=SOURCES, settings=settings, with_store=True
        )
        self._worker = ActivationWorker(
            store=self.store, blobs=self.store.blobs, queue=queue,
            pool=ArqRedis(self._clients[0].connection_pool), tokens=self._clients[1],
            sources=SOURCES, slots={}, services={}, settings=settings,
        )  # fmt: skip
        queue.attach(self._worker)
        self._tasks = [asyncio.create_task(self._controller.serve()), asyncio.create_task(self._worker.serve())]
        self._waiters = Waiters()
        self.store.listen(self._heard)
        self._sources = orjson.dumps({source.name: source.version for source in SOURCES}).decode()
        while len(self._controller.partitions) < settings.partitions:
            await asyncio.sleep(0.01)

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
        await self._worker.stop()
        await self._controller.stop()
        await asyncio.wait(self._tasks)
        for client in self._clients:
            await client.aclose()
        await self.store.close()
