"""What a process does beside answering: decide, deliver, work; loaded where the role is taken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from blackboard.connect import client_of
from blackboard.egress import Egress
from blackboard.errors import UsageError

if TYPE_CHECKING:
    pass

from controller.bootstrap.assembling import apart
from controller.bootstrap.running import follow, run
from controller.bootstrap.service import Service
from controller.bootstrap.webhooks import start_telling


async def follow_sources(service: Service, stack: AsyncExitStack, *, remote: bool) -> None:
    """Learn which sources are registered, now and from now on."""
    directory = service.directory

    def changed(names: frozenset[str]) -> None:
        if remote:
            service.desk.know(directory.active, directory.owners)
        if service.controller is not None:
            service.controller.know(directory.known, names)

    directory.listen(changed)
    await directory.refresh()
    follow(directory.follow(), stack)


async def start_controller(service: Service, stack: AsyncExitStack) -> None:
    """Decide for boards, and tell of their ends."""
    # Here, as below: commands that only read a board take neither role, and are to answer at once.
    from controller.loop import Controller

    announcer = start_telling(service.webhooks, service.store, service.settings, stack)
    controller = Controller(
        store=service.store,
        queue=service.queue,
        sources=service.directory.known,
        settings=service.settings,
        with_store=not apart(service.settings),
        meet=service.directory.meet,
        eraser=service.eraser,
        interest=service.webhooks.interest,
        announcer=announcer,
    )
    service.controller = controller
    run(controller.serve(), controller.stop, stack)
    # Whoever submits next expects to be heard at once; a server that is away is waited for behind the scenes.
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await controller.ready.wait()


async def start_worker(service: Service, stack: AsyncExitStack) -> None:
    """Run activations."""
    from arq import ArqRedis

    from blackboard.downloads import Downloads
    from blackboard.sandbox.pool import Sandboxes
    from controller.isolated import Isolation
    from controller.opening import Opener
    from controller.recording import recorder
    from controller.tracing import Runs
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
        open_gateway(service.asked, service.store.line(0), service.store.reads, service.blobs, traces=service.traces)
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
        refers=service.work.refers,
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
        spans=None if service.traces is None else Runs(service.traces, service.store.head),
    )
    service.worker = worker
    service.queue.attach(worker)
    run(worker.serve(), worker.stop, stack)
