"""`sources run`: one source alone, on a document or a board as it stood. Writes to no board."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.commands import console
from controller.commands.options import ApiKey, Data, Json, MaybeUrl, Plugins, existing, settings_from

if TYPE_CHECKING:
    from blackboard.blobs import Blobs
    from blackboard.board import Board
    from blackboard.contract import Source
    from controller.authoring.alone import Outcome, Upstream
    from controller.bench import Bench
    from controller.settings import Settings

LOG = (".jsonl", ".jsonl.gz")
AT = re.compile(r"(?P<what>.+)@(?P<revision>[1-9][0-9]*)\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a source is tried on: a document, an exported log or a board's id, the latter two up to a revision."""

    what: str
    revision: int | None
    url: str
    api_key: str = field(repr=False)
    data: Path | None
    binding: str
    isolated: bool

    @classmethod
    def parse(cls, on: str, url: str, api_key: str, data: Path | None, binding: str, isolated: bool) -> Asked:
        """A path that is there is taken as it is, whatever signs it holds."""
        at = None if Path(on).exists() else AT.match(on)
        what, revision = (at["what"], int(at["revision"])) if at else (on, None)
        return cls(what, revision, url, api_key, data, binding, isolated)

    @property
    def is_board(self) -> bool:
        """Whether it is a board's id."""
        from blackboard.keys import BOARD_ID

        return bool(BOARD_ID.match(self.what))

    @property
    def is_log(self) -> bool:
        """Whether it is an exported log."""
        return self.what.endswith(LOG)


def run_source(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|PATH", help="An installed source, a file, a package's folder or `module:name`."),
    ],
    on: Annotated[
        str,
        typer.Option("--on", metavar="FILE|BOARD[@REV]", help="A document; or a board's id or exported log (.jsonl)."),
    ],
    binding: Annotated[str, typer.Option("--binding", metavar="ID", help="This one alone, such as `page/0003`.")] = "",
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Which one, where PATH holds several.")] = "",
    isolated: Annotated[
        bool, typer.Option("--isolated", help="In a process with limits, as a worker runs it; else in this one.")
    ] = False,
    as_json: Json = False,
    plugins: Plugins = None,
    url: MaybeUrl = "",
    api_key: ApiKey = "",
    data: Data = None,
) -> None:
    """Run one source alone and print what it would contribute, and why it would not. No board is written to.

    A document is read first by the sources that lead to what this one reads. Exit 1 when the source fails.
    """
    from controller.commands.logs import configure_logs

    settings = settings_from(data, plugins=plugins)
    configure_logs(settings, level="debug" if ctx.obj.debug else None)
    asked = Asked.parse(on, url, api_key, data, binding, isolated)
    raise typer.Exit(console.run(_run(what, source, asked, settings, as_json=as_json)))


async def _run(what: str, name: str, asked: Asked, settings: Settings, *, as_json: bool) -> int:
    from blackboard.registry import find_sources
    from controller.authoring.alone import Upstream, run_alone
    from controller.bootstrap.benches import open_bench

    source = one_source(what, name, settings)
    if asked.isolated:
        _check_isolated(source)
    upstream, revision = Upstream(), 0
    if asked.is_board or asked.is_log:
        board, whole, blobs = await _recorded(source, asked, settings)
        revision = board.revision
        async with open_bench(blobs) as bench:
            outcomes = await _on_board(bench, source, board, whole, asked)
    else:
        if asked.revision is not None:
            existing([Path(f"{asked.what}@{asked.revision}")])
        (file,) = existing([Path(asked.what)])
        installed = find_sources(plugins=settings.plugins)[0]
        others = [each for each in installed if each.name != source.name and each.default and not each.asks_model]
        async with open_bench() as bench:
            upstream = await _read(bench, source, others, file)
            outcomes = await run_alone(bench, source, asked.binding, isolated=asked.isolated)
    if as_json:
        _print_json(source, asked, revision, upstream, outcomes)
    else:
        _print(source, asked, revision, upstream, outcomes)
    return console.BOARD_FAILED if any(each.state == "failed" for each in outcomes) else console.DONE


