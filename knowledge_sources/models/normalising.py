"""What a model found on a page, normalised by the finders of `mentions`: its word for the type, theirs for the value."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from blackboard.levels import MentionType, Page
from knowledge_sources.mentions.addresses import address_value
from knowledge_sources.mentions.amounts import find_amounts
from knowledge_sources.mentions.contact import find_contacts
from knowledge_sources.mentions.contracts import find_durations
from knowledge_sources.mentions.dates import find_dates
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.identifiers import find_identifiers, is_number_like

CORROBORATED, SAID = 0.92, 0.8
"""How far a mention is trusted that a finder knows, too, and one that only the model says."""
LONGEST_NAME: Final = 200
LONGEST_ADDRESS: Final = 400
LONGEST_FIND: Final = 500
"""Characters; a URL may be as long."""
MOST_GROUPS: Final = 6
"""Pieces, with spaces between, in which a number may be printed."""
_NAMES: Final = ("organisation", "person", "location")


class Normaliser:
    """The finds of one page, looked through once."""

    def __init__(self, page: Page) -> None:
        self._text = page.text
        self._loose = page.origin == "reading"

    def normalised(self, kind: MentionType, start: int, end: int, role: str) -> Found | None:
        """The mention at this place with its value; None where it cannot be one of this type.

        Where a finder sees a little more or less of the same thing, its place counts: a date with its year, an amount with
        its currency.
        """
        shown = self._text[start:end]
        if kind in _NAMES:
            value = " ".join(shown.split())
            named = len(value) <= LONGEST_NAME and any(sign.isalpha() for sign in value)
            return Found(kind, start, end, value, SAID, role) if named else None
        if kind == "address":
            value = address_value(shown)
            return Found(kind, start, end, value, SAID, role) if 5 <= len(value) <= LONGEST_ADDRESS else None
        starts, finds = self._by_type.get(kind, ([], []))
        near = finds[bisect_left(starts, start - LONGEST_FIND) : bisect_left(starts, end)]
        known = [find for find in near if start < find.end]
        if known:
            best = max(known, key=lambda find: (min(end, find.end) - max(start, find.start), find.confidence))
            return Found(kind, best.start, best.end, best.value, CORROBORATED, role)
        return _number(start, end, shown, role) if kind == "identifier" else None

    @cached_property
    def _by_type(self) -> Mapping[MentionType, tuple[list[int], list[Found]]]:
        """The finds of each type with where they start, in the order of the page."""
        text = self._text
        found = [
            *find_dates(text),
            *find_amounts(text, loose=self._loose),
            *find_contacts(text),
            *find_identifiers(text),
            *find_durations(text),
        ]
        by_type: dict[MentionType, tuple[list[int], list[Found]]] = {}
        for find in sorted(found, key=lambda find: find.start):
            starts, finds = by_type.setdefault(find.type, ([], []))
            starts.append(find.start)
            finds.append(find)
        return by_type


def _number(start: int, end: int, shown: str, role: str) -> Found | None:
    """A number whose label the finders do not know: the role names it."""
    value = re.sub(r"\s", "", shown)
    if not 2 <= len(value) <= 40 or len(shown.split()) > MOST_GROUPS or not is_number_like(value):
        return None
    # As in `identifiers`: so many digits in a row may be a card's, and a report must not spread it.
    digits = re.sub(r"\D", "", value)
    if len(digits) >= 13 and len(digits) >= len(value) - 6:
        return None
    kind = role if role.endswith("_number") else "document_number"
    return Found("identifier", start, end, f"{kind}:{value.lstrip('#')}", SAID, role)
