"""Properties of the side space and of copies, on random graphs: shadows change nothing, backfills miss nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson
from hypothesis import given
from simulated_graphs import LEVELS, document_flow, random_sources, upload
from simulation import CALM, Odds, Simulation
from test_contests import bids, paying, reader
from test_decide_random import QUICK, SEEDS, fragile

from blackboard.board import Board
from blackboard.contract import Source
from blackboard.entries import Activation, Put, Retract, is_shadow, plain_name, shadow_parts
from controller.backfill import backfilled
from controller.decide import decide_plan
from controller.pinned import Backfill, shadowed
from controller.plan import Plan
from controller.policy import Policy
from controller.states import look

# Without partial contributions: what a failed run had contributed stays, and that is chance.
BUMPY = Odds(crash=0.1, transient=0.1, zombie=0.3, batch=0.3)


def proper(board: Simulation) -> dict[str, bytes]:
    """What stands on the board, the side space left out."""
    return {key: value for key, value in board.board.values.items() if not is_shadow(key)}


def submitted(board: Simulation, rng: random.Random) -> None:
    """A few entries to begin with."""
    for number in range(1, 4):
        if rng.random() < 0.7:
            board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")


def end_of(board: Simulation) -> tuple[object, ...]:
    """How a board ended, its shadows left out."""
    outcome = orjson.loads(board.board.head["outcome"])
    return (board.board.status, *(outcome[word] for word in ("slug", "reason", "disputes", "degraded", "coverage")))


def head_of(sources: Iterable[Source]) -> dict[str, str]:
    """A head that names the sources."""
    return {"sources": orjson.dumps({source.name: source.version for source in sources}).decode()}


@QUICK
@given(SEEDS)
def test_shadows_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    sources = random_sources(seed)
    rng.shuffle(sources)
    kept = sources[: rng.randint(1, len(sources))]
    # Those that were left out, and other versions of those that were not; some of them fail.
    shadows = [shadowed(source) for source in sources[len(kept) :]]
    shadows += [shadowed(replace(source, version="9")) for source in kept if rng.random() < 0.3]
    boards = (
        Simulation(kept, seed=seed, odds=BUMPY, shadows=shadows, fails=fragile),
        Simulation(kept, seed=1, odds=CALM, fails=fragile, compare=False),
    )
    for board in boards:
        submitted(board, random.Random(seed))
        board.run()
    beside, alone = boards
    assert proper(beside) == alone.board.values
    assert end_of(beside) == end_of(alone)
    assert {run.data["source"] for run in beside.finished} <= beside.graph.nodes.keys()
    owners = {header.split("|")[6] for key, header in beside.board.entries.items() if is_shadow(key)}
    assert owners <= beside.graph.shadows


@QUICK
@given(SEEDS)
def test_shadows_follow_what_people_edit_and_change_nothing_then(seed: int) -> None:
    rng = random.Random(seed)
    sources = random_sources(seed, loops=seed % 3 == 0)
    shadows = [shadowed(source) for source in sources if rng.random() < 0.6]
    board = Simulation(sources, seed=seed, odds=BUMPY, shadows=shadows, head={"hold": "review"})
    submitted(board, rng)
    for edit in range(2):
        for _ in range(rng.randint(0, 40)):
            board.step()
        name = f"p{rng.randint(1, 3)}"
        if rng.random() < 0.3:
            board.person(Retract(f"l0/{name}"))
        else:
            board.put(LEVELS[0](page=rng.randint(1, 3), text=f"{name}:{edit}"), name)
    board.run()
    assert not board.board.ended, "a board held for review ended"
    if any(source.is_loop for source in sources):
        return
    anew = Simulation(sources, seed=1, compare=False, head={"hold": "review"})
    for key, value in board.level("l0").items():
        anew.person(Put(key, value, 1.0, pin=True))
    anew.run()
    assert proper(board) == anew.board.values
    # A shadow of the same version says what its source says.
    names = {plain_name(source.name) for source in shadows}
    owned = {key: plain_name(header.split("|")[6]) for key, header in board.board.entries.items()}
    theirs = {shadow_parts(key)[1]: value for key, value in board.board.values.items() if is_shadow(key)}
    said = {key: value for key, value in proper(board).items() if owned[key] in names and "~" not in key}
    assert theirs == said


def copied(board: Simulation, source: Source, *, downstream: bool, shadow: bool = False) -> Simulation:
    """The board that a backfill makes of an ended one, at its end; checks that the first stays as it was."""
    task = Backfill(source.name, shadow, downstream)
    before = [*board.shelf.log]
    first = backfilled(board.board, source, task, "person:p", due=())
    known = {**{each.name: each for each in board.sources}, source.name: source}
    copy = Simulation(list(known.values()), seed=2, first=first, compare=False)
    copy.run()
    assert board.shelf.log == before
    return copy


@QUICK
@given(SEEDS)
def test_a_backfill_with_all_that_follows_equals_a_board_that_had_it_from_the_start(seed: int) -> None:
    rng = random.Random(seed)
    sources = random_sources(seed)
    new = rng.choice(sources)
    if rng.random() < 0.5:
        older = [source for source in sources if source is not new]
    else:
        # An earlier version, which wrote other texts, maybe of other entries.
        former = next(source for source in random_sources(seed) if source.name == new.name)
        older = [replace(former, version="0") if source is new else source for source in sources]
    if not older:
        return
    first = Simulation(older, seed=seed, odds=BUMPY, head=head_of(older))
    submitted(first, random.Random(seed))
    first.run()
    copy = copied(first, new, downstream=True)
    scratch = Simulation(sources, seed=1, compare=False)
    submitted(scratch, random.Random(seed))
    scratch.run()
    assert copy.board.values == scratch.board.values
    ran = {run.data["source"] for run in copy.finished}
    assert orjson.loads(copy.board.head["outcome"])["backfill"]["ran"].keys() == ran


@QUICK
@given(SEEDS)
def test_a_backfill_runs_the_source_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    sources = random_sources(seed)
    new = rng.choice(sources)
    older = [source for source in sources if source is not new]
    if not older:
        return
    first = Simulation(older, seed=seed, odds=BUMPY, head=head_of(older), fails=fragile)
    submitted(first, random.Random(seed))
    first.run()
    for shadow in (False, True):
        copy = copied(first, new, downstream=False, shadow=shadow)
        name = f"shadow.{new.name}" if shadow else new.name
        assert {run.data["source"] for run in copy.finished} <= {name}
        outcome = orjson.loads(copy.board.head["outcome"])
        # Half an input may have stood there before, left by a run that failed: what is new is the source's own.
        changed = {key for key, value in copy.board.values.items() if first.board.values.get(key) != value}
        assert all(copy.board.header(key).owner == name for key in changed)  # type: ignore[union-attr]
        assert outcome["backfill"]["ran"] in ({}, {name: len(copy.finished)})


def test_later_runs_stand_above_what_a_copy_brought_with_it() -> None:
    """Revisions begin anew on a copy; those its activations were decided at do not count against newer ones."""
    sources = document_flow()
    first = Simulation(sources, head=head_of(sources))
    first.put(upload("one", "two"), "original")
    first.run()
    newer = next(replace(source, version="2") for source in sources if source.name == "mentions")
    copy = copied(first, newer, downstream=False)
    assert sorted(run.data["binding"] for run in copy.finished) == ["page/0001", "page/0002"]
    assert all(Activation.parse(id, stored).status == "done" for id, stored in copy.board.agenda.items())
    again = Plan.of(copy.board, copy.graph)
    look(again)
    assert {b.state for b in again.tracks["mentions"].bindings.values()} == {"done"}


def test_another_version_stops_what_the_earlier_one_has_under_way() -> None:
    """What an adoption and an added version rely on: a plan made anew finds the old activation surplus."""
    sources: Sequence[Source] = document_flow()
    board = Simulation(sources, head=head_of(sources))
    board.put(upload("one"), "original")
    board.drain("mentions")
    newer = [replace(source, version="2") if source.name == "mentions" else source for source in sources]
    graph = Simulation(newer).graph
    decision = decide_plan(Plan.of(Board("0-simulated", **_parts(board.board)), graph), board.now)
    assert [step.activation.data["version"] for step in decision.cancel] == ["1"]
    assert [step.activation.data["version"] for step in decision.activate] == ["2"]


def _parts(board: Board) -> dict[str, dict[str, object]]:
    return {"head": board.head, "entries": board.entries, "values": board.values, "agenda": board.agenda}  # type: ignore[dict-item]


def test_a_shadow_s_spending_takes_nothing_from_the_board() -> None:
    paid = reader("paid", bids(0.9, cost=0.3), cost="paid")
    other = shadowed(reader("other", bids(0.9, cost=0.4), cost="paid"))
    said = []
    for shadows in ((), (other,)):
        board = Simulation([paid], policy=Policy(budget={"usd": 1.0}), shadows=shadows)
        for page in range(1, 6):
            board.put(LEVELS[0](page=page, text=f"p{page}:x"), f"p{page}")
        paying(board, {"paid": 0.3, "shadow.other": 0.4})
        said.append(orjson.loads(board.board.head["outcome"]))
    alone, beside = said
    assert {word: beside[word] for word in alone} == alone
    assert (alone["cost_usd"], beside["shadow_cost_usd"]) == (0.9, 0.8)
    assert Counter(beside["shadow"]["shadow.other"].values()) == {"unaffordable": 1}
