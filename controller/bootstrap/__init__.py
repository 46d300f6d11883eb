"""The only place that chooses adapters and puts a process together, and the only one that knows the built-in sources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blackboard.blobs import Blobs
from blackboard.callers import KeyRows
from blackboard.coalesce import Coalescer
from blackboard.connect import check_server, client_of, connect
from blackboard.contract import Source
from blackboard.doors import SCRIPTS
from blackboard.egress import Egress
from blackboard.elsewhere import Elsewhere
from blackboard.embedded import Embedded
from blackboard.errors import UsageError
from blackboard.feed import Feed
from blackboard.levels import Report
from blackboard.pipe import Pipe
from blackboard.quotas import BoardQuota
from blackboard.registrations import Registrations
from blackboard.registry import Broken, find_sources
from blackboard.store import RedisStore
from controller.access import Gate
from controller.accounts import Accounts
from controller.condition import Condition
from controller.desk import Desk
from controller.erasure import Eraser, WakeUpTraces
from controller.key_gate import KeyGate
from controller.keyring import Keyring
from controller.load import Load
from controller.metrics import Metrics
from controller.queue import DEPTHS, ENQUEUE, POP, Queue
from controller.queue_load import QueueLoads
from controller.remote.directory import Directory
from controller.remote.wakeups import WakeUps
from controller.remote.work import Work
from controller.sealing import Sealer, sealer_of
from controller.settings import Settings
from controller.staff import Staff
from controller.steps_loaded import Steps
from controller.streams import COUNT, Streams
from controller.webhooks.interest import Interest
from controller.webhooks.registry import Webhooks
from controller.webhooks.storage import SCRIPTS as HOOK_SCRIPTS
from controller.webhooks.storage import HookStore
from knowledge_sources.llm.accounts import Books
from knowledge_sources.llm.answers import KeptAnswers
from knowledge_sources.llm.condition import ModelCondition
from knowledge_sources.llm.flight import Flights
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.looking import parts_of
from knowledge_sources.llm.settings import ModelSettings, read_settings

if TYPE_CHECKING:
    from controller.loop import Controller
    from controller.webhooks.deliverer import Deliverer
    from controller.worker import ActivationWorker

ALL_ROLES = frozenset({"api", "controller", "worker"})


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
    hooks: HookStore
    sealer: Sealer
    steps: Steps
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


def render(report: Report) -> str:
    """A report as plain text for a terminal."""
    from knowledge_sources.render import render_text

    return render_text(report)


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    roles: frozenset[str] = ALL_ROLES,
    sources: Sequence[Source] | None = None,
    remote: bool = True,
) -> AsyncIterator[Service]:
    """Run the roles asked for until the block ends; leaving it drains.

    `sources`: instead of the ones installed; `remote`: whether new boards include those registered over HTTP. Raises
    ServerUnfit, StorageUnavailable, ContractError.
    """
    async with AsyncExitStack() as stack:
        service = await _assemble(settings, stack, sources)
        await _follow_sources(service, stack, remote=remote)
        if roles & {"api", "controller"}:
            await _follow_webhooks(service, stack)
        if "controller" in roles:
            await _start_controller(service, stack)
        if "worker" in roles:
            await _start_worker(service, stack)
        yield service


async def _assemble(settings: Settings, stack: AsyncExitStack, given: Sequence[Source] | None) -> Service:
    url = settings.redis_url
    if not url:
        url = (await stack.enter_async_context(Embedded(settings.data_dir / "server"))).url
    blobs = Blobs.at(settings.blobs)
    await blobs.tidy()
    commands, blocking = await connect(url, cluster=settings.cluster)
    store = RedisStore(
        commands, blocking=blocking, blobs=blobs, partitions=settings.partitions, cluster=settings.cluster
    )
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
    hooks = HookStore(store.line(0))
    sealer = sealer_of(settings.secret_key, settings.secret_key_file, settings.data_dir)
    interest = Interest(hooks)
    webhooks = Webhooks(hooks, sealer, interest, Egress(settings.egress_allow))
    quota = BoardQuota(store, settings.limit_boards_in_flight)
    desk = Desk(store, blobs, found, settings, models=condition.configured, interest=interest, quota=quota)
    accounts = Books(store.line(0), asked)
    keyring = Keyring(KeyRows(store.line(0)), settings.key_pepper.get_secret_value())
    load = _load_of(line, store, directory, settings)
    return Service(
        settings, url, store, blobs, directory, tuple(broken), desk, feed, queue, work, accounts, asked, condition,
        gate=KeyGate(keyring, settings.limit_requests_per_minute), keyring=keyring, load=load,
        eraser=_eraser(settings, store, queue, asked, stack),
        streams=await _counting(store, settings, stack),
        webhooks=webhooks, hooks=hooks, sealer=sealer,
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


async def _follow_sources(service: Service, stack: AsyncExitStack, *, remote: bool) -> None:
    """Learn which sources are registered, now and from now on."""
    directory = service.directory

    def changed(names: frozenset[str]) -> None:
        if remote:
            service.desk.know(directory.active, directory.owners)
        if service.controller is not None:
            service.controller.know(directory.known, names)

    directory.listen(changed)
    await directory.refresh()
    following = asyncio.create_task(directory.follow())

    async def end() -> None:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    stack.push_async_callback(end)


async def _follow_webhooks(service: Service, stack: AsyncExitStack) -> None:
    """Learn which tenants listen, before the first board begins or ends here, and from then on."""
    interest = service.webhooks.interest
    await interest.refresh()
    following = asyncio.create_task(interest.follow())

    async def end() -> None:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    stack.push_async_callback(end)


async def _start_deliverer(service: Service, stack: AsyncExitStack) -> Deliverer:
    from controller.webhooks.courier import EgressCourier
    from controller.webhooks.deliverer import Deliverer

    settings = service.settings
    courier = EgressCourier(settings.egress_allow, timeout_s=settings.webhook_timeout_s)
    stack.push_async_callback(courier.close)
    deliverer = Deliverer(
        service.hooks,
        service.sealer,
        courier,
        lease_ms=settings.lease_ms,
        poll_s=settings.poll_s,
        pace=settings.webhook_pace,
    )
    await _run(deliverer.serve(), deliverer.stop, stack)
    return deliverer


async def _queue_line(settings: Settings, store: RedisStore, stack: AsyncExitStack) -> Coalescer:
    if not _apart(settings):
        return store.line(0)
    if not settings.queue_url:
        raise UsageError("arq knows no Cluster", hint="set BLACKBOARD_QUEUE_URL to a standalone server")
    client = client_of(settings.queue_url, connections=8)
    stack.push_async_callback(client.aclose)
    line = Pipe(client.connection_pool)
    stack.push_async_callback(line.close)
    return line


async def _counting(store: RedisStore, settings: Settings, stack: AsyncExitStack) -> Streams:
    """The count of event streams, kept true while the process lives."""
    streams = Streams(store.line(0), settings.limit_streams)
    stack.push_async_callback(streams.close)
    counting = asyncio.create_task(streams.serve())

    async def end() -> None:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting

    stack.push_async_callback(end)
    return streams


def _apart(settings: Settings) -> bool:
    """Whether the queues live on another server than the boards."""
    return settings.cluster or settings.queue_url not in ("", settings.redis_url)


async def _start_controller(service: Service, stack: AsyncExitStack) -> None:
    # Here, as below: commands that only read a board take neither role, and are to answer at once.
    from controller.loop import Controller
    from controller.webhooks.announcer import Announcer

    deliverer = await _start_deliverer(service, stack)
    controller = Controller(
        store=service.store,
        queue=service.queue,
        sources=service.directory.known,
        settings=service.settings,
        with_store=not _apart(service.settings),
        meet=service.directory.meet,
        eraser=service.eraser,
        interest=service.webhooks.interest,
        announcer=Announcer(service.store, service.hooks, kick=deliverer.kick),
    )
    service.controller = controller
    await _run(controller.serve(), controller.stop, stack)
    # Whoever submits next expects to be heard at once; a server that is away is waited for behind the scenes.
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await controller.ready.wait()


async def _start_worker(service: Service, stack: AsyncExitStack) -> None:
    from arq import ArqRedis

    from blackboard.downloads import Downloads
    from blackboard.egress import Egress
    from blackboard.sandbox.pool import Sandboxes
    from controller.isolated import Isolation
    from controller.opening import Opener
    from controller.recording import recorder
    from controller.worker import ActivationWorker
    from knowledge_sources.llm.fleet import open_gateway
    from knowledge_sources.ocr import OcrSettings

    settings = service.settings
    sandboxes = Sandboxes()
    stack.push_async_callback(sandboxes.close)
    isolation = Isolation(settings)
    stack.push_async_callback(isolation.close)
    url = settings.queue_url or service.url
    pool_client = client_of(url, connections=4)
    tokens = client_of(url, connections=1)
    stack.push_async_callback(pool_client.aclose)
    stack.push_async_callback(tokens.aclose)
    local = service.directory.local
    chosen = [source for source in local if not settings.only or source.name in settings.only]
    gateway = await stack.enter_async_context(
        open_gateway(service.asked, service.store.line(0), service.store.reads, service.blobs)
    )
    unknown = set(settings.only) - {source.name for source in local}
    if unknown or not chosen:
        known = ", ".join(source.name for source in local)
        raise UsageError(f"there is no source {', '.join(sorted(unknown)) or 'at all'}", hint=f"there are: {known}")
    downloads = Downloads(
        Egress(settings.egress_allow),
        service.blobs,
        most_bytes=settings.max_upload_bytes,
        timeout_s=settings.fetch_timeout_s,
    )
    worker = ActivationWorker(
        store=service.store,
        blobs=service.blobs,
        queue=service.queue,
        pool=ArqRedis(pool_client.connection_pool),
        tokens=tokens,
        sources=chosen,
        # More pages than reading processes would wait inside the worker while another worker stands idle.
        slots={
            **dict.fromkeys(("ocr", "ocr_fast"), settings.reading_slots or OcrSettings().processes),
            **{source.name: settings.plugin_processes for source in chosen if not source.trusted},
        },
        services={Sandboxes: sandboxes, Downloads: downloads},
        isolation=isolation,
        settings=settings,
        opener=Opener(service.store, service.blobs, service.desk, settings),
        models=gateway,
        record=recorder(service.store, service.blobs),
    )
    service.worker = worker
    service.queue.attach(worker)
    await _run(worker.serve(), worker.stop, stack)


async def _run(
    serving: Coroutine[None, None, None], stop: Callable[[], Awaitable[None]], stack: AsyncExitStack
) -> None:
    task = asyncio.create_task(serving)

    async def end() -> None:
        await stop()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
