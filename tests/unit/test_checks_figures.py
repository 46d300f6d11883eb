"""Arithmetic, dates, names and amounts in words: what is wrong is refuted with its evidence, what is right is not."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.documents import invoices
from blackboard.levels import Page, Verdict
from knowledge_sources.checks.figures import check_figures
from knowledge_sources.checks.spelled import number_from_words
from knowledge_sources.mentions.find import find_mentions

BILL = """Acme Widgets Ltd
Invoice No: 2024-0017
Invoice date: 3 May 2024
Due date: 2 June 2024
Bill to: Foo Trading GmbH

Description     Qty   Unit price   Amount
Blue widget     3   12.50   37.50
A4 paper, 80 g     10   4.20   42.00
Support     1.5   100.00   150.00

Subtotal   229.50
VAT 20%   45.90
Total   EUR 275.40
"""
LETTER = """We refer to our invoice 2024-0017 dated 3 May 2024, which Acme Widgets Ltd issued to Foo Trading GmbH.
The total amount of EUR 275.40 is due on 2 June 2024.
"""
CONTRACT = """SERVICES AGREEMENT

This Agreement is made on 1 March 2024 (the "Effective Date") between Northwind Traders Limited, a company incorporated
in England (the "Supplier"), and Contoso Pharma GmbH, a company under German law (the "Client").

This Agreement runs for twelve (12) months from 1 March 2024 until 28 February 2025.

The Client shall pay a monthly fee of EUR 5,000.00 (five thousand euros).
"""
SIGNED = """The monthly fee of EUR 5,000.00 is payable in advance.

