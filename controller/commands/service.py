"""`up`, `serve`, `control`, `worker`: processes that run until they are told to stop.

The first SIGTERM or SIGINT drains: no new work is taken, what runs may finish within `drain_s`, the rest is handed back,
exit 0. A second signal ends the process at once.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import Data, Plugins, settings_from, words

if TYPE_CHECKING:
    import asyncio
    import socket

    from fastapi import FastAPI
    from opentelemetry.trace import TracerProvider

    from controller.bootstrap import Service
    from controller.http.server import Server
    from controller.settings import Settings

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on [env: BLACKBOARD_HOST].")]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=1,
        max=65535,
        help="Tell health and metrics there, without a key [env: BLACKBOARD_METRICS_PORT].",
        show_default=False,
    ),
]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one [env: BLACKBOARD_PORT].")
]


def up(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    metrics_port: MetricsPort = None,
    plugins: Plugins = None,
    data: Data = None,
) -> None:
    """Run everything in one process: HTTP, controller, worker, and a private server when no BLACKBOARD_REDIS_URL is set."""
    _start(ctx, {"api", "controller", "worker"}, data, host=host, port=port, metrics_port=metrics_port, plugins=plugins)


def serve(
    ctx: typer.Context,
    host: Host = None,
    port: Port = None,
    metrics_port: MetricsPort = None,
    plugins: Plugins = None,
    data: Data = None,
) -> None:
    """Run the HTTP door alone."""
    _start(ctx, {"api"}, data, host=host, port=port, metrics_port=metrics_port, plugins=plugins)


def control(ctx: typer.Context, metrics_port: MetricsPort = None, plugins: Plugins = None, data: Data = None) -> None:
    """Run a controller alone. Several share the boards' partitions."""
    _start(ctx, {"controller"}, data, metrics_port=metrics_port, plugins=plugins)


def worker(
    ctx: typer.Context,
    only: Annotated[
        str, typer.Option("--only", metavar="NAMES", envvar="BLACKBOARD_ONLY", help="Serve these sources alone.")
    ] = "",
    metrics_port: MetricsPort = None,
    plugins: Plugins = None,
    data: Data = None,
) -> None:
    """Run a worker alone; as many as there is work for."""
    _start(ctx, {"worker"}, data, metrics_port=metrics_port, plugins=plugins, **({"only": words(only)} if only else {}))


def _start(ctx: typer.Context, roles: set[str], data: Data, **overrides: Any) -> None:
    from controller.commands.logs import configure_logs

    settings = settings_from(data, **{name: value for name, value in overrides.items() if value is not None})
    configure_logs(settings, level="debug" if ctx.obj.debug else None)
    _check_only(settings)
    console.run(_run(settings, frozenset(roles)), lasting=True)


def _check_only(settings: Settings) -> None:
    from blackboard.errors import UsageError
    from blackboard.registry import find_sources

    if not settings.only:
        return
    known = {source.name for source in find_sources(plugins=settings.plugins)[0]}
    unknown = [name for name in settings.only if name not in known]
    if unknown:
        raise UsageError(f"there is no source {', '.join(unknown)}", hint=f"there are {', '.join(sorted(known))}")


async def _run(settings: Settings, roles: frozenset[str]) -> None:
    import asyncio

    from controller.bootstrap.exporting import open_traces

    stop = asyncio.Event()
    _on_signals(stop)
    with open_traces(_name(roles)) as traces:
        await _serve(settings, roles, traces, stop)


def _name(roles: frozenset[str]) -> str:
    return "up" if len(roles) > 1 else next(iter(roles))


async def _serve(settings: Settings, roles: frozenset[str], traces: TracerProvider | None, stop: asyncio.Event) -> None:
    from controller.bootstrap import open_service

    async with open_service(settings, roles=roles - {"api"}, traces=traces) as service:
        # What is here now stays: looking through it again and again made control cost more as boards grew.
        gc.collect()
        gc.freeze()
        for broken in service.broken:
            console.say(f"warning: the source {broken.name} ({broken.where}) cannot be used: {broken.error}")
        async with _telling(service, stop, serves="api" in roles):
            if "api" in roles:
                await _check_address(service)
                async with _serving(service, stop) as (url, gone):
                    _greet(url, service, roles, keys=await service.keyring.asked())
                    await _first(stop.wait(), gone.wait())
            else:
                console.say(f"{', '.join(sorted(roles))} ready ({_served(service)} sources); Ctrl-C drains and stops")
                await stop.wait()
        console.say(f"stopping: what runs may finish within {settings.drain_s:g} s; a second signal ends at once")


