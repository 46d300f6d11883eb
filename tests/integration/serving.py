"""A service over a store, served by a real server inside the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
from opentelemetry.trace import TracerProvider

from blackboard import All, Document, Each, Page, Report, Source, Upload, knowledge_source
from blackboard.blobs import Blobs
from blackboard.callers import KeyRows
from blackboard.errors import UsageError
from blackboard.feed import Feed
from blackboard.ports import Store
from blackboard.quotas import BoardQuota
from blackboard.registry import Broken
from blackboard.store import RedisStore
from controller.access import ANYBODY, Admitted, Gate, Scope
from controller.accounts import Accounts
from controller.condition import Condition
from controller.desk import Desk
from controller.erasure import Eraser
from controller.http.server import Server
from controller.keyring import Keyring
from controller.load import Load, Standing
from controller.metrics import Metrics
from controller.remote.directory import Directory
from controller.settings import Settings
from controller.streams import Streams
from controller.values import InvalidValue
from controller.webhooks.records import Delivery, TooManyWebhooks, Webhook, WebhookGone
from controller.webhooks.registry import Told, Webhooks
from tests.listening import listening


@knowledge_source(version="3", required=True)
def intake(upload: Each[Upload]) -> Document:
    """Never run here: the tests contribute in its name."""
    raise NotImplementedError


@knowledge_source()
def pages(document: Each[Document]) -> list[Page]:
    """Never run here."""
    raise NotImplementedError


@knowledge_source()
def report(page: All[Page]) -> Report:
    """Never run here."""
    raise NotImplementedError


SOURCES = (intake, pages, report)


class NoRegistrations:
    """`blackboard.registrations` where nobody ever registered."""

    async def edition(self) -> int:
        """None was changed."""
        return 0

    async def all(self) -> tuple[int, dict[str, bytes]]:
        """None is there."""
        return 0, {}

    async def now(self) -> int:
        """Some time."""
        return 0


class OpenGate:
    """A gate that lets everybody do everything."""

    async def admit(self, authorization: Sequence[str], needs: Scope) -> Admitted:
        """See access.Gate."""
        return Admitted(ANYBODY)


class NoLoad:
    """Queues in which nothing waits."""

    async def look(self) -> Standing:
        """See load.Load."""
        return Standing()


class NoModels:
    """A condition without models."""

    configured = False

    async def look(self, *, tenant: str = "", probe: bool = False) -> dict[str, Any]:
        """Nothing to tell."""
        return {"configured": False}


class NoCalls:
    """Accounts where no model was ever asked."""

    async def day(self, day: str = "", *, tenant: str | None = None) -> dict[str, Any]:
        """Nothing."""
        return {}

    async def board(self, board: str, *, tenant: str, after: str = "", limit: int = 50) -> dict[str, Any]:
        """Nothing, so that no cursor leads anywhere."""
        if after:
            raise UsageError("the cursor is not one that this listing gave")
        return {"board": board, "items": [], "next_cursor": None}

    async def check(self, tenant: str, *, tokens: int = 0) -> None:
        """Nothing is used up."""

    def prices(self) -> list[dict[str, Any]]:
        """None is known."""
        return []

    async def resume(self, tenant: str) -> bool:
        """Nobody is paused."""
        return False


class NoKeys(KeyRows):
    """Where no key was ever made."""

    def __init__(self) -> None:
        """No server stands behind it."""

    async def asked(self) -> bool:
        """No."""
        return False

    async def get(self, id: str) -> dict[str, str]:
        """There is none."""
        return {}

    async def all(self, tenant: str = "*") -> dict[str, dict[str, str]]:
        """There is none."""
        return {}

    async def now(self) -> int:
        """Some time."""
        return 0


class NoWebhooks:
    """Webhooks of which there are none, and may be none."""

    async def create(self, tenant: str, url: str, **given: Any) -> Told:
        """Too many."""
        raise TooManyWebhooks("there may be 0 webhooks")

    async def all(self, tenant: str) -> list[Webhook]:
        """None."""
        return []

    async def get(self, tenant: str, id: str) -> Webhook:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def change(self, tenant: str, id: str, given: Any) -> Webhook:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def delete(self, tenant: str, id: str) -> None:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def rotate(self, tenant: str, id: str, **given: Any) -> Told:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def test(self, tenant: str, id: str) -> Delivery:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def deliveries(self, tenant: str, id: str, **given: Any) -> tuple[list[Delivery], str]:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def delivery(self, tenant: str, id: str, delivery: str) -> Delivery:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def redeliver(self, tenant: str, id: str, delivery: str) -> int:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def redeliver_failed(self, tenant: str, id: str, since: int) -> int:
        """Gone."""
        raise WebhookGone("there is no such webhook")

    async def check_callback(self, tenant: str, url: str) -> None:
        """There is no secret."""
        raise InvalidValue([("/callback", "there is no secret to sign it with")])


@dataclass
class Small:
    """What `create_app` asks for, without controller or workers."""

    store: Store
    blobs: Blobs
    settings: Settings
    sources: Sequence[Source] = SOURCES
    broken: Sequence[Broken] = (Broken("dates", "dates:dates", "ModuleNotFoundError: dates"),)
    accounts: Accounts = NoCalls()  # noqa: RUF009
    condition: Condition = NoModels()  # noqa: RUF009
    gate: Gate = OpenGate()  # noqa: RUF009
    keyring: Keyring = Keyring(NoKeys())  # noqa: RUF009
    load: Load = NoLoad()  # noqa: RUF009
    webhooks: Webhooks = NoWebhooks()  # type: ignore[assignment] # noqa: RUF009
    traces: TracerProvider | None = None
    controller: None = None
    worker: None = None
    metrics: Metrics = field(init=False)
    directory: Directory = field(init=False)
    desk: Desk = field(init=False)
    feed: Feed = field(init=False)
    eraser: Eraser = field(init=False)
    streams: Streams = field(init=False)

    def __post_init__(self) -> None:
        self.directory = Directory(self.sources, NoRegistrations(), keep_s=1)  # type: ignore[arg-type]
        counted = isinstance(self.store, RedisStore)
        quota = BoardQuota(self.store, self.settings.limit_boards_in_flight) if counted else None  # type: ignore[arg-type]
        self.desk = Desk(self.store, self.blobs, self.sources, self.settings, quota=quota)
        self.eraser = Eraser(self.store, (), retention_s=self.settings.retention_s)
        self.feed = Feed(self.store, ping_s=self.settings.ping_s)
        line = self.store.line(0) if isinstance(self.store, RedisStore) else None
        self.streams = Streams(line, self.settings.limit_streams)
        self.metrics = Metrics(self)

    async def scripts(self) -> Sequence[str]:
        """None is missing."""
        return ()

    async def why(self, board: str) -> list[dict[str, str]] | None:
        """One reason for each source."""
        return [{"source": source.name, "state": "waiting"} for source in self.sources]


@dataclass
class Served:
    """A service, its server, and a client of it."""

    service: Small
    server: Server
    client: httpx2.AsyncClient
    base: str

    async def submit(self, text: str = "Some text.", **options: Any) -> str:
        """A board's id."""
        answer = await self.client.post("/v1/documents", json={"text": text, **options})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


@asynccontextmanager
async def serving(store: Store, **settings: Any) -> AsyncIterator[Served]:
    """A running server on a free port; ends it in good order."""
    service = Small(store, store.blobs, Settings(_env_file=None, **settings))  # type: ignore[attr-defined,call-arg]
    try:
        async with listening(service) as (server, client, base):
            yield Served(service, server, client, base)
    finally:
        await service.feed.close()


@dataclass(frozen=True)
class Event:
    """One message of an event stream."""

    id: str
    event: str
    data: Any


def parse(text: bytes) -> list[Event]:
    """The whole messages of a stream; comments are left out."""
    found = []
    for block in text.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
        if b"data" in fields:
            data = orjson.loads(fields[b"data"])
            found.append(Event(fields.get(b"id", b"").decode(), fields[b"event"].decode(), data))
    return found


async def watch(client: httpx2.AsyncClient, board: str, last: str | None = None) -> tuple[int, list[Event]]:
    """A whole stream, to its end."""
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = await client.get(f"/v1/boards/{board}/events", headers=headers)
    return answer.status_code, parse(answer.content)
