"""What `sources check` finds out, one mistake at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard import Page, Source, levels
from blackboard.levels import Level
from blackboard.registry import find_sources
from controller.authoring.check import check
from controller.authoring.find import find
from controller.authoring.findings import Finding
from controller.authoring.samples import samples

WHEN = 'when=lambda page: "Signed" in page.text'
DATES = f"""
import re
from collections.abc import AsyncIterator

from blackboard import Bid, Document, Each, Level, Page, knowledge_source


class DateMention(Level):
    iso: str
    page: int


@knowledge_source(version="1", cost="free", timeout=10, carries={{"page": "number"}}, {WHEN})
async def dates(page: Each[Page]) -> AsyncIterator[DateMention]:
    for hit in re.findall(r"\\d{{4}}-\\d\\d-\\d\\d", page.text):
        yield DateMention(iso=hit, page=page.number)
"""


def changed(*pairs: tuple[str, str]) -> str:
    """The source with words replaced."""
    text = DATES
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text


def asks(answer: str) -> str:
    """The source with another precondition, or a bid instead of it."""
    return changed((WHEN, answer))


OTHER = "class Other(Level):\n    page: int\n\n\n"
WRONG = {
    "chance": (asks("when=lambda page: __import__('random').random() < 0.5"), "when: asked the same twice, it said"),
    "clock": (
        asks("bid=lambda page: Bid(__import__('time').perf_counter() % 1)"),
        "bid: asked the same twice, it said",
    ),
    "memory": (
        changed(
            (WHEN, "bid=bid"),
            (
                "@know",
                "ASKED = []\n\n\ndef bid(page):\n    ASKED.append(page)\n    return Bid(1 / len(ASKED))\n\n\n@know",
            ),
        ),
        "bid: asked the same twice, it said",
    ),
    "identity": (asks("bid=lambda page: Bid(id(page) % 1000 / 1000)"), "bid: asked the same twice, it said"),
    "too_sure": (asks("bid=lambda page: Bid(1.5)"), "bid: its value 1.5 is not within 0..1"),
    "too_dear": (asks("bid=lambda page: Bid(1.0, float('nan'))"), "bid: cost nan and latency 0.0 must be 0 or more"),
    "no_bid": (asks("bid=lambda page: 0.5"), "bid: it answered 0.5, a float and not a Bid"),
    "raises": (asks("when=lambda page: 1 / 0"), "when: it raised ZeroDivisionError"),
    "truthy": (asks("when=lambda page: page.text"), "a str and not a bool"),
    "undeclared": (
        changed(
            ("        yield Date", "        yield Other(page=1)\n        yield Date"),
            ("class Date", f"{OTHER}class Date"),
        ),
        "declared: line 20 contributes Other, which the return type does not name",
    ),
    "unreachable": (
        changed(
            ("page: Each[Page]", "page: Each[DateMention]"),
            ("-> AsyncIterator[DateMention]", "-> AsyncIterator[Other]"),
            ("@know", f"{OTHER}@know"),
            ('"number"', '"page"'),
            ('"Signed" in page.text', "page.page > 0"),
        ),
        "inputs: no source contributes date_mention (page): the source would never run",
    ),
    "handed_in": (
        changed(
            ("page: Each[Page]", "page: Each[Page], path: Path"), ("import re", "import re\nfrom pathlib import Path")
        ),
        "types: nobody hands in path: Path",
    ),
    "not_json": (
        changed(("    iso: str", "    iso: str\n    secret: bytes = b'\\xff'")),
        "schema date_mention: a value cannot be kept as JSON",
    ),
    "other_json": (
        changed(("    iso: str", "    iso: str\n    parts: tuple[str, ...] | frozenset[str] = frozenset({'x'})")),
        "schema date_mention: a value is another one after it was kept as JSON",
    ),
    "no_schema": (
        changed(
            ("    iso: str", "    iso: str\n    call: Callable[[], int] = int"),
            ("import Async", "import Callable, Async"),
        ),
        "schema date_mention: it has no JSON schema",
    ),
    "level_name": (
        changed(("    iso: str", '    level = "Date-Mention"\n    iso: str')),
        "schema Date-Mention: 'Date-Mention' is no name of a level",
    ),
    "two_classes": (
        changed(("    iso: str", '    level = "page"\n    iso: str')),
        "graph: the level 'page' is two classes",
    ),
    "circle": (
        changed(("AsyncIterator[DateMention]", "AsyncIterator[DateMention | Document]")),
        "graph: sources wait for each other in a circle",
    ),
    "taken": (
        changed(("async def dates", "async def pages")),
        "name: 'pages' is taken by knowledge_sources.pages:pages",
    ),
    "named_by": (
        changed(("    iso: str", '    named_by = ("day",)\n    iso: str')),
        "schema date_mention: named_by names 'day'",
    ),
}


@pytest.fixture(scope="module")
def installed() -> tuple[Source, ...]:
    """The built-in sources."""
    return find_sources()[0]


def checked(tmp_path: Path, text: str, installed: tuple[Source, ...]) -> list[Finding]:
    """What is found of a file with one source."""
    (tmp_path / "plugin.py").write_text(text)
    named = find(str(tmp_path / "plugin.py"), lambda: installed)
    assert named.broken == ()
    (source,) = named.sources
    return check(source, installed)


@pytest.mark.parametrize("name", WRONG)
def test_every_mistake_is_found(tmp_path: Path, name: str, installed: tuple[Source, ...]) -> None:
    text, said = WRONG[name]
    found = [f"{each.check}: {each.said}" for each in checked(tmp_path, text, installed) if each.state == "fail"]
    assert any(said in each for each in found), found


def test_a_source_without_mistakes(tmp_path: Path, installed: tuple[Source, ...]) -> None:
    assert {each.state for each in checked(tmp_path, DATES, installed)} == {"ok"}


def test_what_only_trusted_sources_are_handed(
    tmp_path: Path, installed: tuple[Source, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = changed(("page: Each[Page]", "page: Each[Page], spending: Spending"), ("import Bid", "import Spending, Bid"))
    text = text.replace("    for hit", "    spending(usd=0.1)\n    for hit")
    assert {each.state for each in checked(tmp_path, text, installed)} == {"ok"}
    monkeypatch.setattr("controller.authoring.check.is_handed_in", lambda kind: False)
    (warned,) = [each for each in checked(tmp_path, text, installed) if each.state == "warn"]
    assert warned.said == "only a source that runs in the worker itself is handed spending: Spending"
    assert "BLACKBOARD_TRUSTED" in warned.hint


def test_the_built_in_sources_have_none(installed: tuple[Source, ...]) -> None:
    for source in installed:
        others = [other for other in installed if other is not source]
        assert [each for each in check(source, others) if each.state == "fail"] == [], source.name


def test_where_no_value_can_be_made_up_examples_help(tmp_path: Path, installed: tuple[Source, ...]) -> None:
    text = changed(
        ("    iso: str", "    iso: Annotated[str, Field(pattern=r'^[0-9]{4}x$')]"),
        ("import re", "import re\nfrom typing import Annotated\n\nfrom pydantic import ConfigDict, Field"),
    )
    (warned,) = [each for each in checked(tmp_path, text, installed) if each.state == "warn"]
    assert warned.check == "schema date_mention" and "examples" in warned.hint
    extra = 'model_config = ConfigDict(json_schema_extra={"examples": [{"iso": "1234x", "page": 1}]})'
    helped = text.replace("    page: int\n", f"    page: int\n    {extra}\n")
    assert {each.state for each in checked(tmp_path, helped, installed)} == {"ok"}


LEVELS = [
    kind for kind in vars(levels).values() if isinstance(kind, type) and issubclass(kind, Level) and kind is not Level
]


@given(st.sampled_from(LEVELS))
def test_samples_are_the_same_every_time(kind: type[Level]) -> None:
    assert samples(kind) == samples(kind) != []
    assert all(isinstance(value, kind) for value in samples(kind))


def test_samples_differ() -> None:
    texts = {page.text for page in samples(Page)}
    assert len(texts) >= 3 and any(not text.isascii() for text in texts)
