"""The only place that chooses adapters and puts a process together, and the only one that knows the built-in sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from blackboard.contract import Source
from blackboard.levels import Report
from controller.bootstrap.assembling import assemble, condition_of
from controller.bootstrap.roles import follow_sources, start_controller, start_worker
from controller.bootstrap.service import Service
from controller.bootstrap.webhooks import follow_webhooks
from controller.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["ALL_ROLES", "Service", "condition_of", "open_service", "render"]

ALL_ROLES = frozenset({"api", "controller", "worker"})


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
    traces: TracerProvider | None = None,
) -> AsyncIterator[Service]:
    """Run the roles asked for until the block ends; leaving it drains.

    `sources`: instead of the ones installed; `remote`: whether new boards include those registered over HTTP;
    `traces`: what spans are made by. Raises ServerUnfit, StorageUnavailable, ContractError.
    """
    async with AsyncExitStack() as stack:
        service = await assemble(settings, stack, sources)
        service.traces = traces
        await follow_sources(service, stack, remote=remote)
        if roles & {"api", "controller"}:
            await follow_webhooks(service.webhooks, stack)
        if "controller" in roles:
            await start_controller(service, stack)
        if "worker" in roles:
            await start_worker(service, stack)
        yield service
