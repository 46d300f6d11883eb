"""Numbers that name something: accounts and cards by their checksums, tax numbers by format, document numbers by label.

Values are `kind:normalised`: `iban:DE89370400440532013000`, `vat:NL810433941B01`, `invoice_number:42183017`. Of a card
only the last four digits are kept in the value, `card:1111`: a report must not spread it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.layout import Cell, Row, below, right_of

_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ \u00a0]?[A-Z0-9]){11,30}(?![a-z0-9])")
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26,
    "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29, "QA": 29, "KW": 30,
}  # fmt: skip
_BIC = re.compile(
    r"(?:BIC|SWIFT)(?:[ /-]?(?:BIC|SWIFT|code|no))?[\s:.]{1,4}([A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b"
)
_CARD = re.compile(r"(?<![\w.\-])\d(?:[ \-]?\d){12,18}(?![\w\-]|\.\d)")
_VAT = re.compile(
    r"(?<![A-Za-z0-9])(?:ATU ?\d{8}|BE ?[01]\d{3}[ .]?\d{3}[ .]?\d{3}|BG ?\d{9,10}|CY ?\d{8}[A-Z]|CZ ?\d{8,10}"
    r"|DE ?\d{3} ?\d{3} ?\d{3}|DK ?\d{2} ?\d{2} ?\d{2} ?\d{2}|EE ?\d{9}|EL ?\d{9}|ES ?[A-Z0-9]\d{7}[A-Z0-9]|FI ?\d{8}"
    r"|FR ?[A-Z0-9]{2}(?: ?\d){9}|GB ?\d{3} ?\d{4} ?\d{2}(?: ?\d{3})?|HU ?\d{8}|HR ?\d{11}|"
    r"IE ?\d[A-Z0-9+*]\d{5}[A-Z]{1,2}"
    r"|IT ?\d{11}|LT ?(?:\d{12}|\d{9})|LU ?\d{8}|LV ?\d{11}|MT ?\d{8}|NL ?\d{9} ?B ?\d{2}|PL ?\d{10}|PT ?\d{9}"
    r"|RO ?\d{6,10}|SE ?\d{12}|SI ?\d{8}|SK ?\d{10}|CHE[- ]?\d{3}\.?\d{3}\.?\d{3}(?: ?(?:MWST|TVA|"
    r"IVA))?)(?![A-Za-z0-9])"
)

_NO = r"(?:(?:no|nr|num|number|nummer|numéro|numero|número|n[°ºr]|№|id|#)(?![^\W\d_])[.\s]{0,2}|\.?\s?#)"
_LABELS: tuple[tuple[str, str], ...] = (
    ("invoice_number", rf"(?:tax\s)?(?:invoice|inv|bill)\s?\.?\s?{_NO}|rechnungs?\s?-?(?:nummer|nr)|rechnung\s{_NO}"
     rf"|facture\s?{_NO}|{_NO}\s?(?:de\s)?(?:la\s)?facture|factuur\s?-?(?:nummer|nr)|(?:n[°º.]?\s)?fattura\s?{_NO}"
     rf"|factura\s?{_NO}|n[°ºo]?\.?\s(?:de\s)?fattura|fakturanummer|faktura\s{_NO}|fatura\s{_NO}"),
    ("po_number", rf"(?:p\.?o\.?|purchase\sorder)\s?{_NO}|bestell\s?-?(?:nummer|nr)"),
    ("receipt_number", rf"(?:receipt|rcpt|bon|ticket|slip|check|chk|trans(?:action)?|trx)\s?\.?\s?{_NO}|quittungs?-?nr"),
    ("order_number", rf"(?:sales\s)?order\s?{_NO}|ordernummer|auftrags?-?(?:nummer|nr)|commande\s?{_NO}"),
    ("customer_number", rf"(?:customer|client|cust)\s?\.?\s?{_NO}|kunden-?(?:nummer|nr)|klantnummer|id\.?\s?client"),
    ("account_number", rf"(?:bank\s)?(?:account|acct|a/c)\s?\.?\s?{_NO}|konto-?(?:nummer|nr)|kto-?nr|rekeningnummer"),
    ("tax_number", rf"(?:gst|vat|sst|tax|tin|gstin|abn|ein|btw|tva|iva|mwst|ust|uid|nif|cif|p\.?\s?iva|ustid|steuer)"
     rf"[\s.-]{{0,2}}(?:reg(?:istration)?|id(?:ent(?:ification)?)?|nr)?[\s.\-]{{0,2}}{_NO}?|gst\s?id|partita\siva"),
    ("registration_number", rf"(?:co(?:mpany)?|business|roc|reg(?:istration)?|kvk|siren|siret|crn|hrb|rcs|coc)"
     rf"[\s.]{{0,2}}(?:reg(?:istration)?\s?\.?)?\s?{_NO}|\bsiret|\bsiren|\bhrb|\bkvk(?:\s[^\W\d_]{{3,20}})?"),
    ("document_number", rf"(?:doc(?:ument)?|ref(?:erence)?|case|file|policy|contract|agreement)\s?\.?\s?{_NO}"),
)  # fmt: skip
_VALUE = r"(?P<value>#?[A-Za-z0-9](?:[A-Za-z0-9_\-/]|\.(?=[A-Za-z0-9])|[ \u00a0](?=\d)){1,28}[A-Za-z0-9])(?!\s?%)"
_TITLE = re.compile(r"(?:tax\s)?invoice|rechnung|facture|factura|fattura|factuur|fatura|faktura", re.IGNORECASE)
_DATE_LIKE = re.compile(r"(?:RM|RS|RP|[A-Z]{3})?\s?\d+[.,]\d{1,2}$|\d{1,2}([./-])\d{1,2}\1\d{2,4}$|\d{4}-\d{2}-\d{2}$")


@cache
def label_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(kind, pattern of its label) for every kind of labelled number."""
    return tuple((kind, re.compile(rf"(?<![^\W_])(?:{label})", re.IGNORECASE)) for kind, label in _LABELS)


