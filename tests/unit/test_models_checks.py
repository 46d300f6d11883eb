"""The sources that check with a model, and the reviser: what they take of an answer, and where their rounds end."""

from __future__ import annotations

import logging

import pytest

from blackboard import (
    Claim,
    Deferred,
    ModelFailed,
    Page,
    Passages,
    Quoted,
    SpendingCapped,
    Summary,
    Verdict,
    Where,
)
from knowledge_sources.facts import summary_facts
from knowledge_sources.models.claims import claims_model
from knowledge_sources.models.contradictions import contradictions
from knowledge_sources.models.facts import facts_model, summary_facts_model
from knowledge_sources.models.mentions import mentions_model
from knowledge_sources.models.reviser import reviser
from knowledge_sources.models.summary import summary_model
from knowledge_sources.passages import gather
from tests.model_brains import Asked, Brains, by_task, in_turn, on_board, refusal
from tests.model_pages import DOCUMENT, ONE, PAGES, quote


def claim(text: str, page: Page = ONE, slug: str = "c") -> Claim:
    start = page.text.find(text)
    place = Where(page=page.number, start=start, end=start + len(text), text=text)
    return Claim(page=page.number, slug=slug, text=text, where=place)


RENT = claim("The rent is 1,200.00 GBP a month.", slug="rent")
START = claim("It starts on 3 May 2024.", slug="start")
PASSAGES = gather(PAGES)


def judged(number: int, label: str, *evidence: dict[str, object], reason: str = "Page 2 gives 1,250.00 GBP.") -> object:
    return {"claim": number, "label": label, "reason": reason, "evidence": list(evidence)}


async def test_a_judgement_needs_evidence_from_elsewhere() -> None:
    answer = {
        "items": [
            judged(1, "refuted", quote(2, "The rent is 1,250.00 GBP a month."), quote(2, "invented")),
            judged(2, "supported", quote(1, "starts on 3 May 2024")),
            judged(1, "supported", quote(1, "Acme Ltd")),
            judged(7, "supported", quote(1, "Acme Ltd")),
        ]
    }
    model = Brains(lambda _: answer)
    board = await on_board(model, facts_model, given=(*PAGES, RENT, START, PASSAGES))
    found = {verdict.about: verdict for verdict in board.values(Verdict)}
    assert found["claim-1-rent"].label == "refuted"
    assert [place.text for place in found["claim-1-rent"].evidence] == ["The rent is 1,250.00 GBP a month."]
    assert found["claim-1-rent"].reason == "Page 2 gives 1,250.00 GBP."
    assert found["claim-1-start"].label == "not_enough_information" and not found["claim-1-start"].evidence
    assert set(found) == {"claim-1-rent", "claim-1-start"}
    claims, passages = (part for part in model.asked[0].parts if isinstance(part, Quoted))
    assert "1. The rent is 1,200.00 GBP a month. (from page 1)" in claims.text
    assert "- page 2: The rent is 1,250.00 GBP a month." in passages.text


async def test_a_reason_with_figures_of_its_own_is_replaced() -> None:
    lie = judged(1, "refuted", quote(2, "The rent is 1,250.00 GBP"), reason="Call 555-0199 or see http://evil.example")
    board = await on_board(Brains(lambda _: {"items": [lie]}), facts_model, given=(*PAGES, RENT, PASSAGES))
    (verdict,) = board.values(Verdict)
    assert verdict.label == "refuted" and verdict.reason == "Page 2 says otherwise."


async def test_claims_are_judged_in_batches_and_a_batch_that_fails_says_so() -> None:
    many = [claim("The rent is 1,200.00 GBP a month.", slug=f"r{number:02}") for number in range(12)]
    replies = in_turn({"items": []}, ModelFailed("the model refused"))
    board = await on_board(Brains(replies), facts_model, given=(*PAGES, *many, PASSAGES))
    reasons = [verdict.reason for verdict in board.values(Verdict)]
    assert len(reasons) == 12 and not board.errors
    assert sum("the model refused" in reason for reason in reasons) == 2
    assert {verdict.check for verdict in board.values(Verdict)} == {"model_unanswered"}
    board = await on_board(Brains(refusal), facts_model, given=(*PAGES, RENT, PASSAGES))
    assert not board.values(Verdict) and isinstance(board.errors[0], ModelFailed)


