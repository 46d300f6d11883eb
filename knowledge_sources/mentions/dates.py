"""Dates in the languages and orders that business documents use, as ISO 8601.

Own patterns rather than a date library: on receipts they find every date where general parsers find three in four, and
they give offsets. Numeric dates whose order cannot be told (03/04/2018) follow the page's own evidence: a date that can
only be read one way, a month name's place, then the country the page seems to come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from types import MappingProxyType

from knowledge_sources.mentions.found import Found

_MONTHS = (
    "january jan januar janvier janv januari enero ene gennaio gen janeiro styczeń stycznia sty januarie ianuarie leden"
    " ledna ocak tammikuu tammikuuta январь января янв",
    "february feb februar février fevrier févr fevr fév februari febrero febbraio fevereiro fev luty lutego lut"
    " februarie únor února şubat subat helmikuu helmikuuta февраль февраля фев pebruari",
    "march mar mars märz maerz mrz maart mrt marzo março marco marzec marca martie březen března mart maaliskuu"
    " maaliskuuta марта март мар maret mac",
    "april apr avril avr abril abr aprile aprilie kwiecień kwietnia kwi duben dubna nisan huhtikuu huhtikuuta апрель"
    " апреля апр",
    "may mai mei mayo maggio mag maio maj maja květen května mayıs mayis toukokuu toukokuuta мая май",
    "june jun juni juin junio giugno giu junho czerwiec czerwca cze iunie červen června haziran kesäkuu kesäkuuta июнь"
    " июня июн",
    "july jul juli juillet juil julio luglio lug julho lipiec lipca lip iulie červenec července temmuz heinäkuu"
    " heinäkuuta июль июля июл julai",
    "august aug août aout agosto ago augustus augusti sierpień sierpnia sie srpen srpna ağustos agustos elokuu elokuuta"
    " август августа авг ogos",
    "september sep sept septembre septiembre setiembre settembre set setembro septembrie wrzesień września wrz září"
    " eylül eylul syyskuu syyskuuta сентябрь сентября сен",
    "october oct oktober okt octobre octubre ottobre ott outubro out październik października paź octombrie říjen října"
    " ekim lokakuu lokakuuta октябрь октября окт",
    "november nov novembre noviembre novembro listopad listopada lis noiembrie listopadu kasım kasim marraskuu"
    " marraskuuta ноябрь ноября ноя nopember",
    "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro grudzień grudnia gru decembrie"
    " prosinec prosince aralık aralik joulukuu joulukuuta декабрь декабря дек desember des disember dis",
)

_SEP = r"\s?[./\-–‐]\s?"
_NUMERIC = re.compile(
    rf"(?<![\w.,/\-])(\d{{1,4}})({_SEP})(\d{{1,2}})({_SEP})(\d{{4}}|\d{{2}})(?!\d(?!\d?:\d\d)|[./\-]\d|,\d)"
)
_COMPACT = re.compile(r"(?<![\w.,/\-])((?:19|20)\d{2})(0[1-9]|1[0-2])([0-2]\d|3[01])(?![\w.,/\-])")
_CJK = re.compile(r"(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월](?:\s?(\d{1,2})\s?[日일])?")
_WORD = r"[^\W\d_]{3,12}"
_DAY_FIRST = re.compile(
    rf"(?<![\w.,/])(\d{{1,2}})[ \t\r\n]{{0,3}}(?:st|nd|rd|th|er|e|º|ª|\.)?(?:[ \t\r\n]{{0,3}}(?:day\s)?(?:of|de|"
    rf"del|den)\b)?"
    rf"[\s\-/.]{{0,3}}({_WORD})\.?(?:\s(?:of|de|del)\b)?[\s,\-/.]{{0,3}}(\d{{4}}|'?\d{{2}})(?![\d:])",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?<!\w)({_WORD})\.?[\s\-]{{0,3}}(\d{{1,2}})(?:\s?(?:st|nd|rd|th))?(?:\s?,\s{{0,3}}|"
    rf"[\s\-]{{1,3}})(\d{{4}})(?!\d)",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(
    rf"(?<![\w.,/])(\d{{4}})[\s\-,.]{{1,2}}({_WORD})\.?[\s\-]{{1,2}}(\d{{1,2}})(?![\w])", re.IGNORECASE
)
_MONTH_YEAR = re.compile(rf"(?<!\w)({_WORD})\.?,?\s{{1,2}}(?:of\s|de\s)?((?:19|20)\d{{2}})(?!\d)", re.IGNORECASE)
_PARTIAL = re.compile(
    r"(?<![\w./\-])(?:((?:19|20)\d{2})-(0[1-9]|1[0-2])|(0?[1-9]|1[0-2])/((?:19|20)\d{2}))(?![\w/\-]|\.\d)"
)
_DATE_LABEL = re.compile(r"(?:date|datum|dato|fecha|data|tarikh|dated)\W{0,4}$", re.IGNORECASE)

_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK"
    " OR PA RI"
    " SC SD TN TX UT VT VA WA WV WI WY DC"
)
_AMERICAN = re.compile(
    rf"\b(?:{_STATES.replace(' ', '|')}),? \d{{5}}(?:-\d{{4}})?\b|\bU\.?S\.?A\b|\bUnited States\b|\bUSD\b|"
    rf"(?<!\S)/s/|\bInc\.|\bINC\.|\bLLC\b"
    r"|\b(?:Alabama|Arizona|California|Colorado|Connecticut|Delaware|Florida|Georgia|Illinois|Indiana|Maryland"
    r"|Massachusetts|Michigan|Minnesota|Missouri|Nevada|New Jersey|New York|North Carolina|Ohio|Oregon|Pennsylvania"
    r"|Tennessee|Texas|Virginia|Washington|Wisconsin)\b"
)
_ELSEWHERE = re.compile(
    r"[€£₹₽]|\b(?:RM|MYR|EUR|GBP|SGD|AUD|NZD|GST|Sdn|Bhd|GmbH|Ltd|Rechnung|Facture|Factura|Fattura|Factuur|TVA|MwSt|BTW"
    r"|IVA|ABN|PLC|S\.A\.)\b"
)
_SCAN = 20_000
"""Characters of a page that are searched for hints of its country."""


@cache
def month_numbers() -> Mapping[str, int]:
    """Month names and abbreviations, lower case, to 1..12."""
    return MappingProxyType({word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()})


def find_dates(text: str) -> list[Found]:
    """Every date of the text. Values: `2024-05-03`, or `2024-05` where the day is not given.

    Confidence .95 where the order is certain, .8 where the page tells it, .6 where only habit does.
    """
    named = [*_named(text), *_cjk(text)]
    numeric = [m for m in _NUMERIC.finditer(text) if _separators_agree(m)]
    order, sure = _order(text, numeric)
    finds = [*named, *(f for m in numeric if (f := _numeric(m, order, sure)))]
    for match in _COMPACT.finditer(text):
        if _DATE_LABEL.search(text, max(0, match.start() - 12), match.start()):
            finds += _made(match.start(), match.end(), match[1], match[2], match[3], 0.7)
    return _with_partial(text, finds)


def _with_partial(text: str, finds: list[Found]) -> list[Found]:
    """Add months without a day where no full date covers them."""
    taken = sorted((f.start, f.end) for f in finds)
    months = month_numbers()
    partial: list[tuple[int, int, int, int]] = []
    for match in _MONTH_YEAR.finditer(text):
        if month := months.get(match[1].lower()):
            partial.append((match.start(), match.end(), int(match[2]), month))
    for match in _PARTIAL.finditer(text):
        shown = (match[1], match[2]) if match[1] else (match[4], match[3])
        partial.append((match.start(), match.end(), int(shown[0]), int(shown[1])))
    at = 0
    for start, end, year, month in sorted(partial):
        while at < len(taken) and taken[at][1] <= start:
            at += 1
        if at == len(taken) or taken[at][0] >= end:
            finds.append(Found("date", start, end, f"{year:04d}-{month:02d}", 0.75))
    return finds


def _named(text: str) -> Iterator[Found]:
    months = month_numbers()
    for match in _DAY_FIRST.finditer(text):
        if month := months.get(match[2].lower()):
            yield from _made(match.start(), match.end(), match[3].lstrip("'"), month, match[1])
    for match in _MONTH_FIRST.finditer(text):
        if month := months.get(match[1].lower()):
            yield from _made(match.start(), match.end(), match[3], month, match[2])
    for match in _YEAR_FIRST.finditer(text):
        if month := months.get(match[2].lower()):
            yield from _made(match.start(), match.end(), match[1], month, match[3])


def _cjk(text: str) -> Iterator[Found]:
    for match in _CJK.finditer(text):
        if match[3]:
            yield from _made(match.start(), match.end(), match[1], match[2], match[3])
        elif 1 <= int(match[2]) <= 12:
            yield Found("date", match.start(), match.end(), f"{match[1]}-{int(match[2]):02d}", 0.75)


def _separators_agree(match: re.Match[str]) -> bool:
    first, second = match[2].strip(), match[4].strip()
    if first != second:
        return False
    spaced = match[2] != first or match[4] != second
    return not (spaced and len(match[5]) == 2)  # "1 - 2 - 03" is rather a list than a date


def _order(text: str, numeric: list[re.Match[str]]) -> tuple[str, bool]:
    """("dmy" | "mdy", whether the page itself tells)."""
    votes = 0
    for match in numeric:
        first, second = int(match[1]), int(match[3])
        if len(match[1]) <= 2 and first > 12 >= second:
            votes += 1
        elif len(match[1]) <= 2 and second > 12 >= first:
            votes -= 1
    if votes:
        return ("dmy", True) if votes > 0 else ("mdy", True)
    head = text[:_SCAN]
    elsewhere, american = bool(_ELSEWHERE.search(head)), bool(_AMERICAN.search(head))
    if elsewhere != american:
        return ("mdy", True) if american else ("dmy", True)
    return "dmy", False


def _numeric(match: re.Match[str], order: str, sure: bool) -> Found | None:
    first, second, third = match[1], match[3], match[5]
    if len(first) == 3 or (len(first) == 4 and len(third) == 4):
        return None
    if len(first) == 4:
        made = list(_made(match.start(), match.end(), first, second, third))
        return made[0] if made else None
    a, b = int(first), int(second)
    if a > 31 and len(first) == 2:
        made = list(_made(match.start(), match.end(), first, second, third, confidence=0.7))
        return made[0] if made else None
    if match[2].strip() == "." and len(third) == 2 and (len(first) == 1 or len(second) == 1):
        return None  # 1.2.10 is a section or a version, dates with dots are padded
    ambiguous = a <= 12 and b <= 12 and a != b
    if ambiguous and match[2].strip() == ".":
        order, sure = "dmy", True
    month_first = b > 12 or (a <= 12 and order == "mdy")
    day, month = (b, a) if month_first else (a, b)
    confidence = 0.95 if not ambiguous else 0.8 if sure else 0.6
    made = list(_made(match.start(), match.end(), third, month, day, confidence))
    return made[0] if made else None


def _made(
    start: int, end: int, year: str | int, month: str | int, day: str | int, confidence: float = 0.95
) -> Iterator[Found]:
    number = int(year)
    if len(str(year)) <= 2:
        number += 2000 if number < 70 else 1900
    try:
        value = date(number, int(month), int(day))
    except ValueError:
        return
    if 1800 <= value.year <= 2199:
        yield Found("date", start, end, value.isoformat(), confidence)
