"""`export` and `import`: all of a board in one file, which `replay` reads anywhere; and a board from such a file."""

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


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle: what `export` wrote.")],
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Make a board of a bundle, in the data directory or on the server that the settings name; its id.

    It has the entries, their versions and the outcome of the board that was exported, and `parent` names that one. Its log
    begins anew: `replay FILE` shows the old one. A board that was open goes on as soon as a service runs here.
    """
    board = console.run(_import(file, data))
    console.out_json({"board": board, "file": str(file)}) if as_json else console.out(board)


async def _import(file: Path, data: Data) -> str:
    from blackboard.bundle import Bundle
    from blackboard.errors import LogError
    from blackboard.replay import read_log
    from controller.access import DEFAULT_TENANT
    from controller.bootstrap import open_service
    from controller.commands.options import settings_from
    from controller.importing import import_bundle, log_holds

    bundle = Bundle(file)
    try:
        records = list(read_log(file))
        if not log_holds(bundle):
            raise LogError(f"the log in {file.name} is not the one its manifest speaks of", hint="export it again")
        settings = settings_from(data)
        async with open_service(settings, roles=frozenset(), sources=()) as service:
            return await import_bundle(
                service.store,
                service.blobs,
                bundle,
                records,
                tenant=DEFAULT_TENANT,
                check_ms=settings.check_ms,
                keep_ms=int(settings.retention_s * 1000),
            )
    finally:
        bundle.close()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(export)
    app.command("import")(import_)
