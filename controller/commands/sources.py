"""`sources`: the knowledge sources there are; begin one, check one, try one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import alone, console
from controller.commands.options import ApiKey, Json, Listing, MaybeUrl, Plugins, client_of, settings_from

if TYPE_CHECKING:
    from blackboard.contract import Source
    from controller.authoring.findings import Finding

app = typer.Typer(
    help="Knowledge sources: what there is; begin, check and try one.", rich_markup_mode=None, no_args_is_help=True
)
alone.register(app)

Into = Annotated[Path, typer.Option("--into", metavar="DIR", help="Where the package's folder is made.")]


@app.command("list")
def list_sources(as_json: Listing = None, plugins: Plugins = None, url: MaybeUrl = "", api_key: ApiKey = "") -> None:
    """List the sources with what they read and contribute; exit 1 when one cannot be loaded.

    Those installed here; with `--url` those of a running service, with sources that run elsewhere and who serves them.
    """
    sources, broken = console.run(_asked(url, api_key)) if url else _installed(plugins)
    if as_json:
        console.out_json({"sources": sources, "broken": broken})
    elif not console.as_table(as_json):
        console.out_lines(sources)
    else:
        lines = [(each["name"], each["version"], _reads(each), _gives(each), _notes(each)) for each in sources]
        console.out(console.columns(lines, header=("source", "version", "reads", "contributes", "notes")))
    if not as_json:
        for each in broken:
            console.say(f"broken: {each['name']} ({each['where']}): {each['error']}")
    raise typer.Exit(console.BOARD_FAILED if broken else console.DONE)


def _installed(plugins: Plugins) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    from blackboard.registry import find_sources
    from controller.views import broken_view, source_view

    settings = settings_from(plugins=plugins)
    found, broken = find_sources(plugins=settings.plugins, trusted=settings.trusted)
    return [source_view(source) for source in found], [broken_view(each) for each in broken]


async def _asked(url: str, api_key: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    async with client_of(url, api_key) as client:
        found = await client.sources()
        return found["items"], found["broken"]


def _reads(source: dict[str, Any]) -> str:
    words = []
    for given in source["inputs"]:
        by = f" by {given['by']}" if given.get("by") else ""
        words.append(f"{given['kind']} {'|'.join(given['levels'])}{by}")
    return ", ".join(words)


def _gives(source: dict[str, Any]) -> str:
    return ", ".join(f"{level}{' (revises)' if level in source['revises'] else ''}" for level in source["outputs"])


def _notes(source: dict[str, Any]) -> str:
    notes = [
        "required" if source["required"] else "",
        "" if source["default"] else "only where asked for",
        "conditional" if source["conditional"] else "",
        source["cost"] if source["cost"] != "free" else "",
        f"at most {source['max_rounds']} rounds" if source["max_rounds"] is not None else "",
        f"{source['origin']}: {source['where']}" if source["origin"] != "built-in" else "",
        "trusted" if source["trusted"] and source["origin"] != "built-in" else "",
        _served(source) if "workers" in source else "",
    ]
    return ", ".join(note for note in notes if note)


def _served(source: dict[str, Any]) -> str:
    if count := len(source["workers"]):
        return f"{count} worker{'' if count == 1 else 's'}"
    heard = source.get("registration", {}).get("last_heard")
    if heard is None:
        return "nobody serves it"
    return f"nobody serves it since {datetime.fromtimestamp(heard / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


@app.command("new")
def new_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A lower-case word, such as `dates`.")],
    into: Into = Path(),
    as_json: Json = False,
) -> None:
    """Write a package with one source, its tests and its entry point; its folder alone on stdout."""
    from controller.authoring.scaffold import scaffold

    made = scaffold(name, into.expanduser())
    if as_json:
        console.out_json({"source": name, "folder": str(made.folder), "files": [str(file) for file in made.files]})
        return
    console.out(str(made.folder))
    for file in made.files:
        console.say(f"  {file}")
    console.say(f"next: cd {made.folder} && pip install -e '.[test]' && pytest")


@app.command("check")
def check_source(
    what: Annotated[
        str,
        typer.Argument(metavar="PATH|NAME", help="A file, a package's folder, `module:name`, or an installed source."),
    ],
    as_json: Json = False,
    plugins: Plugins = None,
) -> None:
    """Check contract, types, schemas, `when`, `bid` and a source's place among the others; exit 1 when something is wrong."""
    from blackboard.registry import find_sources
    from controller.authoring.check import check
    from controller.authoring.find import find

    folders = settings_from(plugins=plugins).plugins
    named = find(what, lambda: find_sources(plugins=folders)[0])
    installed = find_sources(plugins=folders)[0]
    checked = [(source, check(source, neighbours(source, named.sources, installed))) for source in named.sources]
    failed = bool(named.broken) or any(each.state == "fail" for _, found in checked for each in found)
    if as_json:
        _print_json(named.broken, checked, ok=not failed)
    else:
        for source, found in checked:
            _print(source, found)
        for broken in named.broken:
            console.out(f"fail  {broken.name} ({broken.where}) cannot be loaded: {broken.error}")
    raise typer.Exit(console.BOARD_FAILED if failed else console.DONE)


def neighbours(source: Source, named: tuple[Source, ...], installed: tuple[Source, ...]) -> list[Source]:
    """The sources that one would run beside: the others that were named with it, and those installed.

    A source that was named by its path may be installed, too: it is no other.
    """
    from controller.authoring.find import is_same

    others = [other for other in installed if not any(is_same(other, each) for each in named)]
    return [*others, *(each for each in named if each is not source)]


def _print(source: Source, found: list[Finding]) -> None:
    console.out(f"{source.name} {source.version} ({source.where or source.function.__module__})")
    width = max(len(each.check) for each in found)
    for each in found:
        console.out(f"{each.state:<5} {each.check:<{width}}  {each.said}")
        if each.hint:
            console.out(f"{'':<{width + 8}}hint: {each.hint}")


def _print_json(broken: Any, checked: list[tuple[Source, list[Finding]]], *, ok: bool) -> None:
    from dataclasses import asdict

    from controller.views import broken_view, source_view

    rows = [{**source_view(source), "findings": [asdict(each) for each in found]} for source, found in checked]
    console.out_json({"ok": ok, "sources": rows, "broken": [broken_view(each) for each in broken]})
