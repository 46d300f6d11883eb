"""Hand-made pages for the tests of mentions."""

from __future__ import annotations

from blackboard.levels import Line, Page

RECEIPT = """\
GOLDEN HARVEST BAKERY SDN BHD
(882211-K)
No. 12, Jalan Mawar 3/5,
Taman Melati,
53100 Kuala Lumpur.
Tel: 03-4105 2233
GST ID: 000123456784
TAX INVOICE
Date: 07/08/2017 10:21:33 AM
Invoice No: GH-004512
Qty   Item   RM
2   WALNUT LOAF   17.80
1   EGG TART   2.53
Sub Total   20.33
Rounding   -0.03
Total   20.33
Total Rounded   20.30
CASH   50.00
CHANGE   29.70
GST Summary   Amount(RM)   Tax(RM)
SR   19.18   1.15
Thank you, please come again
"""

INVOICE = """\
Nordlicht Werkzeuge GmbH
Hafenstraße 12
20457 Hamburg
USt-IdNr. DE136695976

Rechnung
Rechnungsnummer: 2023-0815
Rechnungsdatum: 3. Mai 2023
Kundennummer: 4711
Zahlbar bis 02.06.2023

Pos   Menge   Beschreibung   Preis
1   2   Bohrmaschine   200,00
Nettobetrag   400,00 EUR
MwSt. 19%   76,00 EUR
Gesamtbetrag   476,00 EUR
IBAN DE89 3704 0044 0532 0130 00
www.nordlicht-werkzeuge.de
"""

CONTRACT = """\
CONFIDENTIALITY AGREEMENT

This Confidentiality Agreement (the "Agreement") is made and entered into as of March 4, 2015 by and between Blue
Heron Robotics, Inc., a Delaware corporation with offices at 5 Mill Lane, Dover ("Heron"), and Dr. Alice B. Moreau, an
individual residing in Ohio ("Consultant").

WHEREAS, the parties wish to exchange information; NOW, THEREFORE, the parties hereby agree as follows:

1. Consultant shall not solicit any employee for a period of one year.
2. This Agreement shall remain in full force and effect for a period of three (3) years from the date hereof.
3. This Agreement shall be governed by and construed in accordance with the laws of the State of New York, without
regard to its conflict of laws provisions.

IN WITNESS WHEREOF, the parties have executed this Agreement.

BLUE HERON ROBOTICS, INC.
By: /s/ John Smith
"""


def page(text: str, number: int = 1, *, boxes: bool = False, read: bool = False) -> Page:
    """A page of the text; `boxes` gives every line a box, one below the other."""
    lines: list[Line] = []
    at = 0
    rows = text.split("\n")
    for place, row in enumerate(rows):
        if row.strip() and boxes:
            top = place / len(rows)
            box = (0.05, top, min(0.95, 0.05 + 0.012 * len(row)), top + 0.8 / len(rows))
            lines.append(Line(start=at, end=at + len(row), box=box))
        at += len(row) + 1
    return Page(number=number, text=text, lines=tuple(lines), origin="reading" if read else "layer")
