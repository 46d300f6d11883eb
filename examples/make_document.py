"""Make examples/scanned-invoice.pdf: two scanned pages, an invoice whose total is wrong and the letter that came with it.

    python examples/make_document.py [FILE]

The pages are pictures only, a little turned and noisy, so reading them takes OCR. The lines of the invoice add up to the
subtotal and the tax is right, but the total has two digits swapped; the letter on page 2 repeats the parties, the dates
and the amounts in prose. The same code makes the same bytes.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.documents.sheets import Sheet, scanned_pdf

LINES = (
    ("Survey of the quay wall", "3", "640.00", "1,920.00"),
    ("Diving inspection, per day", "2", "1,150.00", "2,300.00"),
    ("Concrete core samples", "12", "85.50", "1,026.00"),
    ("Written report with drawings", "1", "780.00", "780.00"),
)
SUMS = (("Subtotal", "6,026.00"), ("VAT 20%", "1,205.20"), ("Total due", "GBP 7,321.20"))


def invoice() -> Sheet:
    """Page 1. 6,026.00 + 1,205.20 is 7,231.20; the page says 7,321.20."""
    sheet = Sheet(y=70)
    sheet.line("Marlow Harbour Engineering Ltd", size=17)
    sheet.line("14 Customs House Lane, Falmouth TR11 3XB, United Kingdom", size=10)
    sheet.line("accounts@marlow-harbour.example   VAT no. GB 294 1837 06", size=10)
    sheet.y += 24
    sheet.line("INVOICE", size=20)
    for label, value in (
        ("Invoice no.", "MH-2024-0318"),
        ("Invoice date", "12 March 2024"),
        ("Due date", "11 April 2024"),
    ):
        sheet.line(f"{label}: {value}", size=11)
    sheet.y += 14
    sheet.line("Bill to:", size=11)
    sheet.line("Port of Tarrant Authority Limited", size=11)
    sheet.line("2 Pier Road, Tarrant BH21 7QD, United Kingdom", size=10)
    sheet.y += 26
    _row(sheet, ("Description", "Qty", "Unit price", "Amount"))
    sheet.y += 6
    for line in LINES:
        _row(sheet, line)
    sheet.y += 14
    for label, value in SUMS:
        sheet.put(350, label, size=11)
        sheet.put(540, value, size=11, right=True)
        sheet.y += 20
    sheet.y += 24
    sheet.line("Payment within 30 days by bank transfer. Please quote the invoice number.", size=10)
    return sheet


def _row(sheet: Sheet, cells: tuple[str, str, str, str]) -> None:
    what, quantity, price, amount = cells
    sheet.put(56, what, size=11)
    sheet.put(340, quantity, size=11, right=True)
    sheet.put(440, price, size=11, right=True)
    sheet.put(540, amount, size=11, right=True)
    sheet.y += 20


def letter() -> Sheet:
    """Page 2: the same business in sentences, with the total as it should be."""
    sheet = Sheet(y=70)
    sheet.line("Marlow Harbour Engineering Ltd", size=17)
    sheet.y += 10
    sheet.line("12 March 2024", size=11)
    sheet.y += 10
    sheet.line("Dear Ms Hartnell,", size=11)
    sheet.y += 6
    for text in (
        "We have completed the survey of the quay wall at Tarrant that the Port of Tarrant Authority Limited ordered from "
        "Marlow Harbour Engineering Ltd on 5 February 2024. Our divers inspected the wall for two days and found it sound, "
        "except for a crack near the eastern steps.",
        "We recommend that the crack is filled before the end of October 2024. The twelve concrete samples showed no sign "
        "of corrosion, and the report with the drawings is enclosed with this letter.",
        "Our invoice MH-2024-0318 is dated 12 March 2024. The work comes to GBP 6,026.00 before tax. Value added tax at 20% "
        "adds GBP 1,205.20, so the total amount due is GBP 7,231.20. Payment is due on 11 April 2024.",
        "The survey was carried out under the framework agreement of 9 January 2023 between Marlow Harbour Engineering Ltd "
        "and the Port of Tarrant Authority Limited, and its terms apply to this invoice.",
    ):
        sheet.paragraph(text, columns=84)
        sheet.y += 4
    sheet.line("Yours sincerely,", size=11)
    sheet.y += 22
    sheet.line("Edmund Marlow", size=11)
    sheet.line("Managing Director, Marlow Harbour Engineering Ltd", size=11)
    return sheet


def main(arguments: list[str]) -> int:
    """Write the document and say where it is."""
    path = Path(arguments[0]) if arguments else Path(__file__).with_name("scanned-invoice.pdf")
    data = scanned_pdf([invoice(), letter()], random.Random(20240312), dpi=150, quality=55)
    path.write_bytes(data)
    print(f"{path}: {len(data):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