@cache
def _labelled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    gap = r"[ \t\u00a0]{0,3}[.)]?[ \t\u00a0]{0,2}[:=#\-]?[ \t\u00a0]{0,3}"
    return tuple((kind, re.compile(rf"{p.pattern}{gap}{_VALUE}", re.IGNORECASE)) for kind, p in label_patterns())


def find_identifiers(text: str) -> list[Found]:
    """IBANs, cards and VAT numbers that pass their checks, BICs, and numbers that stand right behind their label."""
    return [*_checked(text), *_by_label(text)]


def find_in_rows(rows: Sequence[Row]) -> Iterator[Found]:
    """Numbers whose label stands left of them in another cell, or alone in the cell above."""
    for number, row in enumerate(rows):
        if len(row.cells) > 1:
            for find in _by_label(row.joined):
                start, end = row.place(find.start), row.place(find.end)
                if end - start == find.end - find.start:
                    yield Found("identifier", start, end, find.value, find.confidence)
        for cell in row.cells:
            yield from _under_title(rows, number, cell)
            for kind, pattern in label_patterns():
                match = pattern.match(cell.text)
                if match and re.fullmatch(r"[\s:.#]*", cell.text[match.end() :]) and not right_of(row, cell):
                    for under in below(rows, number, cell):
                        word = re.match(r"#?[A-Za-z0-9][\w./\-]{1,30}(?=\s|$)", under.text)
                        if word and is_number_like(word.group()):
                            value = f"{kind}:{word.group().lstrip('#')}"
                            yield Found("identifier", under.start, under.start + word.end(), value, 0.7)
                            break


def is_number_like(shown: str) -> bool:
    """True for what can be a document's number: it has a digit, few letters in a row, and is no date."""
    if not any(char.isdigit() for char in shown) or _DATE_LIKE.fullmatch(shown):
        return False
    return "_" in shown or not re.search(r"[a-z]{4}", shown)