def _served(service: Service) -> int:
    """How many sources this process works for, or knows if it has no worker."""
    return sum(not service.settings.only or source.name in service.settings.only for source in service.sources)


def _on_signals(stop: asyncio.Event) -> None:
    import asyncio

    def heard(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard, number)


async def _first(*waits: Any) -> None:
    import asyncio

    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _serving(service: Service, stop: asyncio.Event) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve HTTP; see `_listening`."""
    import asyncio

    from controller.http.app import create_app
    from controller.http.collecting import Collecting

    collecting = asyncio.create_task(Collecting(service.streams).run())
    try:
        async with _listening(create_app(service), service.settings.host, service.settings.port, stop) as found:
            yield found
    finally:
        collecting.cancel()
        with suppress(asyncio.CancelledError):
            await collecting


@asynccontextmanager
async def _telling(service: Service, stop: asyncio.Event, *, serves: bool) -> AsyncIterator[None]:
    """Tell health and metrics on a port of their own, where one is set."""
    settings = service.settings
    if not settings.metrics_port:
        yield
        return
    from controller.http.aside import create_aside

    app = create_aside(service, serves=serves)
    async with _listening(app, settings.metrics_host, settings.metrics_port, stop) as (url, _):
        console.say(f"health and metrics: {url}/readyz, {url}/metrics")
        yield


@asynccontextmanager
async def _listening(
    app: FastAPI, bound_to: str, port: int, stop: asyncio.Event
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve an app; the address, and an event that is set when the server has ended by itself. Leaving ends streams first."""
    import asyncio

    from controller.http.server import make_server

    ready, gone = asyncio.Event(), asyncio.Event()
    server = make_server(app, bound_to, port, ready=ready)
    task = asyncio.create_task(server.serve([_bound(server)]))
    task.add_done_callback(lambda _: gone.set())
    try:
        await _first(ready.wait(), gone.wait())
        # uvicorn has taken the signals for itself while it started.
        _on_signals(stop)
        host = "127.0.0.1" if bound_to in ("0.0.0.0", "::", "") else bound_to  # noqa: S104  shown, not bound
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.port}", gone
    finally:
        server.stop()
        await task


async def _check_address(service: Service) -> None:
    """See to the first key; without any, listen to this machine alone. Raises UsageError."""
    from blackboard.errors import UsageError
    from controller.http.local import is_local_host
    from controller.keyring import HOW_FIRST

    settings = service.settings
    if first := settings.first_key.get_secret_value():
        await service.keyring.put_first(first)
    await service.keyring.verify()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if is_local_host(host) or await service.keyring.asked():
        return
    raise UsageError(
        f"there is no key yet, so this service listens on this machine alone, not on {settings.host or 'all addresses'}",
        hint="make the first one: `blackboard keys create NAME --scopes all` (or set BLACKBOARD_FIRST_KEY; "
        f"{HOW_FIRST}), or leave --host and BLACKBOARD_HOST out",
    )


def _bound(server: Server) -> socket.socket:
    """The server's socket. Raises UsageError when the address cannot be had; uvicorn would end the process."""
    from blackboard.errors import UsageError

    try:
        return server.config.bind_socket()
    except (OSError, SystemExit) as error:
        raise UsageError(
            f"cannot listen on {server.config.host}:{server.config.port}",
            hint="is it taken, or not this machine's? Choose another with --port or --host",
        ) from error


def _greet(url: str, service: Service, roles: frozenset[str], *, keys: bool) -> None:
    console.say(f"blackboard listens on {url} ({', '.join(sorted(roles))}; {len(service.sources)} sources)")
    if not service.settings.redis_url:
        console.say(f"boards are kept in {service.settings.data_dir}")
    shown = '-H "Authorization: Bearer $BLACKBOARD_API_KEY" ' if keys else ""
    console.say(f"try: curl {shown}-F file=@document.pdf {url}/v1/documents")
    if not keys:
        console.say("no key is asked for: whoever can log in to this machine may do everything")
    console.say("Ctrl-C drains and stops")


def register(app: typer.Typer) -> None:
    """Add the group's commands."""
    for command in (up, serve, control, worker):
        app.command()(command)
