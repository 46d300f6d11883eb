"""One process of a sandbox, seen from the worker: starting it, its frames, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson

from blackboard import errors
from blackboard.sandbox.child import ERROR, FRAME

MIB: Final = 1 << 20
START_S: Final = 60.0
"""Importing an engine's module on a busy machine; not part of any document's time."""
QUIET: Final = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
"""A thread of a library that started with its import would be outside of what the child gives up afterwards."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use. Processor and wall time are per call; of a stream, per answer.

    `memory_bytes` bounds the address space while a call runs (an allocation above it fails); `resident_bytes` is looked at
    after each call, and a child above it is replaced; `output_bytes` bounds all answers of one call together.
    """

    memory_bytes: int = 512 * MIB
    resident_bytes: int | None = None
    cpu_s: float = 30.0
    wall_s: float = 60.0
    output_bytes: int = 50 * MIB
    file_bytes: int = 0
    open_files: int = 64

    def rlimits(self) -> dict[str, int]:
        """By name of the `resource` module. No limit on processes: it counts threads, and those of the whole user."""
        return {
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True, slots=True)
class Charter:
    """What a child is for and what it may do.

    `target` is `package.module:function`, `name` what people call it. A guest runs code that is not ours: it gives up system
    calls too, and its target is handed the door and this charter instead of requests. `readable`: what it may read besides
    code; `room`: the folder in which it may write; `start_s`: how long it may take to be ready; `more`: words for the target
    alone.
    """

    target: str
    limits: Limits
    name: str = ""
    guest: bool = False
    network: bool = False
    readable: tuple[str, ...] = ()
    room: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    start_s: float = START_S
    more: Mapping[str, Any] = field(default_factory=dict)

    def within(self, room: str, environment: Mapping[str, str]) -> Charter:
        """The same for one child, in a folder of its own."""
        return replace(self, room=room, environment={**self.environment, **environment})

    def told(self) -> str:
        """As the child reads it."""
        path = [entry for entry in sys.path if entry]
        return json.dumps(
            {
                "target": self.target,
                "path": path,
                "rlimits": self.limits.rlimits(),
                "guest": self.guest,
                "network": self.network,
                "readable": self.readable,
                "room": self.room,
                **self.more,
            }
        )


class ChildGone(Exception):
    """The child ended, or closed its output, in the middle of a call."""


class Oversized(Exception):
    """The child sent more than there was room for, in a frame of this kind."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.kind = kind


class Child:
    """One process and its two pipes. Serves one call at a time; after any failure it is killed, never used again."""

    def __init__(self, process: Process, charter: Charter) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self.charter = charter
        self.limits = charter.limits
        self.calls = 0
        self.resident = 0
        self.killed = False
        self.fenced = False
        """Whether files were taken away from it."""
        self.silent = False
        """It lived, but had closed its output or spoke nonsense."""
        self.overfull = False
        """It was killed because it filled its room."""
        self._input = process.stdin
        self._output = process.stdout

    @classmethod
    async def start(cls, charter: Charter) -> Child:
        """Start a process and wait until its engine's module is imported.

        Raises TransientFailure when the system has no room for it, PermanentFailure when the target cannot be imported.
        """
        script = Path(__file__).with_name("child.py")
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(script), str(os.getpid()), charter.told()),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd=charter.room or "/",
                env={"PATH": os.defpath, "LANG": "C.UTF-8", **QUIET, **charter.environment},
                start_new_session=True,
                limit=MIB,
            )
        except OSError as error:
            raise errors.TransientFailure(f"a process to run it in could not be started: {error}") from error
        child = cls(process, charter)
        started = False
        try:
            async with asyncio.timeout(charter.start_s):
                await child._receive_ready()
        except TimeoutError as error:
            raise errors.TransientFailure(
                f"a process to run it in took over {charter.start_s:.0f} s to start"
            ) from error
        else:
            started = True
            return child
        finally:
            if not started:
                child.kill()
                await child.ended()

    async def _receive_ready(self) -> None:
        what = self.charter.name or self.charter.target
        try:
            kind, meta, _ = await self.receive(MIB)
            said = loads(meta)
            if kind == ERROR:
                raise errors.PermanentFailure(f"{what} cannot be loaded: {said['classes'][0]}: {said['message']}")
            self.fenced = bool(said["fenced"])
        except (ChildGone, Oversized, LookupError, TypeError) as gone:
            raise errors.PermanentFailure(f"the process for {what} ended while it was starting") from gone

    async def receive(self, room: int) -> tuple[int, bytes, bytes]:
        """One frame: kind, JSON part, raw part. Raises ChildGone, and Oversized for more than `room` bytes."""
        try:
            kind, meta, raw = FRAME.unpack(await self._output.readexactly(FRAME.size))
            if meta + raw > room:
                raise Oversized(kind)
            return kind, await self._output.readexactly(meta), await self._output.readexactly(raw)
        except (asyncio.IncompleteReadError, ConnectionError) as gone:
            raise ChildGone from gone

    async def send(self, kind: int, meta: bytes, *raw: bytes) -> None:
        """One frame, and wait until it may be followed by another. Raises ChildGone."""
        try:
            self._input.write(FRAME.pack(kind, len(meta), sum(map(len, raw))) + meta)
            for part in raw:
                self._input.write(part)
            await self._input.drain()
        except (ConnectionError, RuntimeError) as gone:
            raise ChildGone from gone

    async def fate(self) -> int | None:
        """How it ended: its exit code, or minus the signal; 0 for one that fell silent or spoke nonsense, and is killed now.

        None when it was us who had killed it.
        """
        if self.killed:
            return None
        try:
            async with asyncio.timeout(1.0):
                return await self.process.wait()
        except TimeoutError:
            self.silent = True
            self.kill()
            return 0

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def kill(self) -> None:
        """End the child and whatever it started, at once."""
        self.killed = True
        # Only while it has not been reaped: its number may belong to another process afterwards.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        # Both pipes too: asyncio says that a process ended once its output did, and the end of an output that nobody reads
        # any more is never seen (CPython gh-119710). asyncio hands out the transport nowhere else.
        self.process._transport.close()  # type: ignore[attr-defined]

    async def ended(self) -> None:
        """Wait until the process is reaped and its pipes are closed."""
        await self.process.wait()
        with contextlib.suppress(ConnectionError):
            await self._input.wait_closed()


def loads(meta: bytes) -> Any:
    """A child that a document has taken over may say anything: what is no JSON counts as its death."""
    try:
        return orjson.loads(meta)
    except orjson.JSONDecodeError as error:
        raise ChildGone from error
