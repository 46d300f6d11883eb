"""What a shell offers when the tab key is pressed. It asks little, waits less than a second, and never complains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TIMEOUT_S = 0.7
MOST = 30


def board_ids(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """The newest boards of the service, with what they are of."""
    from itertools import islice

    from blackboard.client import Blackboard, Patience
    from blackboard.errors import BlackboardError

    given = {name: value for name in ("url", "api_key") if (value := ctx.params.get(name))}
    try:
        with Blackboard(**given, patience=Patience(retries=0), timeout_s=TIMEOUT_S) as client:
            found = list(islice(client.boards(page=MOST), MOST))
    except BlackboardError:
        return []
    return [
        (board.id, " ".join((board.status, board.filename or "")).rstrip())
        for board in found
        if board.id.startswith(incomplete)
    ]


def documents(incomplete: str) -> list[str]:
    """Files and folders; of an address nothing is known."""
    from pathlib import Path

    before, slash, name = incomplete.rpartition("/")
    folder = Path(before or slash or ".")
    if "://" in incomplete or not folder.is_dir():
        return []
    shown = (
        each for each in folder.iterdir() if each.name.startswith(name) and (name or not each.name.startswith("."))
    )
    return sorted(f"{before}{slash}{each.name}{'/' if each.is_dir() else ''}" for each in shown)


def source_names(incomplete: str) -> list[str]:
    """The installed sources, by their entry points: none of them is imported. Of several words the last is completed."""
    from importlib.metadata import entry_points

    return _last_of(incomplete, (point.name for point in entry_points(group="blackboard.knowledge_sources")))


def level_names(incomplete: str) -> list[str]:
    """The levels there are without plug-ins."""
    from blackboard import levels

    kinds = (kind for kind in vars(levels).values() if isinstance(kind, type) and issubclass(kind, levels.Level))
    return _last_of(incomplete, (kind.level for kind in kinds if kind is not levels.Level))


def _last_of(incomplete: str, words: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    given = set(before.split(","))
    return sorted({f"{before}{comma}{word}" for word in words if word.startswith(last) and word not in given})
