"""Servers and stores for every test that needs one: one real server for each test process, emptied before each test."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from blackboard.blobs import Blobs
from blackboard.embedded import Server, start_server
from blackboard.errors import ServerUnfit
from blackboard.memory import MemoryStore
from blackboard.store import RedisStore, open_store
from tests.models.fixtures import mark_scripted, model_at, model_server

__all__ = ["model_at", "model_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cluster", action="store_true", help="run the store's suite on a three-node cluster too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "scripted: needs our own model server and its fault script")
    config.addinivalue_line("markers", "live: a few calls that any compatible server answers (make test-live)")
    # A shell that runs the tests in the background has them ignore SIGINT, and with them every program they start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_scripted(items)
    if config.getoption("--cluster") or "cluster" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="needs --cluster")
    for item in items:
        if "cluster" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real server with an append-only file, on a unix socket; each process of pytest-xdist has its own."""
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        running = asyncio.run(start_server(Path(directory)))
        try:
            yield running
        finally:
            asyncio.run(running.stop())


@pytest.fixture
async def redis_url(server: Server) -> str:
    """The address of an empty server."""
    async with Redis.from_url(server.url) as client:
        await client.flushall()
    return server.url


@pytest.fixture
async def redis_store(redis_url: str) -> AsyncIterator[RedisStore]:
    """A store on an empty server, with blobs in memory."""
    store = await open_store(redis_url, Blobs.at("memory://"))
    yield store
    await store.close()


@pytest.fixture
def memory_store() -> MemoryStore:
    """A store in memory."""
    return MemoryStore(Blobs.at("memory://"))


def free_port() -> int:
    """A port nobody listens on, nor on the cluster's bus ten thousand above it."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            if not 20_000 < port < 50_000:
                continue
            try:
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port


async def start_node(directory: Path) -> tuple[Server, int]:
    """A node of a cluster; another program may take its port before it does, so it tries again."""
    for _ in range(10):
        port = free_port()
        try:
            return await start_server(directory / str(port), port=port, cluster=True), port
        except ServerUnfit:
            continue
    raise AssertionError("no node of a cluster would start")


async def start_cluster(directory: Path, nodes: int = 3) -> list[Server]:
    """Servers that share all slots and agree on it."""
    started = [await start_node(directory) for _ in range(nodes)]
    servers, ports = [server for server, _ in started], [port for _, port in started]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Redis.from_url(one.url, decode_responses=True)) for one in servers]
        share = 16384 // nodes
        for at, client in enumerate(clients):
            last = 16383 if at == nodes - 1 else (at + 1) * share - 1
            await client.execute_command("CLUSTER ADDSLOTSRANGE", at * share, last)
            await client.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
        for client in clients:
            while True:
                info = await client.execute_command("CLUSTER INFO")
                text = info if isinstance(info, str) else str(info)
                if "cluster_state:ok" in text or "'cluster_state': 'ok'" in text:
                    break
                await asyncio.sleep(0.02)
    return servers


@pytest.fixture(scope="session")
def cluster() -> Iterator[list[Server]]:
    """Three nodes that share all slots."""
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        servers = asyncio.run(start_cluster(Path(directory)))
        try:
            yield servers
        finally:
            for one in servers:
                asyncio.run(one.stop())


@pytest.fixture
async def cluster_store(cluster: list[Server]) -> AsyncIterator[RedisStore]:
    """A store on an empty cluster."""
    for one in cluster:
        async with Redis.from_url(one.url) as client:
            await client.flushall()
    store = await open_store(cluster[0].url, Blobs.at("memory://"), cluster=True)
    yield store
    await store.close()
