"""`submit`, `watch`, `cancel`, `approve`, `retry`: what needs a running service. Ids alone go to stdout."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.completing import board_ids, source_names
from controller.commands.options import (
    DEFAULT_URL,
    ApiKey,
    BoardId,
    BudgetOption,
    Data,
    Deadline,
    Documents,
    Floors,
    Goal,
    Json,
    Listing,
    ModelsOption,
    Only,
    PriceOption,
    Shadow,
    Strategies,
    Url,
    client_of,
    existing,
    is_address,
    policy_json,
    words,
)

if TYPE_CHECKING:
    from blackboard.client import AsyncBlackboard, Board, Event
    from controller.live import Painter, Tracker

Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0.0, help="Wait at most so long; then exit 4.")
]
Callback = Annotated[
    str,
    typer.Option("--callback", metavar="URL", help="An address that is told of the board's end: see docs/webhooks.md."),
]
MaybeBoard = Annotated[
    str,
    typer.Argument(metavar="[ID]", help="The board's id; all boards if left out.", autocompletion=board_ids),
]
Action = Annotated[str, typer.Option("--activation", metavar="A", help="Only this activation of an open board.")]


def submit(
    documents: Documents,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; exit 1 if a board fails.")] = False,
    goal: Goal = "",
    sources: Only = "",
    shadow: Shadow = "",
    deadline: Deadline = None,
    priority: Annotated[str, typer.Option("--priority", help="interactive or batch.")] = "interactive",
    hold: Annotated[bool, typer.Option("--hold", help="Keep settled boards open until `approve`.")] = False,
    strategy: Strategies = None,
    floor: Floors = None,
    price: PriceOption = "",
    budget: BudgetOption = "",
    models: ModelsOption = "",
    callback: Callback = "",
    timeout: Timeout = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Send documents to a running service, or their addresses for it to fetch; one board's id a line."""
    asked = {
        "goal": words(goal),
        "sources": words(sources),
        "shadow": words(shadow),
        "deadline_s": deadline,
        "priority": priority,
        "hold": "review" if hold else None,
        "callback": callback or None,
        **policy_json(strategy, floor, budget, price, models),
    }
    client = client_of(url, api_key)
    existing([Path(document) for document in documents if not is_address(document)])
    code = console.run(_within(timeout, _submit(client, documents, asked, wait, as_json)))
    raise typer.Exit(code)


async def _submit(
    client: AsyncBlackboard, documents: list[str], asked: dict[str, Any], wait: bool, as_json: bool
) -> int:
    import asyncio

    from controller.live import Tracker, painter_for

    async with client:
        boards = []
        for document in documents:
            where: dict[str, Any] = {"url" if is_address(document) else "document": document}
            handle = await client.submit(**where, **asked)
            boards.append(handle.id)
            if not wait:
                console.out_json(handle.submitted.raw) if as_json else console.out(handle.id)
        if not wait:
            return console.DONE
        trackers = [Tracker(PurePath(document).name) for document in documents]
        with painter_for(trackers) as painter:
            pairs = zip(boards, trackers, strict=True)
            await asyncio.gather(*(_follow(client, board, tracker, painter) for board, tracker in pairs))
        return max([await _ended(client, board, as_json) for board in boards], default=console.DONE)


async def _follow(client: AsyncBlackboard, id: str, tracker: Tracker, painter: Painter) -> None:
    from blackboard.messages import PROGRESS

    async for event in client.events(id):
        if event.type == PROGRESS:
            name = tracker.hear(event.raw)
            painter.moved(tracker, [name] if name else [])
        elif (record := event.record) is not None:
            painter.moved(tracker, tracker.take(record))


async def _ended(client: AsyncBlackboard, id: str, as_json: bool) -> int:
    board = await client.board(id)
    console.out_json(board.raw) if as_json else console.out(id)
    console.say(f"board {id} {_words(board)}")
    return _code_of(board)


def _words(board: Board) -> str:
    return f"{board.status}: {board.outcome.reason}" if board.outcome else board.status


def _code_of(board: Board) -> int:
    if board.status != "completed":
        return console.BOARD_FAILED
    return console.TIMED_OUT if board.outcome and board.outcome.slug == "deadline" else console.DONE


