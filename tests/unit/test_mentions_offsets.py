"""What holds for every text: quotes are verbatim, nothing crashes, time grows with the length alone."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge_sources.mentions.find import find_mentions
from tests.unit.mention_pages import CONTRACT, INVOICE, RECEIPT, page

FRAGMENTS = st.sampled_from(
    [
        *("Total", "RM 12.50", "12,50 €", "1.234,56", "(3.00)", "01/02/2018", "3. Mai 2023", "May 4, 2015", "2024-05"),
        *("Date:", "Invoice No:", "AB-123", "IBAN DE89 3704 0044 0532 0130 00", "tel +49 30 901820", "a.b@c.de"),
        *(
            "www.foo.org/x?y=1",
            "Jalan Mawar 3",
            "53100 Kuala Lumpur",
            "Foo & Bar, Inc.",
            "between",
            "and",
            "/s/",
            "By:",
        ),
        *("Dr. Jane Doe", "New York", "agreement", "governed by the laws of the State of Ohio", "two (2) years", "\n"),
        *(
            "  ",
            "\t",
            "\r\n",
            "“",
            "”",
            "(the",
            ")",
            "é",
            "\u00a0",
            "١٢",
            "２０",
            "İ",
            "ß",
            "\x00",
            "👍",
            "Borrower",
            ":",
        ),
    ]
)
TEXTS = st.one_of(
    st.text(max_size=300), st.lists(FRAGMENTS, max_size=60).map(" ".join), st.lists(FRAGMENTS).map("".join)
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.booleans(), st.booleans())
def test_every_mention_quotes_the_page(text: str, boxes: bool, read: bool) -> None:
    found = find_mentions(page(text, boxes=boxes, read=read)).items
    for mention in found:
        assert text[mention.start : mention.end] == mention.text
        assert mention.text.strip()
        assert mention.value
    assert all(a.end <= b.start for a, b in pairwise(found))


@pytest.mark.parametrize("text", [RECEIPT, INVOICE, CONTRACT])
def test_mentions_have_boxes_where_lines_have(text: str) -> None:
    found = find_mentions(page(text, boxes=True)).items
    assert found
    for mention in found:
        assert mention.box is not None
        x0, y0, x1, y1 = mention.box
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1


LEGAL = "AGREEMENT hereby whereas witnesseth parties herein "
TILL = "cash\nchange\nreceipt\nrounding\n"
SIZE = 60_000
LIMIT = 6.0
"""Processor seconds; the slowest takes one on an idle machine, and minutes where a pattern is quadratic."""


@pytest.mark.parametrize(
    "text",
    [
        *("a", "1,", "1 ", " ", "\n", "Aa, ", "A & ", "(", "a@", "www.", "+1 ", "€1 ", "12-", "“", "tel: ", "Aa Bb\n"),
        *(
            LEGAL + "|agreement between Aa and ",
            LEGAL + "|01/02/2018 ",
            LEGAL + "|governed by ",
            LEGAL + "|five years ",
        ),
        *(LEGAL + "|By: /s/ Aa Bb\n", LEGAL + "|Aa (“Aa”) ", TILL + "|Total 12.00\n", TILL + "|01/02/2018 10:00 "),
        *(TILL + "|12 Main Street, London 12345\n", "INVOICE\nbill to\niban\n|x  y"),
    ],
)
def test_no_text_makes_a_pattern_look_back_for_long(text: str) -> None:
    find_mentions(page("London"))
    head, _, unit = text.rpartition("|")
    whole = page((head + unit * (SIZE // len(unit)))[:SIZE])
    start = time.process_time()
    find_mentions(whole)
    assert time.process_time() - start < LIMIT


def test_noise_is_read_in_time() -> None:
    noise = random.Random(7)
    text = "".join(noise.choice("aA1 .,-/()$€\n@:") for _ in range(SIZE))
    find_mentions(page("London"))
    start = time.process_time()
    find_mentions(page(text))
    assert time.process_time() - start < LIMIT
