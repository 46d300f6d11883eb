"""The server: what it was sent, what it will do next, and its way onto a port."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI

from tests.models.app import make_app
from tests.models.brain import Brain, answered
from tests.models.caching import PromptCache
from tests.models.faults import Fault, named
from tests.models.quota import Levels, Quota
from tests.models.record import Call
from tests.models.sending import Protocol


@dataclass(frozen=True)
class Settings:
    """How the server differs from the real one.

    `lacks`, `ignores`: of `schema`, `counting`, `documents`, `pictures`, `caching`, `streaming`, `rate-headers`,
    `request-id`: what it refuses to do, and what it takes no notice of, as other makes of server do.
    """

    lacks: frozenset[str] = frozenset()
    ignores: frozenset[str] = frozenset()
    keys: tuple[str, ...] = ()
    """Keys it takes; none: any, or none at all."""
    reads: frozenset[str] = frozenset({"authorization", "x-api-key"})
    """Headers in which it looks for a key."""
    models: tuple[str, ...] = ()
    """Models it has; none: whatever is asked for."""
    window_tokens: int = 200_000
    quota: Quota = field(default_factory=Quota)
    latency_s: float = 0.0
    cache_floor: int = 0
    """Tokens; a shorter prefix is silently not cached."""
    schema_counts: bool = False
    """Whether another schema finds nothing in the prompt cache."""
    skew_s: float = 0.0
    """How far its clock is ahead."""


class ModelServer:
    """What tests look at and steer; `url` is set once it listens."""

    def __init__(
        self, settings: Settings | None = None, answer: Brain = answered, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings or Settings()
        self.answer = answer
        """May be replaced at any time; its exceptions are answered with 500."""
        self.clock = lambda: clock() + self.settings.skew_s
        self.url = ""
        self.calls: list[Call] = []
        """Of `/v1/messages`, in the order they came."""
        self.counts: list[Call] = []
        """Of `/v1/messages/count_tokens`."""
        self.others: list[Call] = []
        """Of any other path: nobody should ask."""
        self.cache = PromptCache(clock, floor=self.settings.cache_floor, schema_counts=self.settings.schema_counts)
        self.closing = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        self._clock = clock
        self._levels: dict[str, Levels] = {}
        self._queue: deque[Fault | None] = deque()
        self._count_queue: deque[Fault | None] = deque()
        self._always: Fault | None = None
        self._choose: Callable[[Call], str | Fault | None] | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._uvicorn: uvicorn.Server | None = None

    def script(self, *faults: str | Fault | None) -> None:
        """What the next calls meet, one each; None is an answer that works."""
        self._queue.extend(named(fault) for fault in faults)

    def script_counts(self, *faults: str | Fault | None) -> None:
        """The same for counts of tokens."""
        self._count_queue.extend(named(fault) for fault in faults)

    def always(self, fault: str | Fault | None) -> None:
        """What calls meet once the script is through: an outage, until None ends it."""
        self._always = named(fault)

    def choose(self, chooser: Callable[[Call], str | Fault | None] | None) -> None:
        """Decide call by call, once the script is through."""
        self._choose = chooser

    def hold(self) -> None:
        """Answer nothing until `release`; calls are recorded all the same."""
        self._open.clear()

    def release(self) -> None:
        """Answer again."""
        self._open.set()

    def forget(self) -> None:
        """As on the first day: no calls, no script, nothing cached, levels full."""
        for one in (self.calls, self.counts, self.others, self._queue, self._count_queue, self._levels):
            one.clear()
        self.cache.clear()
        self._always = self._choose = None
        self.most_under_way = self.under_way
        self.release()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return 0 if self._uvicorn is None else len(self._uvicorn.server_state.connections)

    def fault_for(self, call: Call, *, counting: bool = False) -> Fault | None:
        """What this call meets; takes it out of the script."""
        queue = self._count_queue if counting else self._queue
        if queue:
            return queue.popleft()
        if counting:
            return None
        return named(self._choose(call)) if self._choose is not None else self._always

    def levels(self, account: str) -> Levels:
        """What is left of an account's quota."""
        if account not in self._levels:
            self._levels[account] = Levels(self.settings.quota, self.clock)
        return self._levels[account]

    async def turn(self) -> None:
        """Wait for the gate and as long as an answer takes."""
        await self._open.wait()
        if self.settings.latency_s:
            await asyncio.sleep(self.settings.latency_s)

    async def run(self, port: int = 0, ready: asyncio.Event | None = None, *, extra: FastAPI | None = None) -> None:
        """Listen on loopback until `stop`. `extra`: routes besides, which come first."""
        config = uvicorn.Config(
            make_app(self, extra), host="127.0.0.1", port=port, http=Protocol, lifespan="off", ws="none", log_config=None,
            access_log=False, server_header=False, date_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._uvicorn = server = _Uvicorn(config)
        serving = asyncio.create_task(server.serve())
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        if server.listening.is_set():
            self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
            if ready is not None:
                ready.set()
        listening.cancel()
        await serving

    def stop(self) -> None:
        """End, and whatever hangs with it."""
        self.closing.set()
        self.release()
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
            self._uvicorn.stopping.set()


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.listening.set()

    async def main_loop(self) -> None:
        # The parent's looks ten times a second whether it should stop, which is most of what a short test takes.
        await self.stopping.wait()

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        # The parent's is kind to clients, and takes a tenth of a second or more for it.
        for listener in self.servers:
            listener.close()
        while self.server_state.connections or self.server_state.tasks:
            for connection in list(self.server_state.connections):
                connection.transport.abort()  # type: ignore[union-attr]
            await asyncio.sleep(0.001)
        for listener in self.servers:
            await listener.wait_closed()


@asynccontextmanager
async def serving(
    settings: Settings | None = None,
    answer: Brain = answered,
    *,
    clock: Callable[[], float] = time.time,
    port: int = 0,
) -> AsyncIterator[ModelServer]:
    """A server in the running event loop. `clock`: of the prompt cache and the quota, seconds since 1970."""
    server, ready = ModelServer(settings, answer, clock), asyncio.Event()
    running = asyncio.create_task(server.run(port, ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        assert ready.is_set(), "the server did not start"
        yield server
    finally:
        waiting.cancel()
        server.stop()
        await running
