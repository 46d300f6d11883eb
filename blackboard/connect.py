"""Connections of our own, and what a server must be like before it is trusted with boards."""

from __future__ import annotations

import logging
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.exceptions import RedisError

from blackboard.coalesce import LOST
from blackboard.errors import ServerUnfit, StorageUnavailable, UsageError

log = logging.getLogger(__name__)

TIMEOUTS: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2, "health_check_interval": 15}
KEEPALIVE: dict[str, Any] = {"socket_keepalive": True}
OLDEST = (7, 0)


async def connect(url: str, *, cluster: bool = False, connections: int = 16) -> tuple[Any, Any]:
    """Two redis-py clients with pools of their own: for commands (on Cluster a RedisCluster), and for blocking reads.

    `url`: `redis://`, `rediss://`, or `unix://` with a path. Raises StorageUnavailable, and UsageError for other URLs.
    """
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise UsageError(
            f"{url!r} is not a server's address", hint="redis://host:port, rediss://host:port or unix:///path"
        )
    blocking = client_of(url, connections=8)
    if cluster:
        # One attempt: redis-py would send a whole batch again, steps without an id too.
        commands: Any = RedisCluster.from_url(url, cluster_error_retry_attempts=1, **TIMEOUTS, **KEEPALIVE)
    else:
        commands = client_of(url, connections=connections)
    try:
        await (commands.initialize() if cluster else commands.ping())
    except (RedisError, *LOST) as error:
        await commands.aclose()
        await blocking.aclose()
        raise StorageUnavailable(
            f"no server answers at {hide_password(url)}: {error}",
            hint="is it running, and is BLACKBOARD_REDIS_URL right?",
        ) from error
    return commands, blocking


def client_of(url: str, *, connections: int) -> Any:
    """A client whose pool waits at most two seconds for a free connection. Blocking reads must end within four seconds."""
    options = TIMEOUTS if url.startswith("unix://") else {**TIMEOUTS, **KEEPALIVE}
    pool = BlockingConnectionPool.from_url(url, max_connections=connections, timeout=2, **options)
    return Redis.from_pool(pool)


def hide_password(url: str) -> str:
    """The address, fit to be shown."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


async def check_server(client: Any) -> list[str]:
    """`examine`, its warnings also logged."""
    warnings = await examine(client)
    for warning in warnings:
        log.warning(warning)
    return warnings


async def examine(client: Any) -> list[str]:
    """Warnings. Raises ServerUnfit when the server would lose boards, StorageUnavailable when it is away.

    Unfit: older than 7.0, an eviction policy other than noeviction, no append-only file. A server that hides its
    settings (CONFIG is often forbidden where servers are rented) is warned about.
    """
    warnings: list[str] = []
    try:
        info = await client.info("server")
        settings = await _settings(client)
    except LOST as error:
        raise StorageUnavailable(f"the server cannot be reached: {error}") from error
    version = str(info.get("valkey_version") or info.get("redis_version") or "0.0")
    number = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if number < OLDEST:
        raise ServerUnfit(
            f"the server is version {version}; 7.0 or newer is needed", hint="upgrade it, or use the embedded one"
        )
    if settings is None:
        warnings.append("the server hides its settings: see to it that eviction is off and the append-only file on")
    else:
        _judge(settings, warnings)
    return warnings


async def _settings(client: Any) -> dict[str, str] | None:
    try:
        found = await client.config_get("maxmemory-policy", "appendonly", "appendfsync", "maxclients")
    except LOST:
        raise
    except RedisError:
        return None
    return {_text(name): _text(value) for name, value in found.items()}


def _judge(settings: dict[str, str], warnings: list[str]) -> None:
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        raise ServerUnfit(
            f"the server may evict keys (maxmemory-policy {policy}): boards would vanish",
            hint="CONFIG SET maxmemory-policy noeviction",
        )
    if settings.get("appendonly", "yes") != "yes":
        raise ServerUnfit(
            "the server keeps no append-only file: a restart would lose boards", hint="CONFIG SET appendonly yes"
        )
    if settings.get("appendfsync") == "no":
        warnings.append("appendfsync is 'no': a power loss may lose more than the last second")
    if int(settings.get("maxclients", "10000")) < 100:
        warnings.append(f"maxclients is only {settings['maxclients']}")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
