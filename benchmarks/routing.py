"""What models cost and gain: the same documents with `--models` off, auto and always.

    python -m benchmarks.routing [--documents N] [--modes off,auto,always] [--error-rate R] [--latency S] [--json FILE]

Invoices and contracts are made for the run, a third each with a text layer, scanned, and scanned badly; every other one has
an error in it. Each is submitted by itself, in each mode to a whole service of its own, so that nothing is answered from
another mode's cache.

Without more it asks the protocol server of the tests, behind which an oracle stands (benchmarks/oracle.py): it knows the
answers and errs at a set rate. That shows what routing does (who is asked, what that costs by the price table, what becomes
of the answers), not how good any model is. With BLACKBOARD_TEST_BASE_URL, and BLACKBOARD_TEST_API_KEY or ANTHROPIC_API_KEY,
a real one is asked, BLACKBOARD_TEST_MODEL. Calls and dollars are the ledger's; seconds are from submission to the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.documents.routed import STATES, Paper, papers
from benchmarks.facts import CHECKS, SUBJECTS
from benchmarks.measures.edits import error_rate
from benchmarks.oracle import Oracle
from blackboard.entries import level_of
from controller.bootstrap import Service, open_service
from controller.desk import Submission
from controller.policy import Policy
from controller.settings import Settings

MODES = ("off", "auto", "always")
PATIENCE_S = 300.0
URL, KEY, MODEL = "BLACKBOARD_TEST_BASE_URL", "BLACKBOARD_TEST_API_KEY", "BLACKBOARD_TEST_MODEL"
NAME = "claude-haiku-5-5"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one document. `usd` and `tokens` by the ledger; `avoided`: steps of models that were not needed."""

    mode: str
    name: str
    state: str
    status: str
    seconds: float
    calls: int
    tokens: int
    usd: float
    avoided: int
    read: float
    """Share of its letters that stand right on its pages."""
    facts: float
    """Share of its facts that are among the entities."""
    caught: bool | None
    """Whether the error was found; None for a clean one."""
    flagged: bool
    """Whether a clean one is said to hold an error."""


async def measure(service: Service, mode: str, paper: Paper) -> Row:
    """Submit one document and hold what came of it against what is known of it."""
    sha256 = await service.blobs.put(paper.data)
    document = Submission(
        sha256=sha256,
        size=len(paper.data),
        filename=f"{paper.name}.pdf",
        policy=Policy.model_validate({"models": mode}),
    )
    board = (await service.desk.submit(document)).id
    async with asyncio.timeout(PATIENCE_S):
        while True:
            head = await service.store.head(board) or {}
            if head.get("status") != "open":
                break
            await asyncio.sleep(0.05)
    folded = await service.store.projection(board)
    assert folded is not None
    found: dict[str, list[Any]] = {}
    for key, value in folded.values.items():
        found.setdefault(level_of(key), []).append(orjson.loads(await service.store.resolve(value)))
    outcome = orjson.loads(head["outcome"])
    spent = (await service.accounts.board(board, tenant="default"))["totals"]
    refuted = [verdict for verdict in found.get("verdict", ()) if verdict["label"] == "refuted"]
    return Row(
        mode=mode,
        name=paper.name,
        state=paper.state,
        status=head["status"],
        seconds=(int(head["ended"]) - int(head["created"])) / 1000,
        calls=spent["calls"],
        tokens=sum(spent[f"{kind}_tokens"] for kind in ("input", "output", "cache_read", "cache_write")),
        usd=spent["usd"],
        avoided=sum(outcome.get("models", {}).get("avoided", {}).get("steps", {}).values()),
        read=_read(paper, found.get("page", [])),
        facts=_facts(paper, found.get("entities", [])),
        caught=any(_is_about(verdict, paper.category) for verdict in refuted) if paper.category else None,
        flagged=bool(refuted) and not paper.category,
    )


def _read(paper: Paper, pages: Sequence[Any]) -> float:
    texts = {page["number"]: page["text"] for page in pages}
    rates = [min(1.0, error_rate(texts.get(n, ""), text)) for n, text in enumerate(paper.texts, 1)]
    return 1 - statistics.fmean(rates)


def _facts(paper: Paper, entities: Sequence[Any]) -> float:
    """An organisation by any of its spellings, an identifier behind its kind, an amount before its currency."""

    def names(entity: Any) -> list[str]:
        return [str(name).casefold() for name in (entity["value"], *entity["names"])]

    right = 0
    for fact in paper.facts:
        wanted = fact.value.casefold()
        said = [name for entity in entities if entity["type"] == fact.type for name in names(entity)]
        right += any(name == wanted or name.endswith(f":{wanted}") or name.startswith(f"{wanted} ") for name in said)
    return right / len(paper.facts)


