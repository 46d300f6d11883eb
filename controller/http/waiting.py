"""`Prefer: wait=N` (RFC 7240): an answer that waits for the board's end, and comes without it after N seconds.

It is the same answer, with the board's latest state. Whoever waits is one more watcher of the feed, however many there are.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from typing import Final

from fastapi import Request

from blackboard.errors import BlackboardError
from blackboard.events import TERMINAL
from blackboard.messages import Lens, Place, Position
from controller.http.door import api_of, caller_of
from controller.views import BoardView

LONGEST_S: Final = 60
WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?\Z', re.ASCII | re.IGNORECASE)
END: Final = Lens(types=frozenset(TERMINAL))
PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=N`: answer when the board has ended, or after N seconds (at most {LONGEST_S}), with its latest "
    "state. The status is 202 either way.",
    "schema": {"type": "string", "examples": ["wait=30"]},
}
"""For OpenAPI."""


async def waited(request: Request, view: BoardView) -> tuple[BoardView, dict[str, str]]:
    """The board to answer with, and what the answer's header says about the wait that was preferred."""
    seconds = _preferred(request)
    if seconds is None:
        return view, {}
    # What the request asked for is done: nothing that goes wrong from here on may say otherwise.
    with suppress(BlackboardError):
        if not view.ended:
            await _end(request, view, seconds)
        view = await api_of(request).desk.view(view.id, tenant=caller_of(request).tenant)
    return view, {"Preference-Applied": f"wait={seconds}"}


def _preferred(request: Request) -> int | None:
    """Seconds. A preference that cannot be read is none: it is no error (RFC 7240, section 2)."""
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        if found := WAIT.match(preference.partition(";")[0].strip()):
            return min(int(found[1]), LONGEST_S)
    return None


async def _end(request: Request, view: BoardView, seconds: int) -> None:
    """Until the board ends, the client leaves, the service stops, or the time is over."""
    tasks = {asyncio.create_task(_watch(request, view)), asyncio.create_task(_leave(request))}
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(request: Request, view: BoardView) -> None:
    start = Position(view.head["incarnation"], Place(view.revision, 0))
    async with aclosing(api_of(request).feed.subscribe(view.id, start, lens=END, head=dict(view.head))) as chunks:
        async for _ in chunks:
            pass  # only the end ends it


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
