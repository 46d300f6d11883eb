"""Scans as real boards: submitted over HTTP to a service in this process, once as by default, once under a market.

What is counted comes from the boards alone: who was activated on the page, for how long, and the page that was chosen.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import cv2
import httpx2
import orjson

from benchmarks.engines import Outcome, aligned, error_of
from benchmarks.scans import Scan, worn
from blackboard.registry import find_sources
from controller.bootstrap import open_service
from controller.http.app import create_app
from controller.http.server import make_server
from controller.settings import Settings
from knowledge_sources.ocr import ocr, ocr_fast

READERS = {ocr.name: "thorough", ocr_fast.name: "fast"}


class Refused(Exception):
    """The service does not take the submission; says what it answered."""


@dataclass(frozen=True)
class Ended:
    """One page's board: which engines read it, for how many seconds, and the share of wrong characters."""

    engines: tuple[str, ...]
    seconds: float
    error: float


def run_live(chosen: Sequence[Scan], states: Sequence[str], *, floor: float, second: float) -> int:
    """Run every scan in every state under each policy, one board at a time, and print the table. 2 when refused."""
    market = {"strategy": {"reading": "market"}, "floor": {"reading": floor}, "price": {"second": second}}
    policies: dict[str, dict[str, Any]] = {"by default": {}, f"market, floor {floor:g}": market}
    try:
        found = asyncio.run(_run(chosen, states, policies))
    except Refused as refused:
        print(f"the service does not take {orjson.dumps(market).decode()}: {refused}", file=sys.stderr)
        return 2
    print(f"{len(chosen) * len(states)} boards under each policy; seconds are those of the reading, in its sandbox\n")
    print(table(found))
    return 0


def table(found: dict[str, list[Ended]]) -> str:
    """One line a policy, compared with the first."""
    outcomes = [summed(policy, boards) for policy, boards in found.items()]
    base = outcomes[0]
    rows: list[tuple[str, ...]] = [("policy", "fast", "thorough", "both", "s/page", "saved", "errors", "lost")]
    for item in outcomes:
        rows.append(
            (item.policy, str(item.fast), str(item.thorough), str(item.both), f"{item.seconds:.2f}",
             f"{1 - item.seconds / base.seconds:+.0%}", f"{item.errors:.4f}", f"{item.errors - base.errors:+.4f}")
        )  # fmt: skip
    return aligned(rows)


def summed(policy: str, boards: Sequence[Ended]) -> Outcome:
    """What the boards of a policy came to."""
    fast = sum(1 for board in boards if board.engines == ("fast",))
    both = sum(1 for board in boards if len(board.engines) > 1)
    return Outcome(
        policy,
        fast,
        len(boards) - fast - both,
        both,
        mean(board.seconds for board in boards),
        mean(board.error for board in boards),
    )


async def _run(
    chosen: Sequence[Scan], states: Sequence[str], policies: dict[str, dict[str, Any]]
) -> dict[str, list[Ended]]:
    found: dict[str, list[Ended]] = {policy: [] for policy in policies}
    async with _client() as client:
        # The first page of a sandbox waits for its models: it belongs to nobody's time.
        await _board(client, chosen[0], states[0], {})
        for scan in chosen:
            for state in states:
                for policy, options in policies.items():
                    found[policy].append(await _board(client, scan, state, options))
                    print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


@asynccontextmanager
async def _client() -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service with one reading process, its boards in a folder that goes with it."""
    installed, _ = find_sources()
    missing = [source for source in (ocr_fast,) if source.name not in {known.name for known in installed}]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder), reading_slots=1, port=0)
        async with open_service(settings, sources=[*installed, *missing]) as service:
            ready = asyncio.Event()
            server = make_server(create_app(service), settings.host, 0, ready=ready)
            running = asyncio.create_task(server.serve())
            await asyncio.wait({asyncio.create_task(ready.wait()), running}, return_when=asyncio.FIRST_COMPLETED)
            try:
                base = f"http://{settings.host}:{server.port}"
                async with httpx2.AsyncClient(base_url=base, timeout=300) as client:
                    yield client
            finally:
                server.stop()
                await running


async def _board(client: httpx2.AsyncClient, scan: Scan, state: str, options: dict[str, Any]) -> Ended:
    """Submit one scan and wait for its end. Raises Refused."""
    done, pixels = cv2.imencode(".png", worn(scan.image(), state))
    assert done
    form = {"goal": "page", **{name: orjson.dumps(value).decode() for name, value in options.items()}}
    file = (f"{Path(scan.name).stem}.png", pixels.tobytes(), "image/png")
    answer = await client.post("/v1/documents", files={"file": file}, data=form)
    if answer.status_code != 202:
        problem = answer.json()
        errors = "; ".join(f"{each['pointer']}: {each['detail']}" for each in problem.get("errors", []))
        raise Refused(errors or str(problem.get("title", answer.status_code)))
    place = answer.headers["Location"]
    # The stream of a board's events ends with the board.
    await client.get(f"{place}/events")
    runs = [
        run for run in (await client.get(f"{place}/activations")).json()["items"]
        if run["source"] in READERS and run["status"] == "done"
    ]  # fmt: skip
    (page,) = (await client.get(f"{place}/entries", params={"level": "page"})).json()["items"]
    return Ended(
        tuple(dict.fromkeys(READERS[run["source"]] for run in runs)),
        sum(run["finished_at"] - run["claimed_at"] for run in runs) / 1000,
        error_of(page["value"]["text"], scan.truth),
    )
