"""What may be spent: by a board, by a tenant in a day, by everybody in a day; and how fast by a tenant.

Before a call its worst case is set aside at all three levels in one step, or at none; afterwards what it came to takes the
reservation's place. Nothing can be overshot, because what is settled is never more than was set aside. A reservation that
nobody settles lapses as spent in full: whoever held it may have been billed before it died.

A cap of 0 allows only what costs nothing. Days are UTC days by the caller's clock; clocks that differ put a call on the
neighbouring day, and never more on any day than its cap allows.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import structlog

from blackboard import keys
from blackboard.coalesce import Coalescer, resent
from blackboard.doors import Call, Script
from blackboard.errors import Deferred, SpendingCapped, StorageError
from knowledge_sources.llm.calls import Caller
from knowledge_sources.llm.days import day_of, next_day
from knowledge_sources.llm.money import nano_of, usd, usd_of
from knowledge_sources.llm.owed import Owed
from knowledge_sources.llm.ports import Reservation
from knowledge_sources.llm.settings import ModelSettings

log = structlog.get_logger(__name__)

KEYS = ("board", "tenant", "day", "rate", "pauses")
RESERVE = Script(
    "reserve", KEYS,
    ("reservation", "nano", "now_ms", "lease_ms", "whom", "board_cap", "tenant_cap", "day_cap", "board_keep_ms",
     "day_keep_ms", "alert", "pause_ms"),
    "knowledge_sources.llm",
)  # fmt: skip
SETTLE = Script("settle", KEYS, ("reservation", "nano", "now_ms", "whom", "alert", "pause_ms"), "knowledge_sources.llm")
SCRIPTS: Final = (RESERVE, SETTLE)

LEAST_LEASE_S = 700.0
"""How long a reservation stands at least: longer than any call, its waiting for room included."""
BOARD_KEEP_MS = 30 * 86_400_000
DAY_KEEP_MS = 8 * 86_400_000
AGAIN_S = 5.0
"""When a call is tried again that others' reservations were in the way of, or that found no server."""
PAUSED_AGAIN_S = 60.0
"""How soon a call of a paused tenant looks again, so that `resume` is soon felt."""

NAMES: Final = {
    "board": ("the board's cap", "BLACKBOARD_MODEL_BOARD_USD (or the board's own budget)"),
    "tenant_day": ("the tenant's cap for the day", "BLACKBOARD_MODEL_TENANT_DAY_USD"),
    "day": ("everybody's cap for the day", "BLACKBOARD_MODEL_DAY_USD"),
}
"""Level -> its name for people, and where it is set."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one cap has come to, nano-dollars. `settled`: reservations that lapsed included; `open`: set aside now."""

    cap: int
    settled: int
    open: int

    @property
    def left(self) -> int:
        """What a call may still reserve."""
        return max(0, self.cap - self.settled - self.open)


