"""The steps that servers must know: loaded beforehand, and again where a restart or a failover made a server forget them.

A step that must first be sent as text could be overtaken by what it started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from blackboard.coalesce import Coalescer
from blackboard.doors import Script
from blackboard.errors import OutcomeUnknown, StorageUnavailable


class Steps:
    """`at`: each server's line, with the steps it must know."""

    def __init__(self, *at: tuple[Coalescer, Sequence[Script]]) -> None:
        self._at = at

    async def load(self) -> Sequence[str]:
        """Load what is missing; the names of what is missing still. Raises StorageError."""
        found = await asyncio.gather(*(_load(line, scripts) for line, scripts in self._at))
        return [name for names in found for name in names]


async def _load(line: Coalescer, scripts: Sequence[Script]) -> list[str]:
    missing = await _missing(line, scripts)
    if not missing:
        return []
    await _asked(line, *(("SCRIPT", "LOAD", script.text) for script in missing))
    return [script.name for script in await _missing(line, missing)]


async def _missing(line: Coalescer, scripts: Sequence[Script]) -> list[Script]:
    if not scripts:
        return []
    (known,) = await _asked(line, ("SCRIPT", "EXISTS", *(script.sha for script in scripts)))
    return [script for script, is_known in zip(scripts, known, strict=True) if not is_known]


async def _asked(line: Coalescer, *commands: tuple[str, ...]) -> list[Any]:
    try:
        return await asyncio.gather(*map(line.issue, commands))
    except OutcomeUnknown as error:
        # Loading twice is loading once.
        raise StorageUnavailable(str(error)) from error
