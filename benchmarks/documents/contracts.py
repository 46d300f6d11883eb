"""Contracts of two pages: parties, dates, term and price on the first, payment and signatures on the second."""

from __future__ import annotations

import random
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from benchmarks.documents.invoices import BUYERS, SELLERS, slip_of
from benchmarks.documents.sheets import Sheet

Error = Literal["fee_differs", "words_differ", "term_end", "effective_differs", "signature_name", "other_party"]
CATEGORY: dict[str, str] = {
    "fee_differs": "total", "words_differ": "total", "term_end": "date", "effective_differs": "date",
    "signature_name": "party", "other_party": "party",
}  # fmt: skip
KINDS = (
    ("SERVICES AGREEMENT", "Supplier", "Client", "monthly fee", "maintain the Client's systems"),
    ("LEASE AGREEMENT", "Landlord", "Tenant", "monthly rent", "let the premises at 5 Quay Road to the Tenant"),
    ("LICENCE AGREEMENT", "Licensor", "Licensee", "annual fee", "license its software to the Licensee"),
    ("SALE AGREEMENT", "Seller", "Buyer", "purchase price", "sell the equipment listed in Annex A"),
)
_WORDS = {
    4: "four", 6: "six", 8: "eight", 12: "twelve", 15: "fifteen", 18: "eighteen", 24: "twenty-four", 36: "thirty-six",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contract:
    """What a contract says; `fee` is in thousands. `signed_*` and `later_*` is what its second page says."""

    kind: tuple[str, str, str, str, str]
    first: str
    second: str
    effective: date
    end: date
    months: int
    currency: str
    fee: int
    fee_words: str
    later_fee: int
    later_effective: date
    signed_first: str
    signed_second: str


def make_contract(rng: random.Random, index: int) -> Contract:
    """A clean contract."""
    effective = date(2022, 1, 1) + timedelta(days=rng.randint(0, 1000))
    months = (12, 24, 36)[index % 3]
    fee = rng.choice((4, 6, 8, 15, 18))
    first, second = SELLERS[(index * 3) % len(SELLERS)], BUYERS[(index + 2) % len(BUYERS)]
    return Contract(
        KINDS[index % len(KINDS)], first, second, effective, _end(effective, months), months,
        ("EUR", "USD", "GBP")[index % 3],
        fee, _WORDS[fee], fee, effective, first, second,
    )  # fmt: skip


def break_contract(contract: Contract, error: Error) -> Contract:
    """The same contract with one error."""
    if error == "fee_differs":
        return replace(contract, later_fee=contract.fee + 2)
    if error == "words_differ":
        return replace(contract, fee_words=_WORDS[12 if contract.fee != 12 else 6])
    if error == "term_end":
        return replace(contract, end=contract.end + timedelta(days=62))
    if error == "effective_differs":
        return replace(contract, later_effective=contract.effective + timedelta(days=31))
    if error == "signature_name":
        return replace(contract, signed_second=slip_of(contract.second))
    return replace(contract, signed_first="Larkspur Trading Ltd")


def sheets(contract: Contract) -> list[Sheet]:
    """Both pages."""
    return [_terms(contract), _signatures(contract)]


def _terms(contract: Contract) -> Sheet:
    title, first_role, second_role, price, work = contract.kind
    sheet = Sheet()
    sheet.line(title, size=16)
    sheet.line()
    sheet.paragraph(
        f'This Agreement is made and entered into as of {_day(contract.effective)} (the "Effective Date") between '
        f'{contract.first}, with its registered office at 17 Harbour Street, Northport (the "{first_role}"), and '
        f'{contract.second}, with its registered office at 8 Mill Lane, Eastvale (the "{second_role}").'
    )
    sheet.paragraph(f"1. Subject. The {first_role} agrees to {work} on the terms below.")
    sheet.paragraph(
        f"2. Term. This Agreement runs for {_WORDS[contract.months]} ({contract.months}) months from "
        f"{_day(contract.effective)} until {_day(contract.end)}, unless it is terminated earlier under clause 6."
    )
    sheet.paragraph(
        f"3. Price. The {second_role} shall pay a {price} of {_money(contract.currency, contract.fee)} "
        f"({contract.fee_words} thousand), exclusive of value added tax."
    )
    sheet.paragraph("4. Confidentiality. Each party keeps confidential what it learns of the other's business.")
    return sheet


def _signatures(contract: Contract) -> Sheet:
    _, first_role, second_role, price, _ = contract.kind
    sheet = Sheet()
    sheet.paragraph(
        f"5. Payment. The {price} of {_money(contract.currency, contract.later_fee)} is payable within 30 days of "
        f"receipt "
        "of an invoice. Interest on late payments is 4 % a year."
    )
    sheet.paragraph(f"6. Termination. Either party may terminate this Agreement with {_WORDS[6]} (6) months' notice.")
    sheet.paragraph(f"7. Entry into force. The Effective Date of this Agreement is {_day(contract.later_effective)}.")
    sheet.line()
    sheet.line(f"For the {first_role}: {contract.signed_first}")
    sheet.line("Signature: ______________________")
    sheet.line()
    sheet.line(f"For the {second_role}: {contract.signed_second}")
    sheet.line("Signature: ______________________")
    return sheet


def _end(start: date, months: int) -> date:
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return date(year, month, min(start.day, monthrange(year, month)[1])) - timedelta(days=1)


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _money(currency: str, thousands: int) -> str:
    return f"{currency} {Decimal(thousands * 1000):,.2f}"