class SpendingCaps:
    """See ports.Caps. `clock`: seconds since 1970."""

    def __init__(self, line: Coalescer, settings: ModelSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._line = line
        self._clock = clock
        self._caps = {
            "board": nano_of(settings.board_usd),
            "tenant_day": nano_of(settings.tenant_day_usd),
            "day": nano_of(settings.day_usd),
        }
        self._alert = nano_of(settings.alert_usd_per_hour)
        self._pause_ms = int(settings.pause_s * 1000)
        self._lease_ms = int(max(LEAST_LEASE_S, 2 * settings.total_timeout_s) * 1000)
        self.owed = Owed()

    async def reserve(self, caller: Caller, nano: int, *, board_cap_nano: int | None = None) -> Reservation:
        """See ports.Caps. Without a server nothing is reserved, and Deferred is raised: no reservation, no call."""
        now = self._now()
        reservation = Reservation(uuid4().hex, caller, nano, day_of(now))
        board_cap = min(self._caps["board"], self._caps["board"] if board_cap_nano is None else max(0, board_cap_nano))
        call = RESERVE.on(
            _keys(caller, reservation.day),
            reservation.id, nano, now, self._lease_ms, caller.tenant, board_cap if caller.board else "",
            self._caps["tenant_day"], self._caps["day"], BOARD_KEEP_MS, DAY_KEEP_MS, self._alert, self._pause_ms,
        )  # fmt: skip
        try:
            answer = [_text(word) for word in await resent(lambda: self._line.run(call))]
        except (StorageError, asyncio.CancelledError) as error:
            # It may have been made all the same, for a call that will not be.
            self.owed.owe(lambda: self._settle(reservation, 0))
            if not isinstance(error, StorageError):
                raise
            raise Deferred(f"spending cannot be reserved: {error}", after_s=AGAIN_S, hint=error.hint) from error
        if answer[0] != "reserved":
            if answer[0] == "alert":
                await self._tell(caller, int(answer[1]), int(answer[2]))
            self._refuse(caller, nano, now, answer)
        return reservation

    async def settle(self, reservation: Reservation, nano: int) -> None:
        """See ports.Caps. Where the server is away it is made later, in the background."""
        if nano > reservation.nano:
            log.warning(
                "spending.above_reservation",
                tenant=reservation.caller.tenant, board=reservation.caller.board, source=reservation.caller.source,
                reserved_usd=usd_of(reservation.nano), cost_usd=usd_of(nano),
            )  # fmt: skip
        try:
            await resent(lambda: self._settle(reservation, nano))
        except (StorageError, asyncio.CancelledError) as error:
            self.owed.owe(lambda: self._settle(reservation, nano))
            if not isinstance(error, StorageError):
                raise

    async def spent(self, caller: Caller) -> Mapping[str, int]:
        """See ports.Caps. Raises StorageUnavailable."""
        levels = await self.levels(caller.tenant, caller.board)
        return {name: level.settled + level.open for name, level in levels.items()}

    async def levels(self, tenant: str, board: str = "", *, day: str = "") -> dict[str, Level]:
        """Each cap of the settings and what stands against it. `day`: instead of today. Raises StorageUnavailable."""
        names = _keys(Caller(tenant, board), day or day_of(self._now()))[:3]
        replies = await asyncio.gather(*(self._line.issue(("HMGET", key, "settled", "open")) for key in names))
        return {
            level: Level(cap, *(int(figure or 0) for figure in reply))
            for (level, cap), reply in zip(self._caps.items(), replies, strict=True)
        }

    async def pauses(self) -> dict[str, int]:
        """Paused tenants, and until when, ms since 1970. Raises StorageUnavailable."""
        flat = await self._line.issue(("ZRANGE", PAUSES, f"({self._now()}", "+inf", "BYSCORE", "WITHSCORES"))
        return {_text(whom): int(float(until)) for whom, until in zip(flat[::2], flat[1::2], strict=True)}

    async def resume(self, tenant: str) -> bool:
        """End a tenant's pause; whether there was one. Its hour begins anew. Raises StorageUnavailable."""
        if tenant not in await self.pauses():
            return False
        await self._line.issue(("ZREM", PAUSES, tenant))
        log.warning("spending.resumed", tenant=tenant)
        return True

    async def close(self) -> None:
        """Make what is still owed, if the server is there."""
        await self.owed.close()

    async def _settle(self, reservation: Reservation, nano: int) -> None:
        answer = await self._line.run(_settle_call(reservation, nano, self._now(), self._alert, self._pause_ms))
        words = [_text(word) for word in answer]
        if words[0] == "alert":
            await self._tell(reservation.caller, int(words[1]), int(words[2]))

    def _refuse(self, caller: Caller, nano: int, now: int, answer: list[str]) -> None:
        kind, *words = answer
        if kind in ("paused", "alert"):
            until = int(words[0])
            raise Deferred(
                f"calls of tenant {caller.tenant} are paused until {_moment(until)}: it spent too fast",
                after_s=min(PAUSED_AGAIN_S, max(1.0, (until - now) / 1000)),
                hint=f"`blackboard spending resume {caller.tenant}` ends the pause; "
                "BLACKBOARD_MODEL_ALERT_USD_PER_HOUR and BLACKBOARD_MODEL_PAUSE_S set it",
            )
        level, cap, settled, open = words[0], *map(int, words[1:4])
        name, setting = NAMES[level]
        told = f"{name} is {usd(cap)}, {usd(settled)} is spent, {usd(open)} set aside; this call may need {usd(nano)}"
        if level == "day":
            # What others spend is none of a tenant's business.
            told = f"{name} does not allow it: this call may need {usd(nano)}"
        if kind == "busy":
            wait = (int(words[4]) - now) / 1000
            # Not all at the same moment.
            after_s = min(AGAIN_S * random.uniform(0.5, 1), max(1.0, wait))
            raise Deferred(f"{told}: others' calls end first", after_s=after_s)
        again = "" if level == "board" else f", or try again after {next_day(now)}"
        raise SpendingCapped(told, hint=f"raise {setting}{again}")

    async def _tell(self, caller: Caller, until: int, spent: int) -> None:
        log.warning(
            "spending.paused",
            tenant=caller.tenant, spent_usd=usd_of(spent), minutes=60, alert_usd_per_hour=usd_of(self._alert),
            until=_moment(until), board=caller.board, source=caller.source,
            hint=f"blackboard spending resume {caller.tenant}",
        )  # fmt: skip
        # Left as it is by an outage, it is told of twice.
        with suppress(StorageError):
            await self._line.issue(("HDEL", keys.llm("rate", caller.tenant), "untold"))

    def _now(self) -> int:
        return int(self._clock() * 1000)


PAUSES = keys.llm("pauses", "tenants")


def _keys(caller: Caller, day: str) -> tuple[str, ...]:
    """In the scripts' order. What belongs to no board has no cap of one."""
    return (
        keys.llm("spent", f"board:{caller.board}"),
        keys.llm("spent", f"tenant:{day}:{caller.tenant}"),
        keys.llm("spent", f"day:{day}"),
        keys.llm("rate", caller.tenant),
        PAUSES,
    )


def _settle_call(reservation: Reservation, nano: int, now: int, alert: int, pause_ms: int) -> Call:
    own, caller = _keys(reservation.caller, reservation.day), reservation.caller
    return SETTLE.on(own, reservation.id, max(0, nano), now, caller.tenant, alert, pause_ms)


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
