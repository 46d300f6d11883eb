"""Between an author's values and the entries of a board."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar

from blackboard.board import Board
from blackboard.contract import Contribution
from blackboard.contributions import entry_name
from blackboard.entries import EntryRef, Header, Put, entry_key, is_rival, level_of
from blackboard.levels import Level
from controller.bench import as_put

L = TypeVar("L", bound=Level)


class Seeds:
    """Names what is seeded, as the framework names what sources contribute."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def put(self, given: Level | Contribution[Any]) -> Put:
        """One value as a write. Raises TypeError for what is no Level, InvalidKey for a name that cannot be."""
        seed: Contribution[Any] = given if isinstance(given, Contribution) else Contribution(given)
        value = seed.value
        if not isinstance(value, Level):
            raise TypeError(f"{type(value).__name__} is no Level: derive it from blackboard.Level")
        name = seed.name or entry_name(value)
        if not name:
            self._counts[value.level] += 1
            name = f"seed-{self._counts[value.level]}"
        confidence = float(getattr(value, "confidence", 1.0)) if seed.confidence == 1.0 else seed.confidence
        return as_put(entry_key(value.level, name), value, confidence)


def values_of(board: Board | None, kind: type[L], *, rivals: bool = False) -> list[L]:
    """The live entries of a level; `rivals`: the suggestions beside them instead. Values must be whole."""
    found = []
    for key in sorted(board.values) if board is not None else ():
        if level_of(key) == kind.level and is_rival(key) == rivals:
            assert board is not None
            header = Header.parse(board.entries[key])
            entry = EntryRef(key, header.version, header.owner, header.confidence)
            found.append(kind.model_validate_json(board.values[key]).read_from(entry))
    return found
