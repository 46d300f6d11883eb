"""One activation that runs elsewhere, for the length of one request: what it wrote so far is read off the board.

Between requests nothing is kept in this process: the names contributed so far travel with each partial commit in the
activation's record, so that any process may take the next request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from blackboard.entries import Activation, Header, Put, level_of, plain_name
from blackboard.errors import PermanentFailure, SourceError
from controller.fenced import Fenced, Lost, Moved

Came = Literal["running", "done", "failed", "pending", "stale", "lost"]


def said(activation: Activation) -> tuple[int, tuple[str, ...]]:
    """How many partial commits the present epoch made, and the keys it contributed by them."""
    found: Mapping[str, Any] = activation.data.get("said", {})
    if found.get("epoch") != activation.epoch:
        return 0, ()
    return int(found["n"]), tuple(found["keys"])


@dataclass(slots=True)
class RemoteRun(Fenced):
    """`n`: the number of the commit asked for; 0 for what the service ends itself."""

    n: int = 0
    _steps: int = field(default=0, init=False)

    @property
    def served(self) -> tuple[str, str]:
        """The source by its own name, and the version that its board has."""
        return plain_name(self._owner), str(self.data["version"])

    @property
    def prefix(self) -> str:
        """What stands before the keys of a shadow's contributions."""
        return self._prefix

    def read(self, headers: Mapping[str, str]) -> None:
        """Take up where earlier requests stopped. `headers`: the board's entries."""
        name, (_, keys) = self._owner, said(self.activation)
        parsed = {key: Header.parse(text) for key, text in headers.items()}
        self._named.update(keys)
        keys = tuple(map(self.placed, keys))
        for key in keys:
            header = parsed.get(key)
            landed = key if header is not None and header.owner == name else f"{key}~{name}"
            self._produced.add(landed)
            if "award" in self.data and level_of(key) == self.data["award"]["level"] and landed in parsed:
                self._confidences[key] = parsed[landed].confidence
        mine = (key for key, header in parsed.items() if header.live and header.activation == self.activation.id)
        self.claimed.wrote = tuple(sorted(mine))

    async def begin(self) -> bool:
        """Whether it may be handed out; else it has ended. Raises StorageError."""
        try:
            self._check_losses()
            self._check_inputs()
        except PermanentFailure as error:
            await self.fail(error)
            return False
        except Moved:
            await self.outdate()
            return False
        return True

    async def contribute(self, puts: Sequence[Put]) -> Came:
        """A partial commit. Raises StorageError."""
        self._named.update(put.key for put in puts)
        told = {"epoch": self.activation.epoch, "n": self.n, "keys": sorted(self._named)}
        try:
            await self._commit("contribution.committed", puts=list(puts), agenda=self._record("running", said=told))
        except Lost:
            return "lost"
        except Moved:
            return await self.outdate()
        return "running"

    async def finish(self, puts: Sequence[Put]) -> Came:
        """The last commit. Raises StorageError."""
        self._named.update(put.key for put in puts)
        self._buffer = list(puts)
        try:
            await self._finish("done")
        except Lost:
            return "lost"
        except Moved:
            self._buffer = []
            return await self.outdate()
        return "done"

    async def outdate(self) -> Came:
        """What it read, or wrote, is not what it was. Raises StorageError."""
        return "lost" if await self._stale() == "lost" else "stale"

    async def fail(self, error: SourceError, puts: Sequence[Put] = ()) -> Came:
        """Its failure, with what it contributed before. Raises StorageError."""
        self._buffer = list(puts)
        return "lost" if await self._fail(error) == "lost" else "failed"

    async def release(self) -> Came:
        """Back on the agenda, for another worker. Raises StorageError."""
        return "lost" if await self.give_back() == "lost" else "pending"

    def _commit_id(self) -> str:
        # What follows the first is the service's own: it must not meet the ids of the source's next requests.
        self._steps += 1
        step = f".{self._steps}" if self._steps > 1 or not self.n else ""
        return f"{self.activation.id}:{self.activation.epoch}:{self.n}{step}"
