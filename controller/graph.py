"""Which source feeds which: levels and sources as a graph, loops set apart, in the order `decide` walks them. Pure.

The graph must be acyclic once loop sources (those with max_rounds) are left out. A strongly connected component of the
whole graph (Tarjan 1972) that holds a loop source is a *loop*: its members see each other's levels settled while the loop
turns, everybody else waits until it is quiet.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from blackboard.contract import Input, Source
from blackboard.errors import ContractError
from blackboard.levels import Level
from controller.contests import Contest, find_contests
from controller.pinned import chosen, versions_of
from controller.policy import Policy, policy_of


@dataclass(frozen=True, slots=True)
class Node:
    """One source with what the graph knows of it. Levels by name."""

    source: Source
    each: tuple[str, ...]
    """Levels of the Each or Group input."""
    by: str
    """The field a Group input groups by; "" otherwise."""
    all: tuple[str, ...]
    lookup: tuple[str, ...]
    outputs: tuple[str, ...]
    waits: tuple[str, ...]
    """Every level it reads, once each."""
    loop: int
    """Number of the loop it belongs to; -1: none."""

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name


@dataclass(frozen=True, slots=True)
class Loop:
    """Levels and sources that lie on a common cycle."""

    levels: frozenset[str]
    sources: frozenset[str]
    turners: tuple[str, ...]
    """Its loop sources."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Sources in the order of evaluation, and what follows from it."""

    nodes: dict[str, Node]
    order: tuple[str, ...]
    """Every source after those it depends on; a loop's turners after its other members, outsiders after them."""
    contributors: dict[str, tuple[str, ...]]
    """Level -> sources that contribute to it."""
    steady: dict[str, tuple[str, ...]]
    """The same without loop sources."""
    loops: tuple[Loop, ...]
    loops_of_level: dict[str, tuple[int, ...]]
    goal: frozenset[str]
    """Levels that must settle."""
    types: dict[str, type[Level]]
    carriers: dict[str, tuple[tuple[str, str], ...]]
    """Source with a Group input -> (source, field of its input) pairs whose bindings carry the group's value."""
    followers: dict[str, tuple[tuple[str, str], ...]]
    """The reverse: source -> (source with a Group input, field) pairs."""
    readers: dict[str, tuple[str, ...]]
    """Level -> sources with an Each or Group input of it."""
    each_readers: dict[str, tuple[str, ...]]
    """Level -> sources that run for each of its entries."""
    asked: dict[str, tuple[Input, ...]]
    """Source with a `when` -> the inputs that it takes."""
    asked_levels: frozenset[str]
    """Levels whose values some `when` reads."""
    valued: frozenset[str]
    """Levels whose values must be whole (no blob references) when a plan applies them."""
    bidding: dict[str, tuple[Input, ...]]
    """Source with a `bid` -> the inputs that it takes."""
    contests: dict[str, Contest]
    """Source -> the contest it takes part in."""
    policy: Policy
    shadows: frozenset[str] = frozenset()
    """Sources that write to the side space: nobody waits for a level of theirs, and none of them is a goal."""
    strangers: frozenset[str] = frozenset()
    """Sources that the board began with and nobody knows here: it cannot end without them."""


