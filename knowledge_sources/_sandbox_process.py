"""One process of a sandbox, seen from the worker: starting it, speaking with it, and saying in words how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from blackboard import errors
from knowledge_sources._sandbox_child import END, ERROR, FRAME, JSON_ANSWER, RAW_ANSWER, REQUEST

MIB: Final = 1 << 20
START_S: Final = 60.0
"""Importing an engine's module on a busy machine; not part of any document's time."""

CROSSING: Final = {
    cls.__name__: cls
    for cls in (
        errors.DocumentUnreadable,
        errors.DocumentTooComplex,
        errors.DocumentUnsafe,
        errors.PermanentFailure,
        errors.TransientFailure,
    )
}
"""The errors that may leave a child as themselves."""


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


class ChildGone(Exception):
    """The child ended, or closed its output, in the middle of a call."""


class Child:
    """One process and its two pipes. Serves one call at a time; after any failure it is killed, never used again."""

    def __init__(self, process: Process, limits: Limits) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self.limits = limits
        self.calls = 0
        self.resident = 0
        self.killed = False
        self._input = process.stdin
        self._output = process.stdout

    @classmethod
    async def start(cls, target: str, limits: Limits) -> Child:
        """Start a process and wait until its engine's module is imported.

        Raises TransientFailure when the system has no room for it, PermanentFailure when the target cannot be imported.
        """
        path = [entry for entry in sys.path if entry]
        script = Path(__file__).with_name("_sandbox_child.py")
        arguments = (str(os.getpid()), target, json.dumps(limits.rlimits()), json.dumps(path))
        # A thread of a library that started with its import would be outside of what the child gives up afterwards.
        quiet = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", **quiet}
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(script), *arguments),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd="/",
                env=environment,
                start_new_session=True,
                limit=MIB,
            )
        except OSError as error:
            raise errors.TransientFailure(f"a process to read the document in could not be started: {error}") from error
        child = cls(process, limits)
        started = False
        try:
            async with asyncio.timeout(START_S):
                await child._receive_ready(target)
        except TimeoutError as error:
            child.kill()
            raise errors.TransientFailure(
                f"a process to read the document in took over {START_S:.0f} s to start"
            ) from error
        else:
            started = True
            return child
        finally:
            if not started:
                child.kill()
                await child.ended()

    async def _receive_ready(self, target: str) -> None:
        try:
            kind, meta, _ = await self._receive(MIB)
        except ChildGone as gone:
            raise errors.PermanentFailure(f"the process for {target} ended while it was starting") from gone
        if kind == ERROR:
            said = _loads(meta)
            raise errors.PermanentFailure(f"{target} cannot be loaded: {said['classes'][0]}: {said['message']}")

    async def _receive(self, room: int) -> tuple[int, bytes, bytes]:
        """One frame of at most `room` bytes. Raises ChildGone or DocumentTooComplex."""
        try:
            kind, meta, raw = FRAME.unpack(await self._output.readexactly(FRAME.size))
            if meta + raw > room:
                size = f"{self.limits.output_bytes / MIB:.3g} MB"
                raise errors.DocumentTooComplex(
                    f"reading this document gives more than {size} of output, which is the limit here",
                    hint="split the document into smaller ones",
                )
            return kind, await self._output.readexactly(meta), await self._output.readexactly(raw)
        except (asyncio.IncompleteReadError, ConnectionError) as gone:
            raise ChildGone from gone

    async def _send(self, method: str, payload: bytes, params: dict[str, Any], *, stream: bool) -> None:
        request = {"method": method, "params": params, "stream": stream, "cpu_s": self.limits.cpu_s}
        meta = orjson.dumps(request)
        try:
            self._input.write(FRAME.pack(REQUEST, len(meta), len(payload)) + meta)
            self._input.write(payload)
            await self._input.drain()
        except (ConnectionError, RuntimeError) as gone:
            raise ChildGone from gone

    async def answers(
        self, method: str, payload: bytes, params: dict[str, Any], *, stream: bool
    ) -> AsyncGenerator[Any, None]:
        """Run one request. Raises the child's typed error, or DocumentTooComplex naming the limit."""
        self.calls += 1
        room = self.limits.output_bytes
        try:
            async with asyncio.timeout(self.limits.wall_s):
                await self._send(method, payload, params, stream=stream)
            while True:
                async with asyncio.timeout(self.limits.wall_s):
                    kind, meta, raw = await self._receive(room)
                room -= len(meta) + len(raw)
                if kind == JSON_ANSWER:
                    yield _loads(meta)
                elif kind == RAW_ANSWER:
                    yield raw
                elif kind == END:
                    self.resident = int(_loads(meta)["resident"])
                    return
                else:
                    raise _crossed(_loads(meta), self.limits)
        except TimeoutError as error:
            raise errors.DocumentTooComplex(
                f"reading this document took longer than {self.limits.wall_s:g} s, which is the limit here",
                hint="split the document, or print it to a new PDF and submit that",
            ) from error
        except ChildGone as gone:
            raise await self._obituary() from gone

    async def _obituary(self) -> errors.SourceError:
        """Why the child is gone, in words."""
        if self.killed:
            return errors.TransientFailure("reading this document was broken off: this worker is stopping")
        try:
            async with asyncio.timeout(1.0):
                code = await self.process.wait()
        except TimeoutError:
            code = 0
            self.kill()
        if code == -signal.SIGXCPU:
            why = f"needed more than {self.limits.cpu_s:g} s of processor time, which is the limit here"
        elif code == -signal.SIGKILL:
            why = "was stopped by the system, most likely for want of memory"
        elif code < 0:
            why = f"crashed its parser ({signal.Signals(-code).name}, within {_megabytes(self.limits)} of memory)"
        elif code > 0:
            why = f"ended its parser (exit code {code})"
        else:
            why = "made its parser answer nonsense"
        hint = "print the document to a new PDF and submit that"
        return errors.DocumentTooComplex(f"reading this document {why}", hint=hint)

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
        self._input.close()

    async def ended(self) -> None:
        """Wait until the process is reaped and its pipes are closed."""
        await self.process.wait()
        with contextlib.suppress(ConnectionError):
            await self._input.wait_closed()


def _loads(meta: bytes) -> Any:
    """A child that a document has taken over may say anything: what is no JSON counts as its death."""
    try:
        return orjson.loads(meta)
    except orjson.JSONDecodeError as error:
        raise ChildGone from error


def _megabytes(limits: Limits) -> str:
    return f"{limits.memory_bytes / MIB:.0f} MB"


def _crossed(said: dict[str, Any], limits: Limits) -> errors.SourceError:
    """The error that a child told of, as one of ours."""
    names: list[str] = said["classes"]
    for name in names:
        if name in CROSSING:
            return CROSSING[name](said["message"], hint=said["hint"])
    if "MemoryError" in names:
        return errors.DocumentTooComplex(
            f"reading this document needs more than {_megabytes(limits)} of memory, which is the limit here",
            hint="split the document into smaller ones",
        )
    if "RecursionError" in names:
        return errors.DocumentTooComplex("this document is nested too deeply to be read")
    return errors.PermanentFailure(f"reading this document failed: {names[0]}: {said['message']}")
