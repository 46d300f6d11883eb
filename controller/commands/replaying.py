"""`replay`: a board's past from its log alone, by id or from an exported file. But for `--rerun`, no source's code runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from controller.commands import console
from controller.commands.options import ApiKey, Data, Json, MaybeUrl, Plugins

if TYPE_CHECKING:
    from blackboard.board import Board
    from blackboard.events import LogRecord


def replay(
    what: Annotated[
        str, typer.Argument(metavar="ID|FILE", help="A board's id, an exported log (.jsonl, .jsonl.gz), or a bundle.")
    ],
    at: Annotated[int | None, typer.Option("--at", metavar="REV", min=1, help="Stop at this revision.")] = None,
    step: Annotated[bool, typer.Option("--step", help="Record by record; on a terminal Enter goes on.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Prove that the log folds to the state; exit 5 if not.")
    ] = False,
    rerun: Annotated[
        str,
        typer.Option(
            "--rerun",
            metavar="NAME|PATH|all",
            help="Run this source, or all that acted, as it is today on what it read and was answered; exit 5 if it differs.",
        ),
    ] = "",
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Which one, where PATH holds several.")] = "",
    as_json: Json = False,
    plugins: Plugins = None,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Fold a log to the state it led to, step through it, verify it, or run a source's code on it again."""
    if rerun:
        from controller.commands.rerunning import Asked, rerun_source

        if verify or step or at is not None:
            raise typer.BadParameter("it stands alone: leave out --at, --step and --verify", param_hint="--rerun")
        raise typer.Exit(
            console.run(rerun_source(Asked(what, rerun, source, url, api_key, data, plugins), as_json=as_json))
        )
    id, records, stored = console.run(_load(what, url, api_key, data, verify))
    if verify:
        _verify(id, records, stored, as_json)
    elif step:
        _step(id, records, at, as_json)
    else:
        _show(id, records, at, as_json)


async def _load(
    what: str, url: str, api_key: str, data: Data, verify: bool
) -> tuple[str, list[LogRecord], Board | None]:
    """Id, records, and for `verify` what the server keeps beside them, cut to the same revision."""
    from pathlib import Path

    from blackboard.bundle import name_of
    from blackboard.keys import BOARD_ID
    from blackboard.replay import read_log
    from controller.commands.access import access

    if not BOARD_ID.match(what):
        path = Path(what)
        return name_of(path), list(read_log(path)), None
    async with access(url, data, api_key) as reader:
        # The projection first: a board that moves on meanwhile only makes the log longer.
        stored = await reader.projection(what) if verify else None
        records = await reader.log(what)
    if stored is not None:
        records = [record for record in records if record.revision <= stored.revision]
    return what, records, stored


def _verify(id: str, records: list[LogRecord], stored: Board | None, as_json: bool) -> None:
    from blackboard.errors import LogError
    from blackboard.replay import verify

    try:
        board = verify(id, records, stored)
    except LogError as error:
        if as_json:
            console.out_json({"board": id, "equal": False, "records": len(records), "difference": str(error)})
        raise
    against = "server" if stored is not None else "headers"
    if as_json:
        said = {"board": id, "equal": True, "records": len(records), "revision": board.revision, "against": against}
        console.out_json(said)
    elif stored is not None:
        console.out(
            f"equal: {len(records)} records fold to what the server keeps at revision {board.revision}, byte for byte"
        )
    else:
        console.out(
            f"equal: {len(records)} records fold to revision {board.revision}; every value is what its header promises"
        )


def _step(id: str, records: list[LogRecord], at: int | None, as_json: bool) -> None:
    from blackboard.board import Board
    from blackboard.events import to_json
    from blackboard.replay import diff, steps
    from controller.commands.telling import diff_lines, line_of

    pause = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    before = Board(id)
    for record, board in steps(id, records):
        if at is not None and record.revision > at:
            return
        if as_json:
            sys.stdout.buffer.write(to_json(record) + b"\n")
            continue
        console.out(line_of(record, records[0].at))
        for line in diff_lines(diff(before, board)):
            console.out(line)
        before = Board(id, dict(board.head), dict(board.entries), dict(board.values), dict(board.agenda))
        if pause and sys.stdin.readline() == "":
            return


def _show(id: str, records: list[LogRecord], at: int | None, as_json: bool) -> None:
    from blackboard.errors import UsageError
    from blackboard.replay import fold
    from controller.commands.boards import show_board
    from controller.commands.telling import board_to_json

    last = records[-1].revision
    if at is not None and at > last:
        raise UsageError(f"the log has no revision {at}", hint=f"it ends at {last}")
    board = fold(id, records, at=at)
    if as_json:
        console.out_json(board_to_json(board, last))
    else:
        show_board(board, last)


def register(app: typer.Typer) -> None:
    """Add the group's command."""
    app.command()(replay)
