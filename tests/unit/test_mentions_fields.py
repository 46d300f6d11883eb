from __future__ import annotations

import pytest

from knowledge_sources.mentions.fields import field_values, fields
from knowledge_sources.mentions.find import find_mentions
from knowledge_sources.mentions.repair import repair
from tests.unit.mention_pages import CONTRACT, INVOICE, RECEIPT, page


def facts(*texts: str, boxes: bool = False, read: bool = False) -> dict[str, str]:
    pages = [page(text, number, boxes=boxes, read=read) for number, text in enumerate(texts, 1)]
    return fields(pages, [find_mentions(one) for one in pages])


@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_a_receipt(boxes: bool, read: bool) -> None:
    found = facts(RECEIPT, boxes=boxes, read=read)
    assert found["company"] == "GOLDEN HARVEST BAKERY SDN BHD"
    assert found["address"] == "No. 12, Jalan Mawar 3/5, Taman Melati, 53100 Kuala Lumpur."
    assert found["date"] == "2017-08-07"
    assert found["total"] == "20.30 MYR"
    assert found["invoice_number"] == "GH-004512"
    assert found["currency"] == "MYR"


def test_the_total_follows_from_cash_and_change() -> None:
    goods = "FOO SHOP\nReceipt\nTea   3.10\nCake   4.20\n"
    text = goods + "Total   7.80\nTOTAL   7.30\nCash   10.00\nChange   2.70\nThank you\nItem"
    assert facts(text, read=True)["total"] == "7.30"


@pytest.mark.parametrize("boxes", [False, True])
def test_an_invoice(boxes: bool) -> None:
    found = facts(INVOICE, boxes=boxes)
    wanted = {
        "issuer": "Nordlicht Werkzeuge GmbH",
        "invoice_number": "2023-0815",
        "customer_number": "4711",
        "date": "2023-05-03",
        "due_date": "2023-06-02",
        "amount_untaxed": "400.00 EUR",
        "tax": "76.00 EUR",
        "total": "476.00 EUR",
        "currency": "EUR",
    }
    assert {role: found.get(role) for role in wanted} == wanted


BILL = """\
Nordlicht Tools Ltd
INVOICE
Invoice no: 2023-0815
Bill to:
Blue Heron Robotics Limited
Description   Qty   Unit price   Amount
Drill, heavy   2   200.00   400.00
Delivery by van   1   76.50   76.50
Subtotal   476.50
VAT 20%   95.30
Total due   GBP 571.80
"""


@pytest.mark.parametrize("boxes", [False, True])
def test_a_bill_has_a_buyer_and_lines(boxes: bool) -> None:
    assert facts(BILL, boxes=boxes)["buyer"] == "Blue Heron Robotics Limited"
    items = find_mentions(page(BILL, boxes=boxes)).items
    assert [one.value for one in items if one.role == "line_amount"] == ["400.00 GBP", "76.50 GBP"]
    assert {one.value for one in items if one.role == "total"} == {"571.80 GBP"}


def test_numbers_of_lines_are_no_address() -> None:
    text = "\n".join([*map(str, range(1, 26)), "IN THE SUPREME COURT OF THE UNITED STATES, Washington, D.C."])
    assert not [one for one in find_mentions(page(text)).items if one.type == "address"]


def test_a_contract() -> None:
    found = facts(CONTRACT)
    assert found == {
        "parties": "Blue Heron Robotics, Inc.; Alice B. Moreau",
        "effective_date": "2015-03-04",
        "jurisdiction": "New York",
        "term": "3 years",
    }


def test_parties_of_a_letter_stand_above_the_signatures() -> None:
    first = (
        "October 12, 2007\nGreen Valley Foods plc\n10 Bath Road\nDear Sir:\n"
        "This agreement concerns information of Acme Steel,"
        " Inc. (the “Company”). You hereby agree, whereas the parties have obligations herein, to the terms hereof.\n"
    )
    second = (
        "This letter agreement is governed by the laws of the State of Ohio. The parties and their obligations herein.\n"
        "Very truly yours,\nACME STEEL, INC.\nBy: /s/ Ann Lee\nAccepted and agreed:\n"
        "GREEN VALLEY FOODS PLC\nBy: /s/ Tom Fox\n"
    )
    pages = [page(first, 1), page(second, 2)]
    found = field_values(pages, [find_mentions(one) for one in pages])
    assert {name.casefold() for name in found["parties"]} == {"acme steel, inc.", "green valley foods plc"}
    assert found["effective_date"] == ("2007-10-12",)
    assert found["jurisdiction"] == ("Ohio",)


def test_a_sentence_has_no_fields() -> None:
    assert facts("The weather in London was fine on 3 May 2020.") == {}
    assert fields([], []) == {}


@pytest.mark.parametrize(
    ("read", "value"),
    [("J1n SS21", "Jln SS21"), ("Jaian Astaka", "Jalan Astaka"), ("AMANO SON BHD", "AMANO SDN BHD"), ("Selengor", "Selangor"),
     ("BIk G", "Blk G"), ("SON OF A GUN", "SON OF A GUN"), ("12 34", "12 34")],
)  # fmt: skip
def test_misread_words_of_addresses_are_put_right(read: str, value: str) -> None:
    assert repair(read) == value
