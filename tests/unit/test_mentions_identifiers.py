from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.mentions.contact import find_contacts, region_of
from knowledge_sources.mentions.identifiers import find_identifiers, find_in_rows
from knowledge_sources.mentions.layout import rows_of
from tests.unit.mention_pages import page


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00", "iban:DE89370400440532013000"),
        ("GB82WEST12345698765432", "iban:GB82WEST12345698765432"),
        ("BIC INGBNL2A", "bic:INGBNL2A"),
        ("UStId DE 136 695 976", "vat:DE136695976"),
        ("TVA FR40303265045", "vat:FR40303265045"),
        ("card 4111 1111 1111 1111", "card:1111"),
        ("Invoice Number: 42183017", "invoice_number:42183017"),
        ("Rechnungsnr. 2023-0815", "invoice_number:2023-0815"),
        ("Facture n°562044387 du", "invoice_number:562044387"),
        ("Factuurnummer: 993548900", "invoice_number:993548900"),
        ("PO Number: AB/1234", "po_number:AB/1234"),
        ("Receipt No.: REC-0015016", "receipt_number:REC-0015016"),
        ("GST ID: 0016 6993 5104", "tax_number:001669935104"),
    ],
)
def test_identifiers_are_read(text: str, value: str) -> None:
    assert value in [find.value for find in find_identifiers(text)]


@pytest.mark.parametrize(
    "text",
    [
        "DE88 3704 0044 0532 0130 00",
        "4111 1111 1111 1112",
        "DE136695975",
        "Invoice date: 01/02/2018",
        "Tax 0.2%",
        "Order now",
    ],
)
def test_wrong_checksums_and_other_words_are_refused(text: str) -> None:
    assert [
        find for find in find_identifiers(text) if find.value.split(":")[0] in ("iban", "card", "vat", "invoice_number")
    ] == []


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_one_wrong_digit_spoils_an_iban(number: int) -> None:
    body = f"{number:018d}"
    check = 98 - int(f"{body}131400") % 97
    right, wrong = f"DE{check:02d}{body}", f"DE{check:02d}{body[:-1]}{(int(body[-1]) + 1) % 10}"
    assert [find.value for find in find_identifiers(right)][:1] == [f"iban:{right}"]
    assert not [find for find in find_identifiers(wrong) if find.value.startswith("iban:")]


def test_a_number_below_or_beside_its_label_is_found() -> None:
    beside = rows_of(page("Invoice No   AB-778"))
    under = rows_of(page("Invoice number\nAB-778"))
    for rows in (beside, under):
        assert [find.value for find in find_in_rows(rows)] == ["invoice_number:AB-778"]


def test_contacts_are_normalised() -> None:
    text = "Write to Info@Example.COM or see HTTPS://Example.com/A?b=1. Tel. +49 6051 916 44 10"
    assert {find.type: find.value for find in find_contacts(text)} == {
        "email": "info@example.com",
        "url": "https://example.com/A?b=1",
        "phone": "+4960519164410",
    }


def test_a_phone_takes_its_country_from_the_page() -> None:
    values = [find.value for find in find_contacts("FOO SDN BHD, Selangor, Malaysia\nTel: 03-7731 8169")]
    assert values == ["+60377318169"]
    assert [find.value for find in find_contacts("Tel: 03-7731 8169")] == ["0377318169"]
    assert region_of("nothing at all") == ""


@pytest.mark.parametrize(
    "text", ["GST No: 0010 9010 5344", "12-01-19 21:13", "1.5.2010", "Inv: 0012345678", "e.g. this", "U.S.A"]
)
def test_other_numbers_are_no_contacts(text: str) -> None:
    assert find_contacts(text) == []
