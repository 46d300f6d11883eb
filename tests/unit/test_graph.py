"""The graph of sources: refused where it cannot end, in an order that does not depend on how the sources were listed."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_graphs import LEVELS, Item, document_flow, random_sources

from blackboard.contract import Input, Source
from blackboard.errors import ContractError
from controller.graph import compile_graph, graph_of


def source(name: str, reads: tuple[int, ...], writes: tuple[int, ...], **more: Any) -> Source:
    """A source on the board as a whole."""
    inputs = (Input("x", "all", tuple(LEVELS[n] for n in reads)),)
    return Source(name, "1", lambda **_: [], inputs, tuple(LEVELS[n] for n in writes), **more)


def test_a_circle_without_a_loop_source_is_refused_and_named() -> None:
    with pytest.raises(ContractError, match=r"wait for each other in a circle: .*a.*"):
        compile_graph([source("a", (0, 2), (1,)), source("b", (1,), (2,))])


def test_a_loop_source_closes_a_circle() -> None:
    graph = compile_graph([source("a", (0, 2), (1,), max_rounds=2), source("b", (1,), (2,))])
    assert graph.nodes["a"].loop == graph.nodes["b"].loop == 0
    assert graph.loops[0].levels == {"l1", "l2"}
    assert graph.loops[0].turners == ("a",)
    assert graph.order.index("b") < graph.order.index("a")


def test_loop_sources_that_write_one_level_turn_in_one_loop() -> None:
    first = source("a", (0,), (2,), max_rounds=1)
    second = source("b", (1, 2), (1,), max_rounds=1)
    third = source("c", (1,), (2,))
    graph = compile_graph([first, second, third])
    assert len(graph.loops) == 1, "two loops over one level would wait for each other"


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ContractError, match="two sources are called 'a'"):
        compile_graph([source("a", (0,), (1,)), source("a", (0,), (2,))])


def test_one_level_name_on_two_classes_is_refused() -> None:
    other = type("Other", (Item,), {"level": "l1"})
    reader = Source("b", "1", lambda **_: [], (Input("x", "all", (other,)),), (LEVELS[2],))
    with pytest.raises(ContractError, match="the level 'l1' is two classes"):
        compile_graph([source("a", (0,), (1,)), reader])


def test_a_group_carries_nothing_but_its_own_field() -> None:
    grouped = Input("x", "group", (LEVELS[0],), "page")
    with pytest.raises(ContractError, match="its group shares 'page', but it carries 'text'"):
        compile_graph([Source("a", "1", lambda **_: [], (grouped,), (LEVELS[1],), carries={"text": "text"})])


def test_a_goal_keeps_only_what_leads_to_it() -> None:
    graph = compile_graph(document_flow(), ("entities",))
    assert set(graph.nodes) == {"intake", "layers", "ocr", "pages", "mentions", "entities"}
    with pytest.raises(ContractError, match="no source contributes the goal 'nonsense'"):
        compile_graph(document_flow(), ("nonsense",))


def test_a_board_names_its_sources_and_goal() -> None:
    head = {"sources": '["intake","layers","gone"]', "goal": "layer"}
    assert set(graph_of(head, document_flow()).nodes) == {"intake", "layers"}
    assert len(graph_of({}, document_flow()).nodes) == 13


@given(st.integers(0, 10_000))
def test_the_order_follows_what_is_read_and_not_how_sources_are_listed(seed: int) -> None:
    sources = random_sources(seed, loops=True)
    graph = compile_graph(sources)
    mixed = list(sources)
    random.Random(seed).shuffle(mixed)
    assert compile_graph(mixed).order == graph.order
    place = {name: number for number, name in enumerate(graph.order)}
    for node in graph.nodes.values():
        for level in node.waits:
            for other in graph.contributors[level]:
                turner = graph.nodes[other].source.is_loop and graph.nodes[other].loop == node.loop
                assert turner or other == node.name or place[other] < place[node.name], (other, node.name)
