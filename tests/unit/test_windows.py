"""Ranges of pages: whole, in order, never too long, the same every time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from blackboard.levels import Page
from blackboard.windows import PAGE_TOKENS, estimate, windows

TEXTS = st.lists(st.text(alphabet="ab \néx日", max_size=400) | st.just("word " * 900), max_size=8)


@given(TEXTS, st.integers(600, 3000))
def test_every_character_is_in_exactly_one_range(texts: list[str], limit: int) -> None:
    pages = [Page(number=n, text=text) for n, text in enumerate(texts, start=1)]
    found = windows(pages, limit)
    flat = [excerpt for window in found for excerpt in window]
    for page in pages:
        mine = [excerpt for excerpt in flat if excerpt.page == page.number]
        assert "".join(excerpt.text for excerpt in mine) == page.text
        assert all(page.text[each.start : each.start + len(each.text)] == each.text for each in mine)
    assert [each.page for each in flat] == sorted(each.page for each in flat)
    assert all(sum(estimate(each.text) + PAGE_TOKENS for each in window) <= limit for window in found)
    assert windows(pages, limit) == found


def test_what_fits_is_one_range() -> None:
    pages = [Page(number=n, text="short") for n in range(1, 21)]
    assert len(windows(pages, 10_000)) == 1
    assert windows([], 10_000) == []


def test_a_long_page_is_cut_between_words() -> None:
    (page,) = [Page(number=7, text="several words stand here " * 400)]
    found = windows([page], 1000)
    assert len(found) > 1
    assert all(window[-1].text.endswith(" ") for window in found[:-1])