For the Supplier: Northwind Traders Limited
For the Client: Contoso Pharma GmbH
"""


def verdicts(*texts: str) -> list[Verdict]:
    pages = [Page(number=i, text=text) for i, text in enumerate(texts, start=1)]
    found = check_figures(pages, [find_mentions(page) for page in pages])
    for verdict in found:
        for place in (*verdict.evidence, *filter(None, [verdict.where])):
            assert texts[place.page - 1][place.start : place.end] == place.text
    assert len({v.about for v in found}) == len(found)
    return found


def refuted(*texts: str) -> set[str]:
    return {v.check for v in verdicts(*texts) if v.label == "refuted"}


def test_a_clean_invoice_is_confirmed_and_not_refuted() -> None:
    found = verdicts(BILL, LETTER)
    assert {v.label for v in found} == {"supported"}
    assert {"line_item", "sum", "tax", "total", "cross_page", "date_order"} <= {v.check for v in found}


def test_a_wrong_total_is_refuted_with_its_evidence() -> None:
    wrong = [v for v in verdicts(BILL.replace("275.40", "257.40")) if v.label == "refuted"]
    assert [v.check for v in wrong] == ["total"]
    assert "275.40" in wrong[0].reason
    assert "257.40" in wrong[0].reason
    assert any("257.40" in place.text for place in wrong[0].evidence)
    assert any("229.50" in place.text for place in wrong[0].evidence)


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("42.00", "43.00", "line_item"),
        ("229.50", "292.50", "sum"),
        ("20%   45.90\nTotal   EUR 275.40", "20%   54.90\nTotal   EUR 284.40", "tax"),
        ("2 June 2024", "2 April 2024", "date_order"),
        ("3 May 2024", "31 April 2024", "impossible_date"),
        ("Due date: 2 June 2024", "Due date: Monday, 2 June 2024", "weekday"),
    ],
)
def test_each_error_on_the_invoice_has_its_check(before: str, after: str, check: str) -> None:
    assert before in BILL
    assert check in refuted(BILL.replace(before, after))


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("275.40", "285.40", "cross_page"),
        ("3 May 2024", "4 May 2024", "cross_page"),
        ("2 June 2024", "9 June 2024", "cross_page"),
        ("Foo Trading", "Foo Trade", "party_name"),
    ],
)
def test_each_error_in_the_letter_has_its_check(before: str, after: str, check: str) -> None:
    assert before in LETTER
    assert refuted(BILL, LETTER.replace(before, after)) == {check}


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("28 February 2025", "31 March 2025", "term"),
        ("(12)", "(24)", "in_words"),
        ("five thousand", "six thousand", "in_words"),
        ("made on 1 March 2024", "made on 30 February 2024", "impossible_date"),
    ],
)
def test_each_error_in_the_contract_has_its_check(before: str, after: str, check: str) -> None:
    assert check in refuted(CONTRACT.replace(before, after), SIGNED)


@pytest.mark.parametrize(
    ("before", "after", "check"),
    [
        ("5,000.00", "6,000.00", "cross_page"),
        ("Contoso Pharma GmbH", "Contoso Farma GmbH", "party_name"),
        ("Northwind Traders Limited", "Larkspur Trading Ltd", "party_name"),
    ],
)
def test_each_error_at_the_signatures_has_its_check(before: str, after: str, check: str) -> None:
    assert refuted(CONTRACT, SIGNED) == set()
    assert refuted(CONTRACT, SIGNED.replace(before, after)) == {check}


@pytest.mark.parametrize(
    "text",
    [
        "Subtotal   100.00\nDiscount 10%   -10.00\nShipping   5.00\nVAT 20%   19.00\nTotal   114.00\n",
        "Total   119.00\nVAT 19% included   19.00\n",
        "Zwischensumme   1.000,00\nMwSt. 19%   190,00\nGesamtbetrag   1.190,00 EUR\n",
        "Subtotal   100.00\nGST 6%   6.00\nRounding   -0.01\nTotal   105.99\n",
        "Subtotal   100.00\nVAT 20%   20.00\nTotal   120.00\nDeposit paid   50.00\nBalance due   70.00\n",
        "Item   Qty   Price   Amount\nRope   2   5.00   10.00\nHook   1   2.40   2.40\n"
        "Total incl. tax   12.40\nCash   20.00\nChange   7.60\n",
        "Invoice date: 1 February 2024   Due date: 2 March 2024\nNet   1,377.50\nVAT 20%   275.50\nTotal   1,653.00\n",
        "Travel expenses   312.40\nSubtotal   4,312.40\nTax (7%)   301.87\nTotal   4,614.27\n",
        "Alpha Holdings Ltd and Alpha Holding GmbH are sister companies.\n",
        "The hotel cost a total of EUR 500.00. The flights cost a total of EUR 900.00.\n",
        "The lease ends on 1 May 2024. The licence ends on 1 May 2026.\n",
    ],
)
def test_what_has_an_innocent_reading_is_not_refuted(text: str) -> None:
    assert refuted(text) == set()


def test_several_invoices_in_one_file_are_checked_one_by_one() -> None:
    other = (
        BILL.replace("2024-0017", "2025-0400").replace("3 May 2024", "5 July 2025").replace("2 June 2024", "4 August 2025")
        .replace("3   12.50   37.50", "1   12.50   12.50").replace("229.50", "204.50").replace("45.90", "40.90")
    )  # fmt: skip
    assert refuted(BILL, other.replace("275.40", "245.40")) == set()
    wrong = [v for v in verdicts(BILL, other.replace("275.40", "254.40")) if v.label == "refuted"]
    assert [(v.check, v.where.page if v.where else 0) for v in wrong] == [("total", 2)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 23))
def test_no_clean_invoice_is_refuted_and_every_broken_one_is(seed: int, index: int) -> None:
    rng = random.Random(seed)
    clean = invoices.make_invoice(rng, index)
    assert refuted(*_texts(clean)) == set()
    error = get_args(invoices.Error)[seed % len(get_args(invoices.Error))]
    assert refuted(*_texts(invoices.break_invoice(clean, error, rng))), error


def _texts(invoice: invoices.Invoice) -> list[str]:
    """The sheets as text: what stands on one height is one row, with wide gaps between its pieces."""
    texts = []
    for sheet in invoices.sheets(invoice):
        rows: dict[float, list[tuple[float, str]]] = {}
        for piece in sheet.placed:
            rows.setdefault(piece.y, []).append((piece.x, piece.text))
        texts.append("\n".join("   ".join(text for _, text in sorted(row)) for _, row in sorted(rows.items())))
    return texts


@given(st.integers(1, 999_999))
def test_numbers_in_words_are_read_back(number: int) -> None:
    assert number_from_words(_in_words(number)) == Decimal(number)


def test_words_that_are_no_number_have_no_value() -> None:
    assert number_from_words("the agreement") is None
    assert number_from_words("one thousand and 50/100") == Decimal("1000.50")


_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ONES = _WORDS.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def _in_words(number: int) -> str:
    if number >= 1000:
        rest = f" {_in_words(number % 1000)}" if number % 1000 else ""
        return f"{_in_words(number // 1000)} thousand{rest}"
    if number >= 100:
        rest = f" and {_in_words(number % 100)}" if number % 100 else ""
        return f"{_ONES[number // 100]} hundred{rest}"
    if number >= 20:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    return _ONES[number]
