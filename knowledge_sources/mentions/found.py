"""What a finder returns before it becomes a mention, and how overlapping finds are settled."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from blackboard.levels import MentionType

_PRIORITY: dict[MentionType, int] = {
    "url": 9,
    "email": 9,
    "identifier": 8,
    "phone": 7,
    "date": 6,
    "term": 5,
    "amount": 4,
    "address": 3,
    "organisation": 2,
    "person": 1,
    "location": 0,
}
_ROLE_BONUS = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A typed span of a page's text: `text[start:end]`, its normalised value, a role where one is known."""

    type: MentionType
    start: int
    end: int
    value: str
    confidence: float = 1.0
    role: str = ""


def settle(finds: Iterable[Found]) -> list[Found]:
    """Keep the strongest of overlapping finds, in reading order.

    Strength: a role first (it rests on the layout around the span), then how specific the type is, then length. A find
    that loses is dropped whole: half a name is no name.
    """
    kept: list[Found] = []
    starts: list[int] = []
    for find in sorted(finds, key=_strength, reverse=True):
        if find.start >= find.end:
            continue
        at = bisect_right(starts, find.start)
        if at and kept[at - 1].end > find.start:
            continue
        if at < len(kept) and kept[at].start < find.end:
            continue
        kept.insert(at, find)
        starts.insert(at, find.start)
    return kept


def _strength(find: Found) -> tuple[int, float, int, int]:
    rank = _PRIORITY[find.type] + (_ROLE_BONUS if find.role else 0)
    return rank, find.confidence, find.end - find.start, -find.start
