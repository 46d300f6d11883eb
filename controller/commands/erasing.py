"""`erase`: a board and everything that is known of it, for good."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.commands import console
from controller.commands.options import DEFAULT_URL, ApiKey, BoardId, Json, Url, client_of


def erase(
    board: BoardId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
) -> None:
    """Erase a board with the boards below it, its document and what models answered about it. It asks first.

    The id goes to stdout once nothing is left. Exit code 2 when there is no such board, or nobody to ask.
    """
    console.run(_erase(board, yes, url, api_key))
    console.out_json({"id": board, "erased": True}) if as_json else console.out(board)


async def _erase(board: str, yes: bool, url: str, api_key: str) -> None:
    async with client_of(url, api_key) as client:
        if not yes:
            found = await client.board(board)
            _ask(f"{board}{_named(found.filename or '')}, {found.status}")
        await client.erase(board)


def _named(filename: str) -> str:
    return f" ({filename})" if filename else ""


def _ask(which: str) -> None:
    """Raises UsageError unless a person says yes."""
    import sys

    from blackboard.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("erasing cannot be undone, and there is nobody to ask", hint="say --yes if it is meant")
    console.say(f"{which}: erase it, with the boards below it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was erased")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(erase)
