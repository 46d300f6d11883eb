"""A report as plain text, for a terminal: what the document is, who and how much, what is wrong and where it says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from blackboard.levels import MentionType, Report, ReportEntity, Verdict, Where

WIDTH = 88
PER_GROUP = 8
"""Entities of one kind that are listed; the JSON report has more."""
QUOTE = 160

_GROUPS: tuple[tuple[str, tuple[MentionType, ...]], ...] = (
    ("Parties", ("organisation", "person")),
    ("Dates", ("date",)),
    ("Terms", ("term",)),
    ("Amounts", ("amount",)),
    ("Places", ("address", "location")),
    ("Numbers", ("identifier",)),
    ("Contacts", ("email", "phone", "url")),
)
_LABELS = {"refuted": "REFUTED", "not_enough_information": "NOT CONFIRMED", "supported": "SUPPORTED"}
HARD_SPACE = "\u00a0"
_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_ROLES = {
    "amount_untaxed": "before tax",
    "po_number": "purchase order number",
    "vat": "VAT number",
    "iban": "IBAN",
    "bic": "BIC",
}
_FIRST = {"total": 0, "amount_untaxed": 1, "tax": 2}
_MINOR = frozenset(["line_amount"])
_KIND = re.compile(r"^([a-z]+(?:_[a-z]+)*):")
_SUM = re.compile(r"(-?)(\d{4,15})(\.\d{2}(?: [A-Z]{3})?| [A-Z]{3})")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def render_text(report: Report) -> str:
    """The report in words, at most 88 columns wide, ending in a newline.

    A document's text is untrusted: control characters, which could steer a terminal, are taken out.
    """
    wrong = any(finding.label == "refuted" for finding in report.findings)
    lines = [
        *_heading(report),
        *(_findings(report) if wrong else ()),
        *_fields(report),
        *_entities(report.entities),
        *_summary(report),
        *(() if wrong else _findings(report)),
        *_children(report),
        *_notes(report),
    ]
    return _CONTROL.sub("", "\n".join(lines).rstrip()) + "\n"


def _heading(report: Report) -> Iterator[str]:
    yield _line(report.title)
    pages = "1 page" if report.pages == 1 else f"{report.pages} pages"
    if report.pages_read < report.pages:
        pages = f"{report.pages_read} of {pages} read"
    yield f"{report.kind or 'document'}, {pages}, {report.words:,} words"


def _fields(report: Report) -> Iterator[str]:
    """The facts, one a row; the currency only where no sum shows it."""
    shown = {_role(name): _money(value) for name, value in report.fields.items() if value and name != "currency"}
    currency = report.fields.get("currency", "")
    if currency and not any(value.endswith(f" {currency}") for value in report.fields.values()):
        shown["currency"] = currency
    if not shown:
        return
    yield from _title("Facts")
    width = max(len(name) for name in shown)
    for name, value in shown.items():
        yield from _wrapped(value, f"  {name.ljust(width)}  ")


def _entities(entities: Sequence[ReportEntity]) -> Iterator[str]:
    for title, types in _GROUPS:
        group = sorted((entity for entity in entities if entity.type in types), key=_place)
        if not group:
            continue
        named = title == "Parties" and not any(entity.roles for entity in group)
        yield from _title("People and organisations" if named else title)
        for entity in group[:PER_GROUP]:
            yield from _wrapped(f"{_entity(entity)}  {_pages(entity.pages)}", "  ")
        if len(group) > PER_GROUP:
            yield f"  ... and {len(group) - PER_GROUP} more"


def _place(entity: ReportEntity) -> int:
    """Sums in the order a reader asks for them, other roles, lines of a bill, the rest; the report's order within each."""
    if not entity.roles:
        return len(_FIRST) + 2
    return min(_FIRST.get(role, len(_FIRST) + (role in _MINOR)) for role in entity.roles)


def _entity(entity: ReportEntity) -> str:
    value, roles = entity.value, [_role(role) for role in entity.roles]
    if entity.type == "amount":
        value = _money(value)
    if entity.type == "identifier" and (kind := _KIND.match(value)):
        value = value[kind.end() :]
        roles = roles or [_role(kind[1])]
    return f"{value} ({', '.join(roles)})" if roles else value


def _role(name: str) -> str:
    return _ROLES.get(name, name.replace("_", " "))


def _money(value: str) -> str:
    """`7321.20 GBP` as people write it, `7,321.20 GBP`; anything else as it is."""
    sum_ = _SUM.fullmatch(value)
    return f"{sum_[1]}{int(sum_[2]):,}{sum_[3]}" if sum_ else value


def _summary(report: Report) -> Iterator[str]:
    if not report.summary:
        return
    yield from _title("Summary")
    for sentence in report.summary:
        pages = _pages(tuple(sorted({place.page for place in sentence.evidence})))
        yield from _wrapped(f"{sentence.text}  {pages}".rstrip(), "  ")


def _findings(report: Report) -> Iterator[str]:
    yield from _title("Findings")
    counts = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in report.verdicts.items())
    yield from _wrapped(
        f"{report.claims} {'claim' if report.claims == 1 else 'claims'}; checks: {counts or 'none'}", "  "
    )
    for finding in report.findings:
        yield ""
        yield from _finding(finding)
    if not report.findings:
        yield "  Nothing was found to be wrong."


def _finding(finding: Verdict) -> Iterator[str]:
    label = _LABELS[finding.label]
    page = f", page {finding.where.page}" if finding.where else ""
    yield f"  {label} ({finding.check.replace('_', ' ')}{page})"
    yield from _wrapped(finding.reason, "    ")
    if finding.about.startswith(("claim-", "summary-")):
        yield from _wrapped(f"said: {_quote(finding.subject)}", "    ")
    for place in finding.evidence[:6]:
        yield from _wrapped(_where(place), "    ")
    if len(finding.evidence) > 6:
        yield f"    ... and {len(finding.evidence) - 6} more places"


def _children(report: Report) -> Iterator[str]:
    if report.children:
        yield from _title("Parts")
        for child in report.children:
            yield from _wrapped(f"{child.name} ({child.status}){f': {child.line}' if child.line else ''}", "  ")


def _notes(report: Report) -> Iterator[str]:
    if report.notes:
        yield from _title("Notes")
        for note in report.notes:
            yield from _wrapped(note, "  ")


def _title(text: str) -> Iterator[str]:
    yield ""
    yield text


def _where(place: Where) -> str:
    return f"page {place.page}: {_quote(place.text)}"


def _quote(text: str) -> str:
    flat = " ".join(text.split())
    return f'"{flat if len(flat) <= QUOTE else flat[: QUOTE - 3] + "..."}"'


def _pages(pages: Sequence[int]) -> str:
    if not pages:
        return ""
    shown = ", ".join(map(str, pages[:6])) + (", ..." if len(pages) > 6 else "")
    return f"[p.{HARD_SPACE}{shown.replace(' ', HARD_SPACE)}]"


def _line(text: str) -> str:
    return " ".join(_SPACE.split(text.strip()))


def _wrapped(text: str, indent: str) -> list[str]:
    after = " " * len(indent)
    lines = wrap(_line(text), WIDTH, initial_indent=indent, subsequent_indent=after, break_on_hyphens=False)
    return [line.replace(HARD_SPACE, " ") for line in lines] or [indent.rstrip()]
