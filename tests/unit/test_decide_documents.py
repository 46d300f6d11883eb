"""`decide` on the flow of document analysis: what starts when, what an edit makes run again, and what a decision costs."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_graphs import DOCUMENT, document_flow, upload
from simulation import ROUGH, RUNS, Simulation

from controller import states

PAGES = ("text one", "scan two", "text three")


def analysed(*pages: str, hold: bool = False, **more: object) -> Simulation:
    """A document submitted, nothing done yet."""
    board = Simulation(document_flow(), head={"hold": "review"} if hold else {}, **more)  # type: ignore[arg-type]
    board.put(upload(*pages), "upload")
    return board


def test_a_page_is_read_before_the_others_are() -> None:
    board = analysed(*PAGES)
    board.drain("ocr")
    pages = {binding for source, binding in board.started if source == "mentions"}
    assert pages == {"page/0001", "page/0003"}, "a page that needs no reading waits for no other's"
    assert ("entities", "board") not in board.started
    board.drain()
    assert board.board.status == "completed"
    assert board.started[-1] == ("report", "board")
    assert len(board.started) == len(set(board.started)), "everything ran once"


def test_only_the_cone_of_an_edited_page_runs_again() -> None:
    board = analysed(*PAGES, hold=True)
    board.drain()
    before = len(board.started)
    board.put(DOCUMENT["page"](page=2, text="corrected"), "0002")
    board.drain()
    per_page = {("mentions", "page/0002"), ("claims", "page/0002")}
    whole = {(name, "board") for name in ("entities", "passages", "summary", "figures", "report")}
    checks = {("facts", page) for page in "123"} | {("summary_facts", "summary/summary")}
    assert set(board.started[before:]) == per_page | whole | checks
    assert len(board.started[before:]) == len(set(board.started[before:])), "and once each"


def test_an_edit_that_changes_nothing_further_stops_there() -> None:
    board = analysed(*PAGES, hold=True)
    board.drain()
    before = len(board.started)
    board.put(upload(*PAGES), "upload")
    board.drain()
    assert board.started[before:] == [], "the same bytes are no new version"
    board.put(upload(*PAGES[:2], "text changed"), "upload")
    board.drain()
    again = set(board.started[before:])
    assert ("mentions", "page/0003") in again
    assert ("mentions", "page/0001") not in again
    assert ("ocr", "layer/0002") not in again or board.started.count(("ocr", "layer/0002")) == 2


def test_an_empty_document_does_not_hang() -> None:
    board = Simulation(document_flow())
    board.drain()
    assert board.board.status == "completed", "whoever reads a level as a whole speaks of an empty one too"
    assert set(board.level("report"))


@settings(max_examples=RUNS or 12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1_000_000), st.lists(st.sampled_from(("text", "scan")), max_size=4))
def test_every_schedule_comes_to_the_same_report(seed: int, pages: list[str]) -> None:
    board = analysed(*pages, seed=seed, odds=ROUGH)
    board.run()
    calm = analysed(*pages)
    calm.drain()
    assert board.board.status == "completed"
    assert board.board.values == calm.board.values


def test_the_cost_of_a_decision_does_not_grow_with_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    update = states._update

    def counted(*given: object, **named: object) -> None:
        nonlocal looked
        looked += 1
        update(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(states, "_update", counted)
    costs = []
    for pages in (10, 1000):
        looked = 0
        board = analysed(*("scan" if n % 3 == 0 else "text" for n in range(pages)), compare=False)
        board.drain()
        assert board.board.status == "completed"
        costs.append(looked / len(board.finished))
    assert costs[1] <= 1.5 * costs[0], f"bindings looked at per activation at 10 and 1,000 pages: {costs}"
