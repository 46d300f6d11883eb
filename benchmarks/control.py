"""What control costs per activation as boards grow: folding records in, deciding, and preparing the commit.

    python -m benchmarks.control [--pages 10,100,1000] [--rounds 5] [--json FILE]

A made-up document goes through a graph of the built-in shape (pages side by side, groups by page, sources that wait for
whole levels) in memory; nothing but the controller's own work is timed. Beside it stands the same control from scratch:
the log folded anew before each decision, which is what `decide` must agree with and what nobody could afford.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re
import statistics
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from blackboard import steps
from blackboard.board import Board, fold
from blackboard.contract import Input, Source
from blackboard.entries import Activation, AgendaWrite, Commit, Put
from blackboard.events import LogRecord
from blackboard.levels import Level
from blackboard.writing import prepare
from controller.decide import Decision, decide, decide_plan
from controller.graph import Graph, compile_graph
from controller.plan import Plan

ALLOWED = 1.5
"""How much more an activation may cost on a thousand pages than on ten."""


class Item(Level):
    """What stands on every level here."""

    page: int
    text: str


def level(name: str) -> type[Item]:
    """A level of items."""
    return type(name.title(), (Item,), {"__module__": __name__, "level": name})


LEVELS = {
    name: level(name)
    for name in ("upload", "layer", "reading", "page", "mentions", "claim", "passages", "entities", "verdict", "report")
}


def source(name: str, output: str, *inputs: tuple[str, str], **more: Any) -> Source:
    """A source that is never called: what it contributes is made up."""
    given = tuple(
        Input(
            levels.replace("|", "_"),
            kind,
            tuple(LEVELS[x] for x in levels.split("|")),
            "page" if kind == "group" else "",
        )  # type: ignore[arg-type]
        for kind, levels in inputs
    )
    return Source(name, "1", _never, given, (LEVELS[output],), **more)


def _never(**given: Any) -> None:
    raise AssertionError("not called")


BY_PAGE = {"carries": {"page": "page"}}
SOURCES = (
    source("layers", "layer", ("each", "upload"), required=True),
    source("ocr", "reading", ("each", "layer"), when=lambda layer: layer.page % 2 == 0, **BY_PAGE),
    source("pages", "page", ("group", "layer|reading"), **BY_PAGE),
    source("mentions", "mentions", ("each", "page"), **BY_PAGE),
    source("claims", "claim", ("each", "page"), **BY_PAGE),
    source("passages", "passages", ("all", "page")),
    source("entities", "entities", ("all", "mentions")),
    source("facts", "verdict", ("group", "claim"), ("all", "passages"), **BY_PAGE),
    source("report", "report", ("all", "verdict"), ("all", "entities")),
)


class _NoBlobs:
    async def put(self, data: bytes) -> str:
        raise AssertionError("too large")


@dataclass
class Run:
    """One document under control. `seconds`: of the controller's own work."""

    pages: int
    graph: Graph
    scratch: bool
    seconds: float = 0.0
    activations: int = 0
    shelf: steps.Shelf = field(default_factory=lambda: steps.Shelf(Board("0-bench")))
    unread: list[LogRecord] = field(default_factory=list)
    waiting: deque[str] = field(default_factory=deque)

    async def commit(self, commit: Commit) -> None:
        """One atomic step."""
        _, record = steps.commit(self.shelf, await prepare(commit, _NoBlobs()), 1_000)
        assert record is not None
        self.unread.append(record)

    async def complete(self) -> None:
        """From submission to the end; a worker finishes one activation between decisions."""
        plan = Plan("0-bench", self.graph)
        head = {"status": "open", "tenant": "t", "incarnation": "i"}
        await self.commit(
            Commit("board.created", "s", mode="person", head=head, create=True, writes=(_put("upload", "original", 1),))
        )
        while not self.shelf.board.ended:
            began = time.perf_counter()
            if self.scratch:
                decision = decide(fold("0-bench", self.shelf.log), self.graph, 1_000)
            else:
                for record in self.unread:
                    plan.apply(record)
                decision = decide_plan(plan, 1_000)
            self.unread.clear()
            commit = _commit(decision) if decision else None
            self.seconds += time.perf_counter() - began
            if commit is not None:
                await self.commit(commit)
                self.waiting.extend(step.activation.id for step in decision.activate)
                self.activations += len(decision.activate)
            else:
                await self._work(self.waiting.popleft())

    async def _work(self, id: str) -> None:
        claimed, record = steps.claim(self.shelf, id, nonce=id, lease_ms=1_000, worker="w", now=1_000)
        assert claimed.activation is not None and record is not None
        self.unread.append(record)
        activation = claimed.activation
        writes = tuple(self._made(activation))
        data = {**activation.data, "wrote": sorted(put.key for put in writes)}
        done = Activation(id, "done", activation.epoch, activation.inputs, data)
        await self.commit(
            Commit("contribution.committed", str(data["source"]), mode="source", activation=id, writes=writes,
                   fence=(id, activation.epoch), agenda=(AgendaWrite(done),))
        )  # fmt: skip

    def _made(self, activation: Activation) -> Iterator[Put]:
        name, binding = str(activation.data["source"]), str(activation.data["binding"])
        output = self.graph.nodes[name].outputs[0]
        if name == "layers":
            yield from (_put(output, f"{page:04d}", page) for page in range(1, self.pages + 1))
        else:
            number = re.match(r"\d+", binding.rpartition("/")[2])
            page = int(number[0]) if number else 1
            yield _put(output, f"{page:04d}.{name}", page)


