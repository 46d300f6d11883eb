"""Whatever a model answers, only what its page bears out is contributed, and every run ends: random answers and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from blackboard import Claim, Document, Mentions, ModelFailed, Page, Source, Summary, Verdict, Where
from blackboard.levels import Level
from controller.testing.memory import MemoryBoard
from knowledge_sources.models.claims import claims_model
from knowledge_sources.models.contradictions import contradictions
from knowledge_sources.models.drafts import MOST_QUOTES, Draft, Drafts
from knowledge_sources.models.facts import facts_model, summary_facts_model
from knowledge_sources.models.mentions import mentions_model
from knowledge_sources.models.reviser import ROUNDS, reviser
from knowledge_sources.models.summary import summary_model
from knowledge_sources.passages import gather
from tests.model_brains import Asked, Brains, Reply, on_board

WORDS = ("Acme Ltd", "3 May 2024", "1,200.00 GBP", "pays", "GB82 WEST 1234 5698 7654 32", "a@b.example", "é", "e\u0301",
         "漢字", "\ufb01nal", "\u00ad", "\n", " ", "  ", "rent", "12 months", "+44 20 7946 0958", "1", "\ud800")  # fmt: skip
said = st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=8).map("".join)
pages = st.lists(
    st.lists(st.sampled_from(WORDS[:-1]) | st.text(st.characters(codec="utf-8"), max_size=6), max_size=25).map(" ".join),
    min_size=1, max_size=3,
).map(lambda texts: tuple(Page(number=number, text=text) for number, text in enumerate(texts, 1)))  # fmt: skip
NUMBERS = (1, 2, 3, 0, -1, 10**18)


class Hostile:
    """Answers of the right form that hold pieces of the pages, and anything else. By a seed, not by draws: what a draw
    raises to end an example would be taken for the source's failure."""

    def __init__(self, seed: int, given: Sequence[Page], phrases: Sequence[str]) -> None:
        self._chance = Random(seed)
        self._texts = [page.text for page in given]
        self._phrases = (*phrases, *WORDS, "")

    def __call__(self, asked: Asked) -> Reply:
        if self._chance.random() < 0.05:
            return ModelFailed("the model refused")
        if asked.answer is not None:
            return self._value(asked.answer)  # type: ignore[no-any-return]
        return "\n".join(self._line() for _ in range(self._chance.randrange(12)))

    def _line(self) -> str:
        said = self._words()
        return said if self._chance.random() < 0.5 else f"> {self._chance.choice(NUMBERS)}: {said}"

    def _words(self) -> str:
        if self._chance.random() < 0.3:
            return self._chance.choice(self._phrases)
        text = self._chance.choice(self._texts)
        start = self._chance.randrange(len(text) + 1)
        return text[start : start + self._chance.randrange(40)]

    def _value(self, kind: Any) -> Any:
        """Any value of a type, past what validation would catch."""
        if get_origin(kind) is Literal:
            return self._chance.choice(get_args(kind))
        if get_origin(kind) is list:
            return [self._value(get_args(kind)[0]) for _ in range(self._chance.randrange(8))]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = kind.model_fields.items()
            return kind.model_construct(**{name: self._value(field.annotation) for name, field in fields})
        if kind is bool:
            return self._chance.random() < 0.5
        return self._chance.choice(NUMBERS) if kind is int else self._words()


def check(board: MemoryBoard, given: Sequence[Page]) -> None:
    texts = {page.number: page.text for page in given}

    def is_there(place: Where) -> bool:
        return texts[place.page][place.start : place.end] == place.text != ""

    for found in board.values(Mentions):
        spans = [(item.start, item.end) for item in found.items]
        assert all(texts[found.page][item.start : item.end] == item.text and item.value for item in found.items)
        assert spans == sorted(spans) and all(a[1] <= b[0] for a, b in pairwise(spans))
    for claim in board.values(Claim):
        assert claim.where.page == claim.page and is_there(claim.where) and claim.text
    assert all(one.evidence and all(map(is_there, one.evidence)) for one in board.values(Summary) if one.rank < 90)
    for verdict in board.values(Verdict):
        assert all(map(is_there, verdict.evidence)) and verdict.reason
        assert verdict.evidence or verdict.label == "not_enough_information"
    assert all(isinstance(error, ModelFailed) for error in board.errors), board.errors