def compile_graph(
    sources: Iterable[Source], goal: Sequence[str] = (), policy: Policy | None = None, shadows: Sequence[Source] = ()
) -> Graph:
    """Check the sources and put them in order.

    With a goal only the sources that lead to it are kept; `shadows` (see controller.pinned) whatever it is. Raises
    ContractError for duplicate names, a cycle without a loop source, one level name used by two classes, a group that
    carries another field than its own, a goal nobody contributes to, or a strategy that these sources cannot follow.
    """
    policy = policy or Policy()
    named: dict[str, Source] = {}
    for source in sources:
        if source.name in named:
            raise ContractError(f"two sources are called {source.name!r}", hint="rename or remove one of them")
        named[source.name] = source
        _check_group(source)
    types = _types(named.values())
    if goal:
        named = _needed(named, goal)
    named |= {source.name: source for source in shadows}
    types |= _types(named.values())
    aside = frozenset(source.name for source in shadows)
    edges = _edges(named.values())
    loops = _loops(named, edges)
    nodes = {name: _node(source, loops) for name, source in sorted(named.items())}
    contributors: dict[str, tuple[str, ...]] = dict.fromkeys(types, ())
    for node in nodes.values():
        for level in node.outputs:
            contributors[level] += (node.name,)
    loops_of_level = {
        level: tuple(number for number, loop in enumerate(loops) if level in loop.levels) for level in types
    }
    mine = (node for node in nodes.values() if node.name not in aside)
    goals = frozenset(goal) or frozenset(level for node in mine for level in node.outputs)
    carriers = {
        name: tuple(sorted({pair for level in node.each for pair in _carriers(nodes, contributors, level, node.by)}))
        for name, node in nodes.items()
    }
    followers = {
        name: tuple((group, field) for group, pairs in carriers.items() for who, field in pairs if who == name)
        for name in nodes
    }
    contests = find_contests({name: node.source for name, node in nodes.items()}, contributors, policy)
    order = _order(nodes, loops, contests)
    steady = {
        level: tuple(name for name in names if not nodes[name].source.is_loop) for level, names in contributors.items()
    }
    readers = {level: tuple(node.name for node in nodes.values() if level in node.each) for level in types}
    each_readers = {level: tuple(name for name in names if not nodes[name].by) for level, names in readers.items()}
    asked = {
        name: asked_by(node.source, when) for name, node in nodes.items() if (when := node.source.when) is not None
    }
    # Where nobody competes and nothing is counted, nobody is asked for a bid.
    weighed = set(contests) if policy.budget.usd is None else set(nodes)
    bidding = {name: asked_by(nodes[name].source, bid) for name in sorted(weighed) if (bid := nodes[name].source.bid)}
    inputs = (given for group in (asked, bidding) for given in group.values())
    asked_levels = frozenset(kind.level for given in inputs for wanted in given for kind in wanted.levels)
    told = {level for node in nodes.values() if node.by or node.source.carries for level in node.each}
    return Graph(
        nodes, order, contributors, steady, loops, loops_of_level, goals, types, carriers, followers,
        readers, each_readers, asked, asked_levels, asked_levels | told, bidding, contests, policy, aside,
    )  # fmt: skip


def asked_by(source: Source, asking: Callable[..., Any]) -> tuple[Input, ...]:
    """The inputs that a source's `when` or `bid` takes: those of its parameters' names, or all; never lookups."""
    parameters = inspect.signature(asking).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    names = {parameter.name for parameter in parameters}
    return tuple(x for x in source.inputs if x.kind != "lookup" and (takes_any or x.parameter in names))


def graph_of(head: Mapping[str, str], sources: Iterable[Source]) -> Graph:
    """The graph of one board: of the sources, in the versions and for the goal that its head names."""
    board = chosen(head, sources)
    policy = policy_of(head.get("policy", ""))
    if head.get("backfill"):
        # Strategies were for the sources of the whole board.
        policy = Policy(budget=policy.budget, models=policy.models)
    graph = compile_graph(board.sources, board.goal, policy, board.shadows)
    if board.goal or head.get("backfill"):
        return graph
    missing = versions_of(head, "sources").keys() - {source.name for source in board.sources}
    return replace(graph, strangers=frozenset(missing)) if missing else graph


def _check_group(source: Source) -> None:
    binding = source.binding_input
    for given in source.carries.values() if binding and binding.by else ():
        assert binding is not None
        if given != binding.by:
            raise ContractError(
                f"source {source.name}: its group shares {binding.by!r}, but it carries {given!r}",
                hint=f"a group's outputs can carry only {binding.by!r}: the members may differ in the rest",
            )


def _carriers(
    nodes: dict[str, Node], contributors: dict[str, tuple[str, ...]], level: str, by: str
) -> Iterator[tuple[str, str]]:
    """Sources upstream of a group whose bindings tell which of its values they may still contribute to."""
    for name in contributors[level] if by else ():
        node = nodes[name]
        carried = node.source.carries.get(by)
        if carried is not None and not node.source.is_loop:
            yield name, carried
            for before in node.each:
                yield from _carriers(nodes, contributors, before, carried)


def _levels(given: Input) -> tuple[str, ...]:
    return tuple(kind.level for kind in given.levels)


def _node(source: Source, loops: Sequence[Loop]) -> Node:
    binding = source.binding_input
    each = _levels(binding) if binding else ()
    # Once each: two parameters may read the same level, whose entries count once.
    all = tuple(dict.fromkeys(level for given in source.inputs if given.kind == "all" for level in _levels(given)))
    lookup = tuple(level for given in source.inputs if given.kind == "lookup" for level in _levels(given))
    return Node(
        source,
        each=each,
        by=binding.by if binding else "",
        all=all,
        lookup=lookup,
        waits=tuple(dict.fromkeys((*each, *all, *lookup))),
        outputs=tuple(kind.level for kind in source.outputs),
        loop=next((number for number, loop in enumerate(loops) if source.name in loop.sources), -1),
    )


