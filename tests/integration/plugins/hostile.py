"""A third party's sources: a healthy one, and one that misbehaves in the way that the document's file name says."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import structlog

import blackboard
from blackboard import Blobs, Each, Level, Lookup, Progress, SourceSettings, Spending, Upload, knowledge_source

HELD: list[Any] = []


class Finding(Level):
    """What was found."""

    named_by = ("n",)
    n: int
    text: str = ""
    score: float = 0.0


class Hidden(Level):
    """A level that nobody declares."""

    text: str = ""


class Calm(Level):
    """What a quiet source says."""

    text: str


class Unprintable(Exception):
    """It fails even at failing."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Odd(SourceSettings):
    """Settings of the healthy source."""

    factor: int = 1


@knowledge_source(timeout=10)
def calm(upload: Each[Upload]) -> Calm:
    """A plain function that does no harm."""
    return Calm(text=upload.filename or "")


@knowledge_source(timeout=20, attempts=1)
async def healthy(
    upload: Each[Upload],
    calm: Lookup[Calm],
    blobs: Blobs,
    progress: Progress,
    log: logging.Logger,
    events: structlog.stdlib.BoundLogger,
    spending: Spending,
    settings: Odd,
) -> AsyncIterator[Finding]:
    """Uses all that a source is handed."""
    assert upload.entry is not None
    data = await blobs.get(upload.sha256)
    yield Finding(n=1, text=f"{data.decode()} in {upload.entry.key}@{upload.entry.version}", score=0.5)
    while (seen := await calm.get("original-1")) is None:
        progress(1, 2, "waiting for calm")
        await asyncio.sleep(0.01)
    log.info("calm said %s", seen.text)
    events.warning("heard", text=seen.text)
    spending(usd=0.25, tokens=7)
    texts = [each.text async for each in calm.all()]
    yield Finding(n=2 * settings.factor, text=f"calm said {texts}")


@knowledge_source(timeout=12, idle_timeout=6, attempts=1)
async def hostile(upload: Each[Upload]) -> AsyncIterator[Finding]:
    """Does what the file name says."""
    async for found in globals()[f"{upload.filename}_"]():
        yield found


@knowledge_source(timeout=1, attempts=1)
def hostile_plain(upload: Each[Upload]) -> Iterator[Finding]:
    """The same as a plain function, with little time."""
    yield Finding(n=1)
    globals()[f"{upload.filename}_"]()


@knowledge_source(timeout=12, attempts=1)
async def curious(upload: Each[Upload], blobs: Blobs, calm: Lookup[Calm]) -> Finding:
    """Asks for what is not there."""
    what, _, name = (upload.filename or "").partition("-")
    found = await (blobs.get(f"../{name}") if what == "blob" else calm.get(f"../{name}"))
    return Finding(n=1, text=str(found))


@knowledge_source(timeout=10, attempts=3)
def mortal(upload: Each[Upload]) -> Finding:
    """Its process dies each time."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Finding(n=1)


async def behave_() -> AsyncIterator[Finding]:
    yield Finding(n=os.getpid())


async def fail_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    raise ValueError("no good")


async def unprintable_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    raise Unprintable


async def hang_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    await asyncio.sleep(3600)


async def spin_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    while True:
        pass


def sleep_() -> None:
    time.sleep(3600)


async def wrong_() -> AsyncIterator[Any]:
    yield 42


async def undeclared_() -> AsyncIterator[Any]:
    yield Hidden()


async def twice_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    yield Finding(n=1)


async def flood_() -> AsyncIterator[Finding]:
    for n in range(100_000):
        yield Finding(n=n, text="water")


async def hoard_() -> AsyncIterator[Finding]:
    HELD.append(bytearray(10 << 30))
    yield Finding(n=1)


async def pile_() -> AsyncIterator[Finding]:
    while True:
        HELD.append(bytearray(10 << 20))
    yield Finding(n=1)


async def fork_() -> AsyncIterator[Finding]:
    while True:
        os.fork()
    yield Finding(n=1)


async def spawn_() -> AsyncIterator[Finding]:
    subprocess.run(["sleep", "3600"], check=False)
    yield Finding(n=1)


async def exit_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    sys.exit(3)


async def vanish_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    os._exit(3)


async def die_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    os.kill(os.getpid(), signal.SIGKILL)


async def crash_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    ctypes.string_at(1)


async def close_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    os.closerange(0, 64)
    time.sleep(3600)


async def garble_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    for descriptor in range(3, 64):
        try:
            os.set_blocking(descriptor, False)
            os.write(descriptor, b"\xff" * 4096)
        except OSError:
            continue
    time.sleep(3600)


async def chatter_() -> AsyncIterator[Finding]:
    for _ in range(200):
        sys.stdout.write("noise " * 10_000)
        os.write(1, b"noise " * 10_000)
    yield Finding(n=1)


async def nan_() -> AsyncIterator[Finding]:
    yield Finding(n=1, score=float("nan"))


async def huge_() -> AsyncIterator[Finding]:
    yield Finding(n=10**30)


async def long_() -> AsyncIterator[Finding]:
    yield Finding(n=1, text="x" * (9 << 20))


async def heavy_() -> AsyncIterator[Finding]:
    for n in range(100):
        yield Finding(n=n, text="x" * (1 << 20))


async def recurse_() -> AsyncIterator[Finding]:
    def again(n: int) -> int:
        return again(n + 1) + 1

    yield Finding(n=again(0))


async def patch_() -> AsyncIterator[Finding]:
    """Contribute in the name of others, whatever the contract's own code thinks of it."""
    from blackboard.contributions import Namer
    from blackboard.entries import Put

    Namer.put = lambda self, item: Put("report/report", b"{}")  # type: ignore[method-assign]
    blackboard.Level.level = "report"
    yield Finding(n=1)