ALL: tuple[Source, ...] = (
    mentions_model, claims_model, summary_model, facts_model, summary_facts_model, contradictions, reviser,
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pages, st.integers(0, 2**32), st.lists(said, max_size=5), st.sampled_from((10**9, 30)))
def test_nothing_lands_that_is_not_there(given: tuple[Page, ...], seed: int, phrases: list[str], window: int) -> None:
    model = Brains(Hostile(seed, given, phrases), window=window)
    begun: list[Level] = [Document(sha256="d", kind="txt", media_type="text/plain", pages=len(given)), *given]
    begun += [gather(given), Summary(rank=91, text="The rent is due.", evidence=())]
    board = asyncio.run(on_board(model, *ALL, given=begun))
    check(board, given)
    ends = {board.why(source)[binding].split(":")[0] for source in ALL for binding in board.why(source)}
    assert ends <= {"done", "failed", "idle", "skipped", "spent"}
    assert [asked.name for asked in model.asked].count("revision") <= ROUNDS * (1 + len(board.values(Summary)))
    assert not model.streams_open


@given(
    st.lists(said | st.sampled_from(("> 1: x", "\n", ">", "> p. 3: “y”", "NONE")), max_size=20).map("".join), st.data()
)
def test_how_a_stream_is_cut_into_pieces_does_not_matter(text: str, data: st.DataObject) -> None:
    whole = Drafts()
    expected = [*whole.feed(text), *whole.end()]
    pieces, drafts, found = text, Drafts(), list[Draft]()
    while pieces:
        size = data.draw(st.integers(1, len(pieces)))
        found += drafts.feed(pieces[:size])
        pieces = pieces[size:]
    found += drafts.end()
    assert found == expected
    assert all(draft.text and len(draft.quotes) <= MOST_QUOTES for draft in found)


def test_drafts_keep_little_of_an_endless_line() -> None:
    drafts = Drafts()
    assert not [*drafts.feed("x" * 10_000_000), *drafts.feed("y" * 10_000_000)]
    assert len(drafts._line) < 5_000
    (draft,) = drafts.end()
    assert len(draft.text) < 5_000


@pytest.mark.parametrize("source", [mentions_model, contradictions, facts_model], ids=lambda source: source.name)
async def test_ten_thousand_items_are_as_good_as_some(source: Source) -> None:
    text = "Acme Ltd pays the rent of 1,200.00 GBP.\nAcme Ltd pays no rent."
    page = Page(number=1, text=text)
    first, second = ({"page": 1, "text": line} for line in text.split("\n"))
    items: dict[str, list[dict[str, Any]]] = {
        "mentions_model": [{"type": "organisation", "text": "Acme Ltd", "role": "", "context": ""}],
        "contradictions": [{"first": first, "second": second, "reason": "no"}],
        "facts_model": [{"claim": 1, "label": "refuted", "reason": "no", "evidence": [second] * 9}],
    }
    place = gather([page]).sentences[0]
    claim = Claim(page=1, slug="a", text=place.text, where=place)
    document = Document(sha256="d", kind="txt", media_type="text/plain", pages=1)
    model = Brains(lambda _: {"items": items[source.name] * 10_000})
    board = await on_board(model, source, given=(document, page, claim, gather([page])))
    assert not board.errors
    found = [*board.values(Verdict), *(item for one in board.values(Mentions) for item in one.items)]
    assert len(found) == (2 if source is mentions_model else 1)
