"""The gateway: which model is asked, how often, and what is done when it does not answer.

A question goes to the first model of the chain. Recorded and kept answers need no call; where a server is out of order the
next one is asked; and where all are, the activation waits until its turn comes again (`Deferred`): no board fails because a
model is away.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from blackboard.errors import BlackboardError, Deferred, ModelFailed, StorageError
from blackboard.models import Caller, Hearer, LanguageModel
from knowledge_sources.llm.attempts import Asking, Attempts
from knowledge_sources.llm.calls import CallFailed, Reply, Request
from knowledge_sources.llm.ports import Answers, Endpoint, Ledger, Outcome, Prices, Recordings, Row
from knowledge_sources.llm.session import Session
from knowledge_sources.llm.settings import ModelSettings
from knowledge_sources.llm.telling import told

log = structlog.get_logger(__name__)

LATER_S = 15.0
"""When to ask again where nobody said when."""
SHUT_S = 60.0
"""How long a model is left alone whose key, name or provider's spend limit does not allow a call."""
TRANSIENT_TRIES = 3


@dataclass(frozen=True, slots=True)
class Link:
    """One model of the chain."""

    attempts: Attempts
    model: str

    @property
    def endpoint(self) -> Endpoint:
        """What limits, breakers and prices go by."""
        return Endpoint(self.attempts.transport.base_url, self.model)


class Gateway:
    """See the module. `chain` is made when a model is first asked; where it is empty, recordings alone answer."""

    def __init__(
        self,
        chain: Callable[[], Sequence[Link]],
        *,
        answers: Answers,
        ledger: Ledger,
        prices: Prices,
        settings: ModelSettings,
        recordings: Recordings | None = None,
    ) -> None:
        self._make_chain = chain
        self._made: tuple[Link, ...] | None = None
        self._answers = answers
        self._ledger = ledger
        self._prices = prices
        self._recordings = recordings
        self.settings = settings
        self._shut: dict[Endpoint, tuple[float, CallFailed]] = {}

    def of_run(self, caller: Caller, hearer: Hearer) -> LanguageModel:
        """See blackboard.models.Models."""
        return Session(self, caller, hearer)

    @property
    def model(self) -> str:
        """The name of the model asked first."""
        return self.settings.names[0]

    @property
    def _chain(self) -> tuple[Link, ...]:
        if self._made is None:
            self._made = tuple(self._make_chain())
        return self._made

    async def close(self) -> None:
        """End connections."""
        for attempts in {id(link.attempts): link.attempts for link in self._made or ()}.values():
            await attempts.close()

    async def count(self, request: Request) -> int:
        """About how many tokens a question is."""
        if not self._chain:
            return len(request.canonical) // 3
        return (await self._chain[0].attempts.size(request)).likely

    async def answer(self, request: Request, asking: Asking) -> Reply:
        """A whole, checked answer. Raises CallFailed("output") for one that cannot be used, and what LanguageModel says."""
        recorded = await self._recorded(request, asking)
        if recorded is not None:
            return recorded
        if not self._chain:
            raise ModelFailed(
                "this question was never recorded, and no model is configured",
                hint="set BLACKBOARD_MODEL_API_KEY, or BLACKBOARD_MODEL_BASE_URL for a server of your own",
            )
        failures: list[CallFailed] = []
        for link in self._chain:
            try:
                reply = await self._of(link, replace(request, model=link.model), asking)
            except CallFailed as failure:
                failures.append(failure)
                if not self._goes_on(link, failure, asking):
                    break
            else:
                if self._recordings is not None:
                    await self._recordings.put(request, reply)
                return reply
        raise _verdict(failures)

    async def _recorded(self, request: Request, asking: Asking) -> Reply | None:
        reply = None if self._recordings is None else await self._recordings.get(request)
        if reply is not None:
            await self._had(request, reply, asking, "recording", Endpoint("", reply.model))
        return reply

    async def _of(self, link: Link, request: Request, asking: Asking) -> Reply:
        shut = self._shut.get(link.endpoint)
        if shut is not None:
            if shut[0] > time.monotonic():
                raise shut[1]
            del self._shut[link.endpoint]
        key = request.key(asking.caller.tenant, link.endpoint.base_url)
        reply, kept = await self._answers.once(key, asking.caller, lambda: self._tried(link, request, asking))
        if kept:
            await self._had(request, reply, asking, "cache", link.endpoint)
        return reply

    async def _had(self, request: Request, reply: Reply, asking: Asking, outcome: Outcome, endpoint: Endpoint) -> None:
        """An answer that needed no call: the ledger says what was saved, and watchers see it."""
        cost = self._prices.cost(endpoint.model, reply.usage)
        row = Row(
            id=secrets.token_hex(12),
            at=time.time_ns() // 1_000_000,
            caller=asking.caller,
            endpoint=endpoint,
            request=request.digest,
            prompt=request.prompt,
            outcome=outcome,
            usage=reply.usage,
            nano=0,
            saved_nano=cost or 0,
            request_id=reply.request_id,
        )
        try:
            await self._ledger.end(row)
        except StorageError as error:
            log.warning("ledger.unwritten", call=row.id, outcome=outcome, error=str(error))
        if asking.on_delta is not None:
            await asking.on_delta(reply.text)
        await asking.hearer.called(told(row), reply.packed())

    async def _tried(self, link: Link, request: Request, asking: Asking) -> Reply:
        """Attempts at one model, as many as the kind of failure allows and there is time for."""
        settings = self.settings
        until = time.monotonic() + settings.total_timeout_s
        tried = 0
        while True:
            tried += 1
            try:
                return await link.attempts.attempt(request, asking)
            except CallFailed as failure:
                tries = {"upstream-down": settings.attempts, "transient": min(TRANSIENT_TRIES, settings.attempts)}
                # An open breaker has said already that trying on is of no use.
                told_off = failure.kind == "upstream-down" and failure.billed == "no" and failure.retry_after_s
                if tried >= tries.get(failure.kind, 1) or told_off or asking.begun:
                    raise
                pause = random.uniform(
                    settings.backoff_s, max(settings.backoff_s, min(settings.backoff_most_s, 2.0**tried))
                )
                if time.monotonic() + pause >= until:
                    raise
                log.info("model.again", model=link.model, tried=tried, pause_s=round(pause, 1), failure=str(failure))
                await asyncio.sleep(pause)

    def _goes_on(self, link: Link, failure: CallFailed, asking: Asking) -> bool:
        """Whether the next model of the chain is asked."""
        if failure.kind in ("config", "budget"):
            self._shut[link.endpoint] = (time.monotonic() + SHUT_S, failure)
            log.error("model.shut", model=link.model, kind=failure.kind, failure=str(failure), hint=failure.hint)
        if failure.kind == "output":
            return failure.stop_reason == "refusal"
        return failure.kind != "request" and not asking.begun


def _verdict(failures: Sequence[CallFailed]) -> BlackboardError:
    """What the source is told, when no model of the chain answered. A refusal to answer is what it is."""
    last = failures[-1]
    if last.kind == "output":
        return last
    waiting = [each for each in failures if each.kind in ("upstream-down", "throttled", "transient")]
    if waiting:
        after = min((each.retry_after_s for each in waiting if each.retry_after_s is not None), default=LATER_S)
        return Deferred(f"no model answers: {waiting[0]}", after_s=after, hint=waiting[0].hint)
    first = failures[0]
    return ModelFailed(f"the model cannot be asked: {first}", hint=first.hint)
