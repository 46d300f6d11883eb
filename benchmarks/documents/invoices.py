"""Invoices in several layouts, languages, currencies and habits of writing numbers; with one error where wanted."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from benchmarks.documents.sheets import Sheet

Error = Literal[
    "total", "subtotal", "tax", "line", "prose_total", "due_before_issue", "impossible_date", "prose_date", "due_differs",
    "prose_buyer", "prose_seller",
]  # fmt: skip
CATEGORY: dict[str, str] = {
    "total": "total", "subtotal": "total", "tax": "total", "line": "total", "prose_total": "total",
    "due_before_issue": "date", "impossible_date": "date", "prose_date": "date", "due_differs": "date",
    "prose_buyer": "party", "prose_seller": "party",
}  # fmt: skip

SELLERS = (
    "Halden Instruments Ltd", "Brightwater Supplies Inc.", "Oakfield Joinery LLC", "Petrel Marine Services Pte. Ltd.",
    "Müller Werkzeugbau GmbH", "Castellan Print Limited", "Tamarind Foods Sdn. Bhd.", "Vidar Elektronik AG",
)  # fmt: skip
BUYERS = (
    "Riverside Clinics Ltd", "Kestrel Aviation Inc.", "Juniper Hotels Limited", "Orchard Learning "
                                                                                "LLC", "Stadtwerke Lindau GmbH",
    "Falcon Bridge Capital LLP", "Selwyn Press Ltd", "Borealis Research AG",
)  # fmt: skip
GOODS = (
    ("Calibrated pressure gauge", "64.50"), ("Copper fitting, 22 mm", "3.85"), ("On-site inspection", "95.00"),
    ("A4 paper, 80 g", "4.29"), ("Oak shelf, oiled", "118.40"), ("Toner cartridge", "71.15"), ("Training day", "640.00"),
    ("Rescue line 30 m", "48.75"), ("Safety gloves", "6.60"), ("Software support", "120.00"), ("LED panel 600 x "
                                                                                               "600", "39.90"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How a house writes its invoices."""

    currency: str
    number: Callable[[Decimal], str]
    day: Callable[[date], str]
    rate: str
    labels: dict[str, str]
    quantity_first: bool = False


def _plain(value: Decimal) -> str:
    return f"{value:,.2f}"


def _european(value: Decimal) -> str:
    return f"{value:,.2f}".replace(",", "x").replace(".", ",").replace("x", ".")


def _swiss(value: Decimal) -> str:
    return f"{value:,.2f}".replace(",", "'")


_ENGLISH = {
    "invoice": "INVOICE", "number": "Invoice no.", "date": "Invoice date", "due": "Due date", "to": "Bill to:", "qty": "Qty",
    "what": "Description", "price": "Unit price", "amount": "Amount", "net": "Subtotal", "tax": "VAT", "total": "Total",
    "discount": "Discount", "shipping": "Shipping",
}  # fmt: skip
_GERMAN = {
    "invoice": "RECHNUNG", "number": "Rechnungsnr.", "date": "Rechnungsdatum", "due": "Fällig am", "to": "An:",
    "qty": "Menge", "what": "Beschreibung", "price": "Einzelpreis", "amount": "Betrag", "net": "Zwischensumme",
    "tax": "MwSt.", "total": "Gesamtbetrag", "discount": "Rabatt", "shipping": "Versand",
}  # fmt: skip
STYLES = (
    Style("GBP", _plain, lambda d: f"{d.day} {d:%B %Y}", "20", _ENGLISH),
    Style(
        "USD",
        _plain,
        lambda d: f"{d:%B} {d.day}, {d.year}",
        "8.25",
        {**_ENGLISH, "tax": "Sales tax", "total": "TOTAL DUE"},
        True,
    ),
    Style("EUR", _european, lambda d: f"{d:%d.%m.%Y}", "19", _GERMAN),
    Style("CHF", _swiss, lambda d: f"{d:%d.%m.%Y}", "8.1", {**_ENGLISH, "net": "Net amount", "total": "Total amount"}),
    Style("MYR", _plain, lambda d: f"{d:%d/%m/%Y}", "6", {**_ENGLISH, "tax": "GST", "total": "Grand total"}),
    Style(
        "EUR", _plain, lambda d: d.isoformat(), "21", {**_ENGLISH, "total": "Total payable", "net": "Sub-total"}, True
    ),
)


@dataclass(frozen=True, slots=True)
class Invoice:
    """What an invoice says. `said_*` is what its second page says of the first."""

    style: Style
    number: str
    seller: str
    buyer: str
    issued: date
    due: date
    lines: tuple[tuple[str, int, Decimal, Decimal], ...]
    discount: Decimal
    shipping: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    said_total: Decimal
    said_issued: date
    said_due: date
    said_buyer: str
    said_seller: str
    issued_text: str = ""


def make_invoice(rng: random.Random, index: int) -> Invoice:
    """A clean invoice: everything adds up and agrees."""
    style = STYLES[index % len(STYLES)]
    lines = []
    for what, price in rng.sample(GOODS, rng.randint(3, 7)):
        quantity = rng.randint(1, 24)
        lines.append((what, quantity, Decimal(price), quantity * Decimal(price)))
    net = sum((amount for *_, amount in lines), Decimal(0))
    discount = _cents(net * Decimal("0.05")) if index % 4 == 1 else Decimal(0)
    shipping = Decimal("18.50") if index % 4 == 2 else Decimal(0)
    tax = _cents((net - discount + shipping) * Decimal(style.rate) / 100)
    total = net - discount + shipping + tax
    issued = date(2023, 1, 9) + timedelta(days=rng.randint(0, 700))
    due = issued + timedelta(days=(14, 30, 45)[index % 3])
    seller, buyer = SELLERS[index % len(SELLERS)], BUYERS[(index * 3 + 1) % len(BUYERS)]
    number = f"{issued.year}-{rng.randint(100, 9999):04d}"
    return Invoice(
        style, number, seller, buyer, issued, due, tuple(lines), discount, shipping, net, tax, total,
        total, issued, due, buyer, seller,
    )  # fmt: skip


