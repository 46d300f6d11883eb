"""What was spent, on what, and what is left: the ledger and the caps as the doors show them. Money in dollars here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from blackboard.coalesce import Coalescer
from blackboard.errors import BudgetExhausted, UsageError
from knowledge_sources.llm.caps import DAY_KEEP_MS, Level, SpendingCaps
from knowledge_sources.llm.days import day_of, read_day
from knowledge_sources.llm.ledger import UNCALLED, RedisLedger, Sum, total
from knowledge_sources.llm.money import usd_of
from knowledge_sources.llm.ports import Row
from knowledge_sources.llm.prices import TABLE, Price, PriceTable, Rates
from knowledge_sources.llm.settings import ModelSettings

DAY_MS = 86_400_000
CAPS_KEPT_MS = DAY_KEEP_MS - DAY_MS
MOST_LISTED = 100
"""Boards and tenants that a day names; the dearest."""


class Books:
    """See controller.accounts.Accounts. `clock`: seconds since 1970."""

    def __init__(self, line: Coalescer, settings: ModelSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._caps = SpendingCaps(line, settings, clock=clock)
        self._ledger = RedisLedger(line)
        self._clock = clock
        self._settings = settings

    async def day(self, day: str = "", *, tenant: str | None = None) -> dict[str, Any]:
        """See Accounts."""
        try:
            day = read_day(day) if day else day_of(int(self._clock() * 1000))
        except ValueError as error:
            raise UsageError(f"{day!r} {error}") from None
        sums = [each for each in await self._ledger.sums(day) if tenant in (None, each.tenant)]
        calls = [each for each in sums if not each.board]
        tenants = _by("tenant", calls)[:MOST_LISTED]
        pauses = await self._caps.pauses()
        shown: dict[str, Any] = {
            "day": f"{day[:4]}-{day[4:6]}-{day[6:]}",
            "totals": figures(calls),
            "by": {name: _by(name, calls)[:MOST_LISTED] for name in ("source", "model", "outcome")}
            | {"board": _by("board", [each for each in sums if each.board])[:MOST_LISTED]},
            "pauses": [{"tenant": name, "until": at} for name, at in pauses.items() if tenant in (None, name)],
        }
        if tenant is None:
            shown["by"]["tenant"] = tenants
        named = [tenant] if tenant is not None else [each["tenant"] for each in tenants]
        shown["caps"] = await self._day_caps(day, named, everybody=tenant is None)
        return shown

    async def check(self, tenant: str, *, tokens: int = 0) -> None:
        """See Accounts. A cap of 0 allows what costs nothing, and is never used up."""
        now = int(self._clock() * 1000)
        levels, used = await asyncio.gather(self._caps.levels(tenant), self._ledger.of_tenant(day_of(now), tenant))
        day, own, after_s = levels["day"], levels["tenant_day"], DAY_MS / 1000 - now / 1000 % (DAY_MS / 1000)
        if own.cap and own.settled >= own.cap:
            raise BudgetExhausted("Your money of the day is used up.", after_s=after_s)
        if tokens and used.tokens >= tokens:
            raise BudgetExhausted("Your tokens of the day are used up.", after_s=after_s)
        if day.cap and day.settled >= day.cap:
            raise BudgetExhausted("The money of the day is used up.", after_s=after_s)

    async def _day_caps(self, day: str, tenants: list[str], *, everybody: bool) -> dict[str, Any]:
        """What stands against the caps; empty for days that they are not kept of any more."""
        today = int(self._clock() * 1000)
        if not day_of(today - CAPS_KEPT_MS) < day <= day_of(today + DAY_MS):
            return {"tenants": []}
        found = await asyncio.gather(*(self._caps.levels(name, day=day) for name in tenants))
        shown: dict[str, Any] = {
            "tenants": [
                {"tenant": name, **level(levels["tenant_day"])} for name, levels in zip(tenants, found, strict=True)
            ]
        }
        if everybody:
            shown["day"] = level((await self._caps.levels("", day=day))["day"])
        return shown

    async def board(self, board: str, *, tenant: str, after: str = "", limit: int = 50) -> dict[str, Any]:
        """See Accounts."""
        rows, cursor = await self._ledger.of_board(board, after=after, limit=limit)
        sums = await self._ledger.sums_of_board(board)
        return {
            "board": board,
            "items": [call(row) for row in rows],
            "next_cursor": cursor or None,
            "totals": figures(sums),
            "by": {name: _by(name, sums) for name in ("source", "model", "outcome")},
            "cap": level((await self._caps.levels(tenant, board))["board"]),
        }

    def prices(self) -> list[dict[str, Any]]:
        """See Accounts."""
        table, asked = PriceTable(self._settings.prices), dict.fromkeys(self._settings.names)
        names = dict.fromkeys((*asked, *self._settings.prices, *TABLE))
        return [row for name in names for row in _prices(name, table.find(name), asked=name in asked)]

    async def resume(self, tenant: str) -> bool:
        """See Accounts."""
        return await self._caps.resume(tenant)


def figures(sums: Iterable[Sum]) -> dict[str, Any]:
    """What lines come to. `cache_*`: the prompt cache's; `avoided_*`: answers that were there already."""
    sums = list(sums)
    made = total(each for each in sums if each.outcome not in UNCALLED)
    avoided = total(each for each in sums if each.outcome in UNCALLED)
    went_in = made.input + made.cache_read + made.cache_write
    return {
        "calls": made.calls,
        "usd": usd_of(made.nano),
        "failed": total(each for each in sums if each.outcome == "failed").calls,
        "unknown": total(each for each in sums if each.outcome == "unknown").calls,
        "unpriced": made.unpriced,
        "input_tokens": made.input,
        "output_tokens": made.output,
        "cache_read_tokens": made.cache_read,
        "cache_write_tokens": made.cache_write,
        "cached_share": round(made.cache_read / went_in, 4) if went_in else 0.0,
        "cache_saved_usd": usd_of(made.saved_nano),
        "avoided_calls": avoided.calls,
        "avoided_usd": usd_of(avoided.saved_nano),
        "mean_latency_ms": round(made.latency_ms / made.calls) if made.calls else 0,
    }