async def forge_() -> AsyncIterator[Finding]:
    """A value that the level's model would not allow."""
    from blackboard.contributions import Namer
    from blackboard.entries import Put

    Namer.put = lambda self, item: Put("finding/0001", b'{"n":"one"}')  # type: ignore[method-assign]
    yield Finding(n=1)


async def look_() -> AsyncIterator[Finding]:
    """All it can see of its surroundings."""
    seen: dict[str, Any] = {"environment": dict(os.environ)}
    theirs = f"/proc/{os.getppid()}"
    for place in (f"{theirs}/environ", f"{theirs}/cmdline", "/proc/1/cmdline", "/etc/shadow"):
        try:
            found = Path(place)
            seen[str(place)] = found.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            seen[str(place)] = type(error).__name__
    yield Finding(n=1, text=json.dumps(seen))


def attempt(what: Any, *given: Any) -> str:
    try:
        what(*given)
    except OSError as error:
        return type(error).__name__
    return "done"


async def reach_() -> AsyncIterator[Finding]:
    """Everything beyond its own memory."""
    outside = Path(__file__)
    libc = ctypes.CDLL(None)
    tried = {
        "kill": attempt(os.kill, os.getppid(), signal.SIGKILL),
        "kill all": attempt(os.kill, -1, signal.SIGKILL),
        "write": attempt(outside.with_name("written").write_text, "x"),
        "chmod": attempt(outside.chmod, 0o600),
        "truncate": attempt(os.truncate, outside, 0),
        "remove": attempt(outside.unlink),
        "connect": attempt(socket.create_connection, ("127.0.0.1", 22), 1),
        "unix": attempt(socket.socket, socket.AF_UNIX),
        "outlive": "done" if libc.prctl(1, 0, 0, 0, 0) == 0 else "PermissionError",
        "own file": attempt(Path(os.environ["TMPDIR"], "mine").write_text, "x"),
        "thread": attempt(threading.Thread(target=print).start),
    }
    yield Finding(n=1, text=json.dumps(tried))


async def litter_() -> AsyncIterator[Finding]:
    yield Finding(n=1)
    for n in range(1000):
        Path(f"{n}.bin").write_bytes(b"x" * (1 << 20))
        await asyncio.sleep(0.001)


async def linger_() -> AsyncIterator[Finding]:
    """Goes on behind its end."""

    async def later() -> None:
        await asyncio.sleep(3600)

    HELD.append(asyncio.create_task(later()))
    yield Finding(n=os.getpid())


async def cling_() -> AsyncIterator[Finding]:
    """Tries to outlive its worker."""
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield Finding(n=os.getpid())
    await asyncio.sleep(3600)


async def cling_busily_() -> AsyncIterator[Finding]:
    """The same, without listening."""
    async for found in cling_():
        yield found
        while True:
            pass
