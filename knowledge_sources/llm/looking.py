"""Where what is told of models comes from: the fleet's own breakers, limits and caps, and what probes found."""

from __future__ import annotations

import asyncio
from importlib import import_module

from blackboard.coalesce import Coalescer
from knowledge_sources.llm.address import address
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.condition import Parts
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.limits import FleetLimits
from knowledge_sources.llm.own_calls import OwnCalls
from knowledge_sources.llm.ports import Capabilities
from knowledge_sources.llm.prices import PriceTable
from knowledge_sources.llm.probe import Prober, last_found
from knowledge_sources.llm.settings import ModelSettings


def parts_of(settings: ModelSettings, line: Coalescer) -> Parts:
    """All of them, over a line to what the fleet shares; only `probe` asks a model. Raises UsageError for no address."""
    url = address(settings.base_url)

    async def known(model: str) -> Capabilities | None:
        return await last_found(line, url, model)

    return Parts(
        known=known,
        probe=_Probing(settings, line).found if settings.has_server else None,
        breaker=FleetBreaker(line).state,
        limits=FleetLimits(line, settings).state,
        levels=SpendingCaps(line, settings).levels,
    )


class _Probing:
    """Finds out what the first server can do. Its calls go through the caps and the ledger like any other's."""

    def __init__(self, settings: ModelSettings, line: Coalescer) -> None:
        self._settings, self._line = settings, line

    async def found(self, model: str) -> Capabilities:
        """See probe.Prober."""
        settings, line = self._settings, self._line
        # In a thread, and only now: the vendor's client takes a second to import.
        module = await asyncio.to_thread(import_module, "knowledge_sources.llm.transport")
        transport = module.AnthropicTransport.of(settings, None)
        caps, ledger = SpendingCaps(line, settings), RedisLedger(line)
        prober = Prober(OwnCalls(transport, caps, ledger, PriceTable(settings.prices)), line)
        try:
            return await prober.found(model)
        finally:
            await prober.close()
            await transport.close()
            await ledger.close()
            await caps.close()
