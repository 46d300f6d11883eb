"""`why` says for every source and binding what `decide` does with it, and cannot say otherwise."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_graphs import LEVELS, document_flow, random_sources, upload
from simulation import ROUGH, RUNS, Simulation

from blackboard.entries import Commit
from blackboard.ports import LeaseRow
from controller.decide import decide_plan
from controller.why import Reason, why, why_board


def told(board: Simulation, source: str, binding: str = "board") -> Reason:
    """The reason for one binding."""
    return next(r for r in why(board.plan, board.now) if (r.source, r.binding) == (source, binding))


def document(*pages: str, **head: str) -> Simulation:
    """A document submitted, nothing done yet."""
    board = Simulation(document_flow(facts={"concurrency": 1}), head=head)
    board.put(upload(*pages), "upload")
    return board


def test_every_source_and_binding_has_a_reason_and_the_board_comes_first() -> None:
    board = document("text", "scan")
    reasons = why(board.plan, board.now)
    assert (reasons[0].source, reasons[0].state) == ("", "open")
    assert {r.source for r in reasons[1:]} == set(board.graph.nodes)
    assert all(r.reason for r in reasons)
    assert why_board(board.board, board.sources, board.now) == reasons


def test_waiting_names_the_level_and_who_would_produce_it() -> None:
    board = document("text", "scan")
    board.drain("ocr")
    entities = told(board, "entities")
    assert (entities.state, entities.waits_for) == ("waiting", (("mentions", ("mentions",)),))
    assert "mentions can change no more" in entities.reason
    group = told(board, "pages", "2")
    assert group.waits_for == (("reading", ("ocr",)),)
    assert group.reason == "ocr may still contribute to page 2"
    assert told(board, "ocr", "layer/0001").reason == "its precondition is false"
    assert told(board, "ocr", "layer/0002").reason == "it waits for a worker"
    assert "done by mentions." in told(board, "mentions", "page/0001").reason


def test_a_group_waits_for_contributors_nobody_can_place() -> None:
    board = document("text")
    board.drain("layers")
    reason = told(board, "facts", "")
    assert (reason.state, reason.waits_for) == ("waiting", (("claim", ("claims",)),))


def test_running_retrying_and_failed_say_when_and_why() -> None:
    board = document("text")
    board.drain("mentions")
    id = next(iter(board.under_way))
    board.claim(id)
    leases = {id: LeaseRow(board.now + 7, "w-1", board.now)}
    running = next(r for r in why(board.plan, board.now, leases) if r.activation == id)
    assert (running.state, running.status, running.epoch) == ("under_way", "running", 1)
    assert (running.lease_until, running.lease_by, running.lease_since) == (board.now + 7, "w", board.now)
    lost = next(r for r in why(board.plan, board.now + 8, leases) if r.activation == id)
    assert "its lease is over" in lost.reason
    worker = board.workers.pop(id)
    worker.error = "the page is torn"
    board.commit(worker.failure(1, board.now + 1500))
    retry = told(board, "mentions", "page/0001")
    assert (retry.state, retry.attempts, retry.retry_at) == ("retry", 1, board.now + 1500)
    assert retry.reason == "attempt 1 failed: the page is torn; it is tried again in 1.5 s"
    board.now += 1500
    assert told(board, "mentions", "page/0001").reason.endswith("it is tried again now")
    board.control()
    board.claim(id)
    board.commit(board.workers.pop(id).failure(2, None))
    failed = told(board, "mentions", "page/0001")
    assert (failed.state, failed.reason, failed.attempts) == ("failed", "hiccup", 2)


def test_an_entry_about_to_be_written_anew_is_no_ground_to_stand_on() -> None:
    board = document("text", hold="review")
    board.drain()
    board.put(upload("other"), "upload")
    board.drain("summary")
    reason = told(board, "summary_facts", "summary/summary")
    assert (reason.state, reason.waits_for) == ("waiting", (("summary", ("summary",)),))
    assert reason.reason == "summary may still write summary/summary anew, or retract it"


def test_a_ready_binding_waits_for_its_turn() -> None:
    board = document("text", "text", "text")
    board.drain("facts")
    states = sorted((r.state, r.reason) for r in why(board.plan, board.now) if r.source == "facts")
    turn = ("ready", "it waits for its turn: 1 of at most 1 are under way")
    assert states == [turn, turn, ("under_way", "it waits for a worker")]


def test_the_board_says_held_its_deadline_and_how_it_ended() -> None:
    board = document("text", hold="review", deadline_ms="60000")
    assert told(board, "").reason.endswith("its deadline is in 60.0 s")
    board.drain()
    assert told(board, "").state == "held"
    board.commit(Commit("board.changed", "person:p", head={"approved": "person:p"}))
    assert told(board, "").reason == "it ends now, completed: every goal is settled"
    board.drain()
    assert (told(board, "").state, told(board, "").reason) == ("completed", "it has ended: every goal is settled")


@settings(max_examples=RUNS or 15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1_000_000))
def test_reasons_agree_with_what_is_decided(seed: int) -> None:
    board = Simulation(random_sources(seed, loops=True), seed=seed, odds=ROUGH, head={"hold": "review"}, compare=False)
    for number in range(1, 4):
        board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    for _ in range(60):
        board.step()
        board.catch_up()
        decision = decide_plan(board.plan, board.now)
        reasons = {(r.source, r.binding): r for r in why(board.plan, board.now)}
        assert decide_plan(board.plan, board.now) == decision, "asking why changes nothing"
        starting = {(s.activation.data["source"], s.activation.data["binding"]) for s in decision.activate}
        assert {place for place, r in reasons.items() if "it is started now" in r.reason} == starting
        for (source, binding), reason in reasons.items():
            if source and binding:
                assert reason.state == board.plan.tracks[source].bindings[binding].state
            if reason.state == "waiting":
                assert reason.waits_for or "turn" in reason.reason, reason
                for level, producers in reason.waits_for:
                    assert producers, f"{source} waits for {level}, which nobody would produce"
