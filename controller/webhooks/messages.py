"""What a receiver is told: thin, with nothing of the document in it, and the same however often it is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from controller.views import BoardView, links

MOST_FILENAME = 255


def body(type: str, at: int, data: Mapping[str, Any]) -> str:
    """`type`, `timestamp` and `data`, as Standard Webhooks has them. `at`: milliseconds since 1970."""
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"type": type, "timestamp": moment, "data": dict(data)}).decode()


def created(board: BoardView) -> tuple[str, int, dict[str, Any]]:
    """Type, time and data of a board's beginning."""
    at = int(board.head.get("created", 0))
    return "board.created", at, {"board": board.id, "status": "open", "revision": 1, "links": links(board.id)}


def ended(board: BoardView) -> tuple[str, int, dict[str, Any]]:
    """Type, time and data of a board's end."""
    outcome = board.outcome or {}
    data = {
        "board": board.id,
        "status": board.status,
        "revision": board.revision,
        "slug": str(outcome.get("slug", ""))[:100],
        "partial": bool(outcome.get("partial", False)),
        "links": links(board.id),
    }
    return f"board.{board.status}", int(board.head.get("ended", 0)), data