def _checked(text: str) -> Iterator[Found]:
    for match in _IBAN.finditer(text):
        compact = re.sub(r"\s", "", match.group())
        length = _IBAN_LENGTHS.get(compact[:2], 0)
        if length and len(compact) >= length and _mod97(compact[:length]):
            yield Found("identifier", match.start(), _end_after(match, length), f"iban:{compact[:length]}", 0.99)
    for match in _VAT.finditer(text):
        compact = re.sub(r"[ .]", "", match.group())
        if vat_ok(compact):
            yield Found("identifier", match.start(), match.end(), f"vat:{compact}", 0.9)
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        if _luhn(digits) and re.match(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|4|5)|35|62", digits) and len(set(digits)) > 1:
            yield Found("identifier", match.start(), match.end(), f"card:{digits[-4:]}", 0.8)
    for match in _BIC.finditer(text):
        yield Found("identifier", match.start(1), match.end(1), f"bic:{match[1]}", 0.95)


def _by_label(text: str) -> Iterator[Found]:
    for kind, pattern in _labelled():
        for match in pattern.finditer(text):
            shown = match["value"]
            if " " in shown or "\u00a0" in shown:
                shown = _without_other_number(shown)
            if is_number_like(shown) and len(shown) > 1:
                start = match.start("value")
                value = re.sub(r"\s", "", shown).lstrip("#")
                yield Found("identifier", start, start + len(shown), f"{kind}:{value}", 0.85)


def _under_title(rows: Sequence[Row], number: int, cell: Cell) -> Iterator[Found]:
    """`# 123` below the title of an invoice is its number."""
    if _TITLE.fullmatch(cell.text):
        for under in below(rows, number, cell):
            if match := re.match(r"#\s?(?P<value>[A-Za-z0-9][\w./\-]{1,30})$", under.text):
                start = under.start + match.start("value")
                yield Found("identifier", start, under.end, f"invoice_number:{match['value']}", 0.75)
                return


def _without_other_number(shown: str) -> str:
    """Keep `0016 6993 5104` whole but cut `FO10479674 10577874` and `1044151 2`: groups of one number are alike."""
    words = re.split(r"[ \u00a0]", shown)
    sizes = {len(word) for word in words}
    grouped = len(words) > 2 or (len(words) == 2 and len(shown) > 9)
    if grouped and all(word.isdigit() for word in words) and max(sizes) <= 5:
        return shown
    return words[0]


def _end_after(match: re.Match[str], count: int) -> int:
    seen = 0
    for offset, char in enumerate(match.group()):
        seen += not char.isspace()
        if seen == count:
            return match.start() + offset + 1
    return match.end()


def _mod97(compact: str) -> bool:
    """ISO 7064 mod 97-10, as IBANs use it (ISO 13616)."""
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812 check digit."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        number = int(char) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def vat_ok(compact: str) -> bool:
    """Check digits of the VAT numbers whose rule is short and public (DE, FR, BE, IT, PT, DK, FI); others pass."""
    country, rest = compact[:2], compact[2:]
    if country == "DE":
        return _iso7064_mod11_10(rest)
    if country == "BE" and rest.isdigit():
        return int(rest[:8]) % 97 == 97 - int(rest[8:])
    if country == "FR" and rest[:2].isdigit():
        return int(rest[:2]) == (12 + 3 * (int(rest[2:]) % 97)) % 97
    if country == "IT":
        return _luhn(rest)
    weights = {"DK": (2, 7, 6, 5, 4, 3, 2, 1), "FI": (7, 9, 10, 5, 8, 4, 2, 1)}.get(country)
    if weights and rest.isdigit():
        return sum(w * int(d) for w, d in zip(weights, rest, strict=False)) % 11 == 0
    return True


def _iso7064_mod11_10(digits: str) -> bool:
    product = 10
    for char in digits[:8]:
        total = (int(char) + product) % 10 or 10
        product = 2 * total % 11
    return (11 - product) % 10 == int(digits[8])
