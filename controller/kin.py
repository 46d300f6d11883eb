"""The boards that a board's sources have opened for parts of its document, as its `child` entries tell. Pure.

A child board is a board like any other; its head says whose child it is:

`opened_by`  its parent's id                          `depth`    1 for a child of a top-level board, 2 below that, ...
`opened_for` the key of its entry there               `top`      the top-level board it is below
`opened_in`  the activation that opened it            `lineage`  SHA-256 of the documents of the boards above it

and the head of a board that has opened any says so: `children`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from blackboard.board import Board
from blackboard.entries import Header, is_rival, level_of
from blackboard.levels import Child, Report
from blackboard.writing import referred

BY_PARENT = "parent:"
"""How a cancellation by the parent is signed, before the parent's id."""


class OpenChild(NamedTuple):
    """A child that had not ended when its entry was written."""

    board: str
    version: int


class Children:
    """What a plan knows of the children of its board, rivals included."""

    def __init__(self) -> None:
        self.open: dict[str, OpenChild] = {}
        """Key -> child."""
        self.dropped: set[str] = set()
        """Boards that were open when their entry was retracted or came to name another board."""
        self._told: dict[str, dict[str, Any]] = {}

    @property
    def any(self) -> bool:
        """Whether there is anything to look after."""
        return bool(self._told or self.dropped)

    def set(self, key: str, version: int, value: bytes | None) -> None:
        """Take a `child` entry to a value; None: it is gone."""
        told: dict[str, Any] = orjson.loads(value) if value is not None and referred(value) is None else {}
        before = self.open.pop(key, None)
        board = str(told.get("board", ""))
        if before is not None and before.board != board:
            self.dropped.add(before.board)
        if value is None:
            self._told.pop(key, None)
            return
        self._told[key] = told
        if told.get("status") == "open":
            self.open[key] = OpenChild(board, version)

    @property
    def unsuccessful(self) -> dict[str, str]:
        """Key -> what became of it, for those that failed or were cancelled."""
        return {
            key: f"its child board {_became(told)}"
            for key, told in sorted(self._told.items())
            if told.get("status") in ("failed", "cancelled")
        }

    def account(self) -> dict[str, Any]:
        """What the children, and the boards below them, came to: how many of each status, boards, cost, tokens, seconds.

        Empty where there are none.
        """
        told = self._told.values()
        if not told:
            return {}
        counts = Counter(str(child.get("status", "")) for child in told)
        return {
            **{status: counts.get(status, 0) for status in ("completed", "failed", "cancelled", "open")},
            "boards": sum(int(child.get("boards", 1)) for child in told),
            "cost_usd": round(sum(float(child.get("cost_usd", 0.0)) for child in told), 9),
            "tokens": sum(int(child.get("tokens", 0)) for child in told),
            "wall_s": round(sum(float(child.get("wall_s", 0.0)) for child in told), 3),
        }


def _became(told: Mapping[str, Any]) -> str:
    status = "failed" if told.get("status") == "failed" else "was cancelled"
    return f"{status}: {told['reason']}" if told.get("reason") else status


def children_of(board: Board) -> dict[str, tuple[Header, Child]]:
    """The live `child` entries of a folded board, rivals included, in key order.

    Left out: one so large that it lies in the blob store. Nobody who opens boards writes such.
    """
    found = {}
    for key in sorted(board.values):
        if level_of(key) == Child.level and referred(board.values[key]) is None:
            found[key] = (Header.parse(board.entries[key]), Child.model_validate_json(board.values[key]))
    return found


def ended_child(child: Child, head: Mapping[str, str], title: str = "") -> Child:
    """The entry as it must be now that the child's head says that it has ended; itself if it has not."""
    status = head.get("status", "open")
    if status == "open":
        return child
    said: dict[str, Any] = orjson.loads(head.get("outcome") or "{}")
    below: dict[str, Any] = said.get("children") or {}
    wall = max(0, int(head.get("ended", 0)) - int(head.get("created", 0))) / 1000
    tokens = said.get("tokens", 0)
    return Child.model_validate(
        {
            **child.model_dump(),
            "status": status,
            "reason": str(said.get("reason", ""))[:500],
            "title": title[:200],
            "boards": 1 + int(below.get("boards", 0)),
            # The outcome's own figures have those of the boards below in them.
            "cost_usd": float(said.get("cost_usd", 0.0)),
            "tokens": int(tokens) if isinstance(tokens, int | float) else 0,
            "wall_s": round(wall + float(below.get("wall_s", 0.0)), 3),
        }
    )


def lost_child(child: Child) -> Child:
    """The entry of a child board that is no more."""
    return child.model_copy(update={"status": "failed", "reason": "its board is gone"})


def title_of(value: bytes) -> str:
    """The title in a report's value."""
    return str(orjson.loads(value).get("title", ""))


def report_key(keys: Mapping[str, Any]) -> str | None:
    """The key of the report among the keys of live entries, rivals aside."""
    return min((key for key in keys if level_of(key) == Report.level and not is_rival(key)), default=None)
