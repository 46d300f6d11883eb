"""What kind of business document a page belongs to, by the words and the shape it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Literal

from knowledge_sources.mentions import words
from knowledge_sources.mentions.layout import Row

Kind = Literal["receipt", "invoice", "contract", ""]

_RECEIPT = re.compile(
    r"(?<![^\W\d_])(cash|change|receipt|cashier|qty|thank\s?you|table|tendered|rounding|gst|tax\s?invoice|"
    r"sub\s?total|total|visa|"
    r"master\s?card|server|waiter|pump|come[ \t]+again|refund\w*|goods[ \t]+sold|kassenbon|bon|quittung|rückgeld|"
    r"espèces|pin|amt|item)"
    r"(?![^\W\d_])",
    re.IGNORECASE,
)
_INVOICE = re.compile(
    r"(?<![^\W\d_])(bill(?:ed)?[ \t]+to|ship(?:ped)?[ \t]+to|due[ \t]+date|payment[ \t]+terms?|iban|customer[ \t]+n\w+|"
    r"kunden\w+|"
    r"klantnummer|"
    r"purchase[ \t]+order|po[ \t]+number|invoice[ \t]+(?:no|number|date)|balance[ \t]+due|rechnungs\w+|factuur\w+|"
    r"facture|"
    r"amount[ \t]+due|bic|swift|"
    r"remit\w*|unit[ \t]+price|zahlungs\w+|vat|tva|mwst|ust\w*)(?![^\W\d_])",
    re.IGNORECASE,
)
_CONTRACT = re.compile(
    r"\b(agreement|hereby|herein|hereof|hereto|hereunder|hereinafter|whereas|witness|witnesseth|parties|party|"
    r"undersigned|"
    r"governing law|in witness whereof|confidential information|covenants?|terminat\w+|indemnif\w+|obligations?|"
    r"accepted and agreed)\b|/s/",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\bgoverned\s+by\b[^.;]{0,120}\blaws?\b|\bin\s+witness\s+whereof\b|\bby:\s*/s/|\b(?:accepted|"
    r"agreed)\s+and\s+(?:accepted|agreed)\b",
    re.IGNORECASE,
)
"""Clauses that stand in contracts alone, on last pages with little else too."""
_SCAN = 12_000


def page_kind(text: str, rows: Sequence[Row], reading: bool) -> Kind:
    """The page's kind, "" when nothing speaks for one. `reading`: the text came from OCR, as photographed receipts do."""
    head = text[:_SCAN]
    width = median(len(row.text) for row in rows) if rows else 0
    legal = {match.group().lower() for match in _CONTRACT.finditer(head)}
    if len(legal) >= 2 and _CLAUSE.search(head):
        return "contract"
    if len(legal) >= (4 if width > 45 else 3) and not (words.INVOICE.search(head) and width < 40):
        return "contract"
    cues = {match.group().lower() for match in _RECEIPT.finditer(head)}
    bills = {match.group().lower() for match in _INVOICE.finditer(head)}
    titled = bool(words.INVOICE.search(head))
    if width < 34 and reading and len(cues) >= 2 and len(cues) + 2 > len(bills):
        return "receipt"
    if width < 34 and len(cues) >= 5 and len(cues) > 2 * len(bills):
        return "receipt"
    if (titled and (bills or cues)) or len(bills) >= 3:
        return "invoice"
    return "receipt" if len(cues) >= 3 and width < 40 else ""
