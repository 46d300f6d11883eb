"""Four no-op stages through the real store, controller and arq workers, beside stock arq, saq and the floor, in one run.

Latency: one document at a time on an idle system, submit to result seen. Throughput: many documents at once, concurrency
64. Each system runs submitter and worker in this one process on the same server, append-only on for all; rounds are
interleaved and medians shown. Compare within one run only: absolute figures move with the machine.

    python -m benchmarks.pipeline [--json FILE] [--rounds 3] [--latency 100] [--documents 1000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop
from redis.asyncio import Redis

from benchmarks.peers.blackboard_peer import Ours
from benchmarks.peers.floor import Floor
from benchmarks.peers.queues import Arq, Saq
from blackboard.embedded import start_server

FIGURES = ("p50_ms", "p99_ms", "docs_per_s", "cpu_s_per_1000", "commands_per_doc")
SLOW = "arq"


async def _commands(redis: Any) -> int:
    return int((await redis.info("stats"))["total_commands_processed"])


async def measure(system: Any, url: str, latency: int, documents: int) -> dict[str, float]:
    """One round of one system. Commands are the server's own count, scripts counting as one."""
    redis = Redis.from_url(url)
    await redis.flushall()
    await system.start(url)
    try:
        for _ in range(5):
            await system.submit()
        times = []
        for _ in range(latency):
            began = time.perf_counter()
            await system.submit()
            times.append((time.perf_counter() - began) * 1000)
        commands, cpu, began = await _commands(redis), time.process_time(), time.perf_counter()
        await asyncio.gather(*(system.submit() for _ in range(documents)))
        took, spent = time.perf_counter() - began, time.process_time() - cpu
        sent = await _commands(redis) - commands
    finally:
        await system.stop()
        await redis.aclose()
    times.sort()
    return {
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(len(times) * 0.99)],
        "docs_per_s": documents / took,
        "cpu_s_per_1000": spent / documents * 1000,
        "commands_per_doc": sent / documents,
    }


async def run(rounds: int, latency: int, documents: int) -> dict[str, dict[str, float]]:
    """Every system `rounds` times, interleaved; medians. Stock arq at its default poll gets fewer documents: it is slow."""
    systems: list[tuple[Any, int, int]] = [
        (Ours(), latency, documents),
        (Saq(), latency, documents),
        (Arq(0.01, "arq_10ms"), latency, documents),
        (Floor(), latency, documents),
        (Arq(0.5, SLOW), max(5, latency // 20), max(50, documents // 4)),
    ]
    found: dict[str, list[dict[str, float]]] = {system.name: [] for system, _, _ in systems}
    with tempfile.TemporaryDirectory() as directory:
        server = await start_server(Path(directory))
        try:
            for number in range(rounds):
                for system, alone, many in systems:
                    if system.name == SLOW and number > 0:
                        continue
                    found[system.name].append(await measure(system, server.url, alone, many))
                    print(".", end="", file=sys.stderr, flush=True)
        finally:
            await server.stop()
    print(file=sys.stderr)
    return {
        name: {figure: round(statistics.median(row[figure] for row in rows), 3) for figure in FIGURES}
        for name, rows in found.items()
    }


def show(results: dict[str, dict[str, float]]) -> None:
    """The table, and the ratios that matter."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}; append-only everysec")
    print(f"{'system':<10}{'p50 ms':>10}{'p99 ms':>10}{'docs/s':>10}{'CPU-s/1000':>12}{'commands/doc':>14}")
    for name, row in results.items():
        print(
            f"{name:<10}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}{row['docs_per_s']:>10.0f}"
            f"{row['cpu_s_per_1000']:>12.2f}{row['commands_per_doc']:>14.1f}"
        )
    ours, saq = results["ours"], results["saq"]
    print(f"latency p50: ours / saq = {ours['p50_ms'] / saq['p50_ms']:.2f}")
    print(f"documents/s: ours / saq = {ours['docs_per_s'] / saq['docs_per_s']:.2f}")
    print(f"arq's polling latency / ours = {results[SLOW]['p50_ms'] / ours['p50_ms']:.0f}")
    print(f"share of the floor's throughput = {ours['docs_per_s'] / results['floor']['docs_per_s']:.0%}")


def main() -> None:
    """Read the options, run, print."""
    parser = argparse.ArgumentParser(description="Latency and throughput beside arq, saq and the floor")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=int, default=100, help="documents one at a time")
    parser.add_argument("--documents", type=int, default=1000, help="documents at once")
    options = parser.parse_args()
    results = uvloop.run(run(options.rounds, options.latency, options.documents))
    show(results)
    if options.json:
        options.json.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
