"""The adapters, chosen by the settings and put together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from blackboard.blobs import Blobs
from blackboard.callers import KeyRows
from blackboard.coalesce import Coalescer
from blackboard.connect import check_server, client_of, connect
from blackboard.contract import Source
from blackboard.doors import SCRIPTS
from blackboard.elsewhere import Elsewhere
from blackboard.embedded import Embedded
from blackboard.errors import UsageError
from blackboard.feed import Feed
from blackboard.pipe import Pipe
from blackboard.quotas import BoardQuota
from blackboard.registrations import Registrations
from blackboard.registry import find_sources
from blackboard.store import RedisStore
from controller.condition import Condition
from controller.desk import Desk
from controller.erasure import Eraser, WakeUpTraces
from controller.key_gate import KeyGate
from controller.keyring import Keyring
from controller.load import Load
from controller.queue import DEPTHS, ENQUEUE, POP, Queue
from controller.queue_load import QueueLoads
from controller.remote.directory import Directory
from controller.remote.wakeups import WakeUps
from controller.remote.work import Work
from controller.settings import Settings
from controller.steps_loaded import Steps
from controller.streams import COUNT, Streams
from controller.webhooks.storage import SCRIPTS as HOOK_SCRIPTS
from knowledge_sources.llm.accounts import Books
from knowledge_sources.llm.answers import KeptAnswers
from knowledge_sources.llm.condition import ModelCondition
from knowledge_sources.llm.flight import Flights
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.looking import parts_of
from knowledge_sources.llm.settings import ModelSettings, read_settings

if TYPE_CHECKING:
    pass

from controller.bootstrap.running import follow
from controller.bootstrap.service import Service
from controller.bootstrap.webhooks import open_webhooks


async def assemble(settings: Settings, stack: AsyncExitStack, given: Sequence[Source] | None) -> Service:
    """A process that plays no role yet. `given`: sources instead of the ones installed."""
    url = settings.redis_url
    if not url:
        url = (await stack.enter_async_context(Embedded(settings.data_dir / "server"))).url
    blobs = Blobs.at(settings.blobs)
    await blobs.tidy()
    commands, blocking = await connect(url, cluster=settings.cluster)
    store = RedisStore(
        commands, blocking=blocking, blobs=blobs, partitions=settings.partitions, cluster=settings.cluster,
        replicas=settings.durable_replicas, confirm_ms=int(settings.durable_wait_s * 1000),
    )  # fmt: skip
    stack.push_async_callback(store.close)
    await check_server(blocking)
    found, broken = (
        find_sources(plugins=settings.plugins, trusted=settings.trusted) if given is None else (tuple(given), ())
    )
    line = await _queue_line(settings, store, stack)
    # On Cluster redis-py knows no EVALSHA: the boards' steps travel as text there.
    own = () if settings.cluster else (*SCRIPTS, *HOOK_SCRIPTS, COUNT)
    steps = Steps((store.line(0), own), (line, (ENQUEUE, POP, DEPTHS)))
    await steps.load()
    queue = Queue(line)
    feed = Feed(store, ping_s=settings.ping_s)
    await feed.start()
    stack.push_async_callback(feed.close)
    directory = Directory(found, Registrations(store.line(0)), keep_s=settings.retention_s)
    wakeups = WakeUps(queue, lambda: client_of(settings.queue_url or url, connections=1))
    stack.push_async_callback(wakeups.close)
    work = Work(store=store, reads=Elsewhere(store.line), directory=directory, wakeups=wakeups, settings=settings)
    asked = read_settings()
    condition = condition_of(asked, store.line(0))
    webhooks = open_webhooks(settings, store)
    quota = BoardQuota(store, settings.limit_boards_in_flight)
    desk = Desk(store, blobs, found, settings, models=condition.configured, interest=webhooks.interest, quota=quota)
    accounts = Books(store.line(0), asked)
    keyring = Keyring(KeyRows(store.line(0)), settings.key_pepper.get_secret_value())
    load = _load_of(line, store, directory, settings)
    return Service(
        settings, url, store, blobs, directory, tuple(broken), desk, feed, queue, work, accounts, asked, condition,
        gate=KeyGate(keyring, settings.limit_requests_per_minute), keyring=keyring, load=load,
        eraser=_eraser(settings, store, queue, asked, stack),
        streams=_counting(store, settings, stack),
        webhooks=webhooks,
        steps=steps,
    )  # fmt: skip


def _load_of(line: Coalescer, store: RedisStore, directory: Directory, settings: Settings) -> Load:
    """What waits in the queues on the other end of `line`."""

    def known() -> list[tuple[str, str]]:
        return [(source.name, source.version) for source in directory.known]

    return QueueLoads(line, known, store.presence, limit=settings.queue_limit)


def _eraser(settings: Settings, store: RedisStore, queue: Queue, asked: ModelSettings, stack: AsyncExitStack) -> Eraser:
    answers = KeptAnswers(Flights(store.line(0), store.reads), store.blobs, keep_s=asked.answers_s)
    stack.push_async_callback(answers.close)
    # The answers first: they see to it that the ledger keeps nothing of what is still under way.
    traces = (answers, RedisLedger(store.line(0)), Elsewhere(store.line), WakeUpTraces(store, queue))
    return Eraser(store, traces, retention_s=settings.retention_s)


def condition_of(models: ModelSettings | None = None, line: Coalescer | None = None) -> Condition:
    """How the language models stand; without a `line` to a server, what is set about them alone. Raises UsageError."""
    models = models or read_settings()
    if line is None or not models.configured:
        return ModelCondition(models)
    try:
        return ModelCondition(models, parts_of(models, line))
    except UsageError:  # no address of a server: that is told where it is looked at
        return ModelCondition(models)


async def _queue_line(settings: Settings, store: RedisStore, stack: AsyncExitStack) -> Coalescer:
    if not apart(settings):
        return store.line(0)
    if not settings.queue_url:
        raise UsageError("arq knows no Cluster", hint="set BLACKBOARD_QUEUE_URL to a standalone server")
    client = client_of(settings.queue_url, connections=8)
    stack.push_async_callback(client.aclose)
    line = Pipe(client.connection_pool)
    stack.push_async_callback(line.close)
    return line


def _counting(store: RedisStore, settings: Settings, stack: AsyncExitStack) -> Streams:
    """The count of event streams, kept true while the process lives."""
    streams = Streams(store.line(0), settings.limit_streams)
    stack.push_async_callback(streams.close)
    follow(streams.serve(), stack)
    return streams


def apart(settings: Settings) -> bool:
    """Whether the queues live on another server than the boards."""
    return settings.cluster or settings.queue_url not in ("", settings.redis_url)
