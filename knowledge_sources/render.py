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
    ("Dates", ("date", "term")),
    ("Amounts", ("amount",)),
    ("Places", ("address", "location")),
    ("Numbers", ("identifier",)),
    ("Contacts", ("email", "phone", "url")),
)
_LABELS = {"refuted": "REFUTED", "not_enough_information": "NOT CONFIRMED", "supported": "SUPPORTED"}
HARD_SPACE = "\u00a0"
_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_NUMBERED = re.compile(r"^[a-z]+_number:")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def render_text(report: Report) -> str:
    """The report in words, at most 88 columns wide, ending in a newline.

    A document's text is untrusted: control characters, which could steer a terminal, are taken out.
    """
    lines = [
        *_heading(report),
        *_fields(report),
        *_entities(report.entities),
        *_summary(report),
        *_findings(report),
        *_notes(report),
    ]
    return _CONTROL.sub("", "\n".join(lines).rstrip()) + "\n"


def _heading(report: Report) -> Iterator[str]:
    yield _line(report.title)
    pages = f"{report.pages_read} of {report.pages} pages read" if report.pages != 1 else "1 page"
    yield f"{report.kind or 'document'}, {pages}, {report.words:,} words"


def _fields(report: Report) -> Iterator[str]:
    if not report.fields:
        return
    yield from _title("Facts")
    width = max(len(name) for name in report.fields)
    for name, value in report.fields.items():
        yield from _wrapped(value, f"  {name.replace('_', ' ').ljust(width)}  ")


def _entities(entities: Sequence[ReportEntity]) -> Iterator[str]:
    for title, types in _GROUPS:
        group = [entity for entity in entities if entity.type in types]
        if not group:
            continue
        yield from _title(title)
        for entity in group[:PER_GROUP]:
            roles = f" ({', '.join(role.replace('_', ' ') for role in entity.roles)})" if entity.roles else ""
            value = _NUMBERED.sub("", entity.value) if entity.type == "identifier" else entity.value
        yield from _wrapped(f"{value}{roles}  {_pages(entity.pages)}", "  ")
        if len(group) > PER_GROUP:
            yield f"  ... and {len(group) - PER_GROUP} more"


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
    yield from _wrapped(f"{report.claims} claims; checks: {counts or 'none'}", "  ")
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
