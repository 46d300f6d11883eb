"""How a third party's run ended, in words that say whether to try again and what to change."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from blackboard.contract import Source
from blackboard.errors import PermanentFailure, SourceError, TransientFailure
from blackboard.sandbox.crossing import crossed
from blackboard.sandbox.guest import EXIT_FULL
from blackboard.sandbox.process import MIB, Child

TRUST = "if you know the source and need more, raise the limit, or run it in the worker itself: BLACKBOARD_TRUSTED"


def too_many(entries: int) -> PermanentFailure:
    """More entries than one run may contribute."""
    return PermanentFailure(f"it contributed more than {entries:,} entries, the limit for one run", hint=TRUST)


def too_much(size: int) -> PermanentFailure:
    """More bytes than one run may contribute."""
    return PermanentFailure(f"it contributed more than {size / MIB:g} MB, the limit for one run", hint=TRUST)


def too_large(size: int) -> PermanentFailure:
    """A value larger than any may be."""
    return PermanentFailure(f"it contributed a value of more than {size / MIB:g} MB", hint="divide it")


def too_talkative(messages: int) -> PermanentFailure:
    """More messages than one run may send."""
    return PermanentFailure(f"it asked and told more than {messages:,} things", hint=TRUST)


def garbled(what: object) -> PermanentFailure:
    """What no guest says."""
    return PermanentFailure(
        f"it said what no source says to its worker: {what}",
        hint="print and log as you like, but leave the other descriptors alone",
    )


def raised(said: Mapping[str, Any], child: Child) -> SourceError:
    """The error that its process told of: one of ours as itself, a limit for good, any other as it was raised.

    `said` holds classes, message and hint, and of a deferral the seconds.
    """
    names = [str(name) for name in said["classes"]][:20]
    message = str(said.get("message", ""))
    ours = crossed(names, message, str(said.get("hint", "")), said.get("after_s"))
    if ours is not None:
        return ours
    if "MemoryError" in names:
        return _out_of_memory(child)
    if "SystemExit" in names:
        return TransientFailure(f"it called exit({message})")
    return TransientFailure(f"{names[0]}: {message}" if message else names[0])


async def obituary(source: Source, child: Child) -> SourceError:
    """Why its process is gone."""
    code = await child.fate()
    if child.overfull:
        size = child.limits.file_bytes / MIB
        return PermanentFailure(
            f"it wrote more than {size:g} MB, or too many files, to its temporary folder", hint=TRUST
        )
    if child.silent:
        return garbled("it closed the pipe, or wrote to it")
    if code is None:
        return TransientFailure("it was broken off: this worker is stopping")
    if code == EXIT_FULL:
        return _out_of_memory(child)
    if code == -signal.SIGXCPU:
        return PermanentFailure(f"it used more than {source.timeout:g} s of processor time, its timeout", hint=TRUST)
    if code == -signal.SIGKILL:
        return TransientFailure("its process was killed (SIGKILL), by itself or by the system for want of memory")
    if code < 0:
        return TransientFailure(f"its process crashed ({signal.Signals(-code).name})")
    return TransientFailure(f"its process ended by itself (exit code {code})")


def _out_of_memory(child: Child) -> PermanentFailure:
    size = child.limits.memory_bytes / MIB
    return PermanentFailure(
        f"it needs more than {size:,.0f} MB of memory, the limit for third parties' sources", hint=TRUST
    )
