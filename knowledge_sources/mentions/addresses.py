"""Postal addresses: rows that look like one, and runs of such rows."""

from __future__ import annotations

import re

from blackboard.levels import Page
from knowledge_sources.mentions.found import Found
from knowledge_sources.mentions.gazetteer import places
from knowledge_sources.mentions.layout import Row

_STREET = re.compile(
    r"(?<![^\W\d_])(?:jalan|jln|j1n|jin|jaian|jl|lorong|lrg|lebuh|lebuhraya|persiaran|psrn|taman|tmn|bandar|"
    r"kampung|kg|seksyen|"
    r"kawasan|pusat|tingkat|bangunan|menara|wisma|plaza|kompleks|complex|mall|batu|lot|block|blk|level|lvl|floor|flr|"
    r"flrs?|unit|suite|ste|building|bldg|tower|house|estate|industrial|park|shopping|street|st|road|rd|avenue|ave|"
    r"boulevard|blvd|drive|lane|ln|court|parkway|pkwy|highway|hwy|square|sq|terrace|crescent|close|place|po\sbox|"
    r"p\.o\.\s?box|rue|quai|cours|chemin|impasse|cedex|weg|platz|allee|gasse|postfach|laan|gracht|plein|kade|via|"
    r"piazza|corso|viale|calle|avenida|avda|paseo|rua|travessa|ulica|ul)(?![^\W\d_])"
    r"|[^\W\d_]{3,}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|gracht|plein|kade|dreef)(?![^\W\d_])"
    r"|(?<![^\W\d_])(?:jalan|jln)(?=[A-Z]{2}\s?\d)",
    re.IGNORECASE,
)
_POSTCODE = re.compile(
    r"(?<![\w\-/.])(?:[A-Z]{1,2}-)?\d{5}(?:-\d{4})?(?=[\s,.]*[^\W\d_]{2,}|\s*$|[,.])(?![\w]{0,2}\d)"
    r"|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b|(?<!\d)\d{4} ?[A-Z]{2}\b(?= ?[A-Z][a-z])|\b[A-Z]\d[A-Z] ?\d[A-Z]\d\b"
    r"|\b[A-Z]{2} \d{5}\b|(?<![\w.,/\-])\d{6}(?=\s*$)"
)
_HOUSE = re.compile(
    r"^\W{0,2}(?:(?:hq|address|addr|adresse|"
    r"alamat)\W{1,3})?(?:no\W{0,3})?[A-Z]{0,2}-?\d{1,5}[A-Z]?(?:[\-/&]\d{1,4}[A-Z]?)?[\s,.]",
    re.I,
)
_NUMBER = re.compile(r"\d")
_OTHER = re.compile(
    r"(?<![^\W\d_])(?:te[l1]|telephone|telefon|fax|phone|h/?p|mobile|e-?mail|www|http|gst|[cg]st\s?(?:id|no|reg)|"
    r"sst|vat|tax|reg|roc|company\sno|co\.?\s?reg|"
    r"invoice|receipt|cashier|date|table|order|bill|total|cash|subtotal|qty|amount|iban|bic|ust-?id|steuer|kvk|"
    r"btw|siret|"
    r"attn|welcome|thank|licensee|shopping\shours|visit)(?![^\W\d_])|@|\d{1,2}:\d{2}",
    re.IGNORECASE,
)
_MAX_ROW = 90
_MAX_ROWS = 7
_LETTERS = 8
_MAX_NUMBERS = 7


def address_score(text: str) -> float:
    """How much a row looks like a part of an address: 2 and more is sure, 1 fits beside a sure row, below 1 is not one."""
    if len(text) > _MAX_ROW or is_other(text) or len(re.findall(r"\d+", text)) > _MAX_NUMBERS:
        return 0.0
    score = 0.0
    streets = len(_STREET.findall(text))
    if streets:
        score += 1.0 + (0.5 if streets > 1 else 0.0)
        score += 1.0 if _NUMBER.search(text) else 0.0
    if _POSTCODE.search(text):
        score += 1.5
    if _HOUSE.match(text) and re.search(r"[^\W\d_]{3}", text):
        score += 0.75
    if _has_place(text):
        score += 1.0
    return score if "," in text or score != 0.75 else 0.5


def is_other(text: str) -> bool:
    """True for rows that end an address: telephone, tax number, document headings, times."""
    return bool(_OTHER.search(text))


def _has_place(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*", text.lower())
    known = places()
    return any(
        " ".join(words[at : at + size]) in known
        for size in (1, 2, 3)
        for at in range(len(words) - size + 1)
        if size > 1 or len(words[at]) > 3
    )


def find_addresses(page: Page, rows: list[Row]) -> list[Found]:
    """Runs of neighbouring rows or cells that together make an address. Rows of running prose are left alone."""
    finds: list[Found] = []
    run: list[Row] = []
    for row in rows:
        fits = row.contiguous and address_score(row.text) >= (1.0 if run else 1.5)
        if fits and (
            not run or (len(run) < _MAX_ROWS and run[-1].end <= row.start and _between_blank(page, run[-1], row))
        ):
            run.append(row)
            continue
        finds += _made(page, run)
        run = [row] if fits and address_score(row.text) >= 1.5 else []
    return finds + _made(page, run)


def _between_blank(page: Page, above: Row, below: Row) -> bool:
    return not page.text[above.end : below.start].strip()


def _made(page: Page, run: list[Row]) -> list[Found]:
    scores = [address_score(row.text) for row in run]
    if sum(scores) < 3.5 or sum(char.isalpha() for row in run for char in row.text) < _LETTERS:
        return []
    start, end = run[0].start, run[-1].end
    shown = page.text[start:end].split()
    if sum(not any(char.isalpha() for char in word) for word in shown) > len(shown) / 2:
        return []  # the numbers of a transcript's lines, a table
    return [Found("address", start, end, address_value(page.text[start:end]), min(0.9, 0.5 + 0.06 * sum(scores)))]


def address_value(text: str) -> str:
    """One line: rows joined by a comma where they do not end with one."""
    lines = [" ".join(line.split()) for line in re.split(r"[\r\n]+", text)]
    joined = ""
    for line in filter(None, lines):
        joined += ("" if not joined else " " if joined.endswith((",", "-", "/")) else ", ") + line
    return joined.strip(" ,;")
