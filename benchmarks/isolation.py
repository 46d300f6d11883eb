"""What it costs to run a third party's source in a process of its own: python -m benchmarks.isolation [--runs N]

The same source, in the worker and isolated. A run is what the worker does between a claim and the last commit but the
server's part: inputs to the source, the source, its contributions checked. Times are medians over warm runs.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from blackboard import Each, Level, Source, knowledge_source
from blackboard.blobs import Blobs
from blackboard.contributions import Namer
from blackboard.entries import Header, Read
from blackboard.memory import MemoryStore
from blackboard.plugins import load_file
from controller.inputs import Decoder, Looked, arguments
from controller.isolated import Isolation
from controller.isolated_host import Host, packed_inputs
from controller.settings import Settings


class Text(Level):
    """Something to read."""

    text: str


class Word(Level):
    """Something found."""

    named_by = ("n",)
    n: int
    text: str


@knowledge_source(timeout=60)
async def words(text: Each[Text]) -> AsyncIterator[Word]:
    """As many words as the text says first."""
    count, _, rest = text.text.partition(" ")
    for n in range(int(count)):
        yield Word(n=n, text=rest[:20])


def of_this_file() -> tuple[Source, Source]:
    """The source as it runs in the worker, and as it runs in a process of its own."""
    path = Path(__file__).resolve()
    found = vars(load_file(path))["words"]
    return found, replace(found, origin="file", where=str(path), trusted=False)


@dataclass(frozen=True)
class Case:
    """How large the input is, and how much is contributed."""

    name: str
    size: int
    count: int


CASES = (
    Case("1 KB in, 1 entry out", 1_000, 1),
    Case("1 KB in, 100 entries out", 1_000, 100),
    Case("1 MB in, 1 entry out", 1_000_000, 1),
)


def read_of(case: Case) -> Read:
    """The input as a claim finds it."""
    value = orjson.dumps({"text": f"{case.count} ".ljust(case.size, "x")})
    return Read("text/0001", Header(1, True, False, "d" * 32, len(value), 1.0, "intake", ""), value)


async def in_worker(source: Source, decoder: Decoder, read: Read) -> int:
    """One run in this process."""
    namer = Namer(source, read.key)
    given = await arguments(source, read.key, [read], "board", decoder, MemoryStore(Blobs.at("memory://")), Looked())
    return len([namer.put(item) async for item in source.function(**given)])


async def isolated(source: Source, isolation: Isolation, decoder: Decoder, read: Read) -> int:
    """One run in a process of its own."""
    inputs, values = await packed_inputs(source, read.key, [read], decoder)
    host = Host(decoder, {}, lambda: None, logging.getLogger("benchmark"))
    async with isolation.seat(source) as one:
        return len([put async for put in one.contributions(read.key, inputs, values, host)])


async def timed(run: Callable[[], Coroutine[Any, Any, int]], runs: int) -> list[float]:
    """Milliseconds of each run."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        await run()
        found.append((time.perf_counter() - began) * 1000)
    return found


async def main(runs: int) -> None:
    """Print the table."""
    store = MemoryStore(Blobs.at("memory://"))
    isolation = Isolation(Settings())
    trusted, guest = of_this_file()
    print(f"Python {platform.python_version()}, {platform.machine()}; medians of {runs} runs, milliseconds\n")
    print(f"{'':28}{'in the worker':>16}{'isolated':>12}{'more':>10}{'p95 isolated':>16}")
    try:
        (cold,) = await timed(lambda: isolated(guest, isolation, Decoder(store), read_of(CASES[0])), 1)
        for case in CASES:
            # A decoder keeps large values: each run gets one of its own, as if the value were new to it.
            read = read_of(case)
            await timed(lambda read=read: isolated(guest, isolation, Decoder(store), read), 5)
            ours = statistics.median(await timed(lambda read=read: in_worker(trusted, Decoder(store), read), runs))
            theirs = await timed(lambda read=read: isolated(guest, isolation, Decoder(store), read), runs)
            median, p95 = statistics.median(theirs), statistics.quantiles(theirs, n=20)[-1]
            print(f"{case.name:28}{ours:16.2f}{median:12.2f}{median - ours:10.2f}{p95:16.2f}")
        print(f"\nThe first run of a process, with its start: {cold:.0f} ms")
    finally:
        await isolation.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300)
    asyncio.run(main(parser.parse_args().runs))
