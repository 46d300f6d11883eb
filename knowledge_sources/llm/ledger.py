"""One line for each attempt that a server may have seen, and for each answer that needed none.

A line stands as `unknown`, at the amount reserved, from before its call is sent until it is ended: what a process that died
leaves says that something may have been spent. Lines are kept by UTC day for 90 days. With every line, in the same step, the
sums follow that the doors show, so that reading them costs nothing like reading the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import orjson

from blackboard import keys
from blackboard.coalesce import Coalescer, resent
from blackboard.doors import Call, Script
from blackboard.errors import Deferred, StorageError, UsageError
from knowledge_sources.llm.calls import Caller, Usage
from knowledge_sources.llm.days import day_of
from knowledge_sources.llm.owed import Owed
from knowledge_sources.llm.ports import Endpoint, Row

ENTER = Script(
    "enter",
    ("rows", "order", "board_order", "sums", "board_sums", "erased"),
    ("id", "at", "place", "keep_ms", "mode", "figures", "cells", "line", "bare"),
    "knowledge_sources.llm",
)
SCRUB = Script("scrub", ("rows",), ("id", "found", "bare"), "knowledge_sources.llm")
KEEP_MS: Final = 90 * 86_400_000
AGAIN_S = 5.0
MOST_SAID = 500
MOST_BEGUN = 10_000
UNCALLED: Final = frozenset({"cache", "recording"})
"""Outcomes of answers that needed no call."""

CELL, PART, WORD = "\x1e", "\x1d", "\x1f"
_CONTROL = dict.fromkeys(range(0x1C, 0x20), " ")


@dataclass(frozen=True, slots=True)
class Figures:
    """What lines add up to. Tokens are those of calls that were made; money in nano-dollars."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    nano: int = 0
    saved_nano: int = 0
    unpriced: int = 0
    """Calls whose cost nobody knows."""
    latency_ms: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(a + b for a, b in zip(self.words(), other.words(), strict=True)))

    @property
    def tokens(self) -> int:
        """All, however they were priced."""
        return self.input + self.output + self.cache_read + self.cache_write

    def words(self) -> tuple[int, ...]:
        """In the order of the fields."""
        return tuple(getattr(self, each.name) for each in fields(self))

    @classmethod
    def of(cls, row: Row) -> Figures:
        """A line's."""
        made = row.outcome not in UNCALLED
        usage = row.usage if made else Usage()
        unpriced = int(made and row.nano is None)
        spent = (row.nano or 0) if made else 0
        return cls(
            1, usage.input, usage.output, usage.cache_read, usage.cache_write, spent, row.saved_nano, unpriced,
            row.latency_ms,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sum:
    """Lines that have these words in common; `board` is "" where a sum does not tell boards apart, `source` and `model`
    where it tells nothing but boards apart."""

    tenant: str
    outcome: str
    figures: Figures
    source: str = ""
    model: str = ""
    board: str = ""


class RedisLedger:
    """See ports.Ledger."""

    def __init__(self, line: Coalescer) -> None:
        self._line = line
        self._begun: dict[str, int] = {}
        self.owed = Owed()

    async def begin(self, row: Row) -> None:
        """See ports.Ledger. Raises Deferred where the server is away: what cannot be written down is not sent."""
        call = _enter("begin", row)
        try:
            await resent(lambda: self._line.run(call))
        except (StorageError, asyncio.CancelledError) as error:
            # It may stand there all the same, for a call that will not be made.
            self.owed.owe(lambda: self._run(_enter("strike", row)))
            if not isinstance(error, StorageError):
                raise
            raise Deferred(f"a call cannot be written down: {error}", after_s=AGAIN_S, hint=error.hint) from error
        if len(self._begun) >= MOST_BEGUN:
            self._begun.pop(next(iter(self._begun)))
        self._begun[row.id] = row.at

    async def end(self, row: Row) -> None:
        """See ports.Ledger; also for lines that were never begun. Where the server is away it is made later."""
        # The day a call began on is the one it belongs to, though it may end on the next.
        call = _enter("end", row, at=self._begun.pop(row.id, row.at))
        try:
            await resent(lambda: self._line.run(call))
        except (StorageError, asyncio.CancelledError) as error:
            self.owed.owe(lambda: self._run(call))
            if not isinstance(error, StorageError):
                raise

    async def strike(self, row: Row) -> None:
        """Take back what `begin` wrote: the call was never sent."""
        self._begun.pop(row.id, None)
        try:
            await resent(lambda: self._run(_enter("strike", row)))
        except (StorageError, asyncio.CancelledError) as error:
            self.owed.owe(lambda: self._run(_enter("strike", row)))
            if not isinstance(error, StorageError):
                raise

    async def of_day(self, day: str, *, after: str = "", limit: int = 200) -> tuple[list[Row], str]:
        """A day's lines by the time they began, and the cursor for more. Raises StorageUnavailable, UsageError."""
        ids, cursor = await self._page(f"day:{day}", after, limit)
        return await self._lines([(day, id) for id in ids]), cursor

    async def of_board(self, board: str, *, after: str = "", limit: int = 200) -> tuple[list[Row], str]:
        """A board's lines by the time they began, and the cursor for more. Raises StorageUnavailable, UsageError."""
        places, cursor = await self._page(f"board:{board}", after, limit)
        found = [(day, id) for day, _, id in (place.partition("|") for place in places)]
        return await self._lines(found), cursor

    async def forget(self, board: str) -> None:
        """Of an erased board's lines keep the figures alone, and what adds up over boards. Raises StorageError.

        Lines that are written later are kept so from the start: see `Flights.erase`, which comes first.
        """
        order, after = keys.llm("calls", f"board:{board}"), 0
        while members := await self._line.issue(("ZRANGE", order, after, after + 199)):
            places = (member.decode().partition("|") for member in members)
            await asyncio.gather(*(self._scrub(day, id) for day, _, id in places))
            after += len(members)
        whose = f"board:{board}"
        await self._line.issue(("UNLINK", *(keys.llm(kind, whose) for kind in ("calls", "sums", "spent"))))

    async def sums(self, day: str) -> list[Sum]:
        """A day's: by tenant, source, model and outcome, and by tenant, board and outcome. Raises StorageUnavailable."""
        return _sums(await self._line.issue(("HGETALL", keys.llm("sums", f"day:{day}"))))

    async def of_tenant(self, day: str, tenant: str) -> Figures:
        """What all of a tenant's lines of a day come to. Raises StorageUnavailable."""
        stored = await self._line.issue(("HGET", keys.llm("sums", f"day:{day}"), _cell("t", tenant)))
        return Figures(*map(int, stored.decode().split(","))) if stored else Figures()

    async def sums_of_board(self, board: str) -> list[Sum]:
        """A board's: by source, model and outcome. Raises StorageUnavailable."""
        return _sums(await self._line.issue(("HGETALL", keys.llm("sums", f"board:{board}"))))

    async def close(self) -> None:
        """Make what is still owed, if the server is there."""
        await self.owed.close()

    async def _page(self, whose: str, after: str, limit: int) -> tuple[list[str], str]:
        order, first = keys.llm("calls", whose), 0
        if after:
            rank = await self._line.issue(("ZRANK", order, after))
            if rank is None:
                raise UsageError("the cursor is not one that this listing gave")
            first = int(rank) + 1
        members = [each.decode() for each in await self._line.issue(("ZRANGE", order, first, first + limit))]
        return members[:limit], members[limit - 1] if len(members) > limit else ""

    async def _lines(self, places: Sequence[tuple[str, str]]) -> list[Row]:
        # One command for each: they leave together, and a board's lines may lie in several days.
        asked = (self._line.issue(("HGET", keys.llm("ledger", day), id)) for day, id in places)
        return [_parsed(stored) for stored in await asyncio.gather(*asked) if stored is not None]

    async def _scrub(self, day: str, id: str) -> None:
        rows = keys.llm("ledger", day)
        stored = await self._line.issue(("HGET", rows, id))
        if stored is not None:
            row = _parsed(stored)
            await self._run(SCRUB.of(rows, id, stored, _packed(_bare(row), row.at)))

    async def _run(self, call: Call) -> None:
        await self._line.run(call)


def _enter(mode: str, row: Row, *, at: int | None = None) -> Call:
    at = row.at if at is None else at
    day, caller = day_of(at), row.caller
    own = (
        keys.llm("ledger", day),
        keys.llm("calls", f"day:{day}"),
        keys.llm("calls", f"board:{caller.board}"),
        keys.llm("sums", f"day:{day}"),
        keys.llm("sums", f"board:{caller.board}"),
        keys.llm("board", caller.board),
    )
    place = f"{day}|{row.id}" if caller.board else ""
    cells = (
        _cell("t", caller.tenant),
        _cell("c", caller.tenant, caller.source, row.endpoint.model, row.outcome),
        *((_cell("b", caller.tenant, caller.board, row.outcome),) if caller.board else ()),
    )
    figures = ",".join(map(str, Figures.of(row).words()))
    bare = _packed(_bare(row), at) if caller.board else b""
    return ENTER.on(own, row.id, at, place, KEEP_MS, mode, figures, CELL.join(cells), _packed(row, at), bare)


def _bare(row: Row) -> Row:
    """What is kept of a line of an erased board: no word of the document, nor a digest of any."""
    caller = Caller(row.caller.tenant, row.caller.board, source=row.caller.source)
    return replace(row, caller=caller, request="", failure=row.failure.partition(":")[0])


def _cell(*words: str) -> str:
    return WORD.join(word.translate(_CONTROL) for word in words)


def _sums(flat: Sequence[bytes]) -> list[Sum]:
    found = []
    for cell, stored in zip(flat[::2], flat[1::2], strict=True):
        kind, tenant, *words = cell.decode().split(WORD)
        if kind == "t":
            continue  # what the others add up to
        figures = Figures(*map(int, stored.decode().split(",")))
        if kind == "c":
            source, model, outcome = words
            found.append(Sum(tenant, outcome, figures, source=source, model=model))
        else:
            board, outcome = words
            found.append(Sum(tenant, outcome, figures, board=board))
    return found


def total(sums: Iterable[Sum]) -> Figures:
    """Of some sums."""
    found = Figures()
    for each in sums:
        found += each.figures
    return found


def _packed(row: Row, at: int) -> bytes:
    caller, usage = row.caller, row.usage
    return orjson.dumps(
        {
            "id": row.id,
            "at": at,
            "caller": [caller.tenant, caller.board, caller.activation, caller.epoch, caller.source, caller.binding],
            "endpoint": [row.endpoint.base_url, row.endpoint.model],
            "request": row.request,
            "prompt": row.prompt,
            "outcome": row.outcome,
            "usage": [usage.input, usage.output, usage.cache_read, usage.cache_write],
            "nano": row.nano,
            "saved_nano": row.saved_nano,
            "failure": _clean(row.failure),
            "request_id": _clean(row.request_id),
            "latency_ms": row.latency_ms,
        }
    )


def _clean(said: str) -> str:
    """What a server said, of a length and in characters that can be kept."""
    return said[:MOST_SAID].encode(errors="replace").decode()


def _parsed(stored: bytes) -> Row:
    said: dict[str, Any] = orjson.loads(stored.split(PART.encode(), 2)[2])
    made = {"caller": Caller(*said["caller"]), "endpoint": Endpoint(*said["endpoint"]), "usage": Usage(*said["usage"])}
    return Row(**(said | made))