def level(found: Level) -> dict[str, float]:
    """A cap. `spent_usd`: settled, and reservations that lapsed; `reserved_usd`: calls under way."""
    return {
        "cap_usd": usd_of(found.cap),
        "spent_usd": usd_of(found.settled),
        "reserved_usd": usd_of(found.open),
        "left_usd": usd_of(found.left),
    }


def call(row: Row) -> dict[str, Any]:
    """A line of the ledger. `usd` null: nobody knows; for `unknown`, what was reserved."""
    caller, usage = row.caller, row.usage
    return {
        "id": row.id,
        "at": row.at,
        "source": caller.source,
        "binding": caller.binding,
        "activation": caller.activation,
        "epoch": caller.epoch,
        "server": _server(row.endpoint.base_url),
        "model": row.endpoint.model,
        "prompt": row.prompt,
        "request": row.request,
        "outcome": row.outcome,
        "usd": None if row.nano is None else usd_of(row.nano),
        "saved_usd": usd_of(row.saved_nano),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "failure": row.failure,
        "request_id": row.request_id,
        "latency_ms": row.latency_ms,
    }


def _prices(model: str, price: Price | None, *, asked: bool) -> Iterator[dict[str, Any]]:
    """A row for each range of lengths that has rates of its own; one of nulls where nobody knows any."""
    bands: list[tuple[int, Rates | None]] = [(0, price.rates if price is not None else None)]
    if price is not None and price.long is not None:
        bands.append((price.long_above, price.long))
    for above, rates in bands:
        yield {
            "model": model,
            "asked": asked,
            "above_tokens": above,
            **{
                f"{name}_usd": None if rates is None else usd_of(getattr(rates, name))
                for name in ("input", "output", "cache_read", "cache_write")
            },
            "source": "" if price is None else price.source,
            "read": "" if price is None else price.read,
        }


def _by(name: str, sums: Iterable[Sum]) -> list[dict[str, Any]]:
    """Figures for each value of a word, the dearest first."""
    found: dict[str, list[Sum]] = {}
    for each in sums:
        found.setdefault(getattr(each, name), []).append(each)
    shown = [{name: word, **figures(those)} for word, those in found.items()]
    return sorted(shown, key=lambda each: (-each["usd"], -each["calls"], each[name]))


def _server(url: str) -> str:
    """An address without what may be a password."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url
