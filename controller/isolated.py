"""Third parties' sources run in processes of their own, with limits: the worker's side.

A warm process serves one activation at a time and many one after the other, as long as each ends well. What it asks for is
answered here, what it says is checked here, and how it died is said here in words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import structlog

from blackboard.contract import Source
from blackboard.entries import Put
from blackboard.errors import Deferred, StorageError, TransientFailure
from blackboard.sandbox.child import END, ERROR, REQUEST
from blackboard.sandbox.crossing import CROSSING, names_of
from blackboard.sandbox.handed import ASK, ENTRY, LINE, PIECE, PROGRESS, REPLY, SPENT
from blackboard.sandbox.pool import MIB, Limits, Pool, Seat
from blackboard.sandbox.process import Charter, Child, ChildGone, Oversized
from blackboard.sandbox.rooms import Room, sweep
from controller.isolated_failures import garbled, obituary, raised, too_large, too_many, too_much, too_talkative
from controller.isolated_host import Host
from controller.isolated_values import Checker
from controller.settings import Settings

log = structlog.get_logger(__name__)

TARGET = "blackboard.sandbox.guest:converse"
START_S = 30.0
"""Importing the plug-in and what it imports."""
RESIDENT_BYTES = 512 * MIB
ENTRY_BYTES = 8 * MIB
"""One value."""
WORD_BYTES = 64 * 1024
"""Everything said that is no entry."""
MOST_WORDS = 100_000
MOST_ASKED = 16
"""Answers under way at a time."""
LOOK_S = 1.0
"""How often the room of a running guest is looked at."""


class Garbled(Exception):
    """The process said what no guest says."""


class GuestPool(Pool):
    """Processes of one source, each with a room of its own."""

    def __init__(self, source: Source, settings: Settings) -> None:
        limits = Limits(
            memory_bytes=settings.plugin_memory_bytes,
            resident_bytes=min(RESIDENT_BYTES, settings.plugin_memory_bytes),
            output_bytes=settings.plugin_output_bytes,
            file_bytes=settings.plugin_file_bytes,
        )
        prefix = f"BLACKBOARD_SOURCE_{source.name.upper().replace('-', '_')}__"
        charter = Charter(
            TARGET,
            limits,
            name=f"source {source.name}",
            guest=True,
            network=settings.plugin_network,
            readable=(os.path.dirname(source.where),) if source.origin == "file" else (),  # noqa: PTH120
            environment={name: value for name, value in os.environ.items() if name.upper().startswith(prefix)},
            start_s=START_S,
            more={"source": _identity(source), "start_s": START_S},
        )
        super().__init__(charter, processes=settings.plugin_processes, recycle_after=settings.plugin_calls)
        self.checker = Checker(source)
        self._rooms: dict[Child, Room] = {}
        self._warned = False

    async def _start(self) -> Child:
        try:
            room = Room.make()
        except OSError as error:
            raise TransientFailure(f"there is no room for a temporary folder: {error}") from error
        try:
            child = await Child.start(self.charter.within(room.path, {"HOME": room.path, "TMPDIR": room.path}))
        except BaseException:
            await room.remove()
            raise
        self._rooms[child] = room
        if not child.fenced and not self._warned:
            self._warned = True
            log.warning(
                "guest.unfenced", guest=self.charter.name, hint="this system has no Landlock: it can read files"
            )
        return child

    async def _ended(self, child: Child) -> None:
        await super()._ended(child)
        await self._rooms.pop(child).remove()

    async def watch(self, child: Child) -> None:
        """Kill the child when it fills its room."""
        while True:
            await asyncio.sleep(LOOK_S)
            if await asyncio.to_thread(self._rooms[child].is_over, self.charter.limits.file_bytes):
                child.overfull = True
                child.kill()


class Isolation:
    """The guests of one worker: a pool of processes for each source that is not trusted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pools: dict[str, GuestPool] = {}
        self._swept: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def seat(self, source: Source) -> AsyncIterator[Guest]:
        """A process with the source loaded, once one is free. Raises PermanentFailure or TransientFailure."""
        if self._swept is None:
            self._swept = asyncio.create_task(sweep())
        pool = self._pools.get(source.name)
        if pool is None:
            pool = self._pools[source.name] = GuestPool(source, self._settings)
        async with pool.seat() as seat:
            yield Guest(source, pool, seat, self._settings)

    async def close(self) -> None:
        """End every process and remove every room. Idempotent."""
        if self._swept is not None:
            await self._swept
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))


