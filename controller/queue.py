"""arq as a wake-up: one queue per source and class, jobs that hold ids only, tokens that spare workers the polling.

A job says "look at activation A of board B". Losing it, doubling it or delaying it changes latency and nothing else: the
board's agenda is the record of work, and the sweeper sends a wake-up again when nobody came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Literal, Protocol

import orjson
from arq.constants import job_key_prefix
from arq.jobs import serialize_job

from blackboard.coalesce import Coalescer
from blackboard.doors import Call, Script

Class = Literal["interactive", "batch"]
CLASSES: tuple[Class, ...] = ("interactive", "batch")
FUNCTION = "activate"
PORTION = 256
JOB_TTL_MS = 30 * 86_400_000
"""arq's own day would let a job expire, without a hook, while it waits in a long queue."""


def queue_name(source: str, version: str, priority: str) -> str:
    """arq's queue of one version of a source, and class: a worker is never woken for a version it does not have."""
    return f"arq:queue:{source}@{version}:{priority}"


def wake_name(queue: str) -> str:
    """The list next to a queue on which idle workers block."""
    return queue.replace("arq:queue:", "arq:wake:", 1)


class QueueScript(Script):
    """A script on arq's keys."""

    @cached_property
    def text(self) -> str:
        """The Lua source."""
        return (files("controller") / "scripts" / f"{self.name}.lua").read_text(encoding="utf-8")


ENQUEUE = QueueScript("enqueue", ("jobs",), ("ttl_ms", "rows"))
POP = QueueScript("pop", ("queues",), ("job_prefix", "total", "groups"))
DEPTHS = QueueScript("depths", ("queues",), ())


@dataclass(slots=True)
class Wake:
    """One wake-up to send: the `number`-th for this activation, in place of an unanswered earlier one.

    `source`: by its own name, for its shadow too.
    """

    source: str
    version: str
    priority: str
    board: str
    activation: str
    number: int = 0
    replaces: int | None = None

    def id(self, number: int) -> str:
        """arq's job id: unique per wake-up, because arq drops an id that it still remembers."""
        return f"{self.board}:{self.activation}:wake-{number}"


@dataclass(slots=True)
class Job:
    """One job as it left its queue."""

    queue: str
    id: str
    payload: bytes | None


class LocalWorker(Protocol):
    """A worker in this process: woken directly, without a token."""

    def begin(self, job: Job) -> bool:
        """Take a job up at once. Whether it had a free slot for it."""

    def look(self, queues: AbstractSet[str]) -> None:
        """Pop from these now: in the same turn of the loop, so that it leaves in one batch with what was enqueued."""


class Queue:
    """Enqueues and pops. `line` carries the commands; it may be the store's own, then both travel together."""

    def __init__(self, line: Coalescer) -> None:
        self._line = line
        self._local: LocalWorker | None = None

    def attach(self, worker: LocalWorker | None) -> None:
        """Wake this worker directly from now on (None: nobody)."""
        self._local = worker

    async def enqueue(self, wakes: Sequence[Wake]) -> None:
        """Send wake-ups, all in one step.

        What a worker in this process has a free slot for is handed to it and need not pass through the server: the claim
        decides who runs an activation, and the sweeper wakes it again should this process die.
        """
        names: list[str] = []
        rows: list[str | bytes | int] = []
        queues: set[str] = set()
        for wake in wakes:
            queue, id = queue_name(wake.source, wake.version, wake.priority), wake.id(wake.number)
            payload = serialize_job(FUNCTION, (wake.board, wake.activation), {}, None, 0, serializer=orjson.dumps)
            if wake.replaces is None and self._local is not None and self._local.begin(Job(queue, id, payload)):
                continue
            old = "" if wake.replaces is None else wake.id(wake.replaces)
            queues.add(queue)
            names += (queue, job_key_prefix + id, job_key_prefix + (old or id), wake_name(queue))
            rows += (id, payload or b"", old, "1")
        if not queues:
            return
        sending = self._line.start(Call(ENQUEUE, names, (JOB_TTL_MS, *rows)))
        if self._local is not None:
            self._local.look(queues)
        await sending

    def pop(self, wanted: Sequence[tuple[str, str, int]], total: int) -> Awaitable[list[Job]]:
        """Take due jobs in the order of `wanted`: (queue, source, how many of that source), at most `total` in all.

        The command is issued at once, before the answer is awaited.
        """
        names = tuple(name for name, _, _ in wanted)
        groups = [word for _, source, count in wanted for word in (source, count)]
        pairs = [key for name in names for key in (name, wake_name(name))]
        sending = self._line.start(Call(POP, pairs, (job_key_prefix, total, *groups)))

        async def jobs() -> list[Job]:
            reply = await sending
            return [
                Job(names[reply[at] - 1], reply[at + 1].decode(), reply[at + 2] or None)
                for at in range(0, len(reply), 3)
            ]

        return jobs()

    async def poke(self, wake: str) -> None:
        """Leave a token on a list that somebody blocks on."""
        await asyncio.gather(self._line.issue(("LPUSH", wake, "1")), self._line.issue(("PEXPIRE", wake, 10_000)))

    async def clear(self, source: str, version: str) -> None:
        """Drop every wake-up that waits for a version of a source."""
        wanted = [(queue_name(source, version, priority), source, PORTION) for priority in CLASSES]
        while await self.pop(wanted, PORTION):
            pass
        await asyncio.gather(*(self._line.issue(("DEL", wake_name(queue))) for queue, _, _ in wanted))

    async def depth(self, source: str, version: str) -> int:
        """Jobs waiting for a version of a source, both classes."""
        counts = [await self._line.issue(("ZCARD", queue_name(source, version, priority))) for priority in CLASSES]
        return sum(counts)

    async def drop(self, source: str, version: str, board: str) -> None:
        """Take back a board's wake-ups for a version it no longer uses: nobody might ever come for them."""
        for name in (queue_name(source, version, priority) for priority in CLASSES):
            cursor: bytes | int = b"0"
            while True:
                match = ("MATCH", f"{board}:*", "COUNT", 1000)
                cursor, rows = await self._line.issue(("ZSCAN", name, cursor, *match))
                if ids := rows[::2]:
                    await self._line.issue(("ZREM", name, *ids))
                    await self._line.issue(("DEL", *(job_key_prefix + id.decode() for id in ids)))
                if int(cursor) == 0:
                    break