def one_source(what: str, name: str, settings: Settings) -> Source:
    """The source that was named. Raises UsageError and ContractError."""
    from blackboard.errors import ContractError, UsageError
    from blackboard.registry import find_sources
    from controller.authoring.find import find

    named = find(what, lambda: find_sources(plugins=settings.plugins)[0])
    if named.broken and not named.sources:
        raise ContractError(f"{named.broken[0].where} cannot be loaded: {named.broken[0].error}")
    found = [source for source in named.sources if name in ("", source.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(source.name for source in named.sources)
    if name:
        raise UsageError(f"{what} holds no source {name}", hint=f"there are: {names}")
    raise UsageError(f"{what} holds several sources: {names}", hint="choose one with --source NAME")


def _check_isolated(source: Source) -> None:
    """The other process imports it anew, so it must be a file or installed. Raises UsageError."""
    from blackboard.errors import UsageError

    if source.origin == "built-in":
        raise UsageError(f"{source.name} is built in: workers run it in their own process", hint="leave out --isolated")
    if source.origin == "file" and not source.where.endswith(".py"):
        raise UsageError(
            f"{source.where} can be imported from its folder alone", hint="install it (pip install -e .), then name it"
        )


async def _read(bench: Bench, source: Source, others: list[Source], file: Path) -> Upstream:
    import asyncio

    from controller.authoring.alone import read_document

    content = await asyncio.to_thread(file.read_bytes)
    return await read_document(bench, source, others, content, file.name)


async def _on_board(bench: Bench, source: Source, board: Board, whole: dict[str, bytes], asked: Asked) -> list[Outcome]:
    from controller.authoring.alone import put_board, run_alone

    await put_board(bench, source, board, whole)
    return await run_alone(bench, source, asked.binding, isolated=asked.isolated)


async def _recorded(source: Source, asked: Asked, settings: Settings) -> tuple[Board, dict[str, bytes], Blobs | None]:
    """A board as it stood, the values that the source reads, and where the document's bytes may lie."""
    from blackboard.blobs import Blobs
    from blackboard.errors import UsageError
    from blackboard.replay import fold, read_log
    from blackboard.writing import referred
    from controller.authoring.alone import keys_read
    from controller.commands.access import access

    local = Blobs.at(settings.blobs) if settings.blob_url or (settings.data_dir / "blobs").is_dir() else None
    if asked.is_log:
        board = fold(asked.what, list(read_log(Path(asked.what))), at=asked.revision)
        return board, await _from_blobs(board, keys_read(source, board), local), local
    async with access(asked.url, asked.data, asked.api_key) as reader:
        records = await reader.log(asked.what)
        if asked.revision is not None and asked.revision > records[-1].revision:
            raise UsageError(
                f"the board has no revision {asked.revision}", hint=f"its last one is {records[-1].revision}"
            )
        board = fold(asked.what, records, at=asked.revision)
        keys = [key for key in keys_read(source, board) if referred(board.values[key])]
        return board, {key: await reader.value(board, key) for key in keys}, None if asked.url else local


async def _from_blobs(board: Board, keys: list[str], blobs: Blobs | None) -> dict[str, bytes]:
    """Values that the log only refers to. Raises UsageError where they are not at hand."""
    from blackboard.blobs import BlobMissing
    from blackboard.errors import UsageError
    from blackboard.writing import referred

    whole: dict[str, bytes] = {}
    for key in keys:
        sha256 = referred(board.values[key])
        if sha256 is None:
            continue
        if blobs is not None:
            with suppress(BlobMissing):
                whole[key] = await blobs.get(sha256)
        if key not in whole:
            raise UsageError(
                f"the log refers to a value of {key} that is not in it",
                hint="name the data directory that holds it with --data, or the board by its id",
            )
    return whole


def _print(source: Source, asked: Asked, revision: int, upstream: Upstream, outcomes: list[Outcome]) -> None:
    at = f" at revision {revision}" if revision else ""
    first = f", after {', '.join(upstream.sources)}" if upstream.sources else ""
    console.say(f"{source.name} {source.version} on {asked.what}{at}{first}")
    for failed in upstream.failed:
        console.say(f"before it failed: {failed}")
    for outcome in outcomes:
        silent = outcome.state == "done"
        console.out(f"{outcome.binding or source.name}  {outcome.state}{'' if silent else f': {outcome.reason}'}")
        if outcome.hint:
            console.out(f"  hint: {outcome.hint}")
        for said in outcome.said:
            sure = "" if said.confidence == 1.0 else f"  ({said.confidence:g} sure)"
            was = f"  [{said.was}]" if said.was else ""
            console.out(f"  {said.key}{sure}{was}  {_json(said.value)}")
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.state] = counts.get(outcome.state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    entries = sum(len(outcome.said) for outcome in outcomes)
    console.say(f"{told}; it would contribute {entries} entr{'y' if entries == 1 else 'ies'}; nothing was written")


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _print_json(source: Source, asked: Asked, revision: int, upstream: Upstream, outcomes: list[Outcome]) -> None:
    rows = []
    for outcome in outcomes:
        row = asdict(outcome)
        row["contributes"] = row.pop("said")
        rows.append(row)
    console.out_json(
        {
            "source": source.name,
            "version": source.version,
            "on": asked.what,
            "revision": revision or None,
            "upstream": list(upstream.sources),
            "upstream_failed": list(upstream.failed),
            "bindings": rows,
        }
    )


def register(app: typer.Typer) -> None:
    """Add the group's command."""
    app.command("run")(run_source)
