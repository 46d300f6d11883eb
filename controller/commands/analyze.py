"""`analyze`: one shot. A private server, controller and worker in this process; the boards stay for `replay` and `show`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from controller.commands import console
from controller.commands.options import (
    BudgetOption,
    Data,
    Deadline,
    Documents,
    Floors,
    Goal,
    Json,
    ModelsOption,
    Only,
    Plugins,
    PriceOption,
    Strategies,
    existing,
    is_address,
    policy_json,
    settings_from,
    words,
)

if TYPE_CHECKING:
    from blackboard.board import Board
    from blackboard.levels import Report
    from controller.bootstrap import Service
    from controller.desk import Submission
    from controller.live import Painter, Tracker
    from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one document, a file or an address."""

    document: str
    board: Board
    report: Report | None
    outcome: dict[str, Any]
    seconds: float

    @property
    def code(self) -> int:
        """The exit code it stands for."""
        if self.board.status != "completed":
            return console.BOARD_FAILED
        return console.TIMED_OUT if self.outcome.get("slug") == "deadline" else console.DONE


def analyze(
    ctx: typer.Context,
    documents: Documents,
    goal: Goal = "",
    sources: Only = "",
    deadline: Deadline = None,
    strategy: Strategies = None,
    floor: Floors = None,
    price: PriceOption = "",
    budget: BudgetOption = "",
    models: ModelsOption = "",
    as_json: Json = False,
    plugins: Plugins = None,
    data: Data = None,
) -> None:
    """Analyze documents, files or addresses to fetch, and print their reports. Needs no service and no server.

    Boards are kept in the data directory: `show`, `why`, `log` and `replay` work on their ids afterwards.
    """
    # Somebody waits for the prompt: what runs after the last report is not worth a long drain.
    settings = settings_from(data, drain_s=2.0, plugins=plugins)
    policy = policy_json(strategy, floor, budget, price, models, otherwise=settings.models)
    asked = {"goal": words(goal), "sources": words(sources), "deadline_s": deadline, "policy": policy}
    existing([Path(document) for document in documents if not is_address(document)])
    code = console.run(_analyze(documents, asked, settings, as_json=as_json, debug=ctx.obj.debug))
    raise typer.Exit(code)


async def _analyze(
    documents: list[str], asked: dict[str, Any], settings: Settings, *, as_json: bool, debug: bool
) -> int:
    import asyncio

    from controller.bootstrap import open_service
    from controller.commands.logs import configure_logs
    from controller.live import Tracker, painter_for

    configure_logs(settings, level=None if debug else "error")
    async with open_service(settings, roles=frozenset({"controller", "worker"}), remote=False) as service:
        await _check_company(service)
        for broken in service.broken:
            console.say(f"warning: the source {broken.name} ({broken.where}) cannot be used: {broken.error}")
        submissions = [await _submission(service, document, asked) for document in documents]
        for submission in submissions:
            service.desk.check(submission)
        trackers = [Tracker(_called(document)) for document in documents]
        boards: list[str] = []
        try:
            with painter_for(trackers) as painter:
                boards += [(await service.desk.submit(submission)).id for submission in submissions]
                pairs = zip(boards, trackers, strict=True)
                await asyncio.gather(*(_follow(service, board, tracker, painter) for board, tracker in pairs))
        except asyncio.CancelledError:
            for board in boards:
                console.say(f"stopped; board {board} stays as it is: `blackboard up` with this data directory goes on")
            raise
        results = [await _result(service, *each) for each in zip(documents, boards, trackers, strict=True)]
    for result in results:
        _print_json(result) if as_json else _print(result, titled=len(results) > 1)
    return min((result.code for result in results if result.code), default=console.DONE)


async def _check_company(service: Service) -> None:
    """Raises UsageError when a service that runs on the same data directory would decide without some of our sources."""
    from blackboard.errors import UsageError
    from blackboard.presence import served

    if service.settings.redis_url or service.worker is None:
        return
    presence = await service.store.presence()
    theirs = {word for worker, words in presence.workers.items() if worker != service.worker.name for word in words}
    missing = [source.name for source in service.sources if served(source.name, source.version) not in theirs]
    if theirs and missing:
        raise UsageError(
            f"a service that runs on {service.settings.data_dir} does not have {', '.join(missing)}",
            hint="restart it with the same sources, or use another directory: --data DIR",
        )


