"""The facts of a whole document by role, chosen among the mentions of all its pages."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from blackboard.levels import Mention, Mentions, Page
from knowledge_sources.mentions.lists import words_of
from knowledge_sources.mentions.merge import organisation_key

_ONE = words_of(
    """
    company issuer buyer address date due_date total amount_untaxed tax invoice_number receipt_number po_number
    order_number customer_number
    """
)
_CONTRACT = ("effective_date", "jurisdiction", "term")
_SURE_TERM = 0.7
_SURE_DATE = 0.25


def fields(pages: Sequence[Page], mentions: Sequence[Mentions]) -> dict[str, str]:
    """Role to value for the whole document; several parties are joined with "; ". Empty where no role was found."""
    return {role: "; ".join(values) for role, values in field_values(pages, mentions).items()}


def field_values(pages: Sequence[Page], mentions: Sequence[Mentions]) -> dict[str, tuple[str, ...]]:
    """As `fields`, with one value for every role but `party`."""
    by_role: dict[str, list[tuple[int, Mention]]] = defaultdict(list)
    for on_page in sorted(mentions, key=lambda one: one.page):
        for mention in on_page.items:
            if mention.role:
                by_role[mention.role].append((on_page.page, mention))
    if by_role["party"] and (by_role["effective_date"] or by_role["jurisdiction"] or len(by_role["party"]) > 1):
        return _contract(by_role)
    found: dict[str, tuple[str, ...]] = {role: (_plain(best),) for role in _ONE if (best := _surest(by_role[role]))}
    if "total" in found and (currency := _currency(by_role["total"], mentions)):
        found["currency"] = (currency,)
    return found


def _contract(by_role: dict[str, list[tuple[int, Mention]]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    if parties := _parties(by_role["party"]):
        found["parties"] = parties
    for role in _CONTRACT:
        best = _surest(by_role[role])
        floor = {"term": _SURE_TERM, "effective_date": _SURE_DATE}.get(role, 0.0)
        if best and best.confidence >= floor:
            found[role] = (_plain(best),)
    return found


def _parties(found: Iterable[tuple[int, Mention]]) -> tuple[str, ...]:
    """Those the opening names; where it names fewer than two, those that sign and that several places speak of too."""
    names: dict[str, list[Mention]] = defaultdict(list)
    for _, mention in found:
        names[organisation_key(mention.value)].append(mention)
    surest = {key: max(one.confidence for one in group) for key, group in names.items() if key}
    opening = [key for key, confidence in surest.items() if confidence >= 0.89]
    if len(opening) < 2:
        signed = [key for key, confidence in surest.items() if confidence >= 0.79 and key not in opening]
        repeated = [key for key, confidence in surest.items() if confidence < 0.79 and len(names[key]) > 1]
        opening += [key for key in [*signed, *repeated] if not _part_of(key, [*opening, *signed])]
    if len(opening) < 2:
        rest = sorted((key for key in surest if key not in opening), key=lambda key: -surest[key])
        opening += [key for key in rest if not _part_of(key, opening)][: 2 - len(opening)]
    return tuple(_spelling(names[key]) for key in opening)


def _part_of(key: str, others: Sequence[str]) -> bool:
    return any(key != other and (key in other or other in key) for other in others)


def _spelling(group: Sequence[Mention]) -> str:
    """The surest spelling, in mixed case where the document has one."""
    return max(group, key=lambda one: (one.value != one.value.upper(), one.confidence, len(one.value))).value


def _surest(found: Sequence[tuple[int, Mention]]) -> Mention | None:
    """The surest mention; among equals the value that most agree on, then the earliest."""
    votes = Counter(mention.value for _, mention in found)
    ranked = sorted(found, key=lambda one: (-one[1].confidence, -votes[one[1].value], one[0], one[1].start))
    return ranked[0][1] if ranked else None


def _plain(mention: Mention) -> str:
    kind, colon, rest = mention.value.partition(":")
    return rest if mention.type == "identifier" and colon and re.fullmatch(r"[a-z_]+", kind) else mention.value


def _currency(totals: Sequence[tuple[int, Mention]], mentions: Sequence[Mentions]) -> str:
    best = _surest(totals)
    if best and " " in best.value:
        return best.value.rpartition(" ")[2]
    seen = Counter(
        mention.value.rpartition(" ")[2]
        for on_page in mentions
        for mention in on_page.items
        if mention.type == "amount" and " " in mention.value
    )
    return seen.most_common(1)[0][0] if seen else ""
