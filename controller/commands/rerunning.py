"""`replay --rerun`: today's code of a source on recorded inputs and answers. No key, no network, no board is written to."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from controller.commands import console
from controller.commands.options import settings_from

if TYPE_CHECKING:
    from blackboard.board import Board
    from blackboard.bundle import Giver
    from blackboard.contract import Source
    from blackboard.events import LogRecord
    from controller.commands.access import Access
    from controller.rerun import Verdict


ALL = "all"
"""In place of a source: every one that acted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is run on what: `rerun` names a source as `sources run` does, or is `all`; `source` chooses among several."""

    what: str
    rerun: str
    source: str
    url: str
    api_key: str = field(repr=False)
    data: Path | None
    plugins: list[Path] | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A board's log, and where what it refers to lies: behind `reader`, or, for a file, in `blobs` if anywhere."""

    id: str
    records: list[LogRecord]
    reader: Access | None
    blobs: Giver | None

    async def whole(self, board: Board, key: str) -> bytes:
        """A value, where a reference may stand for it. Raises UsageError when it is not at hand."""
        from blackboard.blobs import BlobMissing
        from blackboard.errors import UsageError
        from blackboard.writing import referred

        sha256 = referred(board.values[key])
        if sha256 is None:
            return board.values[key]
        try:
            if self.reader is not None:
                return await self.reader.value(board, key)
            return await self.get(sha256)
        except BlobMissing as error:
            raise UsageError(
                f"the log refers to a value of {key} that is not in it",
                hint="name the data directory that holds it with --data, or the board by its id",
            ) from error

    async def get(self, sha256: str) -> bytes:
        """See rerun_services.Bytes."""
        from blackboard.blobs import BlobMissing

        if self.reader is not None:
            return await self.reader.blob(self.id, sha256)
        if self.blobs is not None:
            return await self.blobs.get(sha256)
        raise BlobMissing(f"no blob {sha256} is at hand")


async def rerun_source(asked: Asked, *, as_json: bool) -> int:
    """Run it and tell; the exit code. Raises UsageError when the source never acted on the board."""
    from blackboard.errors import UsageError
    from controller.bootstrap.benches import open_rerun

    verdicts: list[Verdict] = []
    async with _kept(asked) as kept:
        sources = _chosen(asked, kept.records)
        for source in sources:
            async with open_rerun(source, kept.records, kept.whole, kept) as rerun:
                verdicts += await rerun.over(kept.id, kept.records)
    if not verdicts:
        acted = ", ".join(_acted(kept.records)) or "none"
        raise UsageError(f"no activation of {asked.rerun} ended on {asked.what}", hint=f"sources that acted: {acted}")
    if as_json:
        _print_json(sources, asked, verdicts)
    else:
        _print(sources, asked, verdicts)
    return console.DONE if all(each.came == "same" for each in verdicts) else console.DIVERGED


def _chosen(asked: Asked, records: list[LogRecord]) -> list[Source]:
    """The source that was named, or all that acted and are known here. Raises UsageError and ContractError."""
    from blackboard.registry import find_sources
    from controller.commands.alone import one_source

    settings = settings_from(asked.data, plugins=asked.plugins)
    if asked.rerun != ALL:
        return [one_source(asked.rerun, asked.source, settings)]
    known = {source.name: source for source in find_sources(plugins=settings.plugins, trusted=settings.trusted)[0]}
    acted = _acted(records)
    if strangers := [name for name in acted if name not in known]:
        console.say(f"left out, for they are not known here: {', '.join(strangers)}")
    return [known[name] for name in acted if name in known]


@asynccontextmanager
async def _kept(asked: Asked) -> AsyncIterator[Kept]:
    from blackboard.blobs import Blobs
    from blackboard.bundle import Bundle, is_bundle, name_of
    from blackboard.keys import BOARD_ID
    from blackboard.replay import read_log
    from controller.commands.access import access

    if BOARD_ID.match(asked.what):
        async with access(asked.url, asked.data, asked.api_key) as reader:
            yield Kept(asked.what, await reader.log(asked.what), reader, None)
        return
    settings = settings_from(asked.data)
    path = Path(asked.what)
    if is_bundle(path):
        bundle = Bundle(path)
        try:
            yield Kept(bundle.board, list(read_log(path)), None, bundle)
        finally:
            bundle.close()
        return
    local = Blobs.at(settings.blobs) if settings.blob_url or (settings.data_dir / "blobs").is_dir() else None
    yield Kept(name_of(path), list(read_log(path)), None, local)


def _acted(records: list[LogRecord]) -> list[str]:
    from blackboard.entries import plain_name

    ids = (id for record in records for id in record.agenda if record.type == "activation.claimed")
    return sorted({plain_name(id.rpartition(".")[0]) for id in ids})


def _print(sources: list[Source], asked: Asked, verdicts: list[Verdict]) -> None:
    console.say(f"{', '.join(f'{source.name} {source.version}' for source in sources)} on {asked.what}, again")
    names = [f"{each.source}  {each.binding}" if len(sources) > 1 else each.binding for each in verdicts]
    width = max(map(len, names))
    for name, each in zip(names, verdicts, strict=True):
        console.out(f"{name:<{width}}  {each.came}{f': {each.reason}' if each.reason else ''}")
        for change in each.changes:
            if change.kind == "changed":
                console.out(f"  {change.key}")
                for line in change.lines:
                    console.out(f"    {line}")
            else:
                console.out(f"  {change.key}  {change.kind}: {' '.join(change.lines)}")
        for digest in each.asked:
            console.out(f"  no answer: question {digest}")
    counts = Counter(each.came for each in verdicts)
    told = ", ".join(f"{count} {came}" for came, count in counts.items())
    console.say(f"{len(verdicts)} activation{'' if len(verdicts) == 1 else 's'}: {told}; nothing was written")


def _print_json(sources: list[Source], asked: Asked, verdicts: list[Verdict]) -> None:
    from controller.rerun import digest_of_board

    console.out_json(
        {
            "sources": {source.name: source.version for source in sources},
            "on": asked.what,
            "same": all(each.came == "same" for each in verdicts),
            "counts": dict(Counter(each.came for each in verdicts)),
            "digest": {"then": digest_of_board(verdicts, now=False), "now": digest_of_board(verdicts, now=True)},
            "activations": [asdict(each) for each in verdicts],
        }
    )
