"""`spending`: what models cost, what is left under each cap, which tenants are paused; `spending resume` ends a pause."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from controller.commands import console
from controller.commands.options import ApiKey, Data, Json, MaybeUrl, client_of, settings_from

if TYPE_CHECKING:
    from blackboard.client import AsyncBlackboard

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)

Board = Annotated[str, typer.Option("--board", metavar="ID", help="One board's calls, one by one.", show_default=False)]
Day = Annotated[
    str,
    typer.Option("--day", metavar="DAY", help="A day, UTC, like 2026-11-21; today if left out.", show_default=False),
]
PAGE = 200
PRICE = ("model", "", "input", "cache read", "cache write", "output", "source")
CAP = ("cap", "USD", "spent", "reserved", "left")
NAMES = ("tenant", "source", "model", "outcome", "board")


class Reader(Protocol):
    """Where figures come from: the data directory, or a running service, which shows a tenant its own alone."""

    async def day(self, day: str) -> dict[str, Any]:
        """See Accounts."""

    async def calls(self, board: str, after: str) -> dict[str, Any]:
        """A page of a board's."""


@app.callback()
def spending(
    ctx: typer.Context,
    board: Board = "",
    day: Day = "",
    as_json: Json = False,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Show what models cost: a day's sums and caps, or one board's calls. `spending resume TENANT` ends a pause."""
    if ctx.invoked_subcommand is None:
        console.run(_show(board, day, as_json, url, api_key, data))


@app.command()
def resume(tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Who is paused.")], data: Data = None) -> None:
    """End the pause of a tenant that spent too fast; its hour begins anew. For operators: it needs the data directory."""
    console.run(_resume(tenant, data))


@app.command()
def prices(as_json: Json = False, data: Data = None) -> None:
    """Show what a million tokens of each model cost, and where that was read. Models that are asked go first."""
    console.run(_prices(as_json, data))


async def _prices(as_json: bool, data: Data) -> None:
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        rows = service.accounts.prices()
    if as_json:
        console.out_json(rows)
        return
    console.out(console.columns([_price(row) for row in rows], header=PRICE))
    for row in rows:
        if row["asked"] and row["input_usd"] is None:
            console.say(f"nobody knows what {row['model']} costs: it is not asked until BLACKBOARD_MODEL_PRICES says")


async def _resume(tenant: str, data: Data) -> None:
    from blackboard.errors import UsageError
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        if not await service.accounts.resume(tenant):
            raise UsageError(f"{tenant} is not paused", hint="`blackboard spending` lists who is")
    console.say(f"{tenant} goes on")


async def _show(board: str, day: str, as_json: bool, url: str, api_key: str, data: Data) -> None:
    from blackboard.errors import UsageError

    if board and day:
        raise UsageError("--board and --day do not go together", hint="a board's calls are few enough to show all")
    async with reader_of(url, data, api_key) as reader:
        shown = await whole(reader, board) if board else await reader.day(day)
    if as_json:
        console.out_json(shown)
    elif board:
        _print_board(shown)
    else:
        _print_day(shown)


async def whole(reader: Reader, board: str) -> dict[str, Any]:
    """All of a board's calls."""
    shown = page = await reader.calls(board, "")
    while page["next_cursor"]:
        page = await reader.calls(board, page["next_cursor"])
        shown["items"] += page["items"]
    shown["next_cursor"] = None
    return shown


@asynccontextmanager
async def reader_of(url: str, data: Path | None, api_key: str = "") -> AsyncIterator[Reader]:
    """From the service at `url`, else from what the settings name."""
    if url:
        async with client_of(url, api_key) as client:
            yield _Remote(client)
        return
    from controller.bootstrap import open_service

    async with open_service(settings_from(data), roles=frozenset(), sources=()) as service:
        yield _Local(service)


class _Local:
    def __init__(self, service: Any) -> None:
        self._service = service

    async def day(self, day: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._service.accounts.day(day)
        return found

    async def calls(self, board: str, after: str) -> dict[str, Any]:
        # The ledger outlives boards: one that was removed has no head, and its tenant matters to no figure of its own.
        head = await self._service.store.head(board) or {}
        tenant = str(head.get("tenant", ""))
        found: dict[str, Any] = await self._service.accounts.board(board, tenant=tenant, after=after, limit=PAGE)
        return found


class _Remote:
    def __init__(self, client: AsyncBlackboard) -> None:
        self._client = client

    async def day(self, day: str) -> dict[str, Any]:
        return await self._client.spending(day=day)

    async def calls(self, board: str, after: str) -> dict[str, Any]:
        return await self._client.calls(board, cursor=after, limit=PAGE)


def _print_day(shown: dict[str, Any]) -> None:
    console.out(f"{shown['day']} (UTC)")
    rows = [(f"tenant {cap['tenant']}", cap) for cap in shown["caps"]["tenants"]]
    if "day" in shown["caps"]:
        rows.insert(0, ("everybody", shown["caps"]["day"]))
    if rows:
        console.out(console.columns([_cap(*row) for row in rows], header=CAP))
    if not shown["totals"]["calls"] and not shown["totals"]["avoided_calls"]:
        console.say("no call was made that day")
    else:
        _print_sums(shown)
    for pause in shown["pauses"]:
        until = datetime.fromtimestamp(pause["until"] / 1000, UTC)
        console.say(f"tenant {pause['tenant']} is paused until {until:%Y-%m-%d %H:%M:%S} UTC: it spent too fast")
        console.say(f"hint: `blackboard spending resume {pause['tenant']}` ends the pause")


def _print_board(shown: dict[str, Any]) -> None:
    if not shown["items"]:
        console.say(f"no call was made for board {shown['board']}, or it was longer ago than 90 days")
        return
    console.out(
        console.columns(
            [_call(each) for each in shown["items"]],
            header=("at (UTC)", "source", "model", "outcome", "in", "cached", "out", "ms", "USD", "note"),
        )
    )
    console.out("")
    console.out(console.columns([_cap("board", shown["cap"])], header=CAP))
    _print_sums(shown)


def _print_sums(shown: dict[str, Any]) -> None:
    totals = shown["totals"]
    header = ("calls", "USD", "in", "cached", "out", "failed", "unknown", "avoided", "USD avoided")
    for name in NAMES:
        if found := shown["by"].get(name):
            console.out("\n" + console.columns([(each[name], *_sum(each)) for each in found], header=(name, *header)))
    console.out("\n" + console.columns([("all", *_sum(totals))], header=("", *header)))
    console.out(
        f"\nprompt cache: {totals['cache_read_tokens']} tokens read ({totals['cached_share']:.0%} of all input), "
        f"{_usd(totals['cache_saved_usd'])} USD saved"
    )
    if totals["unpriced"]:
        console.say(f"calls whose price nobody knows, and which are in no sum: {totals['unpriced']}")


def _sum(each: dict[str, Any]) -> Sequence[str]:
    went_in = each["input_tokens"] + each["cache_read_tokens"] + each["cache_write_tokens"]
    numbers = (each["cache_read_tokens"], each["output_tokens"], each["failed"], each["unknown"], each["avoided_calls"])
    return (str(each["calls"]), _usd(each["usd"]), str(went_in), *map(str, numbers), _usd(each["avoided_usd"]))


def _cap(name: str, cap: dict[str, Any]) -> Sequence[str]:
    return (name, *(_usd(cap[word]) for word in ("cap_usd", "spent_usd", "reserved_usd", "left_usd")))


def _call(each: dict[str, Any]) -> Sequence[str]:
    at = datetime.fromtimestamp(each["at"] / 1000, UTC)
    went_in = each["input_tokens"] + each["cache_read_tokens"] + each["cache_write_tokens"]
    cost = "?" if each["usd"] is None else _usd(each["usd"])
    numbers = (went_in, each["cache_read_tokens"], each["output_tokens"], each["latency_ms"])
    note = each["failure"] or (f"saved {_usd(each['saved_usd'])}" if each["saved_usd"] > 0 else "")
    return (f"{at:%m-%d %H:%M:%S}", each["source"], each["model"], each["outcome"], *map(str, numbers), cost, note)


def _price(row: dict[str, Any]) -> Sequence[str]:
    name = f"{row['model']}, above {row['above_tokens']} tokens" if row["above_tokens"] else row["model"]
    words = ("input_usd", "cache_read_usd", "cache_write_usd", "output_usd")
    costs = ("?" if row[word] is None else _usd(row[word]) for word in words)
    return (name, "asked" if row["asked"] else "", *costs, " ".join(filter(None, (row["source"], row["read"]))))


def _usd(dollars: float) -> str:
    """At least a cent's digits, and no digit that says nothing."""
    text = f"{dollars:.6f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"
