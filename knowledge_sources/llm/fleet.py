"""The gateway of one process, put together: its servers, and what it shares with the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from blackboard.blobs import Blobs
from blackboard.coalesce import Coalescer, Sender
from knowledge_sources.llm.answers import KeptAnswers
from knowledge_sources.llm.attempts import Attempts, Shared
from knowledge_sources.llm.breaker import FleetBreaker
from knowledge_sources.llm.calls import Request
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.cassette import Cassette
from knowledge_sources.llm.degrade import degrade
from knowledge_sources.llm.flight import Flights
from knowledge_sources.llm.gateway import Gateway, Link
from knowledge_sources.llm.ledger import RedisLedger
from knowledge_sources.llm.limits import FleetLimits
from knowledge_sources.llm.own_calls import OwnCalls
from knowledge_sources.llm.ports import Capabilities, Recordings
from knowledge_sources.llm.prefixes import LEAST_BYTES, Prefixes
from knowledge_sources.llm.prices import PriceTable
from knowledge_sources.llm.probe import Prober
from knowledge_sources.llm.settings import ModelSettings, Typed

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

IN_WORDS = Capabilities(schema_output=False)


@asynccontextmanager
async def open_gateway(
    settings: ModelSettings,
    line: Coalescer,
    reads: Sender,
    blobs: Blobs,
    *,
    recordings: Recordings | None = None,
    traces: TracerProvider | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway until the block ends; leaving it waits until every call is settled.

    `line` carries what the fleet shares, `reads` what blocks. `recordings`: asked before any model, instead of the cassette
    that is set. `traces`: what spans of calls are made by.
    Where no server is set, recordings alone answer. Raises UsageError for settings that cannot be.
    """
    async with AsyncExitStack() as stack:
        prices, ledger = PriceTable(settings.prices), RedisLedger(line)
        limits, breaker, caps = FleetLimits(line, settings), FleetBreaker(line), SpendingCaps(line, settings)
        answers = KeptAnswers(Flights(line, reads), blobs, keep_s=settings.answers_s)
        for part in (answers, ledger, caps, breaker, limits):
            stack.push_async_callback(part.close)
        shared = Shared(limits, breaker, caps, prices, ledger, Prefixes(line))
        probers: list[Prober] = []
        gateway = Gateway(
            lambda: list(_chain(settings, shared, line, probers, traces)),
            answers=answers,
            ledger=ledger,
            prices=prices,
            settings=settings,
            recordings=recordings or cassette_of(settings),
        )
        stack.push_async_callback(gateway.close)
        try:
            yield gateway
        finally:
            for prober in probers:
                await prober.close()


def cassette_of(settings: ModelSettings) -> Recordings | None:
    """The folder of recorded answers that is set, if one is."""
    return Cassette(settings.cassette, record=settings.cassette_record) if settings.cassette else None


def _chain(
    settings: ModelSettings, shared: Shared, line: Coalescer, probers: list[Prober], traces: TracerProvider | None
) -> Iterator[Link]:
    if not settings.has_server or (settings.cassette and not settings.cassette_record):
        return  # recordings alone answer
    # Here, because the vendor's client takes its time to import, and most boards ask no model.
    from knowledge_sources.llm.transport import AnthropicTransport

    for provider in (None, *settings.fallbacks):
        transport = AnthropicTransport.of(settings, provider, traces=traces)
        prober = Prober(OwnCalls(transport, shared.caps, shared.ledger, shared.prices), line)
        probers.append(prober)
        attempts = Attempts(transport, shared, settings, _Adapting(prober, settings.typed))
        for model in provider.models if provider else settings.names:
            yield Link(attempts, model)


class _Adapting:
    """Puts a question as its server takes it, and so that it finds its document in the prompt cache.

    The first question waits until it was found out what the server can do. A schema that the server is told of is part of its
    cache's key (measured by G. Juszkiewicz, "Prompt Caching vs. Structured Output on Amazon Bedrock"): sources that ask for
    different forms would each pay for the document. Behind the mark, in words, it is not.
    """

    def __init__(self, prober: Prober, typed: Typed) -> None:
        self._prober = prober
        self._typed = typed

    async def __call__(self, request: Request) -> Request:
        if await self._prober.known(request.model) is None:
            await self._prober.found(request.model)
        asked = await self._prober.adapt(request)
        if self._typed == "words" or (self._typed == "auto" and asked.shared_bytes >= LEAST_BYTES):
            return degrade(asked, IN_WORDS)
        return asked
