"""The sources on models, each on a board in memory, before a model that answers well, badly, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from blackboard import (
    Claim,
    Mentions,
    ModelFailed,
    Page,
    Quoted,
    Summary,
)
from knowledge_sources.models.claims import claims_model
from knowledge_sources.models.mentions import mentions_model
from knowledge_sources.models.summary import summary_model
from tests.model_brains import Asked, Brains, on_board, refusal
from tests.model_pages import ONE, PAGES, quote


def named(type: str, text: str, role: str = "", context: str = "") -> dict[str, str]:
    return {"type": type, "text": text, "role": role, "context": context}


def values(found: Sequence[Mentions], page: int) -> list[tuple[str, str, str, str]]:
    (one,) = (each for each in found if each.page == page)
    return [(item.type, item.text, item.value, item.role) for item in one.items]


async def test_mentions_are_placed_and_normalised_by_us_and_the_rest_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = [
        named("organisation", "Acme Ltd", "party"),
        named("person", "Jane Doe", "party"),
        named("amount", "1,200.00", "total"),
        named("date", "3 May 2024", "effective_date"),
        named("date", "4 May 2024"),
        named("person", "The rent"),
        named("date", "Agreement"),
        named("organisation", "cme Lt"),
        named("email", "jane@example.org"),
    ]
    second = [named("amount", "1,250.00 GBP", "total", context="Total: 1,250.00")]
    model = Brains(lambda asked: {"items": first if "page 1 " in asked.said else second})
    with caplog.at_level(logging.WARNING):
        board = await on_board(model, mentions_model, given=PAGES)
    found = board.values(Mentions)
    assert values(found, 1) == [
        ("organisation", "Acme Ltd", "Acme Ltd", "party"),
        ("person", "Jane Doe", "Jane Doe", "party"),
        ("person", "The rent", "The rent", ""),
        ("amount", "1,200.00 GBP", "1200.00 GBP", "total"),
        ("date", "3 May 2024", "2024-05-03", "effective_date"),
    ]
    assert values(found, 2) == [
        ("amount", "1,250.00 GBP", "1250.00 GBP", ""),
        ("amount", "1,250.00 GBP", "1250.00 GBP", "total"),
    ]
    for one, page in zip(found, PAGES, strict=True):
        assert all(page.text[item.start : item.end] == item.text for item in one.items)
    assert "3 not found on the page; 1 no date that can be normalised" in caplog.text
    assert "jane@example.org" not in caplog.text
    assert [asked.pages for asked in model.asked] == [[1, 2], [1, 2]]


async def test_a_flood_of_mentions_is_cut_and_a_page_without_text_is_not_asked_about() -> None:
    blank = Page(number=3, text=" \n", origin="none", confidence=0.0)
    model = Brains(lambda _: {"items": [named("organisation", "Acme Ltd")] * 10_000})
    board = await on_board(model, mentions_model, given=(*PAGES, blank))
    assert [len(one.items) for one in board.values(Mentions)] == [1, 1, 0]
    assert len(model.asked) == 2 and not board.errors


async def test_a_page_too_long_for_one_question_is_asked_about_in_parts() -> None:
    long = Page(number=1, text="x" * 30 + " Acme Ltd " + "y" * 30 + " Jane Doe")
    model = Brains(lambda asked: {"items": [named("person", asked.document[0].text.strip())]}, window=10)
    board = await on_board(model, mentions_model, given=(long,))
    assert len(model.asked) > 2
    assert all("characters" in asked.said for asked in model.asked)
    assert not board.errors


SUMMARY = """Acme Ltd lets a house to Jane Doe.
> 1: Agreement between Acme Ltd and Jane Doe
> p. 2: "Acme Ltd lets the house."

The rent is 1,200.00 GBP.
> 1: The rent is 1,200.00 GBP a month.

The rent is 9,999 GBP.
> 1: The rent is 1,200.00 GBP a month.

See https://evil.example for more on Acme Ltd.
> 1: Agreement between Acme Ltd

It was signed in Paris.
> 1: signed in Paris
> 7: Acme Ltd

