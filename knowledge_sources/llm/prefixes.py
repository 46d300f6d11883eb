"""One question goes ahead of all others about a document, so that they find its prefix in the server's prompt cache.

A server has a prefix in its cache once the first answer that was asked with it has begun. Twenty questions sent at once would
all pay for writing it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from time import monotonic
from typing import Any

from blackboard import keys
from blackboard.coalesce import Coalescer
from blackboard.errors import StorageError
from knowledge_sources.llm.calls import Request
from knowledge_sources.llm.prompting import prefix_of

LEAST_BYTES = 4096
"""Servers keep no prefix below 1,024 tokens or so."""
LIVES_S = 280
"""The server's cache lives five minutes after the last use."""
PATIENCE_S = 20.0
"""How long others wait for the first; after that they go without."""
POLL_S = 0.1
REMEMBERED = 256


class Prefixes:
    """`line` carries commands to the server that the fleet shares; None: this process alone."""

    def __init__(self, line: Coalescer | None) -> None:
        self._line = line
        self._leading: dict[str, asyncio.Event] = {}
        self._warm: OrderedDict[str, float] = OrderedDict()

    @asynccontextmanager
    async def turn(self, request: Request, base_url: str) -> AsyncIterator[None]:
        """Inside, ask. The first for a prefix asks at once; the others wait until it is through, well or not."""
        if request.shared_bytes < LEAST_BYTES:
            yield
            return
        prefix = prefix_of(request)
        assert prefix is not None
        name = sha256("\0".join((base_url, request.model, prefix[0])).encode()).hexdigest()
        while (ahead := self._leading.get(name)) is not None:
            await ahead.wait()
        if self._warm.get(name, 0.0) > monotonic():
            self._keep(name)
            yield
            return
        done = self._leading[name] = asyncio.Event()
        leads = True
        try:
            leads = await self._lead(name)
            if not leads:
                self._go(name, done)
            yield
        finally:
            if leads:
                await self._say(("SET", keys.llm("flight", f"prefix:{name}"), "done", "EX", LIVES_S))
                self._go(name, done)

    def _go(self, name: str, done: asyncio.Event) -> None:
        self._keep(name)
        self._leading.pop(name, None)
        done.set()

    def _keep(self, name: str) -> None:
        self._warm.pop(name, None)
        self._warm[name] = monotonic() + LIVES_S
        while len(self._warm) > REMEMBERED:
            self._warm.popitem(last=False)

    async def _lead(self, name: str) -> bool:
        """Whether nobody has asked with this prefix lately. Waits for whoever is asking now."""
        key = keys.llm("flight", f"prefix:{name}")
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            if await self._say(("SET", key, "asking", "NX", "PX", int(PATIENCE_S * 1000))) is not None:
                return True
            if await self._say(("GET", key)) == b"done" or loop.time() >= until:
                return False
            await asyncio.sleep(POLL_S)

    async def _say(self, command: tuple[Any, ...]) -> Any:
        if self._line is None:
            return b"OK"
        try:
            return await self._line.issue(command)
        except StorageError:
            return b"OK"  # each process for itself, then
