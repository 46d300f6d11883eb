"""A process that spends until it is killed: python -m tests.spender URL SEED

It prints a line when it begins.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import replace

from blackboard.errors import Deferred, SpendingCapped
from knowledge_sources.llm.calls import NANO, Usage
from knowledge_sources.llm.caps import SpendingCaps
from knowledge_sources.llm.ledger import RedisLedger
from tests.spending import BOARD, OTHER, caller, line_to, row, settings

GIVEN = {"board_usd": 2, "tenant_day_usd": 2.5, "day_usd": 4}
"""Caps that a few hundred calls reach, and then stand at."""


async def spend(caps: SpendingCaps, ledger: RedisLedger, rng: random.Random) -> None:
    """Calls one after the other; the line of each carries its reservation's id."""
    while True:
        whose = caller(rng.choice((BOARD, OTHER)), tenant=rng.choice(("acme", "umbrella")))
        worst = rng.randrange(NANO // 100)
        try:
            reservation = await caps.reserve(whose, worst)
        except (Deferred, SpendingCapped):
            await asyncio.sleep(0.002)
            continue
        begun = row(reservation.id, outcome="unknown", nano=worst, usage=Usage(), at=time.time(), whose=whose)
        await ledger.begin(begun)
        await asyncio.sleep(rng.random() * 0.02)
        cost = rng.randrange(worst + 1) if rng.random() < 0.8 else 0
        await ledger.end(replace(begun, outcome="answered" if cost else "failed", nano=cost))
        await caps.settle(reservation, cost)


async def main(url: str, seed: int) -> None:
    """Four callers."""
    async with line_to(url) as line:
        caps, ledger = SpendingCaps(line, settings(**GIVEN)), RedisLedger(line)
        sys.stdout.write("spending\n")
        sys.stdout.flush()
        await asyncio.gather(*(spend(caps, ledger, random.Random(seed * 10 + n)) for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
