"""What one process runs, all of it in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blackboard.blobs import Blobs
from blackboard.contract import Source
from blackboard.feed import Feed
from blackboard.registry import Broken
from blackboard.store import RedisStore
from controller.access import Gate
from controller.accounts import Accounts
from controller.condition import Condition
from controller.desk import Desk
from controller.erasure import Eraser
from controller.keyring import Keyring
from controller.load import Load
from controller.metrics import Metrics
from controller.queue import Queue
from controller.remote.directory import Directory
from controller.remote.work import Work
from controller.settings import Settings
from controller.staff import Staff
from controller.steps_loaded import Steps
from controller.streams import Streams
from controller.webhooks.registry import Webhooks
from knowledge_sources.llm.settings import ModelSettings

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from controller.loop import Controller
    from controller.worker import ActivationWorker


@dataclass(slots=True)
class Service:
    """Everything one process runs. `url`: the server it stands on."""

    settings: Settings
    url: str
    store: RedisStore
    blobs: Blobs
    directory: Directory
    unloaded: tuple[Broken, ...]
    """Plug-ins that could not be loaded."""
    desk: Desk
    feed: Feed
    queue: Queue
    work: Work
    accounts: Accounts
    asked: ModelSettings
    """What is set about models."""
    condition: Condition
    """Of the language models."""
    gate: Gate
    keyring: Keyring
    load: Load
    eraser: Eraser
    streams: Streams
    webhooks: Webhooks
    steps: Steps
    traces: TracerProvider | None = None
    """What spans are made by; None: nobody wants any."""
    controller: Controller | None = None
    worker: ActivationWorker | None = None
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What new boards may begin with."""
        return self.directory.active

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Plug-ins that could not be loaded, and registrations that do not fit those that were."""
        return (*self.unloaded, *self.directory.broken)

    async def scripts(self) -> Sequence[str]:
        """Load what the servers forgot; names of scripts that are missing still. Raises StorageError."""
        return await self.steps.load()

    async def why(self, board: str) -> list[Any] | None:
        """Why each source acted or did not; None for an unknown board."""
        from controller.why import why_board

        folded = await self.store.projection(board)
        if folded is None:
            return None
        for key, value in folded.values.items():
            folded.values[key] = await self.store.resolve(value)
        presence, leases = await self.store.presence(), await self.store.leases(board)
        versions = {source.name: source.version for source in self.sources}
        return why_board(
            folded, self.directory.known, presence.at, leases, Staff(presence, versions, self.settings.adopt_ms)
        )
