"""Functions that the tests run inside sandboxes: well-behaved ones, and each way to misbehave."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blackboard.errors import DocumentUnreadable, DocumentUnsafe

HOARD: list[bytes] = []
"""Memory that a child keeps between calls, on purpose."""


def serve(method: str, payload: bytes, **params: Any) -> Any:
    """Run the function named `method` of this module."""
    return globals()[method](payload, **params)


def echo(payload: bytes, **params: Any) -> Any:
    return {"size": len(payload), "pid": os.getpid(), **params}


def reverse(payload: bytes) -> bytes:
    return payload[::-1]


def chatter(payload: bytes) -> str:
    sys.stdout.write("noise on standard output")
    sys.stdout.flush()
    os.write(1, b"more noise")
    return "quiet"


def surroundings(payload: bytes) -> dict[str, Any]:
    return {"environment": dict(os.environ), "session": os.getsid(0), "pid": os.getpid(), "cwd": str(Path.cwd())}


def count(payload: bytes, upto: int, size: int = 0) -> Iterator[Any]:
    for number in range(upto):
        yield {"number": number, "padding": "x" * size}


def count_then(payload: bytes, upto: int, then: str) -> Iterator[Any]:
    yield from range(upto)
    serve(then, payload)


def refuse(payload: bytes, kind: str = "unreadable") -> None:
    raise (DocumentUnsafe if kind == "unsafe" else DocumentUnreadable)("no \udcff thanks", hint="try another")


def fail(payload: bytes) -> None:
    raise ValueError("a bug")


def spin(payload: bytes) -> None:
    while True:
        pass


def burn(payload: bytes, seconds: float) -> int:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return os.getpid()


def sleep(payload: bytes) -> None:
    time.sleep(3600)


def hoard(payload: bytes, size: int, keep: bool = False) -> int:
    block = b"x" * size
    if keep:
        HOARD.append(block)
    return os.getpid()


def crash(payload: bytes, **params: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(payload: bytes) -> None:
    os._exit(3)


def nest(payload: bytes) -> None:
    sys.setrecursionlimit(200)
    nest(payload)


def flood(payload: bytes, size: int) -> bytes:
    return b"x" * size


def forge(payload: bytes) -> None:
    """Write a frame that is no frame, on every descriptor."""
    for descriptor in range(3, 12):
        try:
            os.write(descriptor, b"\x01" + (7).to_bytes(4, "big") + (0).to_bytes(8, "big") + b"{{{{{{{")
        except OSError:
            continue
    time.sleep(3600)


def write_file(payload: bytes, path: str) -> str:
    try:
        Path(path).write_bytes(b"x" * 10)
    except OSError as error:
        return type(error).__name__
    return "written"


def read_file(payload: bytes, path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        return type(error).__name__


def connect(payload: bytes, port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"
