"""The benchmark of routing: its papers hold what they are said to hold, and its oracle answers in every form."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from pydantic import BaseModel

from benchmarks.documents.routed import Fact, Paper, papers
from benchmarks.measures.edits import error_rate
from benchmarks.oracle import Oracle
from benchmarks.routing import Row, _facts, table
from blackboard import Page, Picture, Quoted, Task
from knowledge_sources.llm.prompting import request
from knowledge_sources.llm.schema import schema_of
from knowledge_sources.models.answers import Disagreements, Judgements, NamedThings, Points, Revision, Transcript
from knowledge_sources.models.drafts import Drafts

MADE = list(papers(6, seed=3))


def asked(oracle: Oracle, answer: type[BaseModel] | None, *parts: Any, document: tuple[Page, ...] = ()) -> str:
    schema = None if answer is None else schema_of(answer)
    return oracle(request("m", Task("t", "Do it."), parts, document, max_tokens=1000, schema=schema).body)


def pages(paper: Paper) -> tuple[Page, ...]:
    return tuple(Page(number=n, text=text) for n, text in enumerate(paper.texts, 1))


def test_papers_come_in_every_state_and_hold_their_facts() -> None:
    assert {paper.state for paper in MADE} == {"text", "scan", "poor"}
    assert {bool(paper.category) for paper in MADE} == {True, False}
    for paper in MADE:
        assert paper.data.startswith(b"%PDF") and len(paper.texts) == 2
        assert len(paper.pictures) == (0 if paper.state == "text" else 2)
        assert all(fact.printed in paper.texts[0] for fact in paper.facts)
    assert [paper.data for paper in papers(3, seed=3)] == [paper.data for paper in MADE[:3]]


@pytest.mark.parametrize("paper", [paper for paper in MADE if paper.pictures], ids=lambda paper: str(paper.name))
def test_it_reads_the_page_it_is_shown(paper: Paper) -> None:
    for rate, least, most in ((0.0, 0.0, 0.0), (0.1, 0.03, 0.2)):
        oracle = Oracle(MADE, rate)
        for picture, text in zip(paper.pictures, paper.texts, strict=True):
            out = io.BytesIO()
            picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).save(out, "PNG")
            said = Transcript.model_validate_json(asked(oracle, Transcript, Picture(out.getvalue()), "Write it down."))
            assert least <= error_rate("\n".join(line.text for line in said.lines), text) <= most


def test_it_answers_in_every_form() -> None:
    oracle, paper = Oracle(MADE, 0.0), MADE[0]
    one = "The question is about page 1 alone."
    named = NamedThings.model_validate_json(asked(oracle, NamedThings, one, document=pages(paper)))
    assert {item.text for item in named.items} >= {fact.printed for fact in paper.facts}
    claims = Quoted("Claims", "1. One thing.\n2. Another thing.")
    judged = Judgements.model_validate_json(asked(oracle, Judgements, claims, "Judge.", document=pages(paper)))
    assert [(item.claim, item.label) for item in judged.items] == [
        (1, "not_enough_information"),
        (2, "not_enough_information"),
    ]
    assert Disagreements.model_validate_json(asked(oracle, Disagreements, document=pages(paper))).items == []
    assert Points.model_validate_json(asked(oracle, Points, document=pages(paper))).items == []
    assert Revision.model_validate_json(asked(oracle, Revision, document=pages(paper))).text == ""


def test_its_sentences_are_those_of_the_page() -> None:
    oracle = Oracle(MADE, 0.0)
    paper = next(paper for paper in MADE if "contract" in paper.name)
    text = asked(oracle, None, "The question is about page 1 alone.", document=pages(paper))
    drafts = Drafts()
    found = [*drafts.feed(text + "\n\n"), *drafts.end()]
    assert len(found) >= 3
    for draft in found:
        ((page, quote),) = draft.quotes
        assert page == 1 and quote in " ".join(paper.texts[0].split()) and draft.text == quote
    assert asked(oracle, None, "Summarise.", document=(Page(number=1, text="Nothing"),)) == "NONE"


def test_it_errs_as_often_as_it_is_set_to() -> None:
    paper = MADE[0]
    left = 0
    for number in range(200):
        told = asked(
            Oracle([paper], 0.25), NamedThings, f"{number} The question is about page 1 alone.", document=pages(paper)
        )
        left += len(json.loads(told)["items"])
    assert 0.65 < left / (200 * len(paper.facts)) < 0.85
    first = asked(Oracle([paper], 0.5), NamedThings, "The question is about page 1 alone.", document=pages(paper))
    assert first == asked(
        Oracle([paper], 0.5), NamedThings, "The question is about page 1 alone.", document=pages(paper)
    )


def test_facts_are_found_in_the_form_entities_have() -> None:
    facts = (Fact("amount", "1 234,50", "1234.50", "total"), Fact("identifier", "2023-77", "2023-77", "invoice_number"))
    paper = Paper("p", "text", b"", ("",), facts, None)
    total = {"type": "amount", "value": "1234.50 EUR", "names": []}
    number = {"type": "identifier", "value": "invoice_number:2023-77", "names": ["2023-77"]}
    assert _facts(paper, [total, number]) == 1.0
    assert _facts(paper, [total]) == 0.5
    assert _facts(paper, [{**total, "value": "1234.5"}, {**number, "type": "date"}]) == 0.0


def test_the_table_says_who_was_asked() -> None:
    rows = [
        Row("auto", "a", "text", "completed", 1.0, 2, 300, 0.01, 4, 1.0, 0.5, True, False),
        Row("auto", "b", "poor", "completed", 3.0, 1, 100, 0.02, 0, 0.5, 1.0, None, True),
    ]
    lines = table("an ORACLE: no real model", rows).splitlines()
    assert lines[0] == "Asked: an ORACLE: no real model"
    assert lines[-1] == "| auto | 2 all | 3 | 400 | 0.0300 | 4 | 2.0, 3.0 | 75.0% | 75% | 1 of 1 | 1 of 1 |"
    assert len(lines) == 4 + 3


def test_it_leaves_to_others_what_is_no_question_of_a_source() -> None:
    oracle = Oracle(MADE, 0.0, lambda body: f"{body['max_tokens']} tokens")
    assert oracle({"max_tokens": 5, "messages": [{"role": "user", "content": "Say yes."}]}) == "5 tokens"
