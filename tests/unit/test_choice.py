"""Which sources a board begins with, and how a source says that it is not there by default."""

from __future__ import annotations

import pytest

from blackboard import Each, Layer, Reading, Report, Source, knowledge_source
from blackboard.errors import ContractError
from controller.choice import begin_with
from controller.graph import graph_of
from controller.policy import Policy
from controller.views import source_view


@knowledge_source()
def careful(layer: Each[Layer]) -> Reading:
    """Never run."""
    raise NotImplementedError


@knowledge_source(default=False)
def quick(layer: Each[Layer]) -> Reading:
    """Never run."""
    raise NotImplementedError


@knowledge_source(default=False)
def gist(layer: Each[Layer]) -> Report:
    """Never run."""
    raise NotImplementedError


SOURCES: tuple[Source, ...] = (careful, quick, gist)


def test_who_is_not_there_by_default_is_not_there() -> None:
    assert list(begin_with(SOURCES)) == ["careful"]
    assert list(graph_of({}, SOURCES).nodes) == ["careful"]


def test_whoever_is_named_is_there() -> None:
    assert list(begin_with(SOURCES, ("quick",))) == ["quick"]
    assert list(begin_with(SOURCES, ("gist", "careful"), Policy(strategy={"reading": "market"}))) == ["careful", "gist"]


def test_a_competition_has_its_rivals() -> None:
    assert list(begin_with(SOURCES, (), Policy(strategy={"reading": "market"}))) == ["careful", "quick"]


def test_a_view_says_whether_it_is_there_by_default() -> None:
    assert [source_view(source)["default"] for source in SOURCES] == [True, False, False]


def test_a_required_source_is_there_by_default() -> None:
    with pytest.raises(ContractError, match="required, but not there by default"):

        @knowledge_source(required=True, default=False)
        def needed(layer: Each[Layer]) -> Reading:
            raise NotImplementedError
