"""Who issued a receipt and when, from the places of words rather than from lists of shops.

The company heads the page, is printed larger, carries a legal form or a trade, and stands right above its address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from blackboard.levels import Page
from knowledge_sources.mentions import words
from knowledge_sources.mentions.addresses import address_score, address_value, is_other
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.layout import Row
from knowledge_sources.mentions.totals import finds_in, full_dates, label_before

_HEADER_ROWS = 16
_REGISTRATION = re.compile(
    r"[\s,]*[(<\[{]?\s*(?:(?:co(?:mpany)?|business|roc|brn|reg(?:istration)?|ssm)\W{0,3}(?:reg\w*\W{0,2})?(?:no|"
    r"n0|number)?\W{0,3})?"
    r"[A-Z]{0,2}[\dU]{4,12}\s?[\-\s]\s?[A-Z0-9]\b\s*[)>\]}]?(?:\s*\([A-Z]{2,5}\))?\W*$",
    re.IGNORECASE,
)
_CODE_ROW = re.compile(r"^\W*[A-Z]{0,3}[\d\s\-/]{2,}[A-Z]?\W*$")
_LONE_FORM = re.compile(
    r"^\W*(?:\(\w{1,3}\)\s*)?(?:\w+\s+){0,1}(?:sdn|s/b|bhd|berhad|gmbh|ltd|limited|pte|inc|llc|plc)\b", re.I
)


def head_roles(page: Page, rows: Sequence[Row]) -> list[Found]:
    """The company and its address at the head of the page, as finds with roles `company` and `address`."""
    header = _header(rows)
    if not header:
        return []
    top = _company_rows(header)
    finds = []
    if top:
        first, last = top
        if span := _span(page, header[first : last + 1]):
            start, end = span
            finds.append(Found("organisation", start, end, " ".join(page.text[start:end].split()), 0.8, "company"))
    after = top[1] + 1 if top else 0
    block = _address_rows(header, after) or _address_rows(header, 0)
    if block:
        start, end = header[block[0]].start, header[block[1]].end
        finds.append(Found("address", start, end, address_value(page.text[start:end]), 0.8, "address"))
    return finds


def _date_score(row: Row, find: Found, before: str) -> float:
    """`before`: the words of the row between the date and the one before it."""
    score = find.confidence
    score += 2.0 if words.DATE_LABEL.search(row.joined) else 0.0
    score += 3.0 if words.INVOICE_DATE.search(before) else 0.0
    score += 1.5 if re.search(r"\d{1,2}:\d{2}", row.joined) else 0.0
    score -= 2.0 if words.OTHER_DATE.search(row.joined) else 0.0
    return score - (4.0 if words.DUE_LABEL.search(before) else 0.0)


def date_role(rows: Sequence[Row], dates: Sequence[Found]) -> Found | None:
    """The date of the purchase, with role `date`, or None: labelled, beside a time, early on the page."""
    best: tuple[float, Found] | None = None
    by_start = full_dates(dates)
    for number, row in enumerate(rows):
        for at, find in finds_in(row, by_start):
            score = _date_score(row, find, label_before(rows, number, at)) - 0.02 * number
            if best is None or score > best[0]:
                best = score, find
    return replace(best[1], role="date", confidence=min(0.95, 0.6 + 0.1 * max(0.0, best[0]))) if best else None


def _header(rows: Sequence[Row]) -> list[Row]:
    """The rows before the goods: up to the first with an amount."""
    header: list[Row] = []
    for row in rows[:_HEADER_ROWS]:
        if re.search(r"(?<![\w.,])\d{1,5}[.,]\d{2}(?!\d)(?![.,/]\d)", row.joined) and not address_score(row.joined):
            break
        header.append(row)
    return header


def _company_rows(header: Sequence[Row]) -> tuple[int, int] | None:
    heights = [row.height for row in header if row.height]
    usual = median(heights) if heights else 0.0
    ranked = [(_company_score(header, at, usual), -at) for at in range(len(header))]
    best = max(ranked, default=(0.0, 0))
    if best[0] < 2.0:
        return None
    first = last = -best[1]
    text = header[first].text
    if _LONE_FORM.match(text) and first > 0 and _could_be_name(header[first - 1].text):
        first -= 1
    elif (
        not words.has_legal_form(text) and last + 1 < len(header) and _LONE_FORM.match(header[last + 1].text)
    ):  # a name that runs on: "LIAN CHI VEGETARIAN / RESTAURANT SDN BHD"
        last += 1
    return first, last


def _company_score(header: Sequence[Row], at: int, usual: float) -> float:
    row = header[at]
    text = _REGISTRATION.sub("", row.text)
    if not _could_be_name(text):
        return -1.0
    score = max(0.0, 3.0 - 0.6 * at)
    if words.has_legal_form(text):
        score += 5.0 if not _after_details(header, at) else 1.0
    elif words.TRADE.search(text):
        score += 2.0
    if address_score(text) >= 1.5:
        score -= 3.0
    below = [other.text for other in header[at + 1 : at + 3]]
    if (
        below and (address_score(below[0]) >= 1.5 or _REGISTRATION.fullmatch(below[0]) or _CODE_ROW.match(below[0]))
    ) or (len(below) > 1 and _REGISTRATION.fullmatch(below[0]) and address_score(below[1]) >= 1.5):
        score += 2.0
    if usual and row.height > 1.25 * usual:
        score += 1.0
    if text == text.lower():
        score -= 2.5  # names of shops are printed in capitals; scribbles and stamps are not
    return score


def _after_details(header: Sequence[Row], at: int) -> bool:
    """A company below the telephone or the title is rather the customer."""
    return any(
        is_other(row.text) and not _REGISTRATION.search(row.text) for row in header[max(0, at - 4) : at] if at > 3
    )


def _could_be_name(text: str) -> bool:
    letters = sum(char.isalpha() for char in text)
    if letters < 3 or letters < 0.5 * len(text.replace(" ", "")) or words.TITLE_ROW.search(text):
        return False
    return not is_other(text) and not text.rstrip().endswith(":") and len(text) <= 70


def _span(page: Page, rows: Sequence[Row]) -> tuple[int, int] | None:
    """Where the company's name stands, without the registration number behind it and marks around it."""
    start, end = rows[0].cells[0].start, rows[-1].end
    if len(rows) == 1 and len(rows[0].cells) > 1 and not rows[0].contiguous:
        end = rows[0].cells[0].end
    shown = page.text[start:end]
    if cut := _REGISTRATION.search(shown):
        shown = shown[: cut.start()] if cut.start() > 2 else shown
    shown = re.sub(r"\s*[(<\[][^()]{0,24}\bno\b[^()]{0,30}[)>\]]?\s*$", "", shown, flags=re.IGNORECASE)
    left = len(shown) - len(shown.lstrip(" .,*-=>#:;_~\n\r\t"))
    shown = shown.strip(" ,*-=><#:;_~\n\r\t(").lstrip(". ")
    return (start + left, start + left + len(shown)) if len(shown) > 2 else None


def _address_rows(header: Sequence[Row], after: int) -> tuple[int, int] | None:
    """First and last row of the first run of address rows at or below `after`."""
    first: int | None = None
    last = 0
    for at in range(after, len(header)):
        row = header[at]
        score = address_score(row.text)
        if first is None:
            if (score >= 1.5 and row.contiguous and not words.has_legal_form(row.text)) or (
                score >= 1.0 and at + 1 < len(header) and address_score(header[at + 1].text) >= 2.5
            ):
                first = last = at
            continue
        if not row.contiguous or is_other(row.text) or _CODE_ROW.match(row.text) or words.TITLE_ROW.search(row.text):
            break
        if (
            score >= 0.5
            or (header[last].text.rstrip().endswith((",", "-")) and not words.has_legal_form(row.text))
            or (
                at + 1 < len(header)
                and address_score(header[at + 1].text) >= 2.0
                and re.search(r"[^\W\d_]{3}", row.text)
            )
        ):
            last = at
        else:
            break
    return None if first is None else (first, last)
