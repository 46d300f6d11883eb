"""An HTTP server for a service, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from controller.http.app import create_app
from controller.http.door import Api
from controller.http.server import Server, make_server


@asynccontextmanager
async def listening(service: Api, *, timeout: float = 20) -> AsyncIterator[tuple[Server, httpx2.AsyncClient, str]]:
    """A running server on a free port, a client of it and its address; ended in good order. `timeout`: the client's, s."""
    ready = asyncio.Event()
    server = make_server(create_app(service), port=0, ready=ready)
    running = asyncio.create_task(server.serve())
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    base = f"http://127.0.0.1:{server.port}"
    try:
        async with httpx2.AsyncClient(base_url=base, timeout=timeout) as client:
            yield server, client, base
    finally:
        server.stop()
        await running
