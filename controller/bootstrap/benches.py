"""Sources apart from a service: on a board in memory, on what a board once read, on recorded answers."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.contract import Source
from blackboard.embedded import Embedded
from blackboard.errors import UsageError
from blackboard.events import LogRecord
from blackboard.models import Models
from blackboard.sandbox.pool import Sandboxes
from blackboard.store import open_store
from controller.bench import Bench
from controller.isolated import Isolation
from controller.rerun import Replies, Rerun
from controller.rerun_services import Bytes
from controller.settings import Settings
from knowledge_sources.llm.settings import read_settings


@asynccontextmanager
async def open_bench(behind: Blobs | None = None) -> AsyncIterator[Bench]:
    """A board in memory whose sources are handed what a worker hands in. `behind`: see Bench."""
    sandboxes, isolation = Sandboxes(), Isolation(Settings())
    try:
        yield Bench(services={Sandboxes: sandboxes}, behind=behind, at_once=4, isolation=isolation)
    finally:
        await sandboxes.close()
        await isolation.close()


@asynccontextmanager
async def open_rerun(
    source: Source, records: Sequence[LogRecord], whole: Callable[[Board, str], Awaitable[bytes]], kept: Bytes
) -> AsyncIterator[Rerun]:
    """A source's code, to be run on the inputs of a recorded board, handed what a worker hands in. See Rerun.

    A model answers what is recorded on that board, and nothing else.
    """
    from knowledge_sources.llm.recorded import recorded_models
    from knowledge_sources.llm.recordings import BoardRecordings, Watched

    recordings, asking = BoardRecordings(records, kept), read_settings()

    def replies(activation: str) -> Replies:
        watched = Watched(recordings.of(activation))
        return Replies(recorded_models(watched, asking), watched.missing, watched.lost)

    sandboxes, isolation = Sandboxes(), Isolation(Settings())
    try:
        yield Rerun(source, whole, kept, {Sandboxes: sandboxes}, isolation, replies)
    finally:
        await sandboxes.close()
        await isolation.close()


@asynccontextmanager
async def open_cassette() -> AsyncIterator[Models]:
    """Models that answer from the cassette that is set; while it is recorded, the model that is set is asked what it lacks.

    For boards in memory. Raises UsageError where it is to be recorded and no model is set.
    """
    from knowledge_sources.llm.fleet import cassette_of, open_gateway
    from knowledge_sources.llm.recorded import recorded_models

    settings = read_settings()
    cassette = cassette_of(settings)
    assert cassette is not None, "no cassette is set"
    if not settings.cassette_record:
        yield recorded_models(cassette, settings)
        return
    if not settings.has_server:
        raise UsageError(
            "there is no model to record answers of",
            hint="set ANTHROPIC_API_KEY, or BLACKBOARD_MODEL_BASE_URL for a server of your own",
        )
    # What a call costs is limited and written down here, too: on a server that goes with the block.
    with tempfile.TemporaryDirectory(prefix="bb-") as place:
        async with AsyncExitStack() as stack:
            url = (await stack.enter_async_context(Embedded(Path(place)))).url
            store = await open_store(url, Blobs.at("memory://"))
            stack.push_async_callback(store.close)
            yield await stack.enter_async_context(open_gateway(settings, store.line(0), store.reads, store.blobs))
