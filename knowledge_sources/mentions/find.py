"""All mentions of one page: every finder, overlaps settled, roles by the kind of document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from blackboard.levels import Mention, Mentions, Page
from knowledge_sources.mentions.addresses import find_addresses
from knowledge_sources.mentions.amounts import find_amounts, page_currency
from knowledge_sources.mentions.contact import find_contacts
from knowledge_sources.mentions.contracts import contract_roles, find_durations
from knowledge_sources.mentions.dates import find_dates
from knowledge_sources.mentions.found import Found, settle
from knowledge_sources.mentions.identifiers import find_identifiers, find_in_rows
from knowledge_sources.mentions.invoices import buyer, due_date, issuer, line_amounts, sums
from knowledge_sources.mentions.kinds import Kind, page_kind
from knowledge_sources.mentions.layout import Boxes, Row, rows_of
from knowledge_sources.mentions.names import find_names
from knowledge_sources.mentions.receipts import date_role, head_roles
from knowledge_sources.mentions.repair import repair
from knowledge_sources.mentions.totals import total_role

_LONGEST_ROW = 600
_NUMBERED = ("invoice_number", "receipt_number", "po_number", "order_number", "customer_number")


def find_mentions(page: Page) -> Mentions:
    """Everything that the page names, in reading order, with boxes where the page has geometry."""
    # Nothing that prints as a row is longer; a text without line breaks would make every step of a row a scan of the page.
    rows = [row for row in rows_of(page) if row.end - row.start <= _LONGEST_ROW]
    kind = page_kind(page.text, rows, page.origin == "reading")
    plain = [
        *find_contacts(page.text),
        *find_identifiers(page.text),
        *find_in_rows(rows),
        *find_dates(page.text),
        *find_amounts(page.text, loose=page.origin == "reading"),
        *find_durations(page.text),
        *find_addresses(page, rows),
    ]
    settled = [find for find in settle(plain) if kind in ("receipt", "invoice") or not _bare_number(find)]
    roles = list(_roles(page, rows, kind, settled))
    names = find_names(page.text, prose=kind in ("contract", ""))
    finds = settle([*settled, *roles, *names])
    if kind == "invoice" and (customer := buyer(rows, finds)):
        finds = [customer if find.start == customer.start else find for find in finds]
    if kind in ("invoice", "receipt"):
        currency = page_currency(finds, page.text)
        finds = [_with_currency(find, currency) for find in finds]
    if page.origin == "reading":
        finds = [
            replace(find, value=repair(find.value)) if find.type in ("address", "organisation") else find
            for find in finds
        ]
    boxes = Boxes(page)
    return Mentions(page=page.number, items=tuple(_mention(page, find, boxes) for find in finds))


def _bare_number(find: Found) -> bool:
    """A number without a currency: money on a bill, a measurement or a section elsewhere."""
    return find.type == "amount" and " " not in find.value


def _roles(page: Page, rows: Sequence[Row], kind: Kind, finds: Sequence[Found]) -> Iterable[Found]:
    if kind == "contract":
        return _distinct(contract_roles(page.text, rows, finds))
    if not kind:
        return []
    dates = [find for find in finds if find.type == "date"]
    amounts = [find for find in finds if find.type == "amount"]
    total = total_role(rows, amounts)
    roles: list[Found | None] = [total, *sums(rows, amounts, total), date_role(rows, dates)]
    if kind == "receipt":
        roles += head_roles(page, rows)
    else:
        roles += [issuer(page, rows, finds), due_date(rows, dates), *line_amounts(rows, amounts)]
    currency = page_currency(list(finds), page.text)
    known = [_with_currency(find, currency) for find in roles if find]
    return _distinct([*known, *_numbers(finds)])


def _numbers(finds: Sequence[Found]) -> Iterable[Found]:
    """The best of each kind of document number."""
    for role in _NUMBERED:
        same = [find for find in finds if find.type == "identifier" and find.value.startswith(f"{role}:")]
        if same:
            yield replace(max(same, key=lambda find: (find.confidence, -find.start)), role=role)


def _with_currency(find: Found, currency: str) -> Found:
    bare = find.type == "amount" and re.fullmatch(r"-?[\d.]+", find.value)
    return replace(find, value=f"{find.value} {currency}") if bare and currency else find


def _distinct(finds: Iterable[Found]) -> list[Found]:
    """One role for a span: the surest, then the first given (a total that is also the untaxed amount stays the total)."""
    kept: dict[tuple[int, int], Found] = {}
    for find in finds:
        key = find.start, find.end
        if key not in kept or (find.role == kept[key].role and find.confidence > kept[key].confidence):
            kept[key] = find
    return list(kept.values())


def _mention(page: Page, find: Found, boxes: Boxes) -> Mention:
    return Mention(
        type=find.type,
        text=page.text[find.start : find.end],
        start=find.start,
        end=find.end,
        value=find.value,
        role=find.role,
        box=boxes.of(find.start, find.end),
        confidence=round(min(1.0, max(0.0, find.confidence)), 3),
    )