def _is_about(verdict: Any, category: str) -> bool:
    check, subject = verdict["check"], verdict["about"].split("-")[0]
    known = check in CHECKS[category] and subject in SUBJECTS[category]
    return (known or check in ("model", "contradiction")) and bool(verdict["evidence"])


@asynccontextmanager
async def _model(made: Sequence[Paper], error_rate: float, latency_s: float) -> AsyncIterator[str]:
    """A server to ask, set in the environment; what to call it."""
    url, name = os.environ.get(URL), os.environ.get(MODEL) or NAME
    os.environ |= {"BLACKBOARD_MODEL_NAMES": name, "BLACKBOARD_MODEL_ALERT_USD_PER_HOUR": "0"}
    if url:
        key = os.environ.get(KEY) or os.environ.get("ANTHROPIC_API_KEY", "")
        os.environ |= {"BLACKBOARD_MODEL_BASE_URL": url, "BLACKBOARD_MODEL_API_KEY": key}
        yield f"{name} at {url}"
        return
    from tests.models import Settings as Made
    from tests.models import serving
    from tests.models.brain import answered

    async with serving(Made(latency_s=latency_s), Oracle(made, error_rate, answered)) as server:
        os.environ |= {"BLACKBOARD_MODEL_BASE_URL": server.url, "BLACKBOARD_MODEL_API_KEY": "sk-oracle"}
        yield f"an ORACLE, wrong in {error_rate:.0%}, {latency_s:g} s a call, prices of {name}: no real model"


async def run(
    made: Sequence[Paper], modes: Sequence[str], error_rate: float, latency_s: float
) -> tuple[str, list[Row]]:
    """Every document in every mode, one at a time; who was asked, and the rows."""
    rows: list[Row] = []
    async with _model(made, error_rate, latency_s) as asked:
        for mode in modes:
            with tempfile.TemporaryDirectory(prefix="bb-routing-") as folder:
                settings = Settings(_env_file=None, data_dir=Path(folder), redis_url="")  # type: ignore[call-arg]
                async with open_service(settings, roles=frozenset({"controller", "worker"})) as service:
                    for paper in made:
                        rows.append(await measure(service, mode, paper))
                        print(f"{mode:7} {rows[-1].seconds:6.1f} s  {paper.name}", file=sys.stderr)
    return asked, rows


def table(asked: str, rows: Sequence[Row]) -> str:
    """Markdown: a row for each mode and state of the documents, and one for all of a mode."""
    lines = [
        f"Asked: {asked}",
        "",
        "| models | documents | calls | tokens | USD | avoided steps | seconds: median, 90 % | letters read | facts found "
        "| errors caught | clean ones flagged |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for mode in dict.fromkeys(row.mode for row in rows):
        mine = [row for row in rows if row.mode == mode]
        for state in (*STATES, ""):
            some = [row for row in mine if state in ("", row.state)]
            if some and (not state or len({row.state for row in mine}) > 1):
                lines.append(_line(mode, state or "all", some))
    return "\n".join(lines)


def _line(mode: str, state: str, rows: Sequence[Row]) -> str:
    seconds = sorted(row.seconds for row in rows)
    wrong, clean = [row for row in rows if row.caught is not None], [row for row in rows if row.caught is None]
    cells = [
        mode,
        f"{len(rows)} {state}",
        f"{sum(row.calls for row in rows)}",
        f"{sum(row.tokens for row in rows):,}",
        f"{sum(row.usd for row in rows):.4f}",
        f"{sum(row.avoided for row in rows)}",
        f"{statistics.median(seconds):.1f}, {seconds[math.ceil(0.9 * len(seconds)) - 1]:.1f}",
        f"{statistics.fmean(row.read for row in rows):.1%}",
        f"{statistics.fmean(row.facts for row in rows):.0%}",
        f"{sum(bool(row.caught) for row in wrong)} of {len(wrong)}",
        f"{sum(row.flagged for row in clean)} of {len(clean)}",
    ]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Exits with 1 when a board failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--error-rate", type=float, default=0.02)
    parser.add_argument("--latency", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--text-only", action="store_true", help="no scans: quicker")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    made = list(papers(options.documents, options.seed, STATES[:1] if options.text_only else STATES))
    asked, rows = asyncio.run(run(made, options.modes.split(","), options.error_rate, options.latency))
    print(table(asked, rows))
    if options.json:
        options.json.write_text(json.dumps({"asked": asked, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    return int(any(row.status != "completed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
