"""docs/models.md says what the code does: its settings, its floors, its sources, and what a question holds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from blackboard import Page, Task
from blackboard.registry import find_sources
from controller.cli import app
from controller.commands.options import policy_json
from controller.graph import compile_graph
from controller.modes import FLOOR, FLOORS
from controller.policy import Policy
from knowledge_sources.llm.prompting import RULES, request
from knowledge_sources.llm.settings import ModelSettings
from tests.unit.test_docs import ROOT, table

TEXT = (ROOT / "docs" / "models.md").read_text()
HEAD = "Sources compete that contribute one level for the same bindings, page by page, say:"
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_setting_is_there_with_its_default() -> None:
    shown: dict[str, str] = {}
    for names, defaults, _ in table("models.md", "## Keys and servers"):
        words = re.findall(r"`([A-Z_]+)`", names)
        values = [defaults] if len(words) == 1 else [part.strip() for part in defaults.split(", ")]
        shown.update(zip(words, [value.strip(" `") for value in values], strict=True))
    fields = ModelSettings.model_fields
    assert shown.keys() == {name.upper() for name in fields}
    for name, default in shown.items():
        actual = fields[name.lower()].default
        if isinstance(actual, bool):
            assert default == str(actual).lower()
        elif isinstance(actual, int | float):
            assert float(default) == float(actual), name
        elif name == "TYPED":
            assert default == actual
        elif name == "NAMES":
            assert default == ",".join(actual)
        elif name not in ("API_KEY", "BASE_URL"):
            assert default == "none" and not actual, name


def test_every_variable_that_is_set_in_an_example_is_a_setting() -> None:
    fields = {f"BLACKBOARD_MODEL_{name.upper()}" for name in ModelSettings.model_fields}
    named = set(re.findall(r"BLACKBOARD_MODEL_[A-Z_]*[A-Z]", TEXT))
    assert named - {"BLACKBOARD_MODEL"} <= fields
    prices = re.search(r"BLACKBOARD_MODEL_PRICES='(.*?)'", TEXT)
    assert prices is not None
    assert set(ModelSettings(prices=orjson.loads(prices[1])).prices) == {"qwen3:8b", "qwen3-8b"}
    fallbacks = re.search(r"`(\[\{\"base_url\".*?\])`", TEXT)
    assert fallbacks is not None
    assert ModelSettings(fallbacks=orjson.loads(fallbacks[1])).fallbacks[0].models == ("...",)


def test_floors_and_sources_are_the_real_ones() -> None:
    sources = {source.name: source for source in find_sources()[0]}
    said: dict[str, float] = {}
    asking: set[str] = set()
    for levels, local, model, floor in table("models.md", HEAD):
        level = levels.strip("`")
        locals_, models = (re.findall(r"`(\w+)`", cell) for cell in (local, model))
        asking |= set(models)
        for name in (*locals_, *models):
            assert level in {kind.level for kind in sources[name].outputs}, name
            assert sources[name].asks_model == (name in models)
        shapes = {_shape(sources[name]) for name in (*locals_, *models)}
        if floor:
            said[level] = float(floor)
            assert len(shapes) == max(1, len(locals_)), "each model has its rival"
    contests = compile_graph(list(sources.values()), (), Policy(models="auto")).contests
    assert {name for name, contest in contests.items() if sources[name].asks_model and contest.mixed} == asking - {
        "contradictions",
        "reviser",
    }
    assert asking == {name for name, source in sources.items() if source.asks_model and source.origin == "built-in"}
    assert said == {level: floor for level, floor in FLOORS.items() if level != "entities"}
    assert f"Any other level has the floor {FLOOR:g} (`entities` too)" in TEXT and FLOORS["entities"] == FLOOR


def _shape(source: Any) -> Any:
    given = source.binding_input
    return (given.kind, given.levels, given.by) if given else None


def test_a_question_holds_what_is_said() -> None:
    (shown,) = (orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.S))
    assert "Say only what the documents bear out" in RULES
    page = Page(number=1, text="(the text of page 1)")
    asked = request(
        "claude-sonnet-5-5", Task("claims", "(the task)"), ["The question is about page 1 alone."], [page], max_tokens=4096
    )  # fmt: skip
    body = {"model": asked.model, **asked.body}
    body["system"] = [{"type": "text", "text": "(our rules)"}]
    assert shown == body


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"blackboard (analyze|doctor|replay)(.*?)(?:  #.*)?$", TEXT, re.M)))
)
def test_commands_take_the_options_that_are_shown(line: tuple[str, str]) -> None:
    command, rest = line
    told = {option for parameter in COMMANDS[command].params for option in parameter.opts}
    words = shlex.split(rest.partition("`")[0])
    for word in words:
        if word.startswith("--"):
            assert word in told, (command, word)
        if "=" in word and "--models" in words:
            assert policy_json(None, None, "", models=word)["models"]


def test_pages_it_leads_to_are_there() -> None:
    for page, anchor in re.findall(r"\]\((\w+\.md)#([\w-]+)\)", TEXT):
        heads = re.findall(r"^#+ (.*)$", (Path(ROOT) / "docs" / page).read_text(), re.M)
        assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
