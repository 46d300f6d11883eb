"""What the fleet knows of an account's limits, to be shown: how much is left of each, what is under way, who waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from blackboard import wire
from blackboard.coalesce import Coalescer

SLOTS: Final = 60
SLACK: Final = 2


@dataclass(frozen=True, slots=True)
class Level:
    """One dimension. None: no limit is known."""

    used: int
    """In the window; output of calls under way at the most it may be."""
    limit: int | None
    left: int | None
    """Of the limit, less what the server said that others used."""


@dataclass(frozen=True, slots=True)
class LimitsState:
    """Of an account and class of models. Times are milliseconds since 1970."""

    models: str
    """The class."""
    requests: Level
    input_tokens: Level
    output_tokens: Level
    tokens: Level
    """Input and output together, where the server limits that."""
    under_way: int
    concurrency: int
    waiting: int
    closed_until: int | None
    """After a 429; None: not closed."""
    processes: int
    """That asked within ten minutes."""


async def read_state(
    line: Coalescer,
    keys: Sequence[str],
    models: str,
    configured: tuple[int, int, int],
    concurrency: int,
    window_ms: int,
    clock: int | None,
) -> LimitsState:
    """`keys`: limits, permits, queue, tickets; `clock`: ms, else the server's. Raises StorageUnavailable."""
    seconds, micros = await line.issue(("TIME",))
    now = int(seconds) * 1000 + int(micros) // 1000 if clock is None else clock
    asked = (
        line.issue(("HGETALL", keys[0])),
        line.issue(("ZRANGE", keys[1], now + 1, "+inf", "BYSCORE")),
        line.issue(("HGETALL", keys[3])),
    )
    said, permits, tickets = wire.texts(await asked[0]), await asked[1], wire.texts(await asked[2])
    held = sum(int(permit.decode().rpartition(":")[2]) for permit in permits)
    used = _used(said, now, window_ms)
    used["o"] += held
    used["t"] = used["i"] + used["o"]
    set_ = dict(zip("riot", (*configured, 0), strict=True))
    levels = {dim: _level(said, dim, used[dim], set_[dim], now) for dim in "riot"}
    closed = int(said.get("closed", 0))
    return LimitsState(
        models, levels["r"], levels["i"], levels["o"], levels["t"],
        under_way=len(permits),
        concurrency=concurrency,
        waiting=sum(1 for ticket in tickets.values() if int(ticket.split("|")[0]) > now and "|here|" in ticket),
        closed_until=closed if closed > now else None,
        processes=sum(1 for name, at in said.items() if name.startswith("p:") and int(at) >= now - 600_000),
    )  # fmt: skip


def _used(said: Mapping[str, str], now: int, window_ms: int) -> dict[str, int]:
    oldest = int(now / (window_ms / SLOTS)) - SLOTS - SLACK
    used = {"r": 0, "i": 0, "o": 0}
    for name, amount in said.items():
        dim, _, slot = name.partition(":")
        if dim in used and int(slot) >= oldest:
            used[dim] += int(amount)
    return used


def _level(said: Mapping[str, str], dim: str, used: int, configured: int, now: int) -> Level:
    known = [int(said[f"limit:{dim}"])] if f"limit:{dim}" in said else []
    known += [configured] if configured else []
    if not known:
        return Level(used, None, None)
    amount, _, until = said.get(f"debt:{dim}", "0|0").partition("|")
    debt = int(amount) if now < int(until) else 0
    return Level(used, min(known), max(0, min(known) - used - debt))
