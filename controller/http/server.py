"""uvicorn, made to stop well: open streams end with a complete body, and the signal is not raised again."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from blackboard.feed import Feed
from controller.http.limits import Limits
from controller.http.protocol import Protocol

GRACE_S = 5
"""Seconds for which requests under way may go on after the signal to stop."""


class Server(uvicorn.Server):
    """One server in a running event loop. `port`: where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, feed: Feed, ready: asyncio.Event | None = None) -> None:
        super().__init__(config)
        self._feed = feed
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def port(self) -> int:
        """0 on a unix socket."""
        for server in self.servers:
            for socket in server.sockets:
                name = socket.getsockname()
                if isinstance(name, tuple):
                    return int(name[1])
        return 0

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, then say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]
        if self._ready is not None and self.started:
            self._ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called between two steps of the interpreter: hand over to the loop, which may be waiting.

        Unlike the parent's it does not keep the signal to raise it again, so that whoever runs the server can drain.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.stop()

    def stop(self) -> None:
        """Stop as a signal would. Open streams end where they are."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._feed.finish)


def make_server(
    app: FastAPI,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    ready: asyncio.Event | None = None,
    uds: Path | None = None,
) -> Server:
    """A server for an app of `create_app`; `port` 0 takes a free one, `uds` a unix socket instead."""
    limits = Limits.of(app.state.api.settings)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        uds=None if uds is None else str(uds),
        http=partial(Protocol, limits=limits),  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, app.state.api.feed, ready)


async def serve(
    app: FastAPI, host: str, port: int, *, ready: asyncio.Event | None = None, uds: Path | None = None
) -> None:
    """Serve until SIGINT or SIGTERM. Raises SystemExit when the address is taken, as uvicorn does."""
    await make_server(app, host, port, ready=ready, uds=uds).serve()
