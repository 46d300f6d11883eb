"""`show`, `why`, `log`: looking at one board. They work on the data directory with no service running, or over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import BoardId, Data, Json, MaybeUrl, Plugins

if TYPE_CHECKING:
    from blackboard.board import Board

At = Annotated[int | None, typer.Option("--at", metavar="REV", min=1, help="The board as it was at this revision.")]

Space = Annotated[
    str, typer.Option("--space", metavar="shadow", help="The entries of the side space, by the shadow that wrote them.")
]


def show(
    board: BoardId,
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="One entry's value, e.g. page/0001.")] = "",
    at: At = None,
    space: Space = "",
    dead: Annotated[bool, typer.Option("--dead", help="The activations that failed for good.")] = False,
    as_json: Json = False,
    url: MaybeUrl = "",
    data: Data = None,
) -> None:
    """Show a board: its state, coverage and entries, now or at a revision."""
    console.run(_show(board, key, at, space, dead, as_json, url, data))


async def _show(
    board: str, key: str, at: int | None, space: str, dead: bool, as_json: bool, url: str, data: Data
) -> None:
    from blackboard.errors import UsageError
    from blackboard.replay import fold
    from controller.commands.access import access
    from controller.commands.telling import board_to_json, dead_letters, in_space

    async with access(url, data) as reader:
        records = await reader.log(board)
        last = records[-1].revision
        if at is not None and at > last:
            raise UsageError(f"the board has no revision {at} yet", hint=f"its last one is {last}")
        folded = in_space(fold(board, records, at=at), space)
        if key:
            if key not in folded.values:
                raise UsageError(
                    f"nothing stands at {key!r} at revision {folded.revision}", hint="`show` lists the keys"
                )
            console.out((await reader.value(folded, key)).decode())
            return
    if dead:
        _show_dead(dead_letters(folded), as_json)
    elif as_json:
        console.out_json(board_to_json(folded, last))
    else:
        show_board(folded, last)


def show_board(folded: Board, last: int) -> None:
    """A folded board for people."""
    from controller.commands.telling import entry_rows, outcome_of, summary_of

    console.out(console.columns(summary_of(folded, last)))
    coverage = outcome_of(folded.head).get("coverage")
    if coverage:
        console.out(f"\n{console.coverage_table(coverage)}")
    console.out("\n" + console.columns(entry_rows(folded), header=("entry", "version", "sure", "owner", "size")))


def _show_dead(letters: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        console.out_json(letters)
        return
    if not letters:
        console.say("no activation failed for good")
    for letter in letters:
        error = letter["error"]
        console.out(
            f"{letter['activation']}  {letter['source']} on {letter['binding']}, tried {letter['attempts']} times"
        )
        console.out(f"    {error.get('type', 'Error')}: {error.get('message', '')}")
        if error.get("hint"):
            console.out(f"    hint: {error['hint']}")


def why(board: BoardId, as_json: Json = False, plugins: Plugins = None, url: MaybeUrl = "", data: Data = None) -> None:
    """Say for every source and binding why it acted, waits, or did not act."""
    console.run(_why(board, as_json, plugins, url, data))


async def _why(board: str, as_json: bool, plugins: Plugins, url: str, data: Data) -> None:
    from controller.commands.access import access

    async with access(url, data, sources=True, plugins=plugins) as reader:
        reasons = await reader.why(board)
    if as_json:
        console.out_json(reasons)
        return
    rows = [
        (str(r["source"] or "(board)"), str(r.get("binding") or ""), str(r["state"]), str(r.get("reason") or ""))
        for r in reasons
    ]
    console.out(console.columns(rows, header=("source", "binding", "state", "why")))


def log(board: BoardId, as_json: Json = False, url: MaybeUrl = "", data: Data = None) -> None:
    """Print the log, a line for each record; with --json the exact log, which `replay` reads back."""
    console.run(_log(board, as_json, url, data))


async def _log(board: str, as_json: bool, url: str, data: Data) -> None:
    import sys

    from blackboard.events import to_json
    from controller.commands.access import access
    from controller.commands.telling import line_of

    async with access(url, data) as reader:
        records = await reader.log(board)
    for record in records:
        if as_json:
            sys.stdout.buffer.write(to_json(record) + b"\n")
        else:
            console.out(line_of(record, records[0].at))


def register(app: typer.Typer) -> None:
    """Add the group's commands."""
    for command in (show, why, log):
        app.command()(command)
