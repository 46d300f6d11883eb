"""Limits on requests, input and output tokens a minute and on concurrency, kept by the whole fleet for each account.

**The window.** For each account and class of models the server keeps what was used, by slots of a second. A call is
let through when the use of every slot that reaches into the last 62 s, and the call, are within the limit. So in no
window of 60 s is more granted than the limit: look at the last grant in it; all others of the window were counted
when it was made. (A bucket that starts full and refills, or GCRA with a burst as large, lets through twice the limit
in its first window.) The two seconds more are for calls that reach the model's server up to so much later than
others. It is the sliding window log with whole seconds for entries; its throughput is the limit in 62 to 63 s.

Requests and input count from the grant on, at what was estimated, and are set right when the call ends: what came
from the prompt cache is given back. Output counts at the most it may be while the call is under way, and at what it
came to from its end on, so that the sum holds whenever a server counts it. A permit that nobody settles (its process
was killed) comes back after 700 s, longer than any call takes.

**What the server says.** Headers only lower what is left: `level = min(level, remaining - still reserved)` until the
server's `reset`, which is read by the clock of the answer's own `Date` and is never below 0. Still reserved is what
the answer cannot know of: requests and input of calls granted at most 2 s before its own, and the output of all under
way. Answers older than the last one looked at are ignored; 429 closes the class until its `retry-after`. Limits
nobody has set are learned from headers; without headers, what is set and the concurrency bind alone.

**The queue.** Who must wait stands in line, and room is kept for the first: others go ahead of it only where that
does not make it wait longer (EASY backfilling, D. Lifka, 1995). So no call waits behind smaller ones for more than a
window and the calls under way. Who gives up waiting keeps the place for a while, and whoever comes back with a
question of the same size takes it up again, from the second time on with its room kept meanwhile: patience is shorter
than a window.

**Without the server** that keeps all this, each process lives on a small share: `local_limits.py`.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Final

from blackboard import keys
from blackboard.coalesce import Coalescer
from blackboard.doors import Call, Script
from blackboard.errors import StorageError
from knowledge_sources.llm.account import account_of, class_of
from knowledge_sources.llm.calls import CallFailed, Usage
from knowledge_sources.llm.limits_state import LimitsState, read_state
from knowledge_sources.llm.local_limits import Known, LocalLimits
from knowledge_sources.llm.owed import Owed
from knowledge_sources.llm.ports import Endpoint, Permit
from knowledge_sources.llm.rate_headers import RateHeaders
from knowledge_sources.llm.rooms import Heard, Room
from knowledge_sources.llm.settings import ModelSettings

PACKAGE: Final = "knowledge_sources.llm"
PERMIT = Script(
    "limits_permit",
    ("limits", "permits", "queue", "tickets"),
    ("permit", "process", "requests", "input_tokens", "output_tokens", "concurrency", "window_ms", "ticket_ms", "now"),
    PACKAGE,
)
LEAVE = Script("limits_leave", PERMIT.keys, ("permit", "away_ms", "window_ms", "now"), PACKAGE)
SETTLE = Script(
    "limits_settle",
    ("limits", "permits"),
    ("permit", "input", "output", "closed_ms", "date", "requests", "input_tokens", "output_tokens", "window_ms", "now",
     "said"),
    PACKAGE,
)  # fmt: skip
TICKET_MS: Final = 10_000
"""How long a place in the queue outlives its last ask; those who wait ask at least every second."""
KEPT_S: Final = 30.0
"""How long a place is kept for those who were told when to come back, after that time."""
THROTTLED_S: Final = 10.0
"""After a 429 that does not say."""
UNSAID_S: Final = 5.0
"""When to come back, where it depends on calls under way."""
LOCAL: Final = "local-"
SLACK: Final = 63 / 60
"""What the scripts count, in windows."""


class FleetLimits:
    """See `ports.Limits`. `clock`: milliseconds, for tests, else the server's; `window_s` is shorter in tests too."""

    def __init__(
        self,
        line: Coalescer,
        settings: ModelSettings,
        *,
        clock: Callable[[], int] | None = None,
        window_s: float = 60.0,
    ) -> None:
        self._line = line
        self._settings = settings
        self._clock = clock
        self._window_ms = int(window_s * 1000)
        self._process = secrets.token_hex(8)
        self._rooms: dict[str, Room] = {}
        self._owed = Owed()

    async def acquire(self, endpoint: Endpoint, *, input_tokens: int, output_tokens: int, patience_s: float) -> Permit:
        """See ports.Limits. A question larger than a window's whole limit raises CallFailed(request): it never fits."""
        room = self._room(endpoint)
        sizes = f":{max(0, input_tokens)}:{max(0, output_tokens)}"
        permit = Permit(secrets.token_hex(8) + sizes, endpoint, max(0, input_tokens), max(0, output_tokens))
        end = time.monotonic() + patience_s
        try:
            while True:
                answer = await self._ask(room, permit)
                if answer.word == "granted":
                    return permit
                if answer.word == "local":
                    self._owe(self._leave(room, permit, 0.0))
                    return Permit(LOCAL + permit.id, endpoint, permit.input_tokens, permit.output_tokens)
                if answer.word == "never":
                    raise _too_large(permit, room.local.known)
                left = end - time.monotonic()
                if answer.hopeless(left):
                    break
                await room.rest(answer, left)
        except BaseException:
            # Cancelled, or never to fit: the place goes, and so does a permit whose grant was lost on the way.
            self._owe(self._leave(room, permit, 0.0))
            raise
        wait_s = max(answer.wait_ms / 1000, 0.0) if answer.wait_ms >= 0 else UNSAID_S
        retry_s = max(0.1, wait_s) * random.uniform(1.0, 1.25)
        await self._tell(room, self._leave(room, permit, retry_s + KEPT_S))
        raise _throttled(endpoint, retry_s)

    async def settle(self, permit: Permit, usage: Usage | None, headers: Mapping[str, str]) -> None:
        """See ports.Limits. Without usage all that was reserved counts. Settling twice is settling once."""
        used = None if usage is None else (usage.input + usage.cache_write, usage.output)
        await self._settle(permit, used, 0, RateHeaders.read(headers))

    async def throttle(self, permit: Permit, retry_after_s: float | None, headers: Mapping[str, str]) -> None:
        """See ports.Limits. The request counts, its tokens do not: nobody has read them."""
        said = RateHeaders.read(headers)
        if retry_after_s is None:
            retry_after_s = THROTTLED_S if said.spent_ms is None else said.spent_ms / 1000
        await self._settle(permit, (0, 0), max(1, int(retry_after_s * 1000)), said)

    async def state(self, endpoint: Endpoint) -> LimitsState:
        """What is known of an account and class of models now. Raises StorageUnavailable."""
        room = self._room(endpoint)
        return await read_state(
            self._line, room.keys, class_of(endpoint.model), self._configured, self._settings.concurrency,
            self._window_ms, None if self._clock is None else self._clock(),
        )  # fmt: skip

    async def close(self) -> None:
        """Tell what is still to be told, shortly."""
        await self._owed.close()

    @property
    def _configured(self) -> tuple[int, int, int]:
        given = self._settings
        return given.requests_per_minute, given.input_tokens_per_minute, given.output_tokens_per_minute

    @property
    def _given_clock(self) -> int | str:
        return "" if self._clock is None else self._clock()

    def _room(self, endpoint: Endpoint) -> Room:
        account = account_of(self._settings, endpoint)
        found = self._rooms.get(account)
        if found is None:
            names = tuple(keys.llm(kind, account) for kind in PERMIT.keys)
            local = LocalLimits(Known(*self._configured), self._settings.concurrency, int(self._window_ms * SLACK))
            found = self._rooms[account] = Room(names, local)
        return found

    async def _ask(self, room: Room, permit: Permit) -> Heard:
        """Of the fleet; where it cannot be asked, of this process's share."""
        if time.monotonic() >= room.away_until:
            try:
                return room.heard(permit.id, await self._line.run(self._permit(room, permit)), self._now())
            except StorageError:
                room.away_until = time.monotonic() + 1.0
        wait = room.local.take(LOCAL + permit.id, permit.input_tokens, permit.output_tokens, self._now())
        return Heard("local", 0) if wait is None else Heard("wait", wait)

    async def _settle(self, permit: Permit, used: tuple[int, int] | None, closed_ms: int, said: RateHeaders) -> None:
        room, now = self._room(permit.endpoint), self._now()
        room.local.end(permit.id, None if used is None else used[1], now)
        room.local.hear(*(one.limit or 0 for one in said.said))
        if closed_ms:
            room.local.close(now + closed_ms)
        input, output = ("", "") if used is None else used
        call = SETTLE.on(
            room.keys[:2], permit.id, input, output, closed_ms, "" if said.date is None else said.date,
            *self._configured, self._window_ms, self._given_clock, *said.arguments,
        )  # fmt: skip
        await self._tell(room, call)
        room.free()

    def _owe(self, call: Call) -> None:
        """Tell the fleet later: a permit it thinks is held would keep its place for minutes."""

        async def told() -> None:
            await self._line.run(call)

        self._owed.owe(told)

    async def _tell(self, room: Room, call: Call) -> None:
        if time.monotonic() < room.away_until:
            self._owe(call)
            return
        try:
            await self._line.run(call)
        except StorageError:
            self._owe(call)

    def _permit(self, room: Room, permit: Permit) -> Call:
        return PERMIT.on(
            room.keys, permit.id, self._process, *self._configured, self._settings.concurrency,
            self._window_ms, TICKET_MS, self._given_clock,
        )  # fmt: skip

    def _leave(self, room: Room, permit: Permit, away_s: float) -> Call:
        return LEAVE.on(room.keys, permit.id, int(away_s * 1000), self._window_ms, self._given_clock)

    def _now(self) -> int:
        return int(time.monotonic() * 1000) if self._clock is None else self._clock()


def _too_large(permit: Permit, known: Known) -> CallFailed:
    most = min(limit for limit in (known.input, known.tokens) if limit)
    return CallFailed(
        "request",
        f"a question of {permit.input_tokens:,} tokens is more than the {most:,} a minute that are allowed for it",
        billed="no",
        hint="ask about less at a time (BLACKBOARD_MODEL_WINDOW_TOKENS), or have the limit raised",
    )


def _throttled(endpoint: Endpoint, retry_s: float) -> CallFailed:
    return CallFailed(
        "throttled",
        f"the limits of {class_of(endpoint.model)} leave no room now; there may be some in {retry_s:.0f} s",
        retry_after_s=retry_s,
        billed="no",
    )
