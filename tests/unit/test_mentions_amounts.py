from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.mentions.amounts import find_amounts, page_currency, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$4.11", "4.11 USD"),
        ("€ 717,97", "717.97 EUR"),
        ("29.99 € TTC", "29.99 EUR"),
        ("15,00 EUR", "15.00 EUR"),
        ("1.234.567,89 EUR", "1234567.89 EUR"),
        ("USD 1,234,567.89", "1234567.89 USD"),
        ("CHF 1'234.50", "1234.50 CHF"),
        ("1 234,50 €", "1234.50 EUR"),
        ("3.441.812 Euros", "3441812.00 EUR"),
        ("RM60.30", "60.30 MYR"),
        ("-RM 0.02", "-0.02 MYR"),
        ("Rs. 1,20,000", "120000.00 INR"),
        ("£1.5 million", "1500000.00 GBP"),
        ("$ 5 bn", "5000000000.00 USD"),
        ("(US$12.00)", "-12.00 USD"),
        ("52,884 dollars", "52884.00 USD"),
        ("75.00SR", "75.00"),
        ("HK$88", "88.00 HKD"),
    ],
)
def test_amounts_are_read(text: str, value: str) -> None:
    assert [find.value for find in find_amounts(text)] == [value]


@pytest.mark.parametrize(
    "text", ["21%", "6.00%GST", "Exhibit 10.35", "10:30", "192.168.10.10", "35.5x25.5", "03-7731 8169", "12", "v 2.10"]
)
def test_other_numbers_are_no_amounts(text: str) -> None:
    assert find_amounts(text) == []


def test_a_sign_between_two_numbers_belongs_to_the_one_it_can_belong_to() -> None:
    assert [find.value for find in find_amounts("Wifi 1 € 399,00 21% € 399,00")] == ["399.00 EUR", "399.00 EUR"]


def test_text_from_ocr_may_misread_the_currency() -> None:
    assert find_amounts("Total M3.00") == []
    assert [find.value for find in find_amounts("Total M3.00", loose=True)] == ["3.00"]


def test_the_page_has_a_currency_when_one_prevails() -> None:
    text = "Qty Amt(RM)\n$1.00"
    assert page_currency(find_amounts("RM 1.00 RM 2.00"), "") == "MYR"
    assert page_currency([], "Qty   Amt(RM)\n") == "MYR"
    assert page_currency(find_amounts(text), text) == ""


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_printed_numbers_are_read_back(value: Decimal) -> None:
    english = f"{value:,.2f}"
    german = english.replace(",", "_").replace(".", ",").replace("_", ".")
    assert parse_number(english) == value == parse_number(german, comma_decimal=True)
    assert [find.value for find in find_amounts(f"EUR {english}")] == [f"{value:.2f} EUR"]


def test_a_currency_may_stand_at_the_end_of_the_line_before() -> None:
    text = "so the amount due is GBP\n7,231.20. Payment is due."
    assert [find.value for find in find_amounts(text)] == ["7231.20 GBP"]
