"""A wrong signature is refused when it is defined, with the parameter and the fix."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from blackboard import (
    All,
    Bid,
    Blobs,
    Claim,
    Contribution,
    Each,
    Group,
    LanguageModel,
    Layer,
    Level,
    Lookup,
    Page,
    Progress,
    Reading,
    Source,
    SourceSettings,
    knowledge_source,
)
from blackboard.errors import ContractError


class Found(Level):
    """What the sources here contribute."""

    page: int


class Options(SourceSettings):
    """Settings."""

    most: int = 1


class Plain(BaseModel):
    """Neither a level nor settings."""


class Wrong(BaseSettings):
    """Settings, but not of a source."""


def untyped(page) -> Found: ...  # type: ignore[no-untyped-def,empty-body]
def bare(page: Page) -> Found: ...  # type: ignore[empty-body]
def listed(pages: list[Page]) -> Found: ...  # type: ignore[empty-body]
def tupled(pages: tuple[Page, ...]) -> Found: ...  # type: ignore[empty-body]
def sequence(pages: Sequence[Page]) -> Found: ...  # type: ignore[empty-body]
def optional_level(page: Page | None) -> Found: ...  # type: ignore[empty-body]
def nested(pages: dict[str, list[Page]]) -> Found: ...  # type: ignore[empty-body]
def naked_each(page: Each) -> Found: ...  # type: ignore[empty-body,type-arg]
def naked_all(pages: All) -> Found: ...  # type: ignore[empty-body,type-arg]
def naked_group(pages: Group) -> Found: ...  # type: ignore[empty-body,type-arg]
def naked_lookup(pages: Lookup) -> Found: ...  # type: ignore[empty-body,type-arg]
def no_level(page: Each[int]) -> Found: ...  # type: ignore[empty-body]
def group_by_type(pages: Group[Page, str]) -> Found: ...  # type: ignore[empty-body]
def group_by_nothing(pages: Group[Layer | Page, Literal["page"]]) -> Found: ...  # type: ignore[empty-body]
def two_bindings(page: Each[Page], layer: Each[Layer]) -> Found: ...  # type: ignore[empty-body]
def plain_type(page: Each[Page], most: int) -> Found: ...  # type: ignore[empty-body]
def plain_dict(page: Each[Page], most: dict[str, int]) -> Found: ...  # type: ignore[empty-body]
def anything(page: Each[Page], most: Any) -> Found: ...  # type: ignore[empty-body]
def model(page: Each[Page], options: Plain) -> Found: ...  # type: ignore[empty-body]
def settings(page: Each[Page], options: Wrong) -> Found: ...  # type: ignore[empty-body]
def optional_type(page: Each[Page], progress: Progress | None) -> Found: ...  # type: ignore[empty-body]
def default(page: Each[Page], log: logging.Logger = logging.getLogger()) -> Found: ...  # type: ignore[empty-body]  # noqa: B008
def stars(*pages: Each[Page]) -> Found: ...  # type: ignore[empty-body]
def more(page: Each[Page], **options: Options) -> Found: ...  # type: ignore[empty-body]
def positional(page: Each[Page], /) -> Found: ...  # type: ignore[empty-body]
def no_return(page: Each[Page]): ...  # type: ignore[no-untyped-def]
def returns_none(page: Each[Page]) -> None: ...
def returns_text(page: Each[Page]) -> str: ...  # type: ignore[empty-body]
def returns_texts(page: Each[Page]) -> AsyncIterator[str]: ...  # type: ignore[empty-body]
def waits_for_nothing(blobs: Blobs) -> Found: ...  # type: ignore[empty-body]
def unknown_type(page: Each[Nowhere]) -> Found: ...  # type: ignore[empty-body,name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "said", "hint"),
    [
        (untyped, "parameter 'page' has no type", "write page: Each[SomeLevel]"),
        (bare, "parameter 'page' is a bare Page", "write page: Each[Page]"),
        (listed, "parameter 'pages' holds Page", "write pages: All[Page]"),
        (tupled, "parameter 'pages' holds Page", "write pages: All[Page]"),
        (sequence, "parameter 'pages' holds Page", "write pages: All[Page]"),
        (optional_level, "parameter 'page' holds Page", "Each[Page] to run for each one"),
        (nested, "parameter 'pages' holds Page", "write pages: All[Page]"),
        (naked_each, "parameter 'page' does not say which level", "write page: Each[SomeLevel]"),
        (naked_all, "parameter 'pages' does not say which level", "write pages"),
        (naked_group, "parameter 'pages' does not say which level", 'Group[X, Literal["field"]]'),
        (naked_lookup, "parameter 'pages' does not say which level", "Lookup[X]"),
        (no_level, "parameter 'page' waits for <class 'int'>, which is no Level", "blackboard.Level"),
        (group_by_type, "parameter 'pages' does not say which field", 'Literal["field"]'),
        (group_by_nothing, "parameter 'pages' groups by 'page', a field Page has not", "number"),
        (two_bindings, "'page' and 'layer' both say what one run works on", "make the others All or Lookup"),
        (plain_type, "parameter 'most' is of type int, which nobody hands in", "SourceSettings"),
        (plain_dict, "parameter 'most' is of type dict, which nobody hands in", "SourceSettings"),
        (anything, "parameter 'most' is of type Any, which nobody hands in", "SourceSettings"),
        (model, "parameter 'options' is of type Plain", "derive Plain from blackboard.SourceSettings"),
        (settings, "parameter 'options' is of type Wrong", "derive Wrong from blackboard.SourceSettings"),
        (optional_type, "parameter 'progress' is optional", "remove the None"),
        (default, "parameter 'log' has a default", "remove the default"),
        (stars, "parameter 'pages' takes any number of values", "without *"),
        (more, "parameter 'options' takes any number of values", "without **"),
        (positional, "parameter 'page' cannot be handed in by name", "remove the /"),
        (no_return, "the return type is missing", "write -> X"),
        (returns_none, "the return type is missing", "write -> X"),
        (returns_text, "it returns <class 'str'>, which is no Level", "with X a Level"),
        (returns_texts, "it returns <class 'str'>, which is no Level", "with X a Level"),
        (waits_for_nothing, "it waits for nothing", "declare an Each, Group, All or Lookup parameter"),
        (unknown_type, "a type in the signature cannot be found: name 'Nowhere'", "import the type at module level"),
    ],
)
def test_a_wrong_signature_names_the_parameter_and_the_fix(function: Callable[..., Any], said: str, hint: str) -> None:
    with pytest.raises(ContractError) as refused:
        knowledge_source(version="1")(function)
    assert f"source {function.__name__}: " in str(refused.value)
    assert said in str(refused.value)
    assert hint in refused.value.hint


def fine(page: Each[Page]) -> Found: ...  # type: ignore[empty-body]
def whole(pages: All[Page]) -> Found: ...  # type: ignore[empty-body]
async def later(page: Page) -> bool: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "declared", "said"),
    [
        (fine, {"when": lambda pgae: True}, "when takes 'pgae', no input of the source"),
        (fine, {"bid": lambda page, cost: Bid(1.0)}, "bid takes 'cost', no input of the source"),
        (fine, {"when": later}, "when is no plain function"),
        (fine, {"timeout": 0}, "timeout, concurrency and attempts must be positive"),
        (fine, {"concurrency": 0}, "timeout, concurrency and attempts must be positive"),
        (fine, {"attempts": 0}, "timeout, concurrency and attempts must be positive"),
        (fine, {"idle_timeout": -1}, "idle_timeout must be positive"),
        (fine, {"max_rounds": 0}, "max_rounds must be at least 1"),
        (fine, {"revises": Page}, "it revises Page but does not return it"),
        (fine, {"carries": {"page": "pgae"}}, "Page has no field 'pgae'"),
        (fine, {"carries": {"pgae": "number"}}, "no output has that field"),
        (whole, {"carries": {"page": "number"}}, "needs an Each or Group input"),
        (fine, {"name": "My Source"}, "is not a lower-case word"),
        (lambda page: None, {}, "is not a lower-case word"),
    ],
)
def test_a_wrong_declaration_is_refused(function: Callable[..., Any], declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError) as refused:
        knowledge_source(**declared)(function)
    assert said in str(refused.value)


def test_everything_the_signature_may_say() -> None:
    @knowledge_source(
        version="2",
        when=lambda sheets, words, limit=3: len(sheets) < limit,
        bid=lambda **given: Bid(0.5, 0.01, 2.0),
        carries={"page": "page"},
    )
    async def everything(
        sheets: Group[Layer | Reading, Literal["page"]],
        words: All[Found],
        pages: Lookup[Page],
        blobs: Blobs,
        progress: Progress,
        log: logging.Logger,
        options: Options,
    ) -> AsyncIterator[Found | Contribution[Found]]:
        yield Found(page=1)

    assert isinstance(everything, Source)
    shown = [
        (given.parameter, given.kind, [kind.level for kind in given.levels], given.by) for given in everything.inputs
    ]
    assert shown == [
        ("sheets", "group", ["layer", "reading"], "page"),
        ("words", "all", ["found"], ""),
        ("pages", "lookup", ["page"], ""),
    ]
    assert everything.injected == {"blobs": Blobs, "progress": Progress, "log": logging.Logger, "options": Options}
    assert everything.outputs == (Found,)


def test_who_asks_a_model_costs_something_and_is_async() -> None:
    @knowledge_source()
    async def asks(page: Each[Page], model: LanguageModel) -> Claim | None:
        return None

    assert asks.cost == "model"
    with pytest.raises(ContractError, match="it asks a model, which takes its time"):

        @knowledge_source()
        def plain(page: Each[Page], model: LanguageModel) -> Claim | None:
            return None
