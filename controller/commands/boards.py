"""`boards`, `show`, `why`, `log`: looking at boards, in the data directory with no service running, or over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import ApiKey, BoardId, Data, Json, Listing, MaybeUrl, Plugins

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from blackboard.board import Board
    from controller.commands.access import Access

    Opened = AbstractAsyncContextManager[Access]

At = Annotated[int | None, typer.Option("--at", metavar="REV", min=1, help="The board as it was at this revision.")]

Space = Annotated[
    str, typer.Option("--space", metavar="shadow", help="The entries of the side space, by the shadow that wrote them.")
]


def boards(
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many, the newest.")] = 20,
    children: Annotated[bool, typer.Option("--children", help="With boards for parts of documents.")] = False,
    parent: Annotated[str, typer.Option("--parent", metavar="ID", help="Those for the parts of this board.")] = "",
    as_json: Listing = None,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """List boards, newest first."""
    from controller.commands.access import access

    console.run(_boards(limit, children, parent, as_json, access(url, data, api_key)))


async def _boards(limit: int, children: bool, parent: str, as_json: bool | None, opened: Opened) -> None:
    async with opened as reader:
        found = await reader.boards(limit, children=children, parent=parent)
    if not console.as_table(as_json):
        console.out_lines(found)
        return
    console.out(console.columns(map(_row, found), header=("board", "status", "created (UTC)", "document", "why")))


def _row(board: dict[str, Any]) -> tuple[str, ...]:
    from controller.commands.telling import clock

    reason = str((board.get("outcome") or {}).get("reason", ""))
    said = "" if board["status"] == "completed" else reason
    return (board["id"], board["status"], clock(board["created"])[:-4], str(board.get("filename") or ""), said)


def show(
    board: BoardId,
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="One entry's value, e.g. page/0001.")] = "",
    at: At = None,
    space: Space = "",
    dead: Annotated[bool, typer.Option("--dead", help="The activations that failed for good.")] = False,
    as_json: Json = False,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Show a board: its state, coverage and entries, now or at a revision."""
    from controller.commands.access import access

    console.run(_show(board, key, at, space, dead, as_json, access(url, data, api_key)))


async def _show(board: str, key: str, at: int | None, space: str, dead: bool, as_json: bool, opened: Opened) -> None:
    from blackboard.errors import UsageError
    from blackboard.replay import fold
    from controller.commands.telling import board_to_json, dead_letters, in_space

    async with opened as reader:
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


def why(
    board: BoardId,
    as_json: Listing = None,
    plugins: Plugins = None,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Say for every source and binding why it acted, waits, or did not act."""
    from controller.commands.access import access

    console.run(_why(board, as_json, access(url, data, api_key, sources=True, plugins=plugins)))


async def _why(board: str, as_json: bool | None, opened: Opened) -> None:
    async with opened as reader:
        reasons = await reader.why(board)
    if as_json:
        console.out_json(reasons)
        return
    if not console.as_table(as_json):
        console.out_lines(reasons)
        return
    rows = [
        (str(r["source"] or "(board)"), str(r.get("binding") or ""), str(r["state"]), str(r.get("reason") or ""))
        for r in reasons
    ]
    console.out(console.columns(rows, header=("source", "binding", "state", "why")))


def log(board: BoardId, as_json: Listing = None, url: MaybeUrl = "", api_key: ApiKey = "", data: Data = None) -> None:
    """Print the log, a line for each record; with --json, or into a pipe, the exact log, which `replay` reads back."""
    from controller.commands.access import access

    console.run(_log(board, console.as_table(as_json), access(url, data, api_key)))


async def _log(board: str, for_people: bool, opened: Opened) -> None:
    import sys

    from blackboard.events import to_json
    from controller.commands.telling import line_of

    async with opened as reader:
        records = await reader.log(board)
    for record in records:
        if for_people:
            console.out(line_of(record, records[0].at))
        else:
            sys.stdout.buffer.write(to_json(record) + b"\n")


def register(app: typer.Typer) -> None:
    """Add the group's commands."""
    for command in (boards, show, why, log):
        app.command()(command)
