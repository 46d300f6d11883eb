"""Many watchers of one service: how late events are, what a watcher costs, and how soon all are back after a cut.

    python -m benchmarks.watch [--watchers 10000] [--seconds 15] [--json FILE]

A real `blackboard serve` on a real server, an event a second on every board, and the watchers in a process of their own: 100
boards with 100 watchers each, then one board with all 10,000. Then everybody is cut off and resumes where it was. The floor
is a bare asyncio server that writes as many bytes to as many connections, measured in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.watch_machine import MESSAGE_BYTES, processor, raise_limits, resident
from blackboard.blobs import Blobs
from blackboard.embedded import start_server
from blackboard.entries import Commit, Put
from blackboard.store import RedisStore, open_store

ROOT = Path(__file__).parents[1]
ALLOWED = {"gaps": 0, "doubles": 0, "refused": 0, "lost": 0, "p99_ms": 2000.0, "kb_each": 60.0}


@dataclass(frozen=True)
class Result:
    """One crowd. Times in milliseconds, memory in KB of the serving process for each watcher."""

    system: str
    boards: int
    watchers: int
    deliveries: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    gaps: int
    doubles: int
    refused: int
    lost: int
    kb_each: float
    cpu: float
    """Processors used while it was measured."""
    us_each: float
    """Microseconds of processor time for each delivery."""
    connected_s: float
    connect_ms: float
    """Milliseconds of processor time for each connection."""
    back_s: float
    """From the cut until everybody was answered again."""
    storm_max_ms: float
    """The latest event of the storm."""


class Process:
    """A program of ours that is told what to do in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def line(self) -> bytes:
        """What it says next."""
        assert self._process.stdout is not None
        found = await self._process.stdout.readline()
        if not found:
            raise RuntimeError(f"process {self.pid} ended with {await self._process.wait()}")
        return found

    async def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Its answer to an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps({"do": do, **more}) + b"\n")
        await self._process.stdin.drain()
        found: dict[str, Any] = orjson.loads(await self.line())
        return found


