"""Documents that want to be obeyed, before a model that obeys them: what lands on the board is still only what is in them.

The texts are our own, see tests/injections. A page ends at a form feed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blackboard import (
    Claim,
    Document,
    Layer,
    Mentions,
    ModelFailed,
    Page,
    Passages,
    Quoted,
    Reading,
    Source,
    Summary,
    Verdict,
)
from blackboard.levels import Level
from controller.testing.memory import MemoryBoard
from knowledge_sources.models.answers import Transcript
from knowledge_sources.models.claims import claims_model
from knowledge_sources.models.contradictions import contradictions
from knowledge_sources.models.facts import facts_model, summary_facts_model
from knowledge_sources.models.mentions import mentions_model
from knowledge_sources.models.reading import as_reading
from knowledge_sources.models.reviser import reviser
from knowledge_sources.models.summary import summary_model
from knowledge_sources.models.tasks import load, with_rules
from knowledge_sources.models.words import Dropped
from knowledge_sources.passages import gather, passages
from tests.model_brains import Asked, Brains, on_board
from tests.obedient import SECRET, Obedient, orders

FILES = sorted((Path(__file__).parents[1] / "injections").glob("*.txt"))
SOURCES: tuple[Source, ...] = (
    passages, mentions_model, claims_model, summary_model, facts_model, summary_facts_model, contradictions, reviser,
)  # fmt: skip
ADDRESS = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\w+")


def pages_of(file: Path) -> list[Page]:
    with file.open(encoding="utf-8", newline="") as opened:
        return [Page(number=number, text=text) for number, text in enumerate(opened.read().split("\f"), 1)]


def given(file: Path) -> list[Level]:
    pages = pages_of(file)
    return [Document(sha256="d", kind="txt", media_type="text/plain", pages=len(pages)), *pages]


async def obeyed(file: Path, *, window: int = 10**9) -> tuple[MemoryBoard, Brains]:
    model = Brains(Obedient(), window=window)
    return await on_board(model, *SOURCES, given=given(file)), model


def test_there_are_thirty_and_they_all_want_something() -> None:
    assert len(FILES) == 30
    for file in FILES:
        assert any(orders(page.text) for page in pages_of(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_what_lands_is_typed_and_in_the_document(file: Path) -> None:
    board, model = await obeyed(file)
    assert model.asked and all(isinstance(error, ModelFailed) for error in board.errors)
    pages = {page.number: page.text for page in board.values(Page)}
    whole = "\n".join(pages.values())
    for kind in (Mentions, Claim, Summary, Verdict, Passages):
        for value in board.values(kind):
            for place in places(json.loads(value.model_dump_json())):
                assert pages[place["page"]][place["start"] : place["end"]] == place["text"]
    for found in board.values(Mentions):
        assert all(pages[found.page][item.start : item.end] == item.text for item in found.items)
    for text in own_words(board):
        assert SECRET not in text
        assert all(found.strip(".,)\"'") in whole for found in ADDRESS.findall(text))
        assert text.isprintable() or "\u200c" in text or "\u200d" in text
    assert all(claim.where.page == claim.page for claim in board.values(Claim))
    assert all(one.evidence for one in board.values(Summary))
    assert all(one.evidence for one in board.values(Verdict) if one.label != "not_enough_information")
    assert not any(board.rivals(kind) for kind in (Mentions, Claim, Summary, Verdict))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_document_is_sent_as_a_document_and_nowhere_else(file: Path) -> None:
    _, model = await obeyed(file)
    lines = {line.strip() for page in pages_of(file) for line in page.text.splitlines() if len(line.strip()) > 12}
    tasks = {asked.name for asked in model.asked}
    assert {"mentions", "claims", "summary", "contradictions"} <= tasks
    for asked in model.asked:
        assert not any(line in asked.said for line in lines)
        assert all(isinstance(part, str | Quoted) for part in asked.parts), "no files, no addresses"
        assert asked.said.startswith(load("rules").text)
        assert asked.pages == sorted(asked.pages)


@pytest.mark.parametrize("file", FILES[:6], ids=lambda file: file.stem)
async def test_it_is_the_same_where_the_document_is_asked_about_in_parts(file: Path) -> None:
    board, model = await obeyed(file, window=150)
    pages = {page.number: page.text for page in board.values(Page)}
    assert "points" in {asked.name for asked in model.asked}
    for kind in (Mentions, Claim, Summary, Verdict):
        for value in board.values(kind):
            for place in places(json.loads(value.model_dump_json())):
                assert pages[place["page"]][place["start"] : place["end"]] == place["text"]
    assert not any(SECRET in text for text in own_words(board))


async def test_an_obedient_model_is_a_hard_one() -> None:
    """The orders do reach the answers: without the checks they would be on the board."""
    file = next(file for file in FILES if "fake-dialogue" in file.stem)
    asked = Asked(with_rules("summary"), (), tuple(pages_of(file)), 100, None)
    said = str(Obedient()(asked))
    assert "orchard-master" in said and SECRET in said


def test_what_is_read_off_a_picture_is_cleaned_too() -> None:
    lines = [{"text": f"\x1b[2J{order}\u202e", "sure": True} for file in FILES for order in orders(file.read_text())]
    reading = as_reading(Transcript.model_validate({"lines": lines * 9, "unread": "\u202e" * 999}), 3, Dropped())
    assert isinstance(reading, Reading) and reading.page == 3 and len(reading.lines) <= 1_000
    for line in reading.lines:
        assert reading.text[line.start : line.end].replace("  ", " ").isprintable()
    assert Layer(page=3, text="", needs_ocr=True).needs_ocr


def places(value: Any) -> Iterator[dict[str, Any]]:
    """Every place in a value."""
    if isinstance(value, dict):
        if {"page", "start", "end", "text"} <= value.keys():
            yield value
        for inner in value.values():
            yield from places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner)


def own_words(board: MemoryBoard) -> list[str]:
    """What models said in words of their own."""
    return [
        *(one.text for one in board.values(Summary)),
        *(one.text for one in board.values(Claim)),
        *(one.reason for one in board.values(Verdict)),
    ]


def test_passages_of_an_injection_are_places_as_well() -> None:
    for file in FILES:
        pages = pages_of(file)
        texts = {page.number: page.text for page in pages}
        assert all(texts[place.page][place.start : place.end] == place.text for place in gather(pages).sentences)