def _put(level: str, name: str, page: int) -> Put:
    return Put(f"{level}/{name}", orjson.dumps({"page": page, "text": f"{level} of page {page}"}))


def _commit(decision: Decision) -> Commit:
    changes = (*decision.activate, *decision.cancel, *decision.retry)
    head = {"status": decision.ending.status} if decision.ending else {}
    return Commit(
        f"board.{decision.ending.status}" if decision.ending else "controller.decided", "controller",
        writes=decision.retract, checks=decision.checks, revision=decision.revision, head=head,
        agenda_checks=tuple((step.activation.id, *step.expected) for step in changes),
        agenda=tuple(AgendaWrite(step.activation) for step in changes),
    )  # fmt: skip


async def measured(pages: int, rounds: int, *, scratch: bool) -> tuple[float, int]:
    """Median microseconds per activation, and how many activations there were."""
    times, count = [], 0
    for _ in range(rounds):
        run = Run(pages, compile_graph(SOURCES), scratch)
        await run.complete()
        assert run.shelf.board.status == "completed"
        times.append(run.seconds / run.activations * 1e6)
        count = run.activations
    return statistics.median(times), count


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", default="10,100,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    # As a service does once it has started.
    gc.collect()
    gc.freeze()
    sizes = [int(word) for word in options.pages.split(",")]
    rows = {}
    print(f"{'pages':>6}{'activations':>13}{'incremental us':>16}{'from scratch us':>17}")
    for pages in sizes:
        kept, count = asyncio.run(measured(pages, max(1, options.rounds), scratch=False))
        # From scratch costs the square of the pages: beyond a hundred nobody would wait for it.
        afresh = asyncio.run(measured(pages, 1, scratch=True))[0] if pages <= 100 else None
        rows[pages] = {"activations": count, "incremental_us": kept, "from_scratch_us": afresh}
        print(f"{pages:>6}{count:>13}{kept:>16.1f}{'-' if afresh is None else f'{afresh:.1f}':>17}")
    ratio = rows[sizes[-1]]["incremental_us"] / rows[sizes[0]]["incremental_us"]  # type: ignore[operator]
    print(f"an activation at {sizes[-1]} pages costs {ratio:.2f} x one at {sizes[0]} pages (at most {ALLOWED})")
    if options.json:
        options.json.write_bytes(orjson.dumps({"rows": {str(key): row for key, row in rows.items()}, "ratio": ratio}))


if __name__ == "__main__":
    main()
