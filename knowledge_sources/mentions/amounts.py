"""Amounts of money, as `1234.50 EUR`: thousands and decimal marks by the number's own shape, then by the page's habit."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal, InvalidOperation

from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.lists import words_of

_SYMBOLS = {
    "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY", "₹": "INR", "₩": "KRW", "₽": "RUB", "₺": "TRY", "₪": "ILS",
    "฿": "THB", "₫": "VND", "₱": "PHP", "₦": "NGN", "₴": "UAH", "$": "USD", "us$": "USD", "usd$": "USD", "u.s.$": "USD",
    "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "s$": "SGD", "nz$": "NZD", "hk$": "HKD", "nt$": "TWD",
    "r$": "BRL", "mx$": "MXN", "rm": "MYR", "rs": "INR", "rs.": "INR", "rp": "IDR", "rp.": "IDR", "kč": "CZK",
    "zł": "PLN", "ft": "HUF", "fr.": "CHF", "sfr.": "CHF", "kr": "SEK", "kr.": "DKK", "dollars": "USD",
    "euro": "EUR", "euros": "EUR", "pounds": "GBP", "ringgit": "MYR", "rupees": "INR",
}  # fmt: skip
_CODES = words_of(
    """
    EUR USD GBP JPY CHF CNY RMB INR MYR SGD AUD NZD CAD HKD TWD KRW THB IDR PHP VND SEK NOK DKK ISK PLN CZK HUF RON
    BGN TRY RUB UAH ILS AED SAR QAR KWD EGP ZAR NGN KES MAD BRL MXN ARS CLP COP PEN
    """
)
_NUMBER = (
    r"\d{1,3}(?:,\d{2,3}){1,6}(?:\.\d{1,3})?(?!\d)|\d{1,3}(?:\.\d{3}){1,6}(?:,\d{1,3})?(?!\d)"
    r"|\d{1,3}(?:['’]\d{3}){1,6}(?:[.,]\d{1,2})?(?!\d)|\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,6}(?:[.,]\d{1,2})(?!\d)"
    r"|\d{1,12}(?:[.,]\d{1,3})?(?!\d)"
)
_MARK = (
    r"(?:US|USD|U\.S\.|AU|A|CA|C|S|NZ|HK|NT|R|MX)?\$|[€£¥￥₹₩₽₺₪฿₫₱₦₴]|(?:RM|RS\.?|RP\.?|Kč|zł|SFr\.|Fr\.|"
    r"kr\.?)(?![^\W\d_])"
    rf"|(?:{'|'.join(_CODES)})(?![^\W\d_])"
)
_WORDS = r"dollars|euros?|pounds|ringgit|rupees"
_SCALE = {"k": 3, "thousand": 3, "m": 6, "mn": 6, "mio": 6, "million": 6, "millions": 6, "millionen": 6, "bn": 9,
          "billion": 9, "billions": 9, "mrd": 9, "milliarden": 9, "trillion": 12, "lakh": 5, "crore": 7}  # fmt: skip
_AMOUNT = re.compile(
    rf"(?P<open>\()?(?P<sign>(?<![\w.,)])[-−–][ ]?)?"
    rf"(?:(?<![^\W\d_])(?P<before>{_MARK})(?:[ \u00a0.:]{{0,2}}|(?<=[A-Z]{{3}})\n)"
    rf"(?P<sign2>[-−])?[ ]?|(?<!\d[:/\-])(?<![\w.,]))"
    rf"(?P<number>{_NUMBER})"
    rf"(?:[ \u00a0]?(?P<scale>{'|'.join(sorted(_SCALE, key=len, reverse=True))})\b)?"
    rf"(?:[ \u00a0]?(?P<after>{_MARK}|(?:{_WORDS})\b)(?!\d)|(?P<dash>[.,][-–]{{1,2}}(?=\s|$)))?(?P<close>\))?",
    re.IGNORECASE,
)
_MISREAD = re.compile(r"(?<![^\W_])(?:[A-Z]{1,2})(?P<number>\d{1,5}\.\d{2})(?![\w.])")
_CENTS = re.compile(r"[.,]\d{2}$")
_COMMA_CENTS = re.compile(r"\d,\d{2}(?![\d,])")
_POINT_CENTS = re.compile(r"\d\.\d{2}(?![\d.])")
_NEXT_NUMBER = re.compile(r"[ \u00a0]\d")
_NOT_MONEY = re.compile(
    r"(?:exhibit|section|sections|sec|article|clause|version|ver|chapter|fig|figure|table|rule|paragraph|no|nr|item|ex"
    r"|§|release|v)[\s.\-]{0,2}$",
    re.IGNORECASE,
)
_AFTER_BARE = re.compile(r"\s?%|[.,:/\-]?\d|\s?[x×*]\s?\d|[^\W\d_]{3}|°")


def find_amounts(text: str, loose: bool = False) -> list[Found]:
    """Every amount: a number with a currency beside it, or a bare number with exactly two decimals (confidence .7).

    `loose`, for text from OCR, also takes a number behind one or two letters: a currency that was misread (`M3.00`).
    """
    comma = len(_COMMA_CENTS.findall(text)) > len(_POINT_CENTS.findall(text))
    finds = []
    at = 0
    while match := _AMOUNT.search(text, at):
        at = match.end("number") if _is_of_next(text, match) else match.end()
        find = _amount(text, match, comma)
        if find is not None:
            finds.append(find)
    if loose:
        taken = {find.start for find in finds}
        for match in _MISREAD.finditer(text):
            value = parse_number(match["number"], comma)
            if value is not None and match.start("number") not in taken and not _AFTER_BARE.match(text, match.end()):
                finds.append(Found("amount", match.start("number"), match.end(), f"{value:.2f}", 0.5))
    return finds


def page_currency(finds: list[Found], text: str = "") -> str:
    """The page's currency, or "" when there is none or no clear one; looks at column heads such as `Amt(RM)` too."""
    count: Counter[str] = Counter()
    for find in finds:
        if find.type == "amount" and " " in find.value:
            count[find.value.rpartition(" ")[2]] += 1
    for match in _HEAD.finditer(text):
        count[currency_of(match[1])] += 1
    ranked = count.most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] < 2 * ranked[1][1]):
        return ""
    return ranked[0][0]