class Guest:
    """One activation of a source in a process."""

    def __init__(self, source: Source, pool: GuestPool, seat: Seat, settings: Settings) -> None:
        self._source = source
        self._pool = pool
        self._seat = seat
        self._child = seat.child
        self._settings = settings
        self._run = seat.child.calls + 1
        self._failed: StorageError | None = None
        """Why an answer could not be given; the process was ended because of it."""
        self._answering: set[asyncio.Task[None]] = set()

    async def contributions(
        self, binding: str, inputs: Mapping[str, Any], values: list[bytes], host: Host
    ) -> AsyncGenerator[Put, None]:
        """Run it once. What it contributes, as it comes and checked. Raises what became of it: PermanentFailure for a limit
        or nonsense, TransientFailure for a process that died, the source's own error, StorageError of the host."""
        child = self._child
        child.calls = self._run
        request = {
            "run": self._run,
            "binding": binding,
            "inputs": inputs,
            "cpu_s": self._source.timeout,
            "window": host.window,
        }
        watching = asyncio.create_task(self._pool.watch(child))
        try:
            await child.send(REQUEST, orjson.dumps(request), *values)
            async for put in self._received(host):
                yield put
        except ChildGone as gone:
            if self._failed is not None:
                raise self._failed from gone
            raise await obituary(self._source, child) from gone
        except Garbled as error:
            raise garbled(error) from None
        finally:
            watching.cancel()
            for task in self._answering:
                task.cancel()

    async def _received(self, host: Host) -> AsyncGenerator[Put, None]:
        child, limits = self._child, self._child.limits
        check = self._pool.checker.of_run()
        room, entries, said = limits.output_bytes, 0, 0
        while True:
            try:
                kind, meta, raw = await child.receive(min(room, ENTRY_BYTES))
            except Oversized as error:
                if error.kind not in (ENTRY, PIECE):
                    raise Garbled("a message that is too long") from None
                raise (too_large(ENTRY_BYTES) if room >= ENTRY_BYTES else too_much(limits.output_bytes)) from None
            room -= len(meta) + len(raw)
            said += 1
            if said % 32 == 0:
                await asyncio.sleep(0)  # what is in the buffer already would be read without a turn for others
            if kind == ENTRY:
                entries += 1
                if entries > self._settings.plugin_entries:
                    raise too_many(self._settings.plugin_entries)
                words = self._words(meta)
                if words is not None:
                    yield check(words.get("key"), words.get("confidence"), raw)
                continue
            if len(meta) > WORD_BYTES or (raw and kind != PIECE):
                raise Garbled("a message that is too long")
            if said - entries > MOST_WORDS:
                raise too_talkative(MOST_WORDS)
            words = self._words(meta)
            if words is None:
                continue
            if kind == PIECE:
                host.piece(raw)
                continue
            if kind == END:
                child.resident = _number(words.get("resident"))
                # Where threads or tasks of it go on, it is never used again.
                self._seat.clean = words.get("clean") is True
                return
            if kind == ERROR:
                names = words.get("classes")
                if not isinstance(names, list) or not names:
                    raise Garbled("an error without a name")
                # It looked at its input and said no: nothing is broken.
                self._seat.clean = words.get("clean") is True and any(name in CROSSING for name in map(str, names))
                raise raised(words, child)
            await self._heard(kind, words, host)

    def _words(self, meta: bytes) -> dict[str, Any] | None:
        """What a frame says; None when an earlier run said it. Raises Garbled."""
        try:
            words = orjson.loads(meta)
        except orjson.JSONDecodeError as error:
            raise Garbled("no JSON") from error
        if not isinstance(words, dict) or not isinstance(words.get("run"), int):
            raise Garbled("no words")
        return words if words["run"] == self._run else None

    async def _heard(self, kind: int, words: Mapping[str, Any], host: Host) -> None:
        if kind == PROGRESS:
            host.progress(_number(words.get("done")), _number(words.get("total")), str(words.get("note", "")))
        elif kind == LINE:
            host.line(int(_number(words.get("level"))), str(words.get("message", "")))
        elif kind == SPENT:
            try:
                host.spend(float(words.get("usd", 0.0)), _number(words.get("tokens")))
            except (TypeError, ValueError) as error:
                raise Garbled("it spent what cannot be spent") from error
        elif kind == ASK:
            while len(self._answering) >= MOST_ASKED:
                await asyncio.wait(self._answering, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._answer(words, host))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            raise Garbled(f"a message of kind {kind}")

    async def _answer(self, words: Mapping[str, Any], host: Host) -> None:
        values: list[bytes] = []
        reply: dict[str, Any] = {"ask": words.get("ask")}
        try:
            more, values = await host.answer(words)
            reply |= more
        except StorageError as error:
            self._failed = error
            self._child.kill()
            return
        except Exception as error:  # a name that breaks the grammar, bytes that are lost
            reply |= {"error": str(error), "hint": getattr(error, "hint", ""), "classes": names_of(error)}
            if isinstance(error, Deferred):
                reply["after_s"] = error.after_s
        try:
            await self._child.send(REPLY, orjson.dumps(reply), *values)
        except ChildGone:
            return  # whoever reads from it will see


def _identity(source: Source) -> dict[str, str]:
    """What the process must find where the source was found."""
    return {
        "name": source.name,
        "origin": source.origin,
        "where": source.where,
        "version": source.version,
        "module": source.function.__module__,
    }


def _number(given: Any) -> int:
    return int(given) if isinstance(given, int | float) and abs(given) < 1e15 else 0