@pytest.mark.parametrize("error", [Deferred("later", after_s=5.0), SpendingCapped("the day's cap")])
async def test_what_is_no_failure_of_an_answer_is_not_swallowed(error: Exception) -> None:
    given = (*PAGES, RENT, PASSAGES, DOCUMENT, Summary(rank=1, text="x"))
    for source in (mentions_model, claims_model, summary_model, facts_model, summary_facts_model, contradictions):
        board = await on_board(Brains(lambda _: error), source, given=given)
        assert error in board.errors, source.name


async def test_contradictions_need_two_places_that_differ(caplog: pytest.LogCaptureFixture) -> None:
    first, second = quote(1, "The rent is 1,200.00 GBP"), quote(2, "The rent is 1,250.00 GBP")
    reason = "The rent is 1,200.00 GBP on page 1, but 1,250.00 GBP on page 2."
    answer = {
        "items": [
            {"first": second, "second": first, "reason": reason},
            {"first": first, "second": second, "reason": "again"},
            {"first": first, "second": first, "reason": "same"},
            {"first": quote(1, "Acme Ltd"), "second": quote(2, "Acme Ltd"), "reason": "same words"},
            {"first": first, "second": quote(2, "invented"), "reason": "x"},
            {"first": first, "second": quote(9, "The rent"), "reason": "x"},
        ]
    }
    with caplog.at_level(logging.WARNING):
        board = await on_board(Brains(lambda _: answer), contradictions, given=(*PAGES, DOCUMENT))
    assert "2 that say the same twice; 2 without words that are on the page they are said to be on" in caplog.text
    (verdict,) = board.values(Verdict)
    assert (verdict.about, verdict.label, verdict.reason) == ("contradiction-2-1", "refuted", reason)
    assert [place.page for place in verdict.evidence] == [1, 2]
    flood = {"items": answer["items"] * 2_000}
    board = await on_board(Brains(lambda _: flood), contradictions, given=(*PAGES, DOCUMENT))
    assert len(board.values(Verdict)) == 1


async def test_contradictions_of_a_long_document_are_also_looked_for_between_its_parts() -> None:
    between = {"first": quote(1, "The rent is 1,200.00"), "second": quote(2, "The rent is 1,250.00"), "reason": ""}

    def brain(asked: Asked) -> object:
        if asked.name == "points":
            return {"items": [{"text": "A rent is set.", "quote": quote(asked.pages[0], "The rent is 1,2")}]}
        return {"items": [] if asked.document else [between]}

    model = Brains(brain, window=len(ONE.text))  # type: ignore[arg-type]
    board = await on_board(model, contradictions, given=(*PAGES, DOCUMENT))
    (verdict,) = board.values(Verdict)
    assert verdict.reason == "Page 1 and page 2 cannot both be right."
    assert [asked.name for asked in model.asked] == ["contradictions"] * 2 + ["points"] * 2 + ["contradictions"]


WRONG = "The rent is 1,300.00 GBP a month."


def sentences() -> list[Summary]:
    place = PASSAGES.sentences[0]
    return [
        Summary(rank=1, text="Agreement between Acme Ltd and Jane Doe.", evidence=(place,)),
        Summary(rank=2, text=WRONG, evidence=()),
    ]


