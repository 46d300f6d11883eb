"""Evidence: whatever is quoted, it is found word for word in the page it names, or it is refused."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from blackboard import Page
from blackboard.levels import Line
from knowledge_sources.models.evidence import LONGEST, Quotes, overlap
from knowledge_sources.models.folding import fold, folded

# Little but what folding is about: spaces of every kind, soft hyphens, ligatures, marks, Hangul that joins, CJK.
SIGNS = "aeZfi19 \t\n\u00a0\u2003\u00ad\ufb01\ufb03\ufb05é\u0301\u0323ü\u0308각ᄀ\u1161\u11a8漢。-\u2019\U0001f600"
texts = st.text(st.sampled_from(SIGNS) | st.characters(codec="utf-8"), max_size=60)


def page(text: str, number: int = 1) -> Page:
    return Page(number=number, text=text)


def letters(text: str) -> int:
    return sum(sign.isalnum() for sign in text)


@given(texts)
@example("e\u00ad\u0301 ")
@example("\u1100\u1161\u11a8")
def test_every_folded_character_leads_back_to_the_text_it_stands_for(text: str) -> None:
    found = fold(text)
    assert len(found.text) == len(found.starts) == len(found.ends)
    assert list(found.starts) == sorted(found.starts) and list(found.ends) == sorted(found.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(found.starts, found.ends, strict=True))


@given(texts, texts)
def test_what_is_found_is_what_was_quoted_and_nothing_else_is_found(text: str, quote: str) -> None:
    place = Quotes([page(text)]).find(1, quote)
    if place is not None:
        assert text[place.start : place.end] == place.text
        assert folded(place.text) == folded(quote) and letters(folded(quote)) >= 2


@given(texts, st.data())
def test_a_piece_of_the_page_is_found_however_it_is_spaced_and_spelled(text: str, data: st.DataObject) -> None:
    pieces = text.split()
    if not pieces:
        return
    start = data.draw(st.integers(0, len(pieces) - 1))
    quote = "  \n".join(pieces[start : data.draw(st.integers(start + 1, len(pieces)))])
    if "\u00ad" in quote or letters(folded(quote)) < 2:
        return
    place = Quotes([page(text)]).find(1, unicodedata.normalize("NFC", quote))
    if fold(text).text.strip() == " ".join(fold(piece).text for piece in pieces):
        assert place is not None and folded(place.text) == folded(quote)


@given(texts.filter(lambda text: letters(text) >= 2))
def test_the_whole_page_quotes_itself(text: str) -> None:
    place = Quotes([page(text)]).find(1, text)
    assert place is None or folded(place.text) == folded(text)
    if letters(folded(text)) >= 2:
        assert place is not None


@pytest.mark.parametrize(
    ("text", "quote", "found"),
    [
        ("Total due:  1,920.00\n GBP", "Total due: 1,920.00 GBP", "Total due:  1,920.00\n GBP"),
        ("the e\ufb03cient o\ufb03ce", "efficient office", "e\ufb03cient o\ufb03ce"),
        ("an agree\u00ad\nment of", "agreement", "agree\u00ad\nment"),
        ("caf\u0065\u0301 Zürich", "café Zürich", "caf\u0065\u0301 Zürich"),
        ("an \ufb01nal word", "inal", None),
        ("Annual report of Ann Lee", "Ann", "Ann"),
        ("Total due", "total due", None),
        ("it’s", "it's", None),
        ("1,920.00", "1920.00", None),
        ("A", "A", None),
        ("--- ...", "---", None),
        ("合計 500円", "合計", "合計"),
    ],
)
def test_what_is_folded_and_what_is_not(text: str, quote: str, found: str | None) -> None:
    place = Quotes([page(text)]).find(1, quote)
    assert (place.text if place else None) == found


def test_whole_words_are_preferred_and_can_be_demanded() -> None:
    quotes = Quotes([page("Annual: Ann, and Anna")])
    place = quotes.find(1, "Ann")
    assert place is not None and place.start == 8
    assert quotes.spans(1, "Ann", most=9) == [(8, 11)]
    assert quotes.spans(1, "Ann", most=9, whole=False) == [(0, 3), (8, 11), (17, 20)]
    assert quotes.spans(1, "Ann", most=2, whole=False) == [(0, 3), (8, 11)]


def test_only_the_page_that_is_named_counts() -> None:
    quotes = Quotes([page("one two"), page("three four", 2)])
    assert quotes.find(1, "three four") is None
    assert quotes.find(2, "three four") is not None
    assert quotes.find(3, "three four") is None and quotes.find(-1, "one two") is None
    found = quotes.all([(1, "one two"), (2, "three"), (2, "five"), (1, "one  two"), (2, "four")], most=2)
    assert [(place.page, place.text) for place in found] == [(1, "one two"), (2, "three")]


def test_a_place_has_the_box_of_its_lines() -> None:
    text = "first line\nsecond line"
    lines = (Line(start=0, end=10, box=(0.1, 0.1, 0.5, 0.2)), Line(start=11, end=22, box=(0.2, 0.3, 0.6, 0.4)))
    quotes = Quotes([Page(number=1, text=text, lines=lines)])
    one, both = quotes.find(1, "second"), quotes.find(1, "line second")
    assert one is not None and one.box == (0.2, 0.3, 0.6, 0.4)
    assert both is not None and both.box == (0.1, 0.1, 0.6, 0.4)
    assert overlap(one, [both]) and not overlap(one, [])


def test_a_page_is_no_piece_of_evidence() -> None:
    text = "word " * LONGEST
    assert Quotes([page(text)]).find(1, text) is None
    assert Quotes([page(text)]).find(1, "word word") is not None


def test_a_large_page_is_folded_once_and_quickly() -> None:
    quotes = Quotes([page("Straße é e\u0301 \ufb01n " * 20_000 + "needle here")])
    for _ in range(50):
        assert quotes.find(1, "needle here") is not None
