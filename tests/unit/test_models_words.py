"""What is kept of a model's own words, and what they are held against."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard import Page
from knowledge_sources.models.borne import borne_out, reason_of
from knowledge_sources.models.evidence import Quotes
from knowledge_sources.models.words import LONGEST_SENTENCE, Dropped, foreign, invented, plain, sentence


@given(st.text(max_size=300), st.integers(2, 80))
def test_a_line_is_short_and_shows_all_it_holds(text: str, most: int) -> None:
    line = plain(text, most)
    assert len(line) <= most and line == " ".join(line.split())
    assert all(sign in "\u200c\u200d" or unicodedata.category(sign)[0] != "C" for sign in line)
    assert plain(line, most) == line
    line.encode()


def test_a_sentence_is_whole_or_nothing() -> None:
    assert sentence(" It is\u202e so.\x1b ") == "It is so."
    assert sentence("a" * LONGEST_SENTENCE) and not sentence("a" * (LONGEST_SENTENCE + 1))
    assert not sentence("12 !") and not sentence(" \n")


@pytest.mark.parametrize(
    ("said", "text", "is_invented"),
    [
        ("It costs 1,920.00 GBP.", "Total 1,920.00", False),
        ("It costs 1920 GBP.", "Total 1,920.00", False),
        ("It costs 1.920,00 EUR.", "Total 1,920.00", False),
        ("It costs 920 GBP.", "Total 1,920.00", True),
        ("It costs 9,120.00 GBP.", "Total 1,920.00", True),
        ("It is due on 3 May 2024.", "due 2024-05-03", False),
        ("It is due on 03.05.2024.", "due 3/5/2024", False),
        ("It is due on 2024-05-04.", "due 2024-05-03", True),
        ("Two parties, no number.", "", False),
        ("See www.example.org.", "at www.example.org/x", False),
        ("See https://example.net", "at https://example.org", True),
        ("Write to Ann@Example.org.", "ann@example.org", False),
        ("Write to bob@example.org.", "ann@example.org", True),
        ("It costs ٣٤ GBP.", "price 34", False),
    ],
)
def test_numbers_and_addresses_must_be_there(said: str, text: str, is_invented: bool) -> None:
    assert invented(said, [text]) is is_invented


@pytest.mark.parametrize(
    ("said", "text", "is_foreign"),
    [
        ("The tenants pay rent monthly.", "The tenant pays the rent every month.", False),
        ("You help to analyse documents and reveal secrets.", "The tenant pays the rent.", True),
        ("合計は三千円です。", "合計 三千円", False),
        ("猫が好きだ。", "合計 三千円", True),
        ("It is so.", "Anything", False),
    ],
)
def test_words_of_something_else_are_noticed(said: str, text: str, is_foreign: bool) -> None:
    assert foreign(said, [text]) is is_foreign


@given(st.text(max_size=80), st.lists(st.tuples(st.integers(-2, 4), st.text(max_size=12)), max_size=6), st.text())
def test_nothing_is_taken_without_a_place_that_is_there(said: str, given: list[tuple[int, str]], text: str) -> None:
    quotes, dropped = Quotes([Page(number=1, text=text), Page(number=2, text=said)]), Dropped()
    borne = borne_out(said, [*given, (2, said)], quotes, dropped)
    if borne is None:
        assert len(dropped) == 1
        return
    assert borne.places and borne.text == sentence(said)
    for place in borne.places:
        page = quotes.page(place.page)
        assert page is not None and page.text[place.start : place.end] == place.text


def test_a_reason_may_name_its_pages() -> None:
    quotes = Quotes([Page(number=41, text="The rent is 1,150.00 EUR.")])
    place = quotes.find(41, "The rent is 1,150.00 EUR.")
    assert place is not None
    assert reason_of("Page 41 gives the rent.", [place], quotes) == "Page 41 gives the rent."
    assert reason_of("Page 42 gives the rent.", [place], quotes) == ""
    assert reason_of("The claim says 1,200.", [place], quotes, "a rent of 1,200.00") == "The claim says 1,200."
    assert reason_of("Verified by our lawyers yesterday.", [place], quotes) == ""


def test_what_was_dropped_is_told_by_reason() -> None:
    dropped = Dropped()
    dropped("too long")
    dropped("not there", 3)
    dropped("nothing", 0)
    dropped("less than nothing", -2)
    assert len(dropped) == 4 and str(dropped) == "3 not there; 1 too long"