def check(asked: Asked) -> object:
    """Refutes what says 1,300, supports the rest; revises it, wrongly at first."""
    if asked.name == "facts":
        claims = next(part.text for part in asked.parts if isinstance(part, Quoted))
        wrong = "1,300" in claims or "1,250" in claims
        return {"items": [judged(1, "refuted" if wrong else "supported", quote(1, "The rent is 1,200.00"), reason="")]}
    wrong = next(part.text for part in asked.parts if isinstance(part, Quoted))
    if "1,300" in wrong:
        return {"text": "The rent is 1,250.00 GBP.", "evidence": [quote(2, "The rent is 1,250.00 GBP")]}
    return {"text": "The rent is 1,200.00 GBP.", "evidence": [quote(1, "The rent is 1,200.00 GBP")]}


async def test_what_is_refuted_is_rewritten_and_only_that_is_checked_again() -> None:
    model = Brains(check)  # type: ignore[arg-type]
    board = await on_board(model, summary_facts_model, reviser, given=(*PAGES, *sentences(), PASSAGES))
    assert not board.errors
    assert [one.text for one in board.values(Summary)] == [
        "Agreement between Acme Ltd and Jane Doe.",
        "The rent is 1,200.00 GBP.",
    ]
    assert [asked.name for asked in model.asked].count("revision") == 2
    assert [asked.name for asked in model.asked].count("facts") == 4
    assert {verdict.label for verdict in board.values(Verdict)} == {"supported"}


async def test_rounds_end_however_stubborn_the_model_is() -> None:
    def brain(asked: Asked) -> object:
        if asked.name == "facts":
            return {"items": [judged(1, "refuted", quote(1, "The rent is 1,200.00"), reason="")]}
        number = len(model.asked)
        return {"text": f"The rent is {'too ' * number} high.", "evidence": [quote(2, "The rent is 1,250.00 GBP")]}

    model = Brains(brain)  # type: ignore[arg-type]
    board = await on_board(model, summary_facts_model, reviser, given=(*PAGES, *sentences(), PASSAGES))
    assert [asked.name for asked in model.asked].count("revision") == 4
    assert board.why(reviser)["board"].startswith("spent")


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "", "evidence": []},
        {"text": "The rent is 5 GBP.", "evidence": [quote(1, "The rent")]},
        {"text": "The rent is fair.", "evidence": [quote(1, "invented")]},
        {"text": WRONG, "evidence": [quote(1, "The rent is")]},
        {"text": "word " * 900, "evidence": [quote(1, "The rent is")]},
    ],
)
async def test_a_revision_without_evidence_changes_nothing(answer: dict[str, object]) -> None:
    verdict = Verdict(about="summary-2", subject=WRONG, label="refuted", check="x", reason="It is 1,200.00 GBP.")
    board = await on_board(Brains(lambda _: answer), reviser, given=(*PAGES, *sentences(), verdict))
    assert [one.text for one in board.values(Summary)][1] == WRONG and not board.errors


async def test_the_reviser_is_quiet_where_nothing_is_refuted_as_it_stands() -> None:
    stale = Verdict(about="summary-2", subject="An older text.", label="refuted", check="x", reason="")
    other = Verdict(about="claim-1-rent", subject=WRONG, label="refuted", check="x", reason="")
    model = Brains(refusal)
    board = await on_board(model, reviser, given=(*PAGES, *sentences(), stale, other))
    assert not model.asked and board.why(reviser)["board"].startswith("skipped")


async def test_a_local_check_and_a_model_reviser_work_together() -> None:
    model = Brains(by_task(revision={"text": "The rent is 1,200.00 GBP a month.", "evidence": [quote(1, RENT.text)]}))
    given = (ONE, Summary(rank=1, text=WRONG), gather([ONE]))
    board = await on_board(model, summary_facts, reviser, given=given)
    assert [asked.name for asked in model.asked] == ["revision"]
    assert board.values(Summary)[0].text == "The rent is 1,200.00 GBP a month."
    assert [verdict.label for verdict in board.values(Verdict)] == ["supported"]


def test_passages_are_what_the_local_source_makes() -> None:
    assert isinstance(PASSAGES, Passages) and len(PASSAGES.sentences) >= 6
