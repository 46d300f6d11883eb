"""The sources on models as they are declared: prompts and what a changed one changes, answers' schemas, bids, rivals."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from blackboard import Claim, Group, LanguageModel, Layer, Page, Source, Summary, Where
from blackboard.errors import UsageError
from blackboard.registry import GROUP, configured, find_sources, settings_of
from controller.contests import checked_bid, find_contests
from controller.graph import compile_graph
from controller.policy import Policy
from knowledge_sources.models import answers
from knowledge_sources.models.answers import Answer, NamedThings
from knowledge_sources.models.mentions import MentionsSettings, mentions_model
from knowledge_sources.models.points import MOST_CHARACTERS, Noted, shown
from knowledge_sources.models.tasks import FOLDER, LONGEST, Prompted, load, with_rules
from knowledge_sources.models.words import Dropped

ROOT = Path(__file__).parents[2]
OURS = {
    "ocr_model", "mentions_model", "claims_model", "summary_model", "facts_model", "summary_facts_model",
    "contradictions", "reviser",
}  # fmt: skip


def installed() -> dict[str, Source]:
    """What this tree's own pyproject declares."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    found, broken = find_sources([EntryPoint(name, value, GROUP) for name, value in declared.items()])
    assert not broken
    return {source.name: source for source in found}


def test_they_are_found_and_act_only_where_they_are_asked_for() -> None:
    sources = installed()
    assert sources.keys() >= OURS
    for name in OURS:
        source = sources[name]
        assert (source.default, source.required, source.cost) == (False, False, "model")
        assert LanguageModel in source.injected.values() and source.bid is not None
        assert source.configuration, "its prompts are part of it"
    assert not any(LanguageModel in source.injected.values() for name, source in sources.items() if name not in OURS)


def test_they_fit_in_one_graph_and_compete_with_the_local_ones() -> None:
    sources = installed()
    levels = ("reading", "mentions", "claim", "summary", "verdict")
    graph = compile_graph(sources.values(), policy=Policy(strategy=dict.fromkeys(levels, "market")))
    rivals = {frozenset(contest.sources) for contest in graph.contests.values()}
    assert rivals == {
        frozenset({"ocr", "ocr_fast", "ocr_model"}),
        frozenset({"mentions", "mentions_model"}),
        frozenset({"claims", "claims_model"}),
        frozenset({"summary", "summary_model"}),
        frozenset({"facts", "facts_model"}),
        frozenset({"summary_facts", "summary_facts_model"}),
    }
    assert find_contests(sources, graph.contributors, Policy()) == {}


def test_a_changed_prompt_makes_results_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = configured(mentions_model).configuration
    assert before == configured(mentions_model).configuration
    (tmp_path / "claims.md").write_text("Something else.")
    monkeypatch.setenv("BLACKBOARD_SOURCE_MENTIONS_MODEL__PROMPTS", str(tmp_path))
    settings = settings_of(mentions_model)[MentionsSettings]
    assert isinstance(settings, MentionsSettings) and settings.task("mentions") == with_rules("mentions")
    (tmp_path / "mentions.md").write_text("List the names on a page.")
    assert configured(mentions_model).configuration != before
    after = configured(mentions_model).configuration
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mentions.md").write_text("List the names on a page.")
    monkeypatch.setenv("BLACKBOARD_SOURCE_MENTIONS_MODEL__PROMPTS", str(elsewhere))
    assert configured(mentions_model).configuration == after, "what it says counts, not where it lies"
    changed = MentionsSettings(prompts=tmp_path)
    assert changed.task("mentions").text.endswith("\n\nList the names on a page.")
    assert changed.versions != MentionsSettings().versions
    assert changed.versions[0].startswith("mentions@")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b" \n", "is empty"), (b"\xff\xfe", "cannot be read"), (b"x" * (LONGEST + 1), "more than 20,000")],
)
def test_a_prompt_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "mentions.md").write_bytes(content)
    with pytest.raises(UsageError, match=f"'mentions'.*{said}"):
        load("mentions", tmp_path)
    with pytest.raises(ValidationError, match="'mentions'"):
        MentionsSettings(prompts=tmp_path)