def _types(sources: Iterable[Source]) -> dict[str, type[Level]]:
    types: dict[str, type[Level]] = {}
    for source in sources:
        for kind in (*source.outputs, *(kind for given in source.inputs for kind in given.levels)):
            known = types.setdefault(kind.level, kind)
            if known is not kind:
                raise ContractError(
                    f"the level {kind.level!r} is two classes: {known.__module__}.{known.__name__} and "
                    f"{kind.__module__}.{kind.__name__} (source {source.name})",
                    hint="import the one, or give the other another name",
                )
    return types


def _needed(named: dict[str, Source], goal: Sequence[str]) -> dict[str, Source]:
    wanted, kept = list(goal), dict[str, Source]()
    for level in goal:
        if not any(level == kind.level for source in named.values() for kind in source.outputs):
            known = sorted({kind.level for source in named.values() for kind in source.outputs})
            raise ContractError(f"no source contributes the goal {level!r}", hint=f"choose from: {', '.join(known)}")
    while wanted:
        level = wanted.pop()
        for source in named.values():
            if source.name not in kept and any(level == kind.level for kind in source.outputs):
                kept[source.name] = source
                wanted.extend(kind.level for given in source.inputs for kind in given.levels)
    return kept


def _edges(sources: Iterable[Source]) -> dict[str, set[str]]:
    """Node -> what it depends on; levels are `#level`, so that a source may be called as a level is."""
    edges: dict[str, set[str]] = {}
    for source in sources:
        edges.setdefault(source.name, set()).update(f"#{kind.level}" for g in source.inputs for kind in g.levels)
        for kind in source.outputs:
            edges.setdefault(f"#{kind.level}", set()).add(source.name)
        if source.is_loop:
            # It waits for what it writes, too: two loops that write one level would wait for each other.
            edges[source.name].update(f"#{kind.level}" for kind in source.outputs)
    return edges


def _loops(named: dict[str, Source], edges: dict[str, set[str]]) -> tuple[Loop, ...]:
    without = {
        node: {before for before in befores if not (before in named and named[before].is_loop)}
        for node, befores in edges.items()
        if not (node in named and named[node].is_loop)
    }
    try:
        TopologicalSorter(without).prepare()
    except CycleError as error:
        raise ContractError(
            f"sources wait for each other in a circle: {' <- '.join(error.args[1])}",
            hint="give the source that closes the circle max_rounds=, or break the circle",
        ) from error
    loops = []
    for part in _components(edges):
        turners = tuple(sorted(name for name in part if name in named and named[name].is_loop))
        if turners:
            levels = frozenset(name[1:] for name in part if name.startswith("#"))
            loops.append(Loop(levels, frozenset(name for name in part if name in named), turners))
    return tuple(loops)


def _components(edges: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components (Tarjan 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    parts: list[set[str]] = []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges.get(root, ()))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, children = work[-1]
            child = next(children, None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part: set[str] = set()
                    while node not in part:
                        last = stack.pop()
                        on_stack.discard(last)
                        part.add(last)
                    parts.append(part)
            elif child not in index:
                index[child] = low[child] = len(index)
                stack.append(child)
                on_stack.add(child)
                work.append((child, iter(sorted(edges.get(child, ())))))
            elif child in on_stack:
                low[node] = min(low[node], index[child])
    return parts


def _order(nodes: dict[str, Node], loops: Sequence[Loop], contests: Mapping[str, Contest]) -> tuple[str, ...]:
    before: dict[str, set[str]] = {}
    for node in nodes.values():
        mine = before.setdefault(node.name, set())
        reads = set(node.waits) | (set(node.outputs) if node.source.is_loop else set())
        for other in nodes.values():
            if other.name == node.name or not reads.intersection(other.outputs):
                continue
            same_loop = node.loop >= 0 and node.loop == other.loop
            if not (same_loop and other.source.is_loop):
                mine.add(other.name)
                # Whether one of them still has something to do depends on what became of the others.
                if other.name in contests and contests[other.name] is not contests.get(node.name):
                    mine.update(contests[other.name].sources)
        if node.source.is_loop and node.loop >= 0:
            mine.update(name for name in loops[node.loop].sources if not nodes[name].source.is_loop)
        for number, loop in enumerate(loops):
            if number != node.loop and reads & loop.levels:
                mine.update(loop.sources)
    # Sorted, because the order of a set differs from process to process.
    sorter = TopologicalSorter({name: sorted(befores) for name, befores in before.items()})
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        raise ContractError(
            f"sources that compete also wait for each other: {' <- '.join(error.args[1])}",
            hint="leave the strategy for this level at opportunistic",
        ) from error