@asynccontextmanager
async def program(*words: str, **environment: str) -> AsyncIterator[Process]:
    """A running process of this project's interpreter; ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, limit=1 << 26,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def service(url: str, data: Path) -> AsyncIterator[tuple[int, int]]:
    """A `blackboard serve`: its process and its port."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "BLACKBOARD_REDIS_URL": url, "BLACKBOARD_DATA_DIR": str(data),
        "BLACKBOARD_LIMIT_STREAMS": "0",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.cli", "serve", "--port", "0",
        stderr=subprocess.PIPE, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    said = b""
    try:
        while b"listens on http://127.0.0.1:" not in said:
            line = await process.stderr.readline()
            if not line:
                raise RuntimeError(f"the service did not start: {said.decode()}")
            said += line
        reading = asyncio.create_task(process.stderr.read())
        yield process.pid, int(said.split(b"http://127.0.0.1:")[1].split()[0])
        process.terminate()
        await reading
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def publish(store: RedisStore, boards: list[str]) -> None:
    """An event a second on every board, spread over the second, until cancelled."""
    loop = asyncio.get_running_loop()
    began, turn = loop.time(), 0
    text = orjson.dumps("x" * (MESSAGE_BYTES // 4))
    while True:
        write = Put("page/0001", text[:-1] + b'%d"' % turn)
        await store.commit(boards[turn % len(boards)], Commit("board.changed", "bench", mode="person", writes=(write,)))
        turn += 1
        await asyncio.sleep(max(0.0, began + turn / len(boards) - loop.time()))


async def new_boards(store: RedisStore, count: int) -> list[str]:
    """Open boards that nobody works on."""
    head = {"status": "open", "tenant": "default", "incarnation": "bench1"}
    boards = [store.new_id("default") for _ in range(count)]
    for board in boards:
        await store.commit(board, Commit("board.created", "bench", create=True, head=head))
    return boards


async def measure(system: str, pid: int, port: int, paths: list[str], boards: int, seconds: float) -> Result:
    """Connect, look, cut, resume."""
    loop = asyncio.get_running_loop()
    async with program("benchmarks.watch_crowd", str(port)) as crowd:
        before = resident(pid)
        used, began = processor(pid), loop.time()
        await crowd.ask("connect", paths=paths)
        connected, connecting = loop.time() - began, processor(pid) - used
        await asyncio.sleep(2)
        await crowd.ask("forget")
        used, began = processor(pid), loop.time()
        await asyncio.sleep(seconds)
        busy, took = processor(pid) - used, loop.time() - began
        each = (resident(pid) - before) / len(paths) / 1024
        calm = await crowd.ask("report")
        await crowd.ask("forget")
        storm = await crowd.ask("storm")
        await asyncio.sleep(5)
        after = await crowd.ask("report")
    return Result(
        system, boards, len(paths), calm["deliveries"], calm["p50"], calm["p99"], calm["max"],
        after["gaps"], after["doubles"], after["refused"], after["lost"],
        each, busy / took, busy * 1e6 / max(1, calm["deliveries"]), connected, connecting * 1e3 / len(paths),
        storm["back_s"], after["max"],
    )  # fmt: skip


async def of_floor(boards: int, watchers: int, seconds: float) -> Result:
    """The bare server."""
    async with program("benchmarks.watch_floor", str(boards)) as floor:
        port = int(await floor.line())
        paths = [f"/{at % boards}" for at in range(watchers)]
        return await measure("floor", floor.pid, port, paths, boards, seconds)


async def of_blackboard(boards: int, watchers: int, seconds: float) -> Result:
    """The service."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bb-watch-")))
        server = await start_server(folder / "server")
        stack.push_async_callback(server.stop)
        store = await open_store(server.url, Blobs.at("memory://"))
        stack.push_async_callback(store.close)
        pid, port = await stack.enter_async_context(service(server.url, folder))
        ids = await new_boards(store, boards)
        publishing = asyncio.create_task(publish(store, ids))
        stack.callback(publishing.cancel)
        paths = [f"/v1/boards/{ids[at % boards]}/events" for at in range(watchers)]
        return await measure("blackboard", pid, port, paths, boards, seconds)


def table(results: Iterable[Result]) -> str:
    """For people."""
    head = (
        "system",
        "boards x watchers",
        "p50 ms",
        "p99 ms",
        "max ms",
        "gaps",
        "KB each",
        "CPU",
        "us each",
        "connect s",
        "ms each",
        "back s",
    )
    rows = [
        (
            result.system, f"{result.boards} x {result.watchers // result.boards}", f"{result.p50_ms:.1f}",
            f"{result.p99_ms:.1f}", f"{result.max_ms:.1f}",
            str(result.gaps + result.doubles + result.refused + result.lost),
            f"{result.kb_each:.1f}", f"{result.cpu:.2f}", f"{result.us_each:.0f}", f"{result.connected_s:.1f}",
            f"{result.connect_ms:.2f}", f"{result.back_s:.1f}",
        )
        for result in results
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in (head, *rows))


def misses(results: Iterable[Result]) -> list[str]:
    """What is not as good as it must be."""
    return [
        f"{result.boards} x {result.watchers // result.boards}: {name} is {getattr(result, name):g}, not {most:g}"
        for result in results
        if result.system == "blackboard"
        for name, most in ALLOWED.items()
        if getattr(result, name) > most
    ]


async def run(watchers: int, seconds: float, boards: Iterable[int]) -> list[Result]:
    """All of it."""
    results = []
    for count in boards:
        for kind in (of_floor, of_blackboard):
            results.append(await kind(count, watchers, seconds))
            print(table(results[-1:]), flush=True)
    return results


def main() -> int:
    """0 where everything is as good as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--boards", type=lambda text: [int(word) for word in text.split(",")], default=[100, 1])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if raise_limits() < options.watchers + 500:
        print("too few files may be open: ulimit -n", file=sys.stderr)
        return 2
    results = asyncio.run(run(options.watchers, options.seconds, options.boards))
    print(f"\n{table(results)}")
    if options.json:
        options.json.write_bytes(orjson.dumps([asdict(result) for result in results], option=orjson.OPT_INDENT_2))
    found = misses(results)
    for miss in found:
        print(f"MISSED {miss}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
