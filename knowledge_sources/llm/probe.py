"""What a server can do, found out with a few tiny questions when a process starts, and kept for the fleet for a day.

Servers that speak the same protocol leave parts of it out, some with an error and some in silence; so an answer must show
that the part was understood. The vendor's own server is not asked. Finding out never fails: where the server is away it is
taken to do everything, and that is not kept.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any, Final, Protocol

import orjson
import structlog

from blackboard import keys
from blackboard.coalesce import Coalescer
from blackboard.doors import RELEASE
from blackboard.errors import StorageError
from knowledge_sources.llm.calls import Request
from knowledge_sources.llm.degrade import degrade
from knowledge_sources.llm.ports import Capabilities, Transport
from knowledge_sources.llm.settings import ANTHROPIC
from knowledge_sources.llm.trials import TRIALS, Cannot, Unsure, attempt, plainly

log = structlog.get_logger(__name__)

KEPT_S: Final = 86_400
AWAY_S: Final = 30
"""How long a server that could not be asked is not asked again, by anybody."""
LEASE_S: Final = 300
"""The longest that finding out takes; after it another process may try."""
WAIT_S: Final = 30.0
"""How long one process waits for another that is finding out."""
LOOKED_S: Final = 600.0
"""How long a process goes by what it read."""


class Probed(Transport, Protocol):
    """A transport that tells whether its server told of a prompt cache."""

    @property
    def tells_of_cache(self) -> bool:
        """In any answer so far."""


class Prober:
    """Of one server. `line`: to what the fleet shares; None: this process alone. No method raises but CancelledError.

    `adapt` fits `Attempts`, `known` and `found` fit `condition.Parts`.
    """

    def __init__(self, transport: Probed, line: Coalescer | None, *, deadline_s: float = 60.0) -> None:
        self._transport = transport
        self._line = line
        self._deadline_s = deadline_s
        self._read: dict[str, tuple[float, Capabilities]] = {}
        self._asking: dict[str, asyncio.Task[Capabilities]] = {}

    def start(self, models: Iterable[str]) -> None:
        """Find out in the background; questions asked meanwhile wait for it."""
        for model in models:
            self._task(model)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def adapt(self, request: Request) -> Request:
        """The question as this server takes it, as far as is known; makes no call. Raises what `degrade` does."""
        if (task := self._asking.get(request.model)) is not None:
            with suppress(TimeoutError):
                return degrade(request, await asyncio.wait_for(asyncio.shield(task), WAIT_S))
        return degrade(request, await self.known(request.model) or Capabilities())

    async def known(self, model: str) -> Capabilities | None:
        """What was found out before, by anybody; None where nothing is known."""
        if self._transport.base_url == ANTHROPIC:
            return Capabilities()
        until, found = self._read.get(model, (0.0, None))
        if found is not None and until > time.monotonic():
            return found
        found = _unpacked(await self._say(("GET", self._key(model))))
        if found is not None:
            self._read[model] = (time.monotonic() + LOOKED_S, found)
        return found

    async def found(self, model: str) -> Capabilities:
        """The same, found out if need be."""
        return await asyncio.shield(self._task(model))

    def _task(self, model: str) -> asyncio.Task[Capabilities]:
        task = self._asking.get(model)
        if task is None:
            task = self._asking[model] = asyncio.create_task(self._find(model), name=f"probe {model}")
            task.add_done_callback(lambda _: self._asking.pop(model, None))
        return task

    async def _find(self, model: str) -> Capabilities:
        if (found := await self.known(model)) is not None:
            return found
        key, token = f"{self._key(model)}:asking", secrets.token_hex(8)
        until = time.monotonic() + WAIT_S
        while await self._say(("SET", key, token, "NX", "EX", LEASE_S), alone=b"OK") is None:
            if (found := await self.known(model)) is not None:
                return found
            if time.monotonic() > until:
                return Capabilities(notes=("another process is still finding out",))
            await asyncio.sleep(0.1)
        try:
            # Who had the leave before us may have been through just now.
            if (found := await self.known(model)) is not None:
                return found
            return await self._ask(model)
        finally:
            await asyncio.shield(self._give_back(key, token))

    async def _ask(self, model: str) -> Capabilities:
        if await self._say(("EXISTS", f"{self._key(model)}:away"), alone=0):
            return Capabilities(notes=("the server was away when it was asked what it can do",))
        try:
            async with asyncio.timeout(LEASE_S - 10):
                found = await self._tried(model)
        except (Unsure, TimeoutError) as error:
            log.warning("model.unprobed", server=self._transport.base_url, model=model, reason=str(error))
            await self._say(("SET", f"{self._key(model)}:away", "1", "EX", AWAY_S))
            return Capabilities(notes=(f"not found out: {error}",))
        self._read[model] = (time.monotonic() + LOOKED_S, found)
        await self._say(("SET", self._key(model), orjson.dumps(asdict(found)), "EX", KEPT_S))
        log.info("model.probed", server=self._transport.base_url, model=model, missing=list(found.notes))
        return found

    async def _tried(self, model: str) -> Capabilities:
        """Raises Unsure where the server cannot be asked."""
        await plainly(self._transport, model, self._deadline_s)
        found = Capabilities()
        notes: list[str] = []
        for trial in TRIALS:
            try:
                await attempt(self._transport, trial, model, self._deadline_s)
            except Cannot as reason:
                found = trial.without(found)
                notes.append(f"{trial.what}: {reason}")
        if not self._transport.tells_of_cache:
            found = replace(found, caching=False)
            notes.append("the prompt cache: no answer tells of it")
        return replace(found, notes=tuple(notes))

    async def _give_back(self, key: str, token: str) -> None:
        if self._line is not None:
            with suppress(StorageError):
                await self._line.run(RELEASE.of(key, token))

    async def _say(self, command: tuple[Any, ...], alone: Any = None) -> Any:
        """A command's reply; `alone` where there is nobody to ask."""
        if self._line is None:
            return alone
        try:
            return await self._line.issue(command)
        except StorageError:
            return alone

    def _key(self, model: str) -> str:
        return _key_of(self._transport.base_url, model)


async def last_found(line: Coalescer, base_url: str, model: str) -> Capabilities | None:
    """What a server was found to do, by anybody; None where nothing is known. No call is made. Raises StorageError."""
    if base_url == ANTHROPIC:
        return Capabilities()
    return _unpacked(await line.issue(("GET", _key_of(base_url, model))))


def _key_of(base_url: str, model: str) -> str:
    return keys.llm("probe", sha256(f"{base_url}\0{model}".encode()).hexdigest()[:32])


def _unpacked(data: bytes | None) -> Capabilities | None:
    if data is None:
        return None
    try:
        said = orjson.loads(data)
        return Capabilities(**{**said, "notes": tuple(said["notes"])})
    except (ValueError, TypeError, LookupError):
        return None  # another version's
