"""The inside of a guest's process: imports a third party's source, runs it as it is asked to, and tells what it yields.

Frames are those of `child`. From the worker: a request runs the source once (JSON: run, binding, processor seconds, inputs;
raw: the inputs' values), a reply (JSON: ask; raw: values or bytes) answers something asked. To the worker: an entry (JSON:
key, confidence; raw: its value), something asked (a blob, a lookup, a board, after pieces of its
document), progress, what was spent, a line for the log, and at
last the end or an error. Every frame but the first names its run: what a source does after its end belongs to no other.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import itertools
import json
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from blackboard.contract import Group, Source
from blackboard.contributions import Namer
from blackboard.errors import PermanentFailure, plainly
from blackboard.plugins import load_file, sources_in
from blackboard.registry import settings_of
from blackboard.sandbox.child import END, READY, REQUEST, Door, allow_cpu, resident_bytes
from blackboard.sandbox.crossing import crossed
from blackboard.sandbox.handed import ASK, ENTRY, REPLY, GuestLookup, Values, handed_in, is_handed_in

EXIT_FULL = 77
"""How a process ends that has no memory left for what it is sent."""
SPARE = 1 << 20
"""Bytes kept back, so that there is room to say that there is none."""


def converse(door: Door, charter: Mapping[str, Any]) -> None:
    """Import the source, then run it until the worker is gone."""
    wanted = charter["source"]
    try:
        allow_cpu(charter["start_s"])
        source = load(wanted["name"], wanted["origin"], wanted["where"])
        # A file's module is named after its content.
        if (source.version, source.function.__module__) != (wanted["version"], wanted["module"]):
            raise PermanentFailure("it has changed since this worker began: restart the worker")
        unknown = [kind for kind in source.injected.values() if not is_handed_in(kind)]
        if unknown:
            name = getattr(unknown[0], "__name__", str(unknown[0]))
            raise PermanentFailure(f"it asks for {name}, which only a trusted source is handed")
    except BaseException as error:  # whatever a stranger's module does while it is imported, exiting included
        door.error(error)
        return
    door.write(READY, json.dumps({"fenced": charter["fenced"]}).encode())
    asyncio.run(Guest(door, source).serve())


def load(name: str, origin: str, where: str) -> Source:
    """The source of this name at an entry point (`module:attribute`) or in a file. Raises PermanentFailure."""
    found: Any
    if origin == "file":
        found = next((each for each in sources_in(load_file(Path(where))) if each.name == name), None)
    else:
        path, _, attributes = where.partition(":")
        found = functools.reduce(getattr, attributes.split("."), importlib.import_module(path))
    if not isinstance(found, Source) or found.name != name:
        raise PermanentFailure(f"there is no source {name} in {where}")
    return found


class Guest:
    """One source, one run at a time."""

    def __init__(self, door: Door, source: Source) -> None:
        self._door = door
        self._source = source
        self._run = 0
        self.pieces = asyncio.Lock()
        self.window = 0
        self._asked = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._spare: bytearray | None = None

    async def serve(self) -> None:
        """Run requests one by one. The process ends with its input."""
        loop = asyncio.get_running_loop()
        requests: asyncio.Queue[tuple[dict[str, Any], bytes]] = asyncio.Queue()

        def hear() -> None:
            try:
                while (frame := self._door.read()) is not None:
                    kind, meta, raw = frame
                    if kind == REQUEST:
                        loop.call_soon_threadsafe(requests.put_nowait, (meta, raw))
                    elif kind == REPLY:
                        loop.call_soon_threadsafe(self._reply, meta, raw)
            except MemoryError:
                os._exit(EXIT_FULL)
            os._exit(0)

        threading.Thread(target=hear, name="worker", daemon=True).start()
        while True:
            await self._serve_one(*await requests.get())

    async def _serve_one(self, request: dict[str, Any], raw: bytes) -> None:
        self._run = request["run"]
        self.window = request["window"]
        self._spare = bytearray(SPARE)
        threads = set(threading.enumerate())
        try:
            allow_cpu(request["cpu_s"])
            await self._call(request, raw)
        except BaseException as error:  # exiting included: the worker decides what it means
            self._spare = None
            error.__traceback__ = None  # its frames hold what filled the memory
            self._door.error(plainly(error), run=self._run, clean=_is_quiet(threads))
        else:
            self.tell(END, {"resident": resident_bytes(), "clean": _is_quiet(threads)})

    async def _call(self, request: Mapping[str, Any], raw: bytes) -> None:
        namer = Namer(self._source, request["binding"])
        given = self._arguments(request, raw)
        function = self._source.function
        result: Any
        if inspect.isasyncgenfunction(function):
            result = function(**given)
        elif inspect.iscoroutinefunction(function):
            result = await function(**given)
        else:
            await asyncio.to_thread(self._run_plain, function, given, namer)
            return
        if isinstance(result, AsyncIterator):
            try:
                async for item in result:
                    self._contribute(namer, item)
            finally:
                if isinstance(result, AsyncGenerator):
                    await result.aclose()
        else:
            self._contribute_all(namer, result)

    def _run_plain(self, function: Any, given: Mapping[str, Any], namer: Namer) -> None:
        try:
            self._contribute_all(namer, function(**given))
        except StopIteration as error:
            # A future cannot hold it.
            raise RuntimeError("it raised StopIteration") from error

    def _contribute_all(self, namer: Namer, result: Any) -> None:
        if inspect.isgenerator(result) or isinstance(result, list | tuple | Iterator):
            for item in result:
                self._contribute(namer, item)
        elif result is not None:
            self._contribute(namer, result)

    def _contribute(self, namer: Namer, item: Any) -> None:
        put = namer.put(item)
        self.tell(ENTRY, {"key": put.key, "confidence": put.confidence}, put.value)

    # -- what it is handed ---------------------------------------------------------------------------------------------

    def _arguments(self, request: Mapping[str, Any], raw: bytes) -> dict[str, Any]:
        settings = settings_of(self._source)
        given: dict[str, Any] = {
            name: handed_in(kind, self, self._source.name, settings) for name, kind in self._source.injected.items()
        }
        values = Values(raw)
        for wanted in self._source.inputs:
            if wanted.kind == "lookup":
                given[wanted.parameter] = GuestLookup(self, wanted)
                continue
            items = values.take(wanted, request["inputs"][wanted.parameter])
            if wanted.kind == "each":
                given[wanted.parameter] = items[0]
            elif wanted.kind == "group":
                given[wanted.parameter] = Group(request["binding"], items)
            else:
                given[wanted.parameter] = tuple(items)
        return given

    # -- frames --------------------------------------------------------------------------------------------------------

    def tell(self, kind: int, said: Mapping[str, Any], raw: bytes = b"") -> None:
        """One frame of this run, from any thread."""
        self._door.write(kind, json.dumps({"run": self._run, **said}).encode(), raw)

    async def ask(self, what: str, **said: Any) -> tuple[dict[str, Any], bytes]:
        """Something only the worker knows. Raises what it failed with there: see `crossing`."""
        number = next(self._asked)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self.tell(ASK, {"ask": number, "what": what, **said})
            meta, raw = await future
        finally:
            del self._waiting[number]
        if "error" in meta:
            raise crossed(meta["classes"], meta["error"], meta["hint"], meta.get("after_s")) or PermanentFailure(
                meta["error"], hint=meta["hint"]
            )
        return meta, raw

    def _reply(self, meta: dict[str, Any], raw: bytes) -> None:
        future = self._waiting.get(meta["ask"])
        if future is not None and not future.done():
            future.set_result((meta, raw))


def _is_quiet(threads: set[threading.Thread]) -> bool:
    """Whether nothing that the run started goes on. Idle threads of asyncio's own pool do no harm."""
    started = {each for each in threading.enumerate() if not each.name.startswith("asyncio_")} - threads
    return not (started or asyncio.all_tasks() - {asyncio.current_task()})