def test_a_prompt_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"the prompt 'nonsense' cannot be read from .*nonsense\.md"):
        load("nonsense")


def test_every_prompt_is_used_by_somebody() -> None:
    used = {name for source in installed().values() for name in _tasks(source)}
    assert {Path(each.name).stem for each in FOLDER.iterdir()} == used | {"rules"}


def _tasks(source: Source) -> Iterator[str]:
    for kind in source.injected.values():
        if isinstance(kind, type) and issubclass(kind, Prompted):
            yield from kind.tasks


def test_points_that_are_too_many_are_left_out_evenly_and_counted() -> None:
    place = Where(page=1, start=0, end=400, text="word " * 80)
    noted = [Noted(f"Point {number}.", place) for number in range(1_000)]
    dropped = Dropped()
    text = shown(noted, dropped)
    assert len(text) <= MOST_CHARACTERS and "Point 0." in text and "Point 996." in text
    assert text.count("Point") + len(dropped) == 1_000 and "more than one question takes" in str(dropped)
    assert shown(noted[:2], dropped).count("\n") == 3 and shown([], dropped) == ""


ANSWERS = [kind for kind in vars(answers).values() if isinstance(kind, type) and kind.__base__ is Answer]
KNOWN = {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs",
         "title", "description"}  # fmt: skip
"""What constrained output takes, of what pydantic writes."""


def _schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
        yield from _schemas(inner)
    if "items" in schema:
        yield from _schemas(schema["items"])
    for inner in schema.get("anyOf", ()):
        yield from _schemas(inner)


@pytest.mark.parametrize("kind", ANSWERS)
def test_schemas_hold_only_what_constrained_output_knows(kind: type[BaseModel]) -> None:
    for schema in _schemas(kind.model_json_schema()):
        assert schema.keys() <= KNOWN
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) == set(schema["properties"])


def test_answers_are_strict() -> None:
    item = {"type": "date", "text": "x", "role": "", "context": ""}
    assert NamedThings.model_validate({"items": [item]}).items[0].text == "x"
    for wrong in ({**item, "type": "song"}, {**item, "text": 3}, {**item, "more": 1}, {"type": "date"}):
        with pytest.raises(ValidationError):
            NamedThings.model_validate({"items": [wrong]})


@given(st.text(max_size=40), st.integers(0, 300_000), st.floats(0, 1))
def test_bids_are_in_range_and_grow_with_the_text(text: str, length: int, trust: float) -> None:
    page = Page(number=1, text=(text + "x") * (length // (len(text) + 1)), confidence=trust)
    empty = page.model_copy(update={"text": ""})
    place = Where(page=1, start=0, end=0, text="")
    claims = Group("1", [Claim(page=1, slug=str(n), text="x", where=place) for n in range(length % 40 + 1)])
    given: dict[str, Any] = {
        "page": page, "pages": (page,), "layer": Layer(page=1, text=""), "claims": claims, "document": None,
        "sentence": Summary(rank=1, text="x"), "summary": (), "passages": (), "verdicts": (),
    }  # fmt: skip
    for name in OURS:
        bid = SOURCES[name].bid
        assert bid is not None
        names = bid.__code__.co_varnames[: bid.__code__.co_argcount]
        offer = checked_bid(bid(**{name: given[name] for name in names}))
        assert offer.cost_usd > 0 and offer.latency_s > 0
        assert offer == bid(**{name: given[name] for name in names})
        if "page" in names or "pages" in names:
            less = bid(**{**{name: given[name] for name in names}, **_with(names, empty)})
            assert less.cost_usd <= offer.cost_usd


def _with(names: tuple[str, ...], page: Page) -> dict[str, Any]:
    return {"page": page} if "page" in names else {"pages": (page,)}


SOURCES = installed()
