"""The gateway over the real caps and the real ledger: what a server was sent, what is written down and its cost agree."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal, cast

import pytest
from pydantic import BaseModel

from blackboard.errors import BlackboardError, SpendingCapped
from blackboard.models import Caller, LanguageModel, Task
from blackboard.pipe import Pipe
from knowledge_sources.llm.attempts import Attempts, Shared
from knowledge_sources.llm.calls import NANO, CallFailed, FailureKind, Reply, Request, Usage
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.gateway import Gateway, Link
from knowledge_sources.llm.ledger import RedisLedger, total
from knowledge_sources.llm.prefixes import Prefixes
from knowledge_sources.llm.prices import PriceTable
from knowledge_sources.llm.settings import ModelSettings
from tests.spending import BOARD, OTHER, line_to, settings, without_lifetime
from tests.unit.gateway_parts import FakeAnswers, FakeBreaker, FakeLimits, FakeTransport, Heard

KINDS: tuple[FailureKind, ...] = ("upstream-down", "throttled", "budget", "config", "request", "output", "transient")
CALLERS = [Caller("acme", BOARD, "a", 1, "claims_model"), Caller("acme", OTHER, "b", 1, "facts_model"),
           Caller("umbrella", "3-" + "c" * 26, "c", 1, "claims_model", budget_usd=0.05)]  # fmt: skip


class Total(BaseModel):
    """A typed answer."""

    amount: float


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[Pipe]:
    """To an empty server."""
    async with line_to(redis_url) as line:
        yield line


class Books:
    """A gateway to one server, whose caps and ledger are real."""

    def __init__(self, line: Pipe, transport: FakeTransport, given: ModelSettings) -> None:
        self.caps, self.ledger = SpendingCaps(line, given), RedisLedger(line)
        self.limits, self.breaker, self.heard = FakeLimits(), FakeBreaker(), Heard()
        prices = PriceTable(given.prices)
        shared = Shared(self.limits, self.breaker, self.caps, prices, self.ledger, Prefixes(None))

        async def as_it_is(request: Request) -> Request:
            return request

        link = Link(Attempts(transport, shared, given, as_it_is), "claude-sonnet-5-5")
        self.gateway = Gateway(lambda: [link], answers=FakeAnswers(), ledger=self.ledger, prices=prices, settings=given)

    def model(self, caller: Caller) -> LanguageModel:
        """As one source is handed it."""
        return self.gateway.of_run(caller, self.heard)


def moody(rng: random.Random, sent: list[int]) -> FakeTransport:
    """A server that answers, fails in every way, and sometimes never ends."""

    async def say(request: Request) -> Reply:
        sent.append(1)
        await asyncio.sleep(rng.random() * 0.002)
        mood = rng.random()
        usage = Usage(rng.randrange(40), rng.randrange(60), rng.randrange(40), rng.randrange(40))
        if mood < 0.5:
            text = '{"amount": 1}' if mood < 0.4 else "no JSON"
            return Reply(text, "end_turn", request.model, usage, f"req_{len(sent)}")
        if mood < 0.6:
            await asyncio.Event().wait()
        billed = cast(Literal["no", "yes", "unknown"], rng.choice(("no", "unknown", "yes")))
        told = usage if billed == "yes" else None
        raise CallFailed(rng.choice(KINDS), "it failed", billed=billed, usage=told, retry_after_s=0.001)

    return FakeTransport([say])


@pytest.mark.parametrize("seed", range(4))
async def test_one_line_for_each_call_and_the_sums_are_what_the_caps_say(line: Pipe, seed: int) -> None:
    rng, sent = random.Random(seed), list[int]()
    given = settings(board_usd=0.2, backoff_s=0.001, backoff_most_s=0.002, attempts=3)
    books = Books(line, moody(rng, sent), given)

    async def ask(n: int) -> None:
        caller = rng.choice(CALLERS)
        with suppress(BlackboardError, TimeoutError):
            async with asyncio.timeout(0.15):
                await books.model(caller).ask(Total, Task("total", f"Name total {n % 20}."), max_tokens=64)

    # What a provider's refusal shuts for a minute would answer nothing more of this test.
    books.gateway._shut = _NeverShut()
    for batch in range(4):
        await asyncio.gather(*(ask(batch * 20 + n) for n in range(20)))
    await asyncio.gather(books.caps.owed.paid(), books.ledger.owed.paid())
    assert sent
    assert not books.limits.open
    rows = [row for caller in CALLERS for row in (await books.ledger.of_board(caller.board))[0]]
    made = [row for row in rows if row.outcome not in ("cache", "recording")]
    assert len(made) == len(sent)
    assert {row.outcome for row in made} == {"answered", "failed", "unknown"}
    days = {day_of(row.at) for row in rows}
    for caller in CALLERS:
        level = (await books.caps.levels(caller.tenant, caller.board))["board"]
        assert level.open == 0
        assert level.settled == total(await books.ledger.sums_of_board(caller.board)).nano
        assert level.settled == sum(row.nano or 0 for row in made if row.caller.board == caller.board) <= level.cap
    if len(days) == 1:
        day = (await books.caps.levels("acme", BOARD))["day"]
        sums = [each for each in await books.ledger.sums(days.pop()) if not each.board]
        assert day.settled == total(sums).nano
    assert sum(each["outcome"] not in ("cache", "recording") for each in books.heard.calls) == len(sent)
    assert await without_lifetime(line) == []


async def test_a_board_s_budget_stops_its_calls_and_no_other_s(line: Pipe) -> None:
    usage = Usage(input=100, output=1000)
    transport = FakeTransport([Reply('{"amount": 1}', "end_turn", "claude-sonnet-5-5", usage)])
    books = Books(line, transport, settings())
    poor, rich = books.model(CALLERS[2]), books.model(CALLERS[0])
    asked = 0
    with pytest.raises(SpendingCapped, match=r"the board's cap is 0\.05 USD"):
        for n in range(10):
            await poor.ask(Total, Task("total", f"Name total {n}."), max_tokens=1000)
            asked += 1
    assert asked == len(transport.seen) > 2
    level = (await books.caps.levels("umbrella", CALLERS[2].board))["board"]
    assert 0.03 < (level.settled + level.open) / NANO <= 0.05
    await rich.ask(Total, Task("total", "Name it."), max_tokens=1000)
    assert not books.limits.open
    assert len((await books.ledger.of_board(CALLERS[2].board))[0]) == asked


class _NeverShut(dict):  # type: ignore[type-arg]
    """Nothing stays in it."""

    def __setitem__(self, key: object, value: object) -> None:
        return
