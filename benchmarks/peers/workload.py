"""The workload every system runs: ocr -> entities and summary -> fact-check; 4 KB read and 1 KB written at each stage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

import orjson

STATE = orjson.dumps({"title": "a document", "text": "lorem ipsum " * 330, "page": 1})
RESULT = {"found": "x" * 990}
STAGES = ("ocr", "entities", "summary", "fact_check")


class System(Protocol):
    """One system, submitter and worker in this process, ready to run documents."""

    name: str

    async def start(self, url: str) -> None:
        """Connect and start working."""

    def submit(self) -> Awaitable[Any]:
        """One document; done when its last stage's result has been seen."""

    async def stop(self) -> None:
        """End the worker, leave nothing behind."""


class Waiters:
    """Documents under way and who waits for them."""

    def __init__(self) -> None:
        self._futures: dict[str, asyncio.Future[None]] = {}

    def new(self, document: str) -> asyncio.Future[None]:
        """A future that `done` resolves."""
        future = self._futures[document] = asyncio.get_running_loop().create_future()
        return future

    def done(self, document: str) -> None:
        """The document's last result is there."""
        future = self._futures.pop(document, None)
        if future is not None and not future.done():
            future.set_result(None)