def break_invoice(invoice: Invoice, error: Error, rng: random.Random) -> Invoice:
    """The same invoice with one error in it; what follows from the wrong figure is left as it was."""
    slip = Decimal(rng.choice((9, 10, 18, 27, 90, 100)))
    if error == "total":
        wrong = invoice.total + slip
        return replace(invoice, total=wrong, said_total=wrong)
    if error == "subtotal":
        return replace(invoice, net=invoice.net - slip)
    if error == "tax":
        wrong = invoice.tax + min(slip, Decimal(9))
        gross = invoice.total - invoice.tax + wrong
        return replace(invoice, tax=wrong, total=gross, said_total=gross)
    if error == "line":
        what, quantity, price, amount = invoice.lines[1]
        lines = (invoice.lines[0], (what, quantity, price, amount + slip), *invoice.lines[2:])
        return replace(invoice, lines=lines)
    if error == "prose_total":
        return replace(invoice, said_total=invoice.total + slip)
    return _break_words(invoice, error)


def _break_words(invoice: Invoice, error: Error) -> Invoice:
    if error == "due_before_issue":
        early = invoice.issued - timedelta(days=20)
        return replace(invoice, due=early, said_due=early)
    if error == "impossible_date":
        month = invoice.style.day(date(2023, 2, 28))
        return replace(invoice, issued_text=month.replace("28", "30"), said_issued=invoice.issued)
    if error == "prose_date":
        return replace(invoice, said_issued=invoice.issued + timedelta(days=9))
    if error == "due_differs":
        return replace(invoice, said_due=invoice.due + timedelta(days=7))
    if error == "prose_buyer":
        return replace(invoice, said_buyer=slip_of(invoice.buyer))
    return replace(invoice, said_seller=slip_of(invoice.seller))


def slip_of(name: str) -> str:
    """The name as somebody in a hurry writes it: its longest word with other letters at the end."""
    words = name.split()
    longest = max(words, key=len)
    stem = longest[: max(4, len(longest) - 3)]
    return name.replace(longest, stem + ("ers" if not longest.endswith("ers") else "ing"))


def sheets(invoice: Invoice) -> list[Sheet]:
    """The invoice on page 1 and a letter that repeats its figures on page 2."""
    return [_bill(invoice), _letter(invoice)]


def _bill(invoice: Invoice) -> Sheet:
    style, labels, sheet = invoice.style, invoice.style.labels, Sheet()
    sheet.line(invoice.seller, size=15)
    sheet.line("17 Harbour Street, 4021 Northport", size=9)
    sheet.line()
    sheet.line(labels["invoice"], size=18)
    issued = invoice.issued_text or style.day(invoice.issued)
    for label, value in (("number", invoice.number), ("date", issued), ("due", style.day(invoice.due))):
        sheet.put(360, f"{labels[label]}: {value}")
        sheet.y += 15
    sheet.line(labels["to"])
    sheet.line(invoice.buyer)
    sheet.line("8 Mill Lane, 77210 Eastvale", size=9)
    sheet.y += 22
    _table(invoice, sheet)
    sums = [("net", invoice.net), ("discount", -invoice.discount), ("shipping", invoice.shipping), ("tax", invoice.tax)]
    for name, amount in (*sums, ("total", invoice.total)):
        if amount or name in ("net", "tax", "total"):
            label = f"{labels[name]} {style.rate}%" if name == "tax" else labels[name]
            sheet.put(360, label)
            shown = style.number(amount)
            sheet.put(540, f"{style.currency} {shown}" if name == "total" else shown, right=True)
            sheet.y += 17
    return sheet


def _table(invoice: Invoice, sheet: Sheet) -> None:
    style, labels = invoice.style, invoice.style.labels
    what_x, quantity_x = (110.0, 80.0) if style.quantity_first else (56.0, 340.0)
    sheet.put(what_x, labels["what"])
    sheet.put(quantity_x, labels["qty"], right=True)
    sheet.put(440, labels["price"], right=True)
    sheet.put(540, labels["amount"], right=True)
    sheet.y += 18
    for what, quantity, price, amount in invoice.lines:
        sheet.put(what_x, what)
        sheet.put(quantity_x, str(quantity), right=True)
        sheet.put(440, style.number(price), right=True)
        sheet.put(540, style.number(amount), right=True)
        sheet.y += 16
    sheet.y += 8


def _letter(invoice: Invoice) -> Sheet:
    style, sheet = invoice.style, Sheet()
    money = f"{style.currency} {style.number(invoice.said_total)}"
    sheet.line(invoice.said_seller, size=13)
    sheet.line()
    sheet.paragraph(
        f"Thank you for your order. This letter accompanies invoice {invoice.number}, which was issued by "
        f"{invoice.said_seller} to {invoice.said_buyer}. The invoice date is {style.day(invoice.said_issued)}."
    )
    sheet.paragraph(
        f"The total amount due is {money}. Payment is due on {style.day(invoice.said_due)}. "
        "Please quote the number of the invoice with your payment, so that we can match it."
    )
    sheet.paragraph(
        "Goods remain our property until they are paid in full. Complaints about visible defects are accepted for "
        "ten days from delivery. The law at our registered office applies."
    )
    return sheet


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
