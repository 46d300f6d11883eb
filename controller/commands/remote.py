"""`submit`, `watch`, `cancel`, `approve`, `retry`: what needs a running service. Ids alone go to stdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import (
    DEFAULT_URL,
    BoardId,
    BudgetOption,
    Data,
    Deadline,
    Files,
    Floors,
    Goal,
    Json,
    ModelsOption,
    Only,
    PriceOption,
    Shadow,
    Strategies,
    Url,
    existing,
    policy_json,
    words,
)

if TYPE_CHECKING:
    from controller.commands.client import Client
    from controller.commands.stream import Message
    from controller.live import Painter, Tracker

Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", min=0.0, help="Wait at most so long; then exit 4.")
]
Action = Annotated[str, typer.Option("--activation", metavar="A", help="Only this activation of an open board.")]


def submit(
    files: Files,
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
    timeout: Timeout = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Send documents to a running service; one board's id a line."""
    options = {
        "goal": ",".join(words(goal)),
        "sources": ",".join(words(sources)),
        "shadow": ",".join(words(shadow)),
        "deadline_s": "" if deadline is None else f"{deadline:.3f}",
        "priority": priority,
        "hold": "review" if hold else "",
        **{name: _in_form(value) for name, value in policy_json(strategy, floor, budget, price, models).items()},
    }
    asked = {name: value for name, value in options.items() if value}
    code = console.run(_within(timeout, _submit(existing(files), asked, wait, as_json, url)))
    raise typer.Exit(code)


def _in_form(value: Any) -> str:
    """A member of a submission as a field of a form."""
    return value if isinstance(value, str) else json.dumps(value)


async def _submit(files: list[Path], asked: dict[str, str], wait: bool, as_json: bool, url: str) -> int:
    import asyncio

    from controller.commands.client import Client
    from controller.live import Tracker, painter_for

    async with Client(url) as client:
        boards = []
        for file in files:
            board = await client.submit(file, asked)
            boards.append(board)
            if not wait:
                console.out_json(board) if as_json else console.out(board["id"])
        if not wait:
            return console.DONE
        trackers = [Tracker(file.name) for file in files]
        with painter_for(trackers) as painter:
            pairs = zip(boards, trackers, strict=True)
            await asyncio.gather(*(_follow(client, board["id"], tracker, painter) for board, tracker in pairs))
        return max([await _ended(client, board["id"], as_json) for board in boards], default=console.DONE)


async def _follow(client: Client, id: str, tracker: Tracker, painter: Painter) -> None:
    from controller.commands.stream import PROGRESS

    async for message in client.events(id):
        if message.event == PROGRESS:
            name = tracker.hear(message.data)
            painter.moved(tracker, [name] if name else [])
        elif (record := message.record) is not None:
            painter.moved(tracker, tracker.take(record))


async def _ended(client: Client, id: str, as_json: bool) -> int:
    board = await client.board(id)
    console.out_json(board) if as_json else console.out(id)
    console.say(f"board {id} {_words(board)}")
    return _code_of(board)


def _words(board: dict[str, Any]) -> str:
    reason = (board.get("outcome") or {}).get("reason")
    return f"{board['status']}: {reason}" if reason else str(board["status"])


def _code_of(board: dict[str, Any]) -> int:
    if board["status"] != "completed":
        return console.BOARD_FAILED
    return console.TIMED_OUT if (board.get("outcome") or {}).get("slug") == "deadline" else console.DONE


def watch(
    board: BoardId,
    after: Annotated[str, typer.Option("--after", metavar="EVENT", help="Go on behind this event's id.")] = "",
    timeout: Timeout = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    data: Data = None,
) -> None:
    """Print every event of a board until it ends, each once, over any number of lost connections.

    A watcher that was killed goes on exactly where it stopped with `--after`, the last id it printed: `<incarnation>.<id>`.
    With `--data` it looks into that data directory instead of asking a service.
    """
    raise typer.Exit(console.run(_within(timeout, _watch(board, after, as_json, url, data))))


async def _watch(id: str, after: str, as_json: bool, url: str, data: Data) -> int:
    from controller.commands.access import nearby
    from controller.commands.client import Client

    async with Client(url) if data is None else nearby(data) as service:
        began = int((await service.board(id)).get("created", 0))
        async for message in service.events(id, after):
            if as_json:
                console.out(message.data.decode())
            elif line := _line(message, began):
                console.out(line)
        board = await service.board(id)
        console.say(f"board {id} {_words(board)}")
        return _code_of(board)


def _line(message: Message, began: int) -> str:
    from controller.commands.stream import RESET
    from controller.commands.telling import line_of

    if message.event == RESET:
        return f"reset: the history is another one now; going on behind {message.id}"
    record = message.record
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


def cancel(board: BoardId, as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """End a board as it is. On one that has ended nothing happens."""
    _act(board, "cancel", None, as_json, url)


def approve(board: BoardId, as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """Let a board that is held for review end."""
    _act(board, "approve", None, as_json, url)


def retry(board: BoardId, activation: Action = "", as_json: Json = False, url: Url = DEFAULT_URL) -> None:
    """Try again what failed; the id of the board where that happens (a new one if the board had ended)."""
    _act(board, "retry", {"activation": activation} if activation else None, as_json, url)


def _act(board: str, verb: str, body: dict[str, Any] | None, as_json: bool, url: str) -> None:
    answer = console.run(_acted(board, verb, body, url))
    console.out_json(answer) if as_json else console.out(str(answer.get("id", board)))


async def _acted(board: str, verb: str, body: dict[str, Any] | None, url: str) -> dict[str, Any]:
    from controller.commands.client import Client

    async with Client(url) as client:
        return await client.act(board, verb, body)


def backfill(
    board: BoardId,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source to run.")],
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Let what reads its contributions run again, too.")
    ] = False,
    space: Annotated[str, typer.Option("--space", metavar="shadow", help="Where it writes: to the side space.")] = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Run one more source, or a newer version of one, on a board; the id of the board where that happens.

    A board that has ended stays as it is: the source runs, alone, on a copy of it.
    """
    answer = console.run(_backfill(board, source, downstream, space, url))
    console.out_json(answer) if as_json else console.out(str(answer["id"]))


async def _backfill(board: str, source: str, downstream: bool, space: str, url: str) -> dict[str, Any]:
    from controller.commands.client import Client

    asked = {"downstream": "true" if downstream else "", "space": space}
    async with Client(url) as client:
        return await client.backfill(board, source, {name: value for name, value in asked.items() if value})


def register(app: typer.Typer) -> None:
    """Add the group's commands."""
    for command in (submit, watch, cancel, approve, retry, backfill):
        app.command()(command)
