"""What both clients do with httpx2's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from blackboard.client.address import Address
from blackboard.client.calls import Answer, Call
from blackboard.client.problems import error_of_outcome
from blackboard.client.results import Board
from blackboard.client.watching import Watching
from blackboard.errors import BoardError, ServiceError

UNLIMITED: Final = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
UNSENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""What happens before anything of a request is sent."""


@contextmanager
def sent(call: Call[Any], address: Address) -> Iterator[dict[str, Any]]:
    """The arguments of httpx2's `request`. A file is open meanwhile. Raises OSError."""
    more: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": call.query or None,
        "headers": {**call.sent_headers, **address.headers},
        "timeout": address.timeout(call.wait_s),
    }
    upload = call.upload
    if upload is None:
        yield more | {"content": call.body}
    elif isinstance(upload.source, Path):
        with upload.source.open("rb") as opened:
            yield more | {"files": {"file": (upload.filename, opened)}, "data": upload.fields}
    else:
        yield more | {"files": {"file": (upload.filename, upload.source)}, "data": upload.fields}


def streamed(watching: Watching, address: Address) -> dict[str, Any]:
    """The arguments of httpx2's `stream`. Raises TimeoutError."""
    return {
        "method": watching.call.method,
        "url": watching.call.path,
        "params": watching.call.query or None,
        "headers": {**watching.headers, **address.headers},
        "timeout": address.timeout(silence_s=watching.silence_s),
    }


def answer_of(response: httpx2.Response) -> Answer:
    """A response that was read to its end."""
    return Answer(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def failure_of(board: Board) -> BoardError | Exception | None:
    """What to raise for a board that ended with nothing to show."""
    if board.status == "cancelled":
        return BoardError(f"the board {board.id} was cancelled")
    if board.status == "failed":
        outcome = board.outcome
        return error_of_outcome(outcome.slug, outcome.reason) if outcome else BoardError(f"the board {board.id} failed")
    return None if board.status == "completed" else ServiceError(f"the board {board.id} is {board.status} at its end")
