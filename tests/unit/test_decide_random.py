"""Properties of `decide` on random graphs, random schedules, accidents and people's edits.

`BLACKBOARD_FAULT_RUNS` sets how many examples of each are tried.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_graphs import LEVELS, digest, random_sources, texts
from simulation import CALM, ROUGH, RUNS, Odds, Simulation, never

from blackboard.contract import Source
from blackboard.entries import Activation, Put, Retract

SEEDS = st.integers(0, 1_000_000)
QUICK = settings(max_examples=RUNS or 25, deadline=None, suppress_health_check=list(HealthCheck))


def fragile(source: Source, given: dict[str, Any]) -> str:
    """Fails for good on one in seven inputs, always the same."""
    read = texts({name: value for name, value in given.items() if not hasattr(value, "all")})
    return "broken" if int(digest("fails", source.name, read), 16) % 7 == 0 else ""


def edited(seed: int, *, odds: Odds = CALM, loops: bool = False, fails: Any = never) -> Simulation:
    """A board held for review, while people write, change and delete what they submitted; at rest in the end."""
    rng = random.Random(seed)
    sources = random_sources(seed, loops=loops)
    board = Simulation(sources, seed=seed, odds=odds, head={"hold": "review"}, fails=fails)
    for number in range(1, 4):
        if rng.random() < 0.6:
            board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    for edit in range(3):
        if rng.random() < 0.4:
            board.run()
        else:
            for _ in range(rng.randint(0, 40)):
                board.step()
        name = f"p{rng.randint(1, 4)}"
        if rng.random() < 0.3:
            board.person(Retract(f"l0/{name}"))
        else:
            board.put(LEVELS[0](page=rng.randint(1, 3), text=f"{name}:{edit}"), name)
    board.run()
    return board


def read_by(run: Activation) -> Any:
    """What a finished run had read."""
    return run.inputs, run.data.get("lookups")


def check_runs(board: Simulation) -> None:
    """No activation finishes twice; no binding runs twice on the same, unless what it wrote was touched in between.

    A run that looks things up may find them as they were, though they had moved when it was decided.
    """
    ids = [run.id for run in board.finished]
    assert len(ids) == len(set(ids)), "an activation finished twice"
    in_part = [record for record in board.shelf.log if record.type == "contribution.committed" and not record.agenda]
    cleared = {key for record in board.shelf.log if record.by == "controller" for key in record.entries}
    cleared |= {key for record in in_part for key in record.entries}
    last: dict[tuple[str, str], Activation] = {}
    for run in board.finished:
        place = run.data["source"], run.data["binding"]
        before = last.get(place)
        if before is not None and "lookups" not in run.data and not cleared.intersection(before.data.get("wrote", ())):
            assert read_by(before) != read_by(run), f"{place} ran twice on {read_by(run)}"
        last[place] = run


def check_limits(board: Simulation, most_lag: int = 0) -> None:
    """Concurrency is kept; rounds of loop sources are."""
    for name, node in board.graph.nodes.items():
        assert board.most[name] <= node.source.concurrency + most_lag, f"{name} had {board.most[name]} under way"
    for run in board.agenda():
        limit = board.graph.nodes[run.data["source"]].source.max_rounds
        assert limit is None or run.data["round"] <= limit


@QUICK
@given(SEEDS)
def test_a_board_at_rest_equals_one_that_saw_only_the_last_edit(seed: int) -> None:
    board = edited(seed, odds=Odds(partial=0.3, crash=0.1, transient=0.1, zombie=0.3, batch=0.3))
    check_runs(board)
    check_limits(board)
    assert not board.board.ended, "a board held for review ended"
    anew = Simulation(list(board.sources), seed=1, compare=False, head={"hold": "review"})
    for key, value in board.level("l0").items():
        anew.person(Put(key, value, 1.0, pin=True))
    anew.run()
    assert anew.board.values == board.board.values


@QUICK
@given(SEEDS)
def test_failures_leave_no_more_than_a_board_that_saw_only_the_last_edit(seed: int) -> None:
    # Without partial contributions: what a failed run had contributed stays, and that is chance.
    board = edited(seed, odds=Odds(crash=0.1, transient=0.1, zombie=0.3, batch=0.3), fails=fragile)
    check_runs(board)
    check_limits(board)
    assert not board.board.ended, "a board held for review ended"
    anew = Simulation(list(board.sources), seed=1, compare=False, head={"hold": "review"}, fails=fragile)
    for key, value in board.level("l0").items():
        anew.person(Put(key, value, 1.0, pin=True))
    anew.run()
    assert anew.board.values == board.board.values


@QUICK
@given(SEEDS)
def test_loops_end_under_every_accident(seed: int) -> None:
    board = edited(seed, odds=ROUGH, loops=True, fails=fragile)
    check_limits(board, most_lag=64)
    ids = [run.id for run in board.finished]
    assert len(ids) == len(set(ids)), "an activation finished twice"


@QUICK
@given(SEEDS)
def test_a_controller_that_lags_behind_does_no_harm(seed: int) -> None:
    board = edited(seed, odds=Odds(lag=0.4, batch=0.5, partial=0.2, crash=0.05))
    assert not board.board.ended, "a board held for review ended"
    anew = Simulation(list(board.sources), seed=1, compare=False, head={"hold": "review"})
    for key, value in board.level("l0").items():
        anew.person(Put(key, value, 1.0, pin=True))
    anew.run()
    assert anew.board.values == board.board.values


@QUICK
@given(SEEDS)
def test_every_board_ends_once_with_nothing_under_way(seed: int) -> None:
    board = Simulation(random_sources(seed, loops=seed % 2 == 0), seed=seed, odds=ROUGH, fails=fragile)
    for number in range(seed % 4):
        board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    board.run()
    assert board.board.ended, board.states()
    assert not board.under_way
    assert sum(record.is_terminal for record in board.shelf.log) == 1
    assert not board.control(), "a board that has ended wants nothing"
    if board.board.status == "completed":
        assert any(board.level(level) for level in board.graph.goal), "never an empty success"
