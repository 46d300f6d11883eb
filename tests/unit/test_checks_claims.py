"""Claims against a document's other passages: never their own evidence, refuted only by a concrete contradiction."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measures import facts as measured
from blackboard.levels import Page, Summary, Verdict, Where
from knowledge_sources.checks.contradiction import contradiction
from knowledge_sources.checks.evidence import Evidence
from knowledge_sources.checks.judge import judge
from knowledge_sources.claims import find_claims
from knowledge_sources.facts import check_claims, check_summary
from knowledge_sources.passages import gather

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "dev"


def check(*texts: str) -> list[Verdict]:
    pages = [Page(number=i, text=text) for i, text in enumerate(texts, start=1)]
    evidence = Evidence(gather(pages).sentences)
    return [verdict for page in pages for verdict in check_claims(find_claims(page), evidence)]


@pytest.mark.parametrize(
    "codes", [("FAA-2020-0686", "FAA-2020-0746"), ("MH–2024– 318", "MH–2024– 319"), ("0686", "0746")]
)
def test_two_codes_are_two_things(codes: tuple[str, str]) -> None:
    first, second = (f"Read docket {code} in person at the Operations desk in the West Building." for code in codes)
    assert contradiction(first, second) is None
    assert contradiction(
        "The desk holds 686 dockets in the West Building.", "The desk holds 746 dockets in the West Building."
    )


def test_a_claim_is_not_its_own_evidence() -> None:
    verdict = check("The harbour wall was repaired by Marlow Engineering in 2021.")[0]
    assert (verdict.label, verdict.check) == ("not_enough_information", "no_evidence")
    assert verdict.evidence == ()


def test_a_repetition_word_for_word_is_no_evidence_either() -> None:
    sentence = "The harbour wall was repaired by Marlow Engineering in 2021."
    assert {v.label for v in check(sentence, sentence)} == {"not_enough_information"}


def test_another_page_in_nearly_the_same_words_supports() -> None:
    first, second = check(
        "The harbour wall was repaired by Marlow Engineering in 2021.",
        "In 2021 the harbour wall was finally repaired by Marlow Engineering of Falmouth.",
    )
    assert first.label == "supported"
    assert [place.page for place in first.evidence] == [2]
    assert second.about.startswith("claim-2-")


def test_the_same_figures_on_another_page_support() -> None:
    verdict = check("Payment is due on 11 April 2024.", "Invoice no: 17\nDue date: 11 April 2024\nTotal   EUR 40.00\n")[
        0
    ]
    assert (verdict.label, verdict.check) == ("supported", "same_figures")
    assert [place.text for place in verdict.evidence] == ["Due date: 11 April 2024"]


def test_another_number_for_the_same_thing_refutes() -> None:
    verdict = check(
        "The survey of the harbour wall took 14 days in summer.",
        "The survey of the harbour wall took 41 days in summer.",
    )[0]
    assert (verdict.label, verdict.check) == ("refuted", "number_differs")
    assert "14" in verdict.reason
    assert "41" in verdict.reason


@pytest.mark.parametrize(
    ("claim", "passage"),
    [
        ("The rent of the shop is 500 EUR.", "The rent of the flat upstairs is 700 EUR."),
        ("The first phase of the survey took 14 days.", "The survey cost 9,000 GBP and took two divers."),
        ("Table 1 shows the results of the survey.", "Table 2 shows the results of the survey."),
        ("In 2022 the harbour had 14 boats for hire.", "In 2023 the harbour had 14 boats for hire."),
        ("A higher temperature means more diverse words.", "A lower threshold means more diverse words."),
        ("Clause 3 of the agreement was changed in May.", "The tenant keeps a dog in the flat."),
        (
            "by striking 8 periods and inserting 9 periods in the section",
            "by striking 7 periods and inserting 8 periods in the section",
        ),
    ],
)
def test_other_things_do_not_contradict(claim: str, passage: str) -> None:
    assert contradiction(claim, passage) is None


@pytest.mark.parametrize(
    ("claim", "passage", "check"),
    [
        (
            "The drug increases the blood pressure of older patients.",
            "The drug reduces the blood pressure of older patients.",
            "opposite",
        ),
        (
            "The tenant may keep pets in the rented flat.",
            "The tenant may not keep pets in the rented flat.",
            "negation",
        ),
        ("The buyer paid EUR 1,200 for the old boat.", "The buyer paid EUR 2,100 for the old boat.", "number_differs"),
    ],
)
def test_concrete_contradictions_are_found(claim: str, passage: str, check: str) -> None:
    found = contradiction(claim, passage)
    assert found is not None
    assert found.check == check


def test_the_judge_says_what_decided() -> None:
    evidence = ["Renato Balestra was born in Naples in 1924 and studied engineering."]
    assert judge("Renato Balestra was born in Naples in 1924.", evidence).label == "supported"
    assert judge("Renato Balestra was born in Naples in 1931.", evidence).check == "number_absent"
    assert judge("Renato Balestra was born in Trieste in 1924.", evidence).missing == ("Trieste",)
    assert judge("anything at all", []).score == 0.5


@settings(max_examples=60)
@given(st.text(max_size=120), st.lists(st.text(max_size=120), max_size=6))
def test_the_judge_takes_any_text(claim: str, evidence: list[str]) -> None:
    judged = judge(claim, evidence)
    assert 0.0 <= judged.score <= 1.0
    assert judged.best is None or 0 <= judged.best < len(evidence)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=200), min_size=1, max_size=3))
def test_evidence_is_verbatim_and_never_the_claim_itself(texts: list[str]) -> None:
    base = " The wall was built in 1950 by Acme Ltd. The wall was built in 1951 by Acme Ltd."
    full = [text + base for text in texts]
    for verdict in check(*full):
        assert verdict.where is not None
        for place in verdict.evidence:
            assert full[place.page - 1][place.start : place.end] == place.text
            apart = (
                place.page != verdict.where.page or place.end <= verdict.where.start or verdict.where.end <= place.start
            )
            assert apart


def test_a_summary_sentence_from_the_document_is_supported_by_its_place() -> None:
    text = "The harbour wall was repaired in 2021. The divers found a crack near the steps."
    evidence = Evidence(gather([Page(number=1, text=text)]).sentences)
    own = Where(page=1, start=0, end=38, text=text[:38])
    verdict = check_summary(Summary(rank=1, text=own.text, evidence=(own,)), evidence)
    assert (verdict.about, verdict.label, verdict.check) == ("summary-1", "supported", "verbatim")
    assert verdict.evidence == (own,)


def test_a_summary_sentence_that_the_document_contradicts_is_refuted() -> None:
    text = "The survey of the harbour wall took 14 days in summer."
    evidence = Evidence(gather([Page(number=1, text=text)]).sentences)
    verdict = check_summary(Summary(rank=2, text="The survey of the harbour wall took 15 days in summer."), evidence)
    assert (verdict.label, verdict.check) == ("refuted", "number_differs")


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real documents is not here")
def test_claims_of_public_collections_are_judged_as_well_as_promised() -> None:
    rows = measured.measure(CORPUS)
    assert all(row.ok for row in rows if row.at_least), [f"{row.measure}: {row.value:.3f}" for row in rows]
