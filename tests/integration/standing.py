"""A whole service in a process of its own, for tests that play with what a process shares, such as its random numbers.

`python -m tests.integration.standing URL FOLDER` says on a line where it is, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import structlog

from controller.access import SCOPES
from tests.integration.doors import V1, door


@dataclass(frozen=True)
class Place:
    """Its address, a key for everything, a board that has ended and one that is held for review."""

    base: str
    key: str
    ended: str
    held: str


@contextmanager
def standing(url: str, data: Path) -> Iterator[Place]:
    """One, while it is needed."""
    command = [sys.executable, "-m", "tests.integration.standing", url, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdin is not None and running.stdout is not None
        try:
            yield Place(**json.loads(running.stdout.readline()))
        finally:
            running.stdin.close()
            try:
                running.wait(10)
            finally:
                running.kill()


async def _stand(url: str, data: Path, out: TextIO) -> None:
    more = {"roles": "controller worker", "limit_requests_per_minute": 0}
    async with door(url, data, *V1, **more) as found:  # type: ignore[arg-type]
        ended, held = await found.submit(), await found.submit(hold="review")
        await found.ended(ended)
        _, key = await found.service.keyring.create("admin", tenant="default", scopes=sorted(SCOPES), by="person:admin")
        out.write(json.dumps(asdict(Place(found.base, key, ended, held))) + "\n")
        out.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    # Nobody reads a log there, and a full pipe would stop the service.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    asyncio.run(_stand(sys.argv[1], Path(sys.argv[2]), sys.stdout))
