"""The choice of the best text of a page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard import Group
from blackboard.entries import entry_key
from blackboard.levels import Layer, Line, Page, Reading
from knowledge_sources.pages import choose, pages

TEXT = "Invoice 4711 of the first of March, to be paid within a month"
NOISE = "\x02\x03 ]]} ~~ \ufffd\ufffd A1 B2"


def layer(text: str = TEXT, *, quality: float = 1.0, needs_ocr: bool = False, reason: str = "") -> Layer:
    return Layer(page=3, text=text, quality=quality, needs_ocr=needs_ocr, reason=reason)


def reading(
    text: str = TEXT, *, confidence: float = 0.97, note: str = "", page: int = 3, engine: str = "rapidocr"
) -> Reading:
    lines = (Line(start=0, end=len(text), box=(0.1, 0.1, 0.9, 0.2), confidence=confidence),) if text else ()
    return Reading(page=page, engine=engine, text=text, lines=lines, confidence=confidence, rotation=90, note=note)


def test_a_trusted_layer_is_taken_as_it_is() -> None:
    page = choose(layer(reason="612 letters, all fonts mapped"), [])
    assert (page.number, page.text, page.origin, page.rotation) == (3, TEXT, "layer", 0)
    assert page.reason == "612 letters, all fonts mapped"


def test_a_trusted_layer_is_not_outvoted_by_a_longer_reading() -> None:
    assert choose(layer(), [reading(TEXT + " and more that a stain looks like")]).origin == "layer"


def test_a_reading_replaces_a_layer_of_noise() -> None:
    page = choose(layer(NOISE, quality=0.1, needs_ocr=True, reason="its fonts are unmapped"), [reading()])
    assert (page.text, page.origin, page.engine, page.rotation) == (TEXT, "reading", "rapidocr", 90)
    assert page.confidence == 0.97
    assert "its fonts are unmapped" in page.reason
    assert page.lines[0].box == (0.1, 0.1, 0.9, 0.2)


def test_a_reading_that_saw_less_than_the_layer_does_not_replace_it() -> None:
    page = choose(layer(quality=0.8, needs_ocr=True), [reading("Inv", confidence=0.99)])
    assert page.origin == "layer"
    assert "the reading by rapidocr has 3, trusted 0.99" in page.reason


def test_the_surer_of_two_equal_readings_wins() -> None:
    worse = reading(TEXT.replace("March", "Marsh"), confidence=0.7)
    assert choose(None, [worse, reading()]).text == TEXT


def fast(text: str = TEXT, *, confidence: float = 0.9) -> Reading:
    return reading(text, confidence=confidence, engine="rapidocr-fast")


def test_of_two_engines_the_surer_is_taken_though_the_other_saw_more_letters() -> None:
    guessed = fast(TEXT + " lI1 il", confidence=0.93)
    for order in ([reading(), guessed], [guessed, reading()]):
        page = choose(layer("", quality=0.0, needs_ocr=True), order)
        assert (page.text, page.engine, page.confidence) == (TEXT, "rapidocr", 0.97)
        assert (
            page.reason
            == "the reading by rapidocr has 48 letters, trusted 0.97; the reading by rapidocr-fast has 53, trusted 0.93"
        )


def test_the_fast_reading_is_taken_where_it_is_the_surer() -> None:
    assert choose(None, [reading(confidence=0.8), fast(confidence=0.9)]).engine == "rapidocr-fast"


def test_an_engine_that_is_sure_of_the_little_it_saw_does_not_win() -> None:
    page = choose(None, [fast("Invoice 4711", confidence=1.0), reading(confidence=0.85)])
    assert (page.engine, page.text) == ("rapidocr", TEXT)


def test_a_reading_of_noise_is_no_measure_of_how_much_there_is() -> None:
    upside_down = fast("x" * 500, confidence=0.15)
    assert choose(None, [upside_down, reading(confidence=0.9)]).text == TEXT


def test_the_surest_reading_stands_against_the_layer() -> None:
    page = choose(layer(TEXT[:30], quality=0.9, needs_ocr=True), [fast("Inv", confidence=0.99), reading()])
    assert (page.origin, page.engine) == ("reading", "rapidocr")
    assert choose(layer(quality=0.9, needs_ocr=True), [fast("Inv"), reading("Invoice 4711")]).origin == "layer"


def test_two_readings_of_which_one_failed_leave_the_other() -> None:
    assert choose(None, [fast(), reading("", confidence=0.0)]).engine == "rapidocr-fast"


def test_the_source_takes_both_readings_of_its_page() -> None:
    group: Group[Layer | Reading, Any] = Group("3", [layer("", quality=0.0, needs_ocr=True), reading(), fast()])
    assert pages.function(group).engine == "rapidocr"
    names = [f"{value.page:04d}.{value.engine}" for value in group.of(Reading)]
    assert names == ["0003.rapidocr", "0003.rapidocr-fast"]
    assert all(entry_key("reading", name) for name in names)


def test_a_failed_ocr_leaves_a_usable_layer() -> None:
    page = choose(layer(quality=0.5, needs_ocr=True, reason="only a header"), [])
    assert page.origin == "layer"
    assert "no OCR reading came" in page.reason


def test_nothing_readable_is_an_empty_page_that_says_why() -> None:
    unread = reading("", confidence=0.0, note="4 of its lines could not be made out")
    page = choose(layer("", quality=0.0, needs_ocr=True, reason="there is no text layer"), [unread])
    assert (page.text, page.lines, page.origin, page.confidence) == ("", (), "none", 0.0)
    assert "there is no text layer" in page.reason
    assert "4 of its lines could not be made out" in page.reason


def test_noise_without_a_reading_is_not_handed_on() -> None:
    page = choose(layer(NOISE, quality=0.1, needs_ocr=True), [])
    assert (page.text, page.origin) == ("", "none")
    assert "not read by OCR" in page.reason


def test_an_empty_page_that_needs_no_ocr_stays_empty() -> None:
    page = choose(layer("", reason="the page is blank"), [])
    assert (page.origin, page.reason) == ("none", "the page is blank")


def test_candidates_of_different_pages_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        choose(layer(), [reading(page=4)])
    with pytest.raises(ValueError, match=r"\[\]"):
        choose(None, [])


def test_the_source_is_declared_so_that_pages_settle_one_by_one() -> None:
    assert pages.required
    assert pages.carries == {"number": "page"}
    assert [(given.kind, given.by) for given in pages.inputs] == [("group", "page")]
    assert pages.outputs == (Page,)


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
shares = st.floats(0, 1)


@given(
    st.none() | st.builds(lambda t, q, n: layer(t, quality=q, needs_ocr=n), texts, shares, st.booleans()),
    st.lists(st.builds(lambda t, c: reading(t, confidence=c), texts, shares), max_size=3),
)
def test_a_page_is_always_one_of_the_candidates_or_empty(first: Layer | None, others: list[Reading]) -> None:
    if first is None and not others:
        return
    page = choose(first, others)
    candidates = [source.text for source in ([first] if first else []) + list(others)]
    assert page.number == 3
    assert page.reason or page.origin == "layer"
    assert (page.origin == "none") == (page.text.strip() == "")
    assert page.origin == "none" or page.text in candidates
    assert all(page.text[line.start : line.end] for line in page.lines)
