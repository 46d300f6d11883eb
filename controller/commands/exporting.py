"""`export`: all of a board in one file, which `replay` reads anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.commands import console
from controller.commands.options import ApiKey, BoardId, Data, Json, MaybeUrl


def export(
    board: BoardId,
    to: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; by default ID.zip, here.")
    ] = None,
    as_json: Json = False,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Write a board's log, and every blob it refers to, into one file; its name. `replay FILE` needs nothing else."""
    place = Path(f"{board}.zip") if to is None else to
    size = console.run(_export(board, place, url, api_key, data))
    console.out_json({"board": board, "file": str(place), "size": size}) if as_json else console.out(str(place))


async def _export(board: str, place: Path, url: str, api_key: str, data: Data) -> int:
    from controller.commands.access import access

    async with access(url, data, api_key) as reader:
        whole = await reader.bundle(board)
    # Under another name until it is whole.
    passing = place.with_name(f".{place.name}.part")
    try:
        passing.write_bytes(whole)
        passing.replace(place)
    finally:
        passing.unlink(missing_ok=True)
    return len(whole)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)
