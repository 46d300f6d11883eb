"""What a worker and an engine in a sandbox say to each other: a request, its answers, and failures in plain words."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from blackboard import errors
from blackboard.sandbox.child import END, JSON_ANSWER, RAW_ANSWER, REQUEST
from blackboard.sandbox.crossing import crossed
from blackboard.sandbox.process import MIB, Child, ChildGone, Limits, Oversized, loads


async def answers(
    child: Child, method: str, payload: bytes, params: dict[str, Any], *, stream: bool
) -> AsyncGenerator[Any, None]:
    """Run one request. Raises the child's typed error, or DocumentTooComplex naming the limit."""
    child.calls += 1
    limits = child.limits
    room = limits.output_bytes
    request = {"method": method, "params": params, "stream": stream, "cpu_s": limits.cpu_s}
    try:
        async with asyncio.timeout(limits.wall_s):
            await child.send(REQUEST, orjson.dumps(request), payload)
        while True:
            async with asyncio.timeout(limits.wall_s):
                kind, meta, raw = await child.receive(room)
            room -= len(meta) + len(raw)
            if kind == JSON_ANSWER:
                yield loads(meta)
            elif kind == RAW_ANSWER:
                yield raw
            elif kind == END:
                child.resident = int(loads(meta)["resident"])
                return
            else:
                raise _crossed(loads(meta), limits)
    except TimeoutError as error:
        raise errors.DocumentTooComplex(
            f"reading this document took longer than {limits.wall_s:g} s, which is the limit here",
            hint="split the document, or print it to a new PDF and submit that",
        ) from error
    except Oversized as error:
        raise errors.DocumentTooComplex(
            f"reading this document gives more than {limits.output_bytes / MIB:.3g} MB of output, which is the limit here",
            hint="split the document into smaller ones",
        ) from error
    except ChildGone as gone:
        raise await _obituary(child) from gone


async def _obituary(child: Child) -> errors.SourceError:
    """Why the child is gone, in words."""
    code = await child.fate()
    if code is None:
        return errors.TransientFailure("reading this document was broken off: this worker is stopping")
    if code == -signal.SIGXCPU:
        why = f"needed more than {child.limits.cpu_s:g} s of processor time, which is the limit here"
    elif code == -signal.SIGKILL:
        why = "was stopped by the system, most likely for want of memory"
    elif code < 0:
        why = f"crashed its parser ({signal.Signals(-code).name}, within {_megabytes(child.limits)} of memory)"
    elif code > 0:
        why = f"ended its parser (exit code {code})"
    else:
        why = "made its parser answer nonsense"
    hint = "print the document to a new PDF and submit that"
    return errors.DocumentTooComplex(f"reading this document {why}", hint=hint)


def _megabytes(limits: Limits) -> str:
    return f"{limits.memory_bytes / MIB:.0f} MB"


def _crossed(said: dict[str, Any], limits: Limits) -> errors.SourceError:
    """The error that a child told of, as one of ours."""
    names: list[str] = said["classes"]
    ours = crossed(names, said["message"], said["hint"], said.get("after_s"))
    if ours is not None:
        return ours
    if "MemoryError" in names:
        return errors.DocumentTooComplex(
            f"reading this document needs more than {_megabytes(limits)} of memory, which is the limit here",
            hint="split the document into smaller ones",
        )
    if "RecursionError" in names:
        return errors.DocumentTooComplex("this document is nested too deeply to be read")
    return errors.PermanentFailure(f"reading this document failed: {names[0]}: {said['message']}")
