"""`sources`: the knowledge sources that are installed, and those that cannot be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from controller.commands import console
from controller.commands.options import Json

if TYPE_CHECKING:
    from blackboard.contract import Source

app = typer.Typer(help="Knowledge sources: what is installed.", rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _group() -> None:
    # A group of one command would otherwise become that command.
    pass


@app.command("list")
def list_sources(as_json: Json = False) -> None:
    """List the sources with what they read and contribute; exit 1 when one cannot be loaded."""
    from blackboard.registry import find_sources
    from controller.views import source_view

    found, broken = find_sources()
    if as_json:
        broken_rows = [{"name": each.name, "where": each.where, "error": each.error} for each in broken]
        console.out_json({"sources": [source_view(source) for source in found], "broken": broken_rows})
    else:
        rows = [(source.name, source.version, _reads(source), _gives(source), _notes(source)) for source in found]
        console.out(console.columns(rows, header=("source", "version", "reads", "contributes", "notes")))
        for each in broken:
            console.say(f"broken: {each.name} ({each.where}): {each.error}")
    raise typer.Exit(console.BOARD_FAILED if broken else console.DONE)


def _reads(source: Source) -> str:
    words = []
    for given in source.inputs:
        levels = "|".join(kind.level for kind in given.levels)
        words.append(f"{given.kind} {levels}{f' by {given.by}' if given.by else ''}")
    return ", ".join(words)


def _gives(source: Source) -> str:
    revised = {kind.level for kind in source.revises}
    return ", ".join(f"{kind.level}{' (revises)' if kind.level in revised else ''}" for kind in source.outputs)


def _notes(source: Source) -> str:
    notes = [
        "required" if source.required else "",
        "conditional" if source.when is not None else "",
        source.cost if source.cost != "free" else "",
        f"at most {source.max_rounds} rounds" if source.is_loop else "",
    ]
    return ", ".join(note for note in notes if note)
