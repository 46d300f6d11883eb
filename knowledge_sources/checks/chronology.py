"""Do the document's dates make sense? Days that do not exist, weekdays, orders of events, terms, and dates stated twice."""

from __future__ import annotations

import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from blackboard.levels import Mention, Mentions, Page, Where
from knowledge_sources.checks.days import impossible_days
from knowledge_sources.checks.lexicon import NUMBER_WORDS
from knowledge_sources.checks.verdicts import Found, quote
from knowledge_sources.mentions.layout import Row, below, rows_of

_EVENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (event, re.compile(pattern, re.IGNORECASE))
    for event, pattern in (
        ("due", r"\bdue\b|\bpay(?:able|ment)?(?: is)?(?: due)?(?: date)? ?(?:by|before|on or before|no later than"
                r"|until)|\bpayment date"
                r"|\bfällig|\bzahlbar bis|\béchéance|\bvencimiento|\bscadenza|\bvervaldatum|\bpay by"),
        ("end", r"\b(?:expir(?:es?|y|ation|ing)|ends?|ending|until|terminat(?:es|ion|ing)|valid (?:until|to|thru)"
                r"|completion|end date)\b"),
        ("start", r"\b(?:commenc(?:es?|ing|ement)|starts?|starting|begin(?:s|ning)?|start date)\b"),
        ("effective", r"\beffective\b|\b(?:made|entered) (?:and entered )?(?:into )?(?:as of|on|effective)"
                      r"|\bdated as of"),
        ("signed", r"\bsign(?:ed|ature)\b|\bexecuted\b"),
        ("delivery", r"\bdeliver(?:y|ed)\b|\bshipped\b|\bdispatch\b|\blieferdatum"),
        ("order", r"\border(?:ed)?\b|\bp\.?o\.? date"),
        ("issue", r"\b(?:invoice|issue|billing|bill) date|\bdate of (?:issue|invoice)|\b(?:invoice"
                  r"|bill)\b.{0,40}\b(?:of|dated)\b|\bissued (?:on|at)?"
                  r"|\binvoiced on|\brechnungsdatum|\brechnung\b.{0,30}\bvom\b|\bdate de (?:la )?factur"
                  r"|\bfecha (?:de )?(?:factura|emisi)"
                  r"|\bdata (?:della )?fattura|\bfactuurdatum|^\W*(?:date|datum|fecha|data)\b\W*$"),
    )
)  # fmt: skip
_ROLES = {"date": "issue", "due_date": "due", "effective_date": "effective"}
_ORDER = (
    ("issue", "due", "is due before it was issued"),
    ("order", "issue", "was invoiced before it was ordered"),
    ("start", "end", "ends before it starts"),
    ("effective", "end", "ends before it takes effect"),
    ("signed", "end", "was signed after it had ended"),
)
_ONCE = ("issue", "due", "effective")
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAY = re.compile(
    rf"\b({'|'.join(_DAYS)}|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\.?,?\s*(?:the\s*)?$", re.IGNORECASE
)
_NET_DAYS = re.compile(
    r"\bnet\s+(\d{1,3})\b(?![,.]\d)|\b(?:within|in)\s+(\d{1,3})\s+(?:calendar )?days\b"
    r"|\bpayment terms?\W{1,4}(\d{1,3})\s+days",
    re.IGNORECASE,
)
_MONTH_END = re.compile(
    r"end of (?:the )?month|\beom\b|month[- ]end|after delivery|after receipt|of receipt|working days|business days",
    re.IGNORECASE,
)
_TERM = re.compile(
    r"\b(?P<count>\d{1,3}|[a-z]+)(?:\s*\(\s*(?P<digits>\d{1,3})\s*\))?[ -](?P<unit>month|year)s?\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Event:
    """A day on which the document says that something happens."""

    kind: str
    day: date
    page: Page
    mention: Mention
    where: Where


def check_chronology(pages: Sequence[Page], mentions: Sequence[Mentions]) -> Iterator[Found]:
    """All findings about dates."""
    events: list[Event] = []
    for page in pages:
        yield from impossible_days(page)
        dates = [m for found in mentions if found.page == page.number for m in found.items if m.type == "date"]
        yield from _weekdays(page, dates)
        yield from _terms(page, dates)
        events.extend(_events(page, dates))
    first = _first_of_each(events)
    yield from _orders(first)
    yield from _repeated(events)
    yield from _net_days(pages, first)


def _day(mention: Mention) -> date | None:
    try:
        return date.fromisoformat(mention.value) if len(mention.value) == 10 else None
    except ValueError:
        return None


def _events(page: Page, dates: Sequence[Mention]) -> Iterator[Event]:
    rows = rows_of(page)
    for mention in dates:
        day = _day(mention)
        label = _label(page, rows, mention)
        kind = next((name for name, pattern in _EVENTS if pattern.search(label)), _ROLES.get(mention.role, ""))
        if day and kind:
            yield Event(kind, day, page, mention, _around(page, mention))


def _label(page: Page, rows: Sequence[Row], mention: Mention) -> str:
    """The words that say what a date is of: before it in its clause or on its row, else the cell above it."""
    for number, row in enumerate(rows):
        for place, cell in enumerate(row.cells):
            if not cell.start <= mention.start < cell.end:
                continue
            own = page.text[cell.start : mention.start]
            if re.search(r"[^\W\d_]{3}", own) and len(cell.text) < 60:
                return _last_clause(own)
            if len(cell.text) >= 60:
                break
            if (
                place
                and re.search(r"[^\W\d_]{3}", row.cells[place - 1].text)
                and not re.search(r"\d{4}", row.cells[place - 1].text)
            ):
                return row.cells[place - 1].text
            above = rows[number - 1] if number else None
            heads = [c for c in above.cells if cell in list(below(rows, number - 1, c))] if above else []
            if heads and not re.search(r"\d{4}", heads[0].text):
                return heads[0].text
    return _last_clause(page.text[max(0, mention.start - 90) : mention.start])


def _last_clause(text: str) -> str:
    """The words since the last other date, sentence or clause, which are what a date's own label can stand in."""
    clause = re.split(r"[.;!?]\s|\n\s*\n|,\s+(?=and\b|but\b|which\b)|\d{4}", text)[-1]
    return " ".join(clause.split())


def _around(page: Page, mention: Mention) -> Where:
    """The printed line of a date, or the date with the words before it."""
    start = page.text.rfind("\n", 0, mention.start) + 1
    end = page.text.find("\n", mention.end)
    end = len(page.text) if end < 0 else end
    start, end = max(start, mention.start - 80), min(end, mention.end + 40)
    while start < mention.start and page.text[start].isspace():
        start += 1
    return quote(page, start, end)


def _first_of_each(events: Sequence[Event]) -> dict[str, Event]:
    """The first event of each kind; none of a kind that falls on several days, except issue and due dates."""
    first: dict[str, Event] = {}
    days: dict[str, set[date]] = defaultdict(set)
    for event in events:
        first.setdefault(event.kind, event)
        days[event.kind].add(event.day)
    return {kind: event for kind, event in first.items() if len(days[kind]) == 1 or kind in ("issue", "due")}


def _orders(first: dict[str, Event]) -> Iterator[Found]:
    for before, after, words in _ORDER:
        a, b = first.get(before), first.get(after)
        if a is None or b is None or a.mention is b.mention:
            continue
        evidence = (a.where, b.where)
        if b.day < a.day:
            reason = f"The document {words}: {_name(after)} {b.day.isoformat()}, {_name(before)} {a.day.isoformat()}."
            yield Found("date", "refuted", "date_order", reason, b.where, evidence, 0.88)
        else:
            reason = (
                f"{_name(before).capitalize()} {a.day.isoformat()} comes before {_name(after)} {b.day.isoformat()}."
            )
            yield Found("date", "supported", "date_order", reason, b.where, evidence, 0.9)


def _name(kind: str) -> str:
    return {"issue": "issue date", "due": "due date", "effective": "effective date"}.get(kind, kind)


def _repeated(events: Sequence[Event]) -> Iterator[Found]:
    """The same event on two days. What a document may have several of (deliveries, orders) is left alone."""
    groups: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind in _ONCE:
            groups[event.kind].append(event)
    for kind, group in groups.items():
        days = {event.day for event in group}
        if len(days) == 1 and len(group) > 1 and group[0].page is not group[-1].page:
            reason = f"Pages {group[0].page.number} and {group[-1].page.number} give the same {_name(kind)}."
            places = (group[0].where, group[-1].where)
            yield Found("date", "supported", "cross_page", reason, group[-1].where, places, 0.9)
        elif len(days) == 2:
            other = next(event for event in group if event.day != group[0].day)
            reason = (
                f"The {_name(kind)} is {group[0].day.isoformat()} on page {group[0].page.number}, "
                f"but {other.day.isoformat()} on page {other.page.number}."
            )
            yield Found("date", "refuted", "cross_page", reason, other.where, (group[0].where, other.where), 0.8)


def _net_days(pages: Sequence[Page], first: dict[str, Event]) -> Iterator[Found]:
    """The due date against "payable within N days", counted from the issue date."""
    issue, due = first.get("issue"), first.get("due")
    if issue is None or due is None or due.day < issue.day:
        return
    for page in pages:
        for match in _NET_DAYS.finditer(page.text):
            line = page.text[max(0, match.start() - 80) : match.end() + 60]
            if not re.search(r"\b(?:pay|paid|payment|due|net|terms|invoice)", line, re.IGNORECASE) or _MONTH_END.search(
                line
            ):
                continue
            days = int(next(g for g in match.groups() if g))
            place = quote(page, *match.span())
            evidence = (issue.where, due.where, place)
            expected = issue.day + timedelta(days=days)
            if abs((expected - due.day).days) <= 1:
                reason = f"{days} days after {issue.day.isoformat()} is {due.day.isoformat()}."
                yield Found("date", "supported", "net_days", reason, due.where, evidence, 0.9)
            elif not re.search(
                r"discount|skonto|interest|deduct|reminder|dispute|object|complain|return|notice", line, re.IGNORECASE
            ):
                reason = (
                    f"{days} days after {issue.day.isoformat()} would be {expected.isoformat()}, "
                    f"but the due date is {due.day.isoformat()}."
                )
                yield Found("date", "refuted", "net_days", reason, due.where, evidence, 0.75)
            return


def _weekdays(page: Page, dates: Sequence[Mention]) -> Iterator[Found]:
    for mention in dates:
        day = _day(mention)
        named = _WEEKDAY.search(page.text, max(0, mention.start - 16), mention.start)
        if day is None or named is None or mention.confidence < 0.7:
            continue
        said = next(name for name in _DAYS if name.startswith(named[1].lower()[:3]))
        place = quote(page, named.start(), mention.end)
        if _DAYS[day.weekday()] != said:
            reason = f"{day.isoformat()} is a {_DAYS[day.weekday()].capitalize()}, not a {said.capitalize()}."
            yield Found("date", "refuted", "weekday", reason, place, (place,), 0.9)


def _terms(page: Page, dates: Sequence[Mention]) -> Iterator[Found]:
    """A term with both its ends in one sentence: "twelve months from ... to ..."."""
    for match in _TERM.finditer(page.text):
        count = match["digits"] or match["count"].lower()
        number = int(count) if count.isdigit() else NUMBER_WORDS.get(count, 0)
        start = max(page.text.rfind(mark, 0, match.start()) for mark in (". ", "\n\n", ";")) + 1
        ends = [e for mark in (". ", ".\n", "\n\n", ";") if (e := page.text.find(mark, match.end())) >= 0]
        end = min(ends, default=len(page.text))
        days = list(dict.fromkeys(d for m in dates if start <= m.start < end and (d := _day(m))))
        if not number or len(days) != 2:
            continue
        months = number * (12 if match["unit"].lower() == "year" else 1)
        expected = _add_months(days[0], months)
        while start < match.start() and page.text[start].isspace():
            start += 1
        place = quote(page, start, end)
        if abs((expected - days[1]).days) <= 2:
            reason = f"From {days[0].isoformat()} to {days[1].isoformat()} are {months} months."
            yield Found("date", "supported", "term", reason, place, (place,), 0.9)
        elif re.search(r"\b(?:from|commenc|start|begin)", place.text, re.I) and re.search(
            r"\b(?:to|until|end|expir)", place.text, re.I
        ):
            reason = (
                f"{months} months from {days[0].isoformat()} end on {expected.isoformat()}, not {days[1].isoformat()}."
            )
            yield Found("date", "refuted", "term", reason, place, (place,), 0.8)


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.month - 1 + months, 12)
    year += day.year
    return day.replace(year=year, month=month + 1, day=min(day.day, monthrange(year, month + 1)[1]))
