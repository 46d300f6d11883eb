"""Whether a process can do its part, check by check. Which of them count depends on what the process is for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from blackboard.errors import BlackboardError
from blackboard.feed import Feed
from blackboard.ports import Store
from blackboard.presence import served
from controller.load import Load
from controller.remote.directory import Directory

PATIENCE_S = 2.0
NO_BLOB = "0" * 64


class BlobLooker(Protocol):
    """The part of the blob store that is checked."""

    async def has(self, sha256: str) -> bool:
        """Whether a blob is there."""


class Attending(Protocol):
    """The worker of a process."""

    name: str


class Checked(Protocol):
    """The process that is looked at."""

    @property
    def store(self) -> Store: ...
    @property
    def blobs(self) -> BlobLooker: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def load(self) -> Load: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def controller(self) -> object | None: ...
    @property
    def worker(self) -> Attending | None: ...
    async def scripts(self) -> Sequence[str]:
        """Names of scripts that the servers do not have and would not take."""


class Unready(BlackboardError):
    """A check failed. `more`: what an operator wants to know besides."""

    slug = "unready"

    def __init__(self, message: str, **more: Any) -> None:
        super().__init__(message)
        self.more = more


Check = Callable[[], Awaitable[Mapping[str, Any] | None]]


async def examine(process: Checked, *, serves: bool) -> tuple[bool, dict[str, dict[str, Any]]]:
    """Whether it is ready, and every check by name. `serves`: it takes documents over HTTP.

    Without a worker or a controller of its own a process can do its part all the same: those two are then advisory.
    """
    looks = _Looks(process)
    checks: dict[str, Check] = {
        "storage": looks.storage,
        "server": looks.server,
        "scripts": looks.scripts,
        "blobs": looks.blobs,
        "feed": looks.feed,
        "load": looks.load,
        "controller": looks.controller,
        "workers": looks.workers,
    }
    if process.worker is not None:
        checks["worker"] = looks.worker
    advisory = {
        "load": not serves,
        "controller": process.controller is None,
        # That others serve what this one does not is never its own condition; where it serves all, it is told as well.
        "workers": True,
    }
    found = dict(zip(checks, await asyncio.gather(*map(_looked, checks.values())), strict=True))
    for name in [name for name, only_said in advisory.items() if only_said]:
        found[name]["advisory"] = True
    return all(check["ok"] for name, check in found.items() if "advisory" not in check), found


class _Looks:
    def __init__(self, process: Checked) -> None:
        self._process = process

    async def storage(self) -> None:
        """The server answers."""
        await self._process.store.now()

    async def server(self) -> Mapping[str, Any] | None:
        """It keeps what it is told: no eviction, an append-only file, a version that is known to work."""
        doubts = await self._process.store.examine()
        return {"doubts": doubts} if doubts else None

    async def scripts(self) -> None:
        """It has every step; what a restart made it forget is loaded again."""
        if missing := await self._process.scripts():
            raise Unready("the server has not got some scripts", missing=list(missing))

    async def blobs(self) -> None:
        await self._process.blobs.has(NO_BLOB)

    async def feed(self) -> None:
        """The process is not about to stop."""
        if self._process.feed.finished:
            raise Unready("this process is stopping")

    async def load(self) -> Mapping[str, Any]:
        """Documents are not refused because too much waits."""
        standing = await self._process.load.look()
        told = {"waiting": standing.waiting, "limit": standing.limit}
        if standing.overloaded:
            raise Unready("too much waits for workers", **told)
        return told

    async def controller(self) -> None:
        """Somebody decides for the boards of every partition."""
        store = self._process.store
        held = await store.held([f"controller:{partition}" for partition in range(store.partitions)])
        if not all(held):
            unheld = [partition for partition, is_held in enumerate(held) if not is_held]
            raise Unready("no controller holds some partitions", unheld=unheld)

    async def worker(self) -> None:
        """The worker of this process is heard of: what it serves is brought to it."""
        presence = await self._process.store.presence()
        if self._process.worker is not None and self._process.worker.name not in presence.workers:
            raise Unready("this process's worker is not heard of")

    async def workers(self) -> None:
        """Every source is served."""
        presence = await self._process.store.presence()
        # Whoever asks: what one tenant registered is told to nobody else.
        words = ((source.name, source.version) for source in self._process.directory.active_of(""))
        if unserved := [served(*word) for word in words if not presence.serving(*word)]:
            raise Unready("no worker serves some sources", unserved=unserved)


async def _looked(check: Check) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(PATIENCE_S):
            shown: dict[str, Any] = {"ok": True, **(await check() or {})}
    except TimeoutError:
        shown = {"ok": False, "error": f"no answer within {PATIENCE_S:g} s"}
    except Unready as error:
        shown = {"ok": False, "error": str(error), **error.more}
    except BlackboardError as error:
        # The slug alone: messages may name addresses.
        shown = {"ok": False, "error": error.slug}
    return {**shown, "ms": round((loop.time() - began) * 1000, 2)}