def watch(
    board: MaybeBoard = "",
    after: Annotated[str, typer.Option("--after", metavar="EVENT", help="Go on behind this event's id.")] = "",
    timeout: Timeout = None,
    as_json: Listing = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Print every event of a board until it ends, each once, over any number of lost connections.

    A watcher that was killed goes on exactly where it stopped with `--after`, the last id it printed: `<incarnation>.<id>`.
    With `--data` it looks into that data directory instead of asking a service. Without an ID it prints what changes on all
    boards of a service, until it is stopped.
    """
    if board:
        work = _watch(board, after, as_json, url, api_key, data)
    elif data is None:
        work = _watch_all(after, as_json, client_of(url, api_key))
    else:
        raise typer.BadParameter("all boards are watched through a service: leave out --data", param_hint="--data")
    raise typer.Exit(console.run(_within(timeout, work)))


async def _watch(id: str, after: str, as_json: bool | None, url: str, api_key: str, data: Data) -> int:
    from controller.commands.access import nearby

    for_people = console.as_table(as_json)
    async with client_of(url, api_key) if data is None else nearby(data) as service:
        began = (await service.board(id)).created
        async for event in service.events(id, after=after):
            if not for_people:
                console.out(event.raw.decode())
            elif line := _line(event, began):
                console.out(line)
        board = await service.board(id)
        console.say(f"board {id} {_words(board)}")
        return _code_of(board)


async def _watch_all(after: str, as_json: bool | None, client: AsyncBlackboard) -> int:
    from controller.commands.telling import clock

    for_people = console.as_table(as_json)
    async with client:
        async for change in client.watch(after=after):
            if for_people and change.board:
                at = clock(change.data.get("at", 0))[:-4]
                console.out(f"{at}  {change.board}  {change.revision:>5}  {change.status:<9}  {change.type}")
            elif not for_people:
                console.out_json({"id": change.id, **change.data})
    return console.DONE


def _line(event: Event, began: int) -> str:
    from blackboard.messages import RESET
    from controller.commands.telling import line_of

    if event.type == RESET:
        return f"reset: the history is another one now; going on behind {event.id}"
    record = event.record
    return line_of(record, began) if record is not None else ""


async def _within(timeout: float | None, work: Any) -> int:
    import asyncio

    try:
        async with asyncio.timeout(timeout) as limit:
            return int(await work)
    except TimeoutError:
        if not limit.expired():
            raise
        console.say(f"error: not ended within {timeout:g} s")
        console.say("hint: the service goes on with it; `blackboard watch ID` looks again")
        return console.TIMED_OUT


def cancel(board: BoardId, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """End a board as it is. On one that has ended nothing happens."""
    _act(client_of(url, api_key), lambda client: client.cancel(board), as_json)


def approve(board: BoardId, as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = "") -> None:
    """Let a board that is held for review end."""
    _act(client_of(url, api_key), lambda client: client.approve(board), as_json)


def retry(
    board: BoardId, activation: Action = "", as_json: Json = False, url: Url = DEFAULT_URL, api_key: ApiKey = ""
) -> None:
    """Try again what failed; the id of the board where that happens (a new one if the board had ended)."""
    _act(client_of(url, api_key), lambda client: client.retry(board, activation=activation), as_json)


def fork(
    board: BoardId,
    at: Annotated[int | None, typer.Option("--at", metavar="REV", min=1, help="Go on from this revision.")] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Go on from a revision of a board on a new one; its id. What had been done then stays done."""
    _act(client_of(url, api_key), lambda client: client.fork(board, at=at), as_json)


def _act(client: AsyncBlackboard, ask: Callable[[AsyncBlackboard], Awaitable[Board]], as_json: bool) -> None:
    async def acted() -> Board:
        async with client:
            return await ask(client)

    found = console.run(acted())
    console.out_json(found.raw) if as_json else console.out(found.id)


def backfill(
    board: BoardId,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source to run.", autocompletion=source_names)],
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Let what reads its contributions run again, too.")
    ] = False,
    space: Annotated[str, typer.Option("--space", metavar="shadow", help="Where it writes: to the side space.")] = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Run one more source, or a newer version of one, on a board; the id of the board where that happens.

    A board that has ended stays as it is: the source runs, alone, on a copy of it.
    """
    _act(
        client_of(url, api_key),
        lambda client: client.backfill(board, source, downstream=downstream, space=space),
        as_json,
    )


def register(app: typer.Typer) -> None:
    """Add the group's commands."""
    for command in (submit, watch, cancel, approve, retry, fork, backfill):
        app.command()(command)
