"""People correct what sources wrote, on random graphs: a board at rest equals one that had their words from the start.

`BLACKBOARD_FAULT_RUNS` sets how many examples are tried.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_graphs import DOCUMENT, LEVELS, document_flow, random_sources, upload
from simulation import CALM, RUNS, Odds, Simulation

from blackboard.entries import Header, Put, Retract, is_rival, level_of

SEEDS = st.integers(0, 1_000_000)
QUICK = settings(max_examples=RUNS or 40, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = {kind.level: kind for kind in LEVELS}


def corrected(seed: int, odds: Odds) -> Simulation:
    """A board held for review, while people edit what they submitted and correct or remove what sources made of it."""
    rng = random.Random(seed)
    board = Simulation(random_sources(seed), seed=seed, odds=odds, head={"hold": "review"})
    for number in range(1, 4):
        board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    for edit in range(4):
        if rng.random() < 0.5:
            board.run()
        else:
            for _ in range(rng.randint(0, 40)):
                board.step()
        derived = sorted(key for key in board.board.values if level_of(key) != "l0" and not is_rival(key))
        if derived and rng.random() < 0.7:
            key = rng.choice(derived)
            level, _, name = key.partition("/")
            if rng.random() < 0.2:
                board.person(Retract(key))
            else:
                board.put(KINDS[level](page=rng.randint(1, 3), text=f"{name}:corrected {edit}"), name)
        else:
            board.put(LEVELS[0](page=rng.randint(1, 3), text=f"p{edit}:{edit}"), f"p{edit}")
    board.run()
    return board


def anew(board: Simulation) -> Simulation:
    """A board that has all that people put, and has had removed what they removed, before any source runs."""
    again = Simulation(list(board.sources), seed=1, compare=False, head={"hold": "review"})
    for key, text in sorted(board.board.entries.items()):
        header = Header.parse(text)
        if not header.owner.startswith("person:"):
            continue
        if header.live:
            again.person(Put(key, board.board.values[key], 1.0, pin=True))
        else:
            again.person(Put(key, b'{"page":1,"text":"x:x"}', 1.0, pin=True))
            again.person(Retract(key))
    again.run()
    return again


def standing(board: Simulation) -> dict[str, bytes]:
    """What stands, suggestions beside it aside."""
    return {key: value for key, value in board.board.values.items() if not is_rival(key)}


@QUICK
@given(SEEDS)
@pytest.mark.parametrize("odds", [CALM, Odds(partial=0.3, crash=0.1, transient=0.1, zombie=0.3, batch=0.3, lag=0.2)])
def test_a_corrected_board_equals_one_that_was_right_from_the_start(odds: Odds, seed: int) -> None:
    board = corrected(seed, odds)
    again = anew(board)
    assert standing(again) == standing(board)
    # A source that has not run since it was corrected suggests nothing beside; what one does suggest is its last word.
    assert {
        key: value for key, value in board.board.values.items() if is_rival(key)
    }.items() <= again.board.values.items()
    for key, text in board.board.entries.items():
        header = Header.parse(text)
        assert not header.pinned or header.owner.startswith("person:"), f"{key} was pinned by {header.owner}"


def test_a_correction_of_one_page_of_forty_runs_its_cone_alone() -> None:
    pages = [f"page {number}" for number in range(1, 41)]
    board = Simulation(document_flow(), head={"hold": "review"}, compare=False)
    board.put(upload(*pages), "original")
    board.drain()
    before = len(board.started)
    board.put(DOCUMENT["page"](page=17, text="corrected"), "0017")
    board.drain()
    ran = board.started[before:]
    assert len(ran) == len(set(ran))
    of_page = {place for place in ran if place[1] == "page/0017"}
    assert of_page == {("mentions", "page/0017"), ("claims", "page/0017")}
    # Every page's claims are checked against the passages of all pages, which have changed.
    facts = {("facts", str(number)) for number in range(1, 41)}
    whole = {(name, "board") for name in ("entities", "passages", "summary", "figures", "report")}
    assert set(ran) == of_page | facts | whole | {("summary_facts", "summary/summary")}