Jane Doe pays nothing.
"""


async def test_a_summary_comes_sentence_by_sentence_and_only_with_evidence(caplog: pytest.LogCaptureFixture) -> None:
    model = Brains(lambda _: [SUMMARY[at : at + 7] for at in range(0, len(SUMMARY), 7)])
    with caplog.at_level(logging.WARNING):
        board = await on_board(model, summary_model, given=PAGES)
    found = board.values(Summary)
    assert [(one.rank, one.text) for one in found] == [
        (1, "Acme Ltd lets a house to Jane Doe."),
        (2, "The rent is 1,200.00 GBP."),
    ]
    assert [place.page for place in found[0].evidence] == [1, 2]
    assert found[0].evidence[1].text == "Acme Ltd lets the house."
    assert "2 with a number or an address" in caplog.text
    assert "2 without words that are on the page" in caplog.text
    assert len(model.asked) == 1 and not model.streams_open


async def test_a_summary_that_was_cut_keeps_what_was_whole(caplog: pytest.LogCaptureFixture) -> None:
    cut = ModelFailed("the answer was cut at 2048 tokens")
    model = Brains(lambda _: [SUMMARY.partition("\n\n")[0], "\n\nHalf a sen", cut])
    with caplog.at_level(logging.WARNING):
        board = await on_board(model, summary_model, given=PAGES)
    assert [one.text for one in board.values(Summary)] == ["Acme Ltd lets a house to Jane Doe."]
    assert not board.errors
    assert "the result is partial: the answer was cut" in caplog.text
    nothing = await on_board(Brains(lambda _: ["Half a sen", cut]), summary_model, given=PAGES)
    assert nothing.errors == [cut] and not nothing.values(Summary)


async def test_a_long_document_is_summarised_from_the_points_of_its_parts() -> None:
    def brain(asked: Asked) -> object:
        if asked.name == "points":
            page = asked.pages[0]
            true = {"text": "A rent is set.", "quote": quote(page, "The rent is 1,2")}
            return {"items": [true, {"text": "Invented.", "quote": quote(page, "nowhere")}]}
        return "There is a rent.\n> 1: The rent is 1,200.00 GBP\n> 2: The rent is 1,250.00 GBP\n"

    model = Brains(brain, window=len(ONE.text))  # type: ignore[arg-type]
    board = await on_board(model, summary_model, given=PAGES)
    assert [asked.name for asked in model.asked] == ["points", "points", "whole"]
    (given,) = (part for part in model.asked[2].parts if isinstance(part, Quoted))
    assert "> 1: The rent is 1,2" in given.text and "Invented" not in given.text
    assert [place.page for place in board.values(Summary)[0].evidence] == [1, 2]
    assert board.progress


async def test_no_pages_and_no_words_are_no_question() -> None:
    model = Brains(refusal)
    board = await on_board(model, summary_model, given=(Page(number=1, text=""),))
    assert not model.asked and not board.errors and not board.values(Summary)
    silent = await on_board(Brains(lambda _: "NONE"), summary_model, claims_model, given=PAGES)
    assert not silent.errors and not silent.values(Summary) and not silent.values(Claim)


async def test_an_endless_summary_is_left_and_its_stream_closed() -> None:
    one = "There is a rent of {}.\n> 1: The rent is 1,200.00 GBP\n\n"
    model = Brains(lambda _: [one.format("x" * (at % 90)) for at in range(10_000)])
    board = await on_board(model, summary_model, given=PAGES)
    assert len(board.values(Summary)) == 12 and not model.streams_open


async def test_claims_have_a_kind_a_place_on_their_own_page_and_come_once() -> None:
    said = (
        "- The rent of the house is 1,200.00 GBP a month.\n> 1: The rent is 1,200.00 GBP a month.\n\n"
        "The rent of the house is  1,200.00 GBP a month.\n> 1: The rent is 1,200.00 GBP a month.\n\n"
        "The lease starts on 3 May 2024.\n> 1: starts on 3 May 2024\n"
        "Acme Ltd lets the house.\n> 2: Acme Ltd lets the house."
    )
    board = await on_board(Brains(lambda _: said), claims_model, given=PAGES)
    found = board.values(Claim)
    assert sorted(claim.kind for claim in found if claim.page == 1) == ["date", "total"]
    assert [claim.text for claim in found if claim.page == 2] == ["Acme Ltd lets the house."]
    assert all(claim.where.page == claim.page for claim in found) and not board.errors
