"""A small document analysis whose stages take their time, run by whole processes that tests may kill.

python -m tests.fleet ROLE...          with BLACKBOARD_* in the environment
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from blackboard import All, Each, Level, Lookup, Progress, knowledge_source
from blackboard.board import fold
from blackboard.entries import Commit, Put
from blackboard.ports import Store
from controller.bootstrap import open_service
from controller.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = 3


class Sheet(Level):
    """A page of the small document."""

    named_by = ("number",)
    number: int
    text: str


class Words(Level):
    """What was found on one page."""

    named_by = ("number",)
    number: int
    count: int


class Total(Level):
    """What all pages come to."""

    count: int


class Paper(Level):
    """The small document."""

    pages: tuple[str, ...]


async def work(seconds: float) -> None:
    """Take so long, in small steps."""
    await asyncio.sleep(seconds * float(os.environ.get("TEST_PACE", "1")))


@knowledge_source(required=True, timeout=10)
async def split(paper: Each[Paper], progress: Progress) -> AsyncIterator[Sheet]:
    """Pages, one by one."""
    for number, text in enumerate(paper.pages, 1):
        await work(0.05)
        progress(number, len(paper.pages))
        yield Sheet(number=number, text=text)


@knowledge_source(timeout=10, carries={"number": "number"})
async def count(sheet: Each[Sheet]) -> Words:
    """Words of one page."""
    await work(0.1)
    return Words(number=sheet.number, count=len(sheet.text.split()))


@knowledge_source(timeout=10)
def total(words: All[Words], sheets: All[Sheet]) -> Total:
    """All words: a plain function, run in a thread."""
    time.sleep(float(os.environ.get("TEST_HANG", "0")))
    return Total(count=sum(word.count for word in words))


class Echo(Level):
    """What a lookup saw."""

    seen: int


@knowledge_source(timeout=10)
async def echo(total: Each[Total], words: Lookup[Words]) -> Echo:
    """Reads freely while it runs."""
    return Echo(seen=sum([word.count async for word in words.all()]))


SOURCES = (split, count, total, echo)
TEXTS = tuple(f"page {number} has words" for number in range(1, PAGES + 1))
TERMINAL = ("board.completed", "board.failed", "board.cancelled")


async def submit(
    store: Store,
    *,
    sources: Iterable[Any] = SOURCES,
    texts: tuple[str, ...] = TEXTS,
    blobs: tuple[str, ...] = (),
    **head: str,
) -> str:
    """A board with one paper, as the front desk would make it."""
    board = store.new_id("acme")
    words = {
        "status": "open", "tenant": "acme", "incarnation": "i1", "goal": "", "priority": "interactive",
        "sources": orjson.dumps({source.name: source.version for source in sources}).decode(), **head,
    }  # fmt: skip
    answer = await store.commit(
        board,
        Commit(
            "board.created", "submitter", id="create", mode="person", create=True, head=words,
            writes=(Put("paper/original", orjson.dumps({"pages": list(texts)})),),
            blobs=blobs,
            due=(("check", int(float(os.environ.get("BLACKBOARD_CHECK_S", "2")) * 1000)),
                 *((("deadline", int(head["deadline_ms"])),) if "deadline_ms" in head else ())),
        ),
    )  # fmt: skip
    assert answer.ok
    return board


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 25.0) -> Any:
    """What the condition comes to, once it is true. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
        return found


async def ended(store: Store, board: str, seconds: float = 25.0) -> dict[str, str]:
    """The head of a board once it has ended."""

    async def look() -> dict[str, str] | None:
        head = await store.head(board)
        return head if head and head["status"] != "open" else None

    found: dict[str, str] = await until(look, seconds)
    return found


async def promises(store: Store, board: str) -> dict[str, int]:
    """What must hold of every ended board. Source -> runs that took effect."""
    records = await store.log(board)
    changes = [record for record in records if not record.is_note]
    assert [record.revision for record in changes] == list(range(1, len(changes) + 1)), "the log is dense"
    assert [record.type for record in changes if record.is_terminal] == [changes[-1].type], (
        "one end, and nothing behind"
    )
    folded, kept = fold(board, records), await store.projection(board)
    assert folded == kept, "fold(log) is the state"
    assert await store.leases(board) == {}, "no lease is left"
    done: dict[str, int] = {}
    epochs: dict[str, int] = {}
    for record in changes:
        for id, stored in record.agenda.items():
            status, epoch = stored.split(b"|", 2)[:2]
            assert int(epoch) >= epochs.get(id, 0), "epochs never fall"
            epochs[id] = int(epoch)
            if status == b"done" and record.type == "contribution.committed":
                done[id] = done.get(id, 0) + 1
    assert all(count == 1 for count in done.values()), "one effective contribution for each activation"
    assert all(not stored.startswith((b"pending", b"running")) for stored in folded.agenda.values())
    runs: dict[str, int] = {}
    for id in done:
        runs[id.rpartition(".")[0]] = runs.get(id.rpartition(".")[0], 0) + 1
    return runs


class Process:
    """One role in a process of its own."""

    def __init__(self, *roles: str, url: str, data: Path, module: str = "tests.fleet", **more: str) -> None:
        environment = {
            **os.environ, "BLACKBOARD_REDIS_URL": url, "BLACKBOARD_DATA_DIR": str(data), "BLACKBOARD_LEASE_S": "3",
            "BLACKBOARD_SWEEP_S": "1", "BLACKBOARD_CHECK_S": "2", "BLACKBOARD_WAKE_GRACE_S": "2",
            "BLACKBOARD_BACKOFF_S": "0.2", "BLACKBOARD_LOG_LEVEL": "warning", **more,
        }  # fmt: skip
        self._process = subprocess.Popen([sys.executable, "-m", module, *roles], env=environment, cwd=ROOT)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def end(self, seconds: float = 30.0) -> int:
        """SIGTERM, and its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)


async def main(roles: frozenset[str], sources: Iterable[Any] = SOURCES) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_service(Settings(), roles=roles, sources=tuple(sources)):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(frozenset(sys.argv[1:])))