_HEAD = re.compile(rf"(?<![^\W\d_])({_MARK})(?=\s?\)|\s*$)", re.IGNORECASE | re.MULTILINE)


def currency_of(mark: str) -> str:
    """ISO 4217 code of a symbol, abbreviation or code; "" when unknown."""
    low = mark.lower().strip()
    if low.upper() in _CODES:
        return "CNY" if low == "rmb" else low.upper()
    return _SYMBOLS.get(low, _SYMBOLS.get(low.rstrip("."), ""))


def parse_number(text: str, comma_decimal: bool = False) -> Decimal | None:
    """A printed number as a Decimal, None when it is none. `comma_decimal` settles `1,234` and `1.234`."""
    digits = re.sub(r"[\s\u00a0\u202f'’]", "", text)
    last = max(digits.rfind(","), digits.rfind("."))
    if last >= 0:
        mark, tail = digits[last], digits[last + 1 :]
        other = "." if mark == "," else ","
        decimal = other in digits or (digits.count(mark) == 1 and (len(tail) != 3 or (mark == ",") == comma_decimal))
        if other in digits and digits.find(other) > last:
            return None
        whole = re.sub(r"[.,]", "", digits[:last])
        digits = f"{whole}.{tail}" if decimal else re.sub(r"[.,]", "", digits)
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _is_of_next(text: str, match: re.Match[str]) -> bool:
    """Whether a sign between two numbers belongs to the second: "1 € 399,00"."""
    between = match["after"] and not match["before"] and _NEXT_NUMBER.match(text, match.end())
    return bool(between) and not _CENTS.search(match["number"])


def _amount(text: str, match: re.Match[str], comma: bool) -> Found | None:
    number, before, after = match["number"], match["before"], match["after"]
    if _is_of_next(text, match):
        after = None
    mark = before or after or ""
    scale = match["scale"] if mark else None
    bare = not mark and not match["dash"]
    end = match.end() if not bare else match.end("number")
    start = match.start("number") if not before else match.start("before")
    if bare and (
        not _CENTS.search(number) or _AFTER_BARE.match(text, end) or _NOT_MONEY.search(text, max(0, start - 12), start)
    ):
        return None
    value = parse_number(number, comma)
    if value is None or len(number) > 24:
        return None
    if scale:
        value *= 10 ** _SCALE[scale.lower()]
    elif match["scale"]:
        end = match.end("number")
    wrapped = bool(match["open"] and match["close"])
    if match["sign2"] or match["sign"] or (wrapped and mark):
        value = -value
        start = match.start("sign") if match["sign"] else start
    if match["close"]:
        end = min(end, match.start("close"))
    currency = currency_of(mark) if mark else ""
    shown = f"{value:.2f}" if value == value.quantize(Decimal("0.01")) else f"{value.normalize():f}"
    return Found("amount", start, end, f"{shown} {currency}".strip(), 0.95 if currency else 0.7)
