"""Summaries: within the budget, verbatim, in order, and none where there is no prose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measures import summaries as measured
from benchmarks.measures.rouge import rouge
from blackboard.levels import Page
from knowledge_sources.summary import LONGEST, SHORTEST, budget, count_words, summarize

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dev"

SENTENCES = st.sampled_from(
    [
        "The council agreed to build a new bridge over the river near the old mill.",
        "The bridge will cost forty million and take three years to finish.",
        "Residents of the eastern bank said that they had waited long for it.",
        "Is it worth the money?",
        "By Anna Writer.",
        "This report describes what the engineers found when they tested the ground.",
        "Bolt   12   3.40",
        "The ferry, which has run since 1921, will stop when the bridge opens to traffic.",
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(SENTENCES, max_size=30).map("\n".join), max_size=4))
def test_a_summary_is_short_verbatim_and_in_order(texts: list[str]) -> None:
    pages = [Page(number=i, text=text) for i, text in enumerate(texts, start=1)]
    summary = summarize(pages)
    places = [sentence.evidence[0] for sentence in summary]
    assert all(texts[p.page - 1][p.start : p.end] == p.text for p in places)
    assert [(p.page, p.start) for p in places] == sorted((p.page, p.start) for p in places)
    assert [sentence.rank for sentence in summary] == list(range(1, len(summary) + 1))
    assert sum(count_words(p.text) for p in places) <= budget(sum(count_words(t) for t in texts))


def test_the_budget_is_a_share_within_bounds() -> None:
    assert (budget(10), budget(1000), budget(100_000)) == (SHORTEST, 120, LONGEST)


def test_a_receipt_has_no_summary() -> None:
    text = "CORNER SHOP SDN BHD\nNO 5 JALAN BESAR\nMILK 2 3.50 7.00\nBREAD   1   4.20\nTOTAL   RM 11.20\nTHANK YOU\n"
    assert summarize([Page(number=1, text=text)]) == []


def test_an_empty_document_has_no_summary() -> None:
    assert summarize([]) == []
    assert summarize([Page(number=1, text="")]) == []


def test_questions_by_lines_and_tables_are_left_out() -> None:
    text = (
        "By Anna Writer.\n\nPUBLISHED: 03:53 EST, 23 July 2013.\n\nWho will pay for the bridge over the river in the end?\n\n"
        "The council agreed to build a new bridge over the river near the mill.\n\nBolt   12   3.40\n"
    )
    assert [s.text for s in summarize([Page(number=1, text=text)])] == [
        "The council agreed to build a new bridge over the river near the mill."
    ]


def test_a_transcript_is_summarised_by_its_opening() -> None:
    opening = "Chair: Today we decide what the new remote control should look like and cost."
    rest = "\n".join(
        f"Guest: I think that the number {i} is a good choice for the remote control design." for i in range(60)
    )
    assert summarize([Page(number=1, text=f"{opening}\n{rest}")])[0].text == opening


def test_rouge_counts_what_the_usual_tool_counts() -> None:
    same = rouge(["The cats sat."], ["the cat SAT"])
    assert (same.rouge1, same.rouge2, same.rouge_lsum) == (1.0, 1.0, 1.0)
    half = rouge(["a b c d"], ["a c x y"])
    assert half.rouge1 == pytest.approx(0.5)
    assert half.rouge2 == 0.0
    assert half.rouge_lsum == pytest.approx(0.5)
    assert rouge([], ["a"]).rouge1 == 0.0


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real documents is not here")
def test_summaries_of_real_texts_beat_their_openings() -> None:
    rows = measured.measure(CORPUS)
    assert all(row.ok for row in rows), [f"{row.measure}: {row.value:.1f}" for row in rows if not row.ok]