def _called(document: str) -> str:
    """A short name."""
    return (
        document.rstrip("/").rpartition("/")[2].partition("?")[0] or document
        if is_address(document)
        else Path(document).name
    )


async def _submission(service: Service, document: str, asked: dict[str, Any]) -> Submission:
    import asyncio

    from blackboard.errors import UsageError
    from controller.desk import Submission
    from controller.policy import Policy

    asked = {**asked, "policy": Policy.model_validate(asked["policy"])}
    if is_address(document):
        from blackboard.egress import Egress

        Egress(service.settings.egress_allow).check(document)
        return Submission(url=document, **asked)
    file = Path(document)
    size, most = (await asyncio.to_thread(file.stat)).st_size, service.settings.max_upload_bytes
    if size > most:
        raise UsageError(
            f"{file} holds {size:,} bytes; at most {most:,} are taken", hint="raise BLACKBOARD_MAX_UPLOAD_BYTES"
        )
    content = await asyncio.to_thread(file.read_bytes)
    sha256 = await service.blobs.put(content)
    return Submission(sha256=sha256, size=len(content), filename=file.name, **asked)


async def _follow(service: Service, board: str, tracker: Tracker, painter: Painter) -> None:
    """Until the board ends, from the same stream that watchers over HTTP get."""
    from blackboard.client.stream import events_in
    from blackboard.messages import PROGRESS

    async for event in events_in(service.feed.subscribe(board)):
        if event.type == PROGRESS:
            name = tracker.hear(event.raw)
            painter.moved(tracker, [name] if name else [])
            continue
        record = event.record
        if record is not None:
            painter.moved(tracker, tracker.take(record))


async def _result(service: Service, document: str, id: str, tracker: Tracker) -> Result:
    from blackboard.errors import BoardGone
    from blackboard.levels import Report
    from controller.commands.telling import outcome_of, report_key

    board = await service.store.projection(id)
    if board is None:
        raise BoardGone(f"the board {id} of {document} was removed while it was read")
    key = report_key(board)
    report = Report.model_validate_json(await service.store.resolve(board.values[key])) if key else None
    return Result(document, board, report, outcome_of(board.head), tracker.seconds)


def _print(result: Result, *, titled: bool) -> None:
    from controller.bootstrap import render
    from controller.commands.telling import entry_rows, models_line

    board, outcome = result.board, result.outcome
    if titled:
        console.out(f"==> {result.document} <==")
    if result.report is not None:
        console.out(render(result.report).rstrip() + "\n")
    elif board.status == "completed":
        console.out(console.columns(entry_rows(board), header=("entry", "version", "sure", "owner", "size")) + "\n")
    if outcome.get("coverage"):
        console.out(console.coverage_table(outcome["coverage"]) + "\n")
    if outcome.get("models"):
        console.out(f"models: {models_line(outcome['models'])}\n")
    if result.code:
        console.say(f"{result.document}: {board.status}: {outcome.get('reason', 'no reason is known')}")
    for each in outcome.get("degraded", ()) if board.status == "completed" else ():
        console.say(f"degraded: {each['source']} on {each['binding']}: {each['reason']}")
    if result.report is None and result.code == console.DONE:
        console.say(f"no report was asked for; `blackboard show {board.id} KEY` prints an entry")
    console.say(f"board {board.id} {board.status} in {result.seconds:.2f} s, {board.revision} revisions")


def _print_json(result: Result) -> None:
    console.out_json(
        {
            "file": result.document,
            "board": result.board.id,
            "status": result.board.status,
            "seconds": round(result.seconds, 3),
            "revision": result.board.revision,
            "outcome": result.outcome,
            "report": result.report.model_dump(mode="json") if result.report else None,
        }
    )


def register(app: typer.Typer) -> None:
    """Add the group's command."""
    app.command()(analyze)
