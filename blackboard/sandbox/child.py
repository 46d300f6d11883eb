"""The inside of a sandbox: a process that gives up what it does not need, then answers requests until its input ends.

Started by path (`python -I child.py PARENT_PID CHARTER`), so that it holds no code of the worker beyond the target's module.

Frames, both ways: `!BIQ` (kind, length of the JSON part, length of the raw part), then the two parts. Requests have kind
0; answers: 0 ready, 1 JSON, 2 raw bytes, 3 end of the call (JSON: resident bytes), 4 error (JSON: class, message, hint).
A guest's process speaks more kinds, see `guest`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

FRAME = struct.Struct("!BIQ")
READY = REQUEST = 0
JSON_ANSWER, RAW_ANSWER, END, ERROR = 1, 2, 3, 4
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CAPABILITY_VERSION_3, CAP_DAC_READ_SEARCH = 0x20080522, 1 << 2
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def end_with_parent(parent: int) -> None:
    """Ask Linux to end this process with its parent; elsewhere the end of stdin does it, at the next read."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    # The parent may have died before prctl was heard.
    if os.getppid() != parent:
        os._exit(0)


def leave_network() -> None:
    """Move to an empty network namespace, where that is permitted (root, or user namespaces); otherwise go on without."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def drop_capabilities() -> None:
    """Of root's powers keep only reading code that another user owns; the others open ways around the limits."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    current = (ctypes.c_uint32 * 6)()
    libc.capget(header, current)
    kept = [word & (CAP_DAC_READ_SEARCH if place < 2 else 0) for place, word in enumerate(current)]
    libc.capset(header, (ctypes.c_uint32 * 6)(*kept))


def limit(which: int, soft: int) -> None:
    """Lower one resource limit for good; a platform that lacks it, or a lower ceiling already set, is left alone."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(which)
        ceiling = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(which, (ceiling, ceiling))


def allow_cpu(seconds: float) -> None:
    """Let this process use `seconds` more of processor time: RLIMIT_CPU counts from the start of the process."""
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 1, hard))


def resident_bytes() -> int:
    """Memory that is resident now, or 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


class Door:
    """Reads requests and writes answers, on descriptors that no library can print to by accident."""

    def __init__(self) -> None:
        self.input: BinaryIO = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
        self.output: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)
        self._writing = threading.Lock()

    def read(self) -> tuple[int, dict[str, Any], bytes] | None:
        """The next frame, or None when the parent is gone."""
        header = self.input.read(FRAME.size)
        if len(header) < FRAME.size:
            return None
        kind, meta, raw = FRAME.unpack(header)
        return kind, json.loads(self.input.read(meta)), self.input.read(raw)

    def write(self, kind: int, meta: bytes = b"", raw: bytes | memoryview = b"") -> None:
        """Send one frame, from any thread."""
        with self._writing:
            self.output.write(FRAME.pack(kind, len(meta), len(raw)))
            self.output.write(meta)
            self.output.write(raw)
            self.output.flush()

    def answer(self, value: Any) -> None:
        """Send one answer: bytes as they are, everything else as JSON (dataclasses, numpy and pydantic models included)."""
        if isinstance(value, bytes | bytearray | memoryview):
            self.write(RAW_ANSWER, raw=memoryview(value).cast("B"))
            return
        import orjson

        self.write(JSON_ANSWER, orjson.dumps(value, default=plain, option=orjson.OPT_SERIALIZE_NUMPY))

    def error(self, error: BaseException, **more: Any) -> None:
        names = [words(cls.__name__) for cls in type(error).__mro__]
        said: dict[str, Any] = {
            "classes": names, "message": words(error), "hint": words(getattr(error, "hint", "")),
        }  # fmt: skip
        after_s = getattr(error, "after_s", None)
        if isinstance(after_s, int | float) and abs(after_s) < 1e9:  # neither NaN nor infinite: JSON holds neither
            said["after_s"] = after_s
        self.write(ERROR, json.dumps({**said, **more}).encode())


def words(value: object) -> str:
    """A message that fits on a board: at most 2,000 characters, without lone surrogates."""
    try:
        text = str(value)
    except BaseException as error:  # an author's own exception may fail at telling what it is
        text = f"(its message cannot be shown: that raised {type(error).__name__})"
    return text[:2000].encode("utf-8", "replace").decode()


def plain(value: Any) -> Any:
    """What orjson does not know, in its words."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot leave a sandbox")


def answers(function: Callable[..., Any], request: dict[str, Any], payload: bytes) -> Iterator[Any]:
    """Run one request; a stream's processor time is counted anew for each answer."""
    allow_cpu(request["cpu_s"])
    result = function(request["method"], payload, **request["params"])
    if not request["stream"]:
        yield result
        return
    for item in result:
        yield item
        allow_cpu(request["cpu_s"])


def serve(door: Door, function: Callable[..., Any]) -> None:
    """Answer requests one by one. A failure of one ends that request only: the parent decides about the process."""
    while (frame := door.read()) is not None:
        _, request, payload = frame
        try:
            for item in answers(function, request, payload):
                door.answer(item)
        except Exception as error:
            door.error(error)
        else:
            door.write(END, json.dumps({"resident": resident_bytes()}).encode())
        del frame, request, payload


def give_up(charter: dict[str, Any]) -> bool:
    """Enter the fences, from outside inwards. Whether files were taken away, too, which not every system can.

    Raises OSError where a guest could start processes without end.
    """
    from blackboard.sandbox import calls, files

    code = [entry for entry in sys.path if Path(entry).is_absolute()]
    if not charter["guest"]:
        fenced = files.keep_only_code(code)
    else:
        fenced = files.keep_only_code([*code, *charter["readable"]], system=files.GUEST_SYSTEM, room=charter["room"])
    for which, value in charter["rlimits"].items():
        limit(getattr(resource, which), value)
    if charter["guest"]:
        with contextlib.suppress(OSError):
            os.nice(5)
        if sys.platform.startswith("linux"):
            if not calls.forbid(network=charter["network"]):
                raise OSError("this system cannot keep a process from starting others (no seccomp)")
        else:
            # Elsewhere it counts no threads; on Linux it does, and root is free of it.
            limit(resource.RLIMIT_NPROC, 0)
    return fenced


def main(parent: str, words_of_parent: str) -> None:
    """Enter the sandbox and serve."""
    end_with_parent(int(parent))
    door = Door()
    charter = json.loads(words_of_parent)
    sys.path[:] = charter["path"]
    if not charter["network"]:
        leave_network()
    drop_capabilities()
    # Before the limits: it is our code, and its compiled form may be kept for the next process.
    module, _, name = charter["target"].partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
        fenced = give_up(charter)
    except BaseException as error:
        # A module may even exit while it is imported.
        door.error(error)
        os._exit(1)
    # A broken pipe means that the parent is gone or has given this process up.
    with contextlib.suppress(BrokenPipeError):
        if charter["guest"]:
            function(door, {**charter, "fenced": fenced})
        else:
            door.write(READY, json.dumps({"fenced": fenced}).encode())
            serve(door, function)
    # Without finalizers: engines with threads take seconds over them.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
