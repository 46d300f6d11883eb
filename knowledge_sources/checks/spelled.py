"""Amounts in words against the digits beside them: "five hundred (5,000)", "Amount in words: ..."."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from blackboard.levels import Page
from knowledge_sources.checks.ledger import Ledger
from knowledge_sources.checks.lexicon import NUMBER_WORDS
from knowledge_sources.checks.verdicts import Found, quote
from knowledge_sources.mentions.amounts import parse_number

_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "lakh": 100_000,
    "million": 1_000_000,
    "crore": 10_000_000,
    "billion": 10**9,
}
_WORD = rf"(?:{'|'.join(sorted([*NUMBER_WORDS, *_SCALES], key=len, reverse=True))})"
_UNIT = (
    r"(?:(?:u\.?s\.? |singapore |canadian |australian )?(?:dollars?|euros?|pounds?(?: sterling)?|ringgit|rupees"
    r"|francs?))"
)
_SPELLED = rf"\b{_WORD}(?:(?:[\s-]+(?:and\s+)?){_WORD})*\b(?:\s+and\s+\d{{2}}/100)?"
_SUB = rf"(?:\s+{_UNIT})?(?:\s+and\s+(?P<cents>{_WORD}(?:[\s-]+{_WORD})?)\s+(?:cents?|pence|sen|centimes))?"
_DIGITS = r"(?:[A-Z]{0,3}[$€£¥₹]|[A-Z]{2,3})?\s?(?P<digits>\d[\d.,'’]*)\s?(?:[$€£¥₹]|[A-Z]{3})?"
_WORDS_FIRST = re.compile(
    rf"(?P<words>{_SPELLED}){_SUB}(?:\s+{_UNIT})?(?:\s+only)?\s*\(\s*{_DIGITS}\s*%?\s*\)", re.IGNORECASE
)
_DIGITS_FIRST = re.compile(
    rf"{_DIGITS}\s*\(\s*(?:{_UNIT}\s+)?(?P<words>{_SPELLED}){_SUB}(?:\s+{_UNIT})?(?:\s+only)?\s*\)", re.IGNORECASE
)
_IN_WORDS = re.compile(
    rf"(?:in words|in letters|say|sum of)\W{{0,4}}(?:[A-Z]{{3}}|{_UNIT})?\s*(?P<words>{_SPELLED}){_SUB}", re.IGNORECASE
)


def check_spelled(pages: Sequence[Page], ledger: Ledger) -> Iterator[Found]:
    """Every amount that is written out beside its digits, and the one "in words" against the total."""
    for page in pages:
        for pattern in (_WORDS_FIRST, _DIGITS_FIRST):
            for match in pattern.finditer(page.text):
                yield from _pair(page, match)
        yield from _against_total(page, ledger)


def number_from_words(text: str) -> Decimal | None:
    """The number that English words state, None when they state none: "twelve thousand and five" is 12005."""
    total, group, seen = 0, 0, False
    cents = re.search(r"and\s+(\d{2})/100", text)
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in NUMBER_WORDS:
            group += NUMBER_WORDS[word]
            seen = True
        elif word == "hundred":
            group = (group or 1) * 100
            seen = True
        elif word in _SCALES:
            total += (group or 1) * _SCALES[word]
            group, seen = 0, True
    if not seen:
        return None
    return Decimal(total + group) + (Decimal(cents[1]) / 100 if cents else 0)


def _value(match: re.Match[str]) -> Decimal | None:
    value = number_from_words(match["words"])
    cents = number_from_words(match["cents"]) if match["cents"] else None
    return value if value is None or cents is None else value + cents / 100


def _pair(page: Page, match: re.Match[str]) -> Iterator[Found]:
    words, digits = _value(match), parse_number(match["digits"].rstrip(".,"))
    if words is None or digits is None:
        return
    place = quote(page, *match.span())
    if words == digits or (not match["cents"] and words == int(digits)):
        yield Found("words", "supported", "in_words", "The words and the digits agree.", place, (place,), 0.95)
        return
    reason = f"In words it is {words:,f}, in digits {digits:,f}."
    yield Found("words", "refuted", "in_words", reason, place, (place,), 0.92)


def _against_total(page: Page, ledger: Ledger) -> Iterator[Found]:
    sums = [f for f in ledger.figures if f.kind in ("total", "due")]
    for match in _IN_WORDS.finditer(page.text):
        value = _value(match)
        if value is None or value < 20 or not sums or not re.match(r"in ", match.group(), re.IGNORECASE):
            continue
        place = quote(page, *match.span())
        right = next((f for f in sums if value in (f.amount.value, int(f.amount.value))), None)
        shown = right or sums[-1]
        at = quote(shown.place.page, shown.place.start, shown.place.end)
        if right:
            yield Found("words", "supported", "in_words", "The amount in words is the total.", place, (place, at), 0.95)
        else:
            reason = f"In words it is {value:,f}, but the total says {shown.amount.value:,f}."
            yield Found("words", "refuted", "in_words", reason, place, (place, at), 0.85)
