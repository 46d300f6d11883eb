"""The rules of control, one by one, on small boards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from simulated_graphs import LEVELS, Item, digest, texts
from simulation import Simulation

from blackboard.contract import Contribution, Input, Source
from blackboard.entries import Commit, Put, Retract
from controller.decide import decide_plan
from controller.why import why_board


def each(name: str, reads: int, writes: int, **more: Any) -> Source:
    """Writes one entry for each it reads, under the same name."""

    def run(one: Item, **others: Any) -> list[Contribution[Item]]:
        read = texts({"one": one, **others})
        return [Contribution(LEVELS[writes](page=one.page, text=f"{name}:{digest(read)}"), name=f"p{one.page}")]

    inputs = (Input("one", "each", (LEVELS[reads],)), *more.pop("also", ()))
    return Source(name, more.pop("version", "1"), run, inputs, (LEVELS[writes],), **more)


def whole(name: str, reads: int, writes: int, **more: Any) -> Source:
    """Writes one entry from all it reads."""

    def run(items: Sequence[Item]) -> list[Contribution[Item]]:
        return [Contribution(LEVELS[writes](page=1, text=f"{name}:{digest(texts({'items': items}))}"), name=name)]

    return Source(name, "1", run, (Input("items", "all", (LEVELS[reads],)),), (LEVELS[writes],), **more)


def page(number: int, text: str = "x") -> Item:
    """What people submit."""
    return LEVELS[0](page=number, text=text)


def board_of(*sources: Source, pages: int = 2, **more: Any) -> Simulation:
    """A board with some pages submitted."""
    board = Simulation(sources, **more)
    for number in range(1, pages + 1):
        board.put(page(number), f"p{number}")
    return board


def outcome(board: Simulation) -> Any:
    """What the end said."""
    return orjson.loads(board.board.head["outcome"])


def head(board: Simulation, **fields: str) -> None:
    """A person changes what the board is asked for."""
    board.commit(Commit("board.changed", "person:p", head=fields))


def test_all_waits_until_its_level_is_settled_and_fires_once() -> None:
    board = board_of(each("a", 0, 1), whole("b", 1, 2), pages=3)
    board.drain()
    assert board.started.count(("b", "board")) == 1
    assert [source for source, _ in board.started] == ["a", "a", "a", "b"]
    assert board.board.status == "completed"


def test_all_fires_on_an_empty_level() -> None:
    board = board_of(each("a", 0, 1, when=lambda one: False), whole("b", 1, 2))
    board.drain()
    assert ("b", "board") in board.started
    assert outcome(board)["coverage"]["a"] == {"1": "skipped", "2": "skipped"} or board.board.status == "completed"


def test_nothing_to_do_is_a_failure_with_a_reason_never_an_empty_success() -> None:
    board = board_of(each("a", 0, 1, when=lambda one: False))
    board.drain()
    assert board.board.status == "failed"
    assert outcome(board)["slug"] == "empty"


def test_a_precondition_that_raises_fails_its_binding_alone() -> None:
    def when(one: Item) -> bool:
        return 1 / (one.page - 1) > 0

    board = board_of(each("a", 0, 1, when=when), whole("b", 1, 2))
    board.drain()
    assert board.board.status == "completed"
    assert set(board.level("l1")) == {"l1/p2"}
    assert outcome(board)["degraded"] == [
        {"source": "a", "binding": "l0/p1", "reason": "its precondition raised ZeroDivisionError: division by zero"}
    ]


def test_a_required_failure_fails_the_board_at_once_and_cancels_what_is_under_way() -> None:
    first = each("a", 0, 1, required=True)
    board = board_of(first, each("b", 0, 2), fails=lambda source, given: "torn" if source.name == "a" else "")
    board.control()
    board.claim(next(id for id in board.under_way if id.startswith("a.")))
    board.work(next(iter(board.workers.values())))
    board.control()
    assert board.board.status == "failed"
    assert (outcome(board)["source"], outcome(board)["reason"], outcome(board)["slug"]) == ("a", "torn", "broken")
    assert not board.under_way
    assert {run.status for run in board.agenda()} == {"failed", "cancelled"}


def test_a_failure_that_is_not_required_degrades() -> None:
    fails = lambda source, given: "torn" if source.name == "a" and given["one"].page == 1 else ""  # noqa: E731
    board = board_of(each("a", 0, 1), whole("b", 1, 2), fails=fails)
    board.drain()
    assert board.board.status == "completed"
    assert outcome(board)["degraded"] == [{"source": "a", "binding": "l0/p1", "reason": "torn"}]


def test_a_rerun_that_fails_for_good_takes_its_old_outputs_with_it() -> None:
    fails = lambda source, given: "torn" if given["one"].text == "bad" else ""  # noqa: E731
    board = board_of(each("a", 0, 1), fails=fails, head={"hold": "review"})
    board.drain()
    assert set(board.level("l1")) == {"l1/p1", "l1/p2"}
    board.put(page(1, "bad"), "p1")
    board.drain()
    assert set(board.level("l1")) == {"l1/p2"}


def test_what_is_retried_waits_for_its_time() -> None:
    board = board_of(each("a", 0, 1), pages=1)
    board.control()
    board.claim(next(iter(board.under_way)))
    worker = next(iter(board.workers.values()))
    board.workers.clear()
    board.commit(worker.failure(1, board.now + 500))
    assert not board.control()
    board.now += 499
    assert not board.control()
    board.now += 1
    assert board.control()
    assert list(board.under_way) == [worker.activation.id]
    board.drain()
    assert board.board.status == "completed"


def test_concurrency_is_kept_and_nobody_starves() -> None:
    board = board_of(each("a", 0, 1, concurrency=2), pages=9, head={"hold": "review"})
    board.drain()
    assert board.most["a"] == 2
    for _ in range(3):
        for number in (1, 2):
            board.put(page(number, str(board.now + _)), f"p{number}")
        board.put(page(10 + _), f"p{10 + _}")
        before = len(board.started)
        board.control()
        assert ("a", f"l0/p{10 + _}") in board.started[before:], "what never ran goes before what ran already"
        board.drain()


def test_review_holds_a_settled_board_until_it_is_approved() -> None:
    board = board_of(each("a", 0, 1), head={"hold": "review"})
    board.drain()
    assert not board.board.ended
    head(board, approved="person:p")
    board.drain()
    assert board.board.status == "completed"


@pytest.mark.parametrize("some", [True, False])
def test_a_deadline_gives_the_best_there_is_or_a_failure(some: bool) -> None:
    board = board_of(each("a", 0, 1), head={"deadline_ms": "1000"})
    board.control()
    if some:
        board.claim(next(iter(board.under_way)))
        board.work(next(iter(board.workers.values())))
    board.now += 1000
    board.control()
    assert board.board.status == ("completed" if some else "failed")
    assert outcome(board)["slug"] == "deadline"
    assert outcome(board).get("partial", False) is some
    assert not board.under_way


def test_a_cancelled_board_ends_with_nothing_under_way() -> None:
    board = board_of(each("a", 0, 1))
    board.control()
    head(board, cancel="person:p")
    board.control()
    assert board.board.status == "cancelled"
    assert not board.under_way


def test_a_pinned_entry_stands_and_the_source_writes_beside_it() -> None:
    board = board_of(each("a", 0, 1), whole("b", 1, 2), head={"hold": "review"})
    board.drain()
    mine = LEVELS[1](page=1, text="mine")
    board.put(mine, "p1")
    board.drain()
    assert board.started.count(("a", "l0/p1")) == 1, "what a person wrote makes its author not run again"
    assert board.started.count(("b", "board")) == 2
    board.put(page(1, "y"), "p1")
    board.drain()
    assert orjson.loads(board.board.values["l1/p1"])["text"] == "mine"
    assert "l1/p1~a" in board.board.values
    assert board.plan.disputes == 1
    assert board.started.count(("b", "board")) == 2, "a rival is nobody's input"
    board.put(mine, "p1", pin=False)
    board.put(page(1, "z"), "p1")
    board.drain()
    assert orjson.loads(board.board.values["l1/p1"])["text"].startswith("a:")
    assert board.plan.disputes == 0, "the rival went when its author could write the entry itself"


def test_what_a_person_deleted_stays_deleted_until_it_is_unpinned() -> None:
    board = board_of(each("a", 0, 1), head={"hold": "review"})
    board.drain()
    board.person(Retract("l1/p1"))
    board.drain()
    board.put(page(1, "y"), "p1")
    board.drain()
    assert "l1/p1" not in board.board.values


def test_outputs_whose_input_vanished_are_retracted_down_the_line() -> None:
    board = board_of(each("a", 0, 1), each("b", 1, 2), head={"hold": "review"})
    board.drain()
    board.person(Retract("l0/p1"))
    board.drain()
    assert set(board.level("l1")) == {"l1/p2"}
    assert set(board.level("l2")) == {"l2/p2"}


def test_what_was_cleared_away_is_made_again_when_its_reason_has_gone() -> None:
    when = lambda one, rest: all(item.text != "stop" for item in rest)  # noqa: E731
    board = board_of(
        each("a", 0, 1, when=when, also=(Input("rest", "all", (LEVELS[3],)),)), head={"hold": "review"}, pages=1
    )
    board.drain()
    first = board.board.values["l1/p1"]
    board.put(LEVELS[3](page=1, text="stop"), "sign")
    board.drain()
    assert "l1/p1" not in board.board.values
    board.person(Retract("l3/sign"))
    board.drain()
    assert board.board.values["l1/p1"] == first


def test_a_new_version_of_a_source_runs_everything_of_it_again() -> None:
    board = board_of(each("a", 0, 1), each("b", 0, 2), head={"hold": "review"})
    board.drain()
    newer = Simulation([each("a", 0, 1, version="2"), each("b", 0, 2)], head={"hold": "review"})
    for record in board.shelf.log:
        if record.revision > 1:
            newer.plan.apply(record)
    decision = decide_plan(newer.plan, board.now)
    assert sorted(step.activation.data["binding"] for step in decision.activate) == ["l0/p1", "l0/p2"]
    assert {step.activation.data["source"] for step in decision.activate} == {"a"}


def test_two_controllers_that_overlap_leave_one_run_of_each_binding() -> None:
    board = board_of(whole("a", 0, 1), head={"hold": "review"})
    late = decide_plan(board.plan, board.now)
    board.put(page(3), "p3")
    board.control()
    assert board.enact(late).ok, "its agenda checks hold: it read other inputs"
    assert len(board.under_way) == 2
    board.control()
    assert len(board.under_way) == 1, "the one that was decided on less is cancelled"
    board.drain()
    assert board.started.count(("a", "board")) == 2
    assert [run.data["decided"] for run in board.finished] == [4]


def test_a_retraction_that_comes_late_is_refused() -> None:
    board = board_of(each("a", 0, 1, when=lambda one: one.text != "stop"), pages=1, head={"hold": "review"})
    board.drain()
    board.put(page(1, "stop"), "p1")
    late = decide_plan(board.plan, board.now)
    assert [write.key for write in late.retract] == ["l1/p1"]
    board.put(page(1, "go"), "p1")
    board.drain()
    assert board.enact(late).status == "conflict"
    assert "l1/p1" in board.board.values


def test_activations_of_sources_nobody_knows_here_are_cancelled_at_the_end() -> None:
    board = board_of(each("a", 0, 1), each("b", 0, 2), pages=1)
    board.control()
    fewer = Simulation([each("a", 0, 1)], compare=False)
    for record in board.shelf.log:
        if record.revision > 1:
            fewer.plan.apply(record)
    fewer.plan.head["cancel"] = "person:p"
    assert {step.activation.data["source"] for step in decide_plan(fewer.plan, 0).cancel} == {"a", "b"}


def test_an_ended_board_wants_nothing() -> None:
    board = board_of(each("a", 0, 1))
    board.drain()
    assert board.board.ended
    board.now += 10**9
    assert not decide_plan(board.plan, board.now)


def test_a_value_that_fits_its_own_rival_is_no_dispute() -> None:
    board = board_of(each("a", 0, 1), pages=1, head={"hold": "review"})
    board.drain()
    value = board.board.values["l1/p1"]
    board.person(Put("l1/p1", value, 1.0, pin=True))
    board.put(LEVELS[0](page=1, text="x"), "p1b")
    board.drain()
    assert board.plan.disputes == 0 or "l1/p1~a" in board.board.values


def test_a_run_on_inputs_that_its_precondition_forbids_leaves_nothing() -> None:
    when = lambda one, rest: all(item.text != "stop" for item in rest)  # noqa: E731
    board = board_of(
        each("a", 0, 1, when=when, also=(Input("rest", "all", (LEVELS[3],)),)), head={"hold": "review"}, pages=1
    )
    board.put(LEVELS[3](page=1, text="go"), "sign")
    board.control()
    board.put(LEVELS[3](page=1, text="stop"), "sign")
    board.claim(next(iter(board.under_way)))
    board.work(next(iter(board.workers.values())))
    assert "l1/p1" in board.board.values, "it read the sign as it was when it was claimed"
    board.drain()
    assert "l1/p1" not in board.board.values
    assert board.states()["a"] == {"l0/p1": "skipped"}


def test_a_group_waits_for_contributors_that_do_not_say_what_they_carry() -> None:
    def pair(items: Sequence[Item]) -> list[Contribution[Item]]:
        return [Contribution(LEVELS[3](page=1, text="pair"), name=f"g{items[0].page}")]

    grouped = (Input("items", "group", (LEVELS[1], LEVELS[2]), "page"),)
    pairs = Source("pairs", "1", pair, grouped, (LEVELS[3],), carries={"page": "page"})
    silent = board_of(each("a", 0, 1, carries={"page": "page"}), each("b", 0, 2, concurrency=1), pairs)
    silent.drain("b")
    assert not any(source == "pairs" for source, _ in silent.started), "b may still write of any page"
    telling = each("b", 0, 2, concurrency=1, carries={"page": "page"})
    board = board_of(each("a", 0, 1, carries={"page": "page"}), telling, pairs)
    board.drain("b")
    assert not any(source == "pairs" for source, _ in board.started)
    board.claim(next(id for id in board.under_way if id.startswith("b.")))
    board.work(next(iter(board.workers.values())))
    board.drain("b")
    assert [binding for source, binding in board.started if source == "pairs"] == ["1"], "page 2 still waits"


def test_a_board_waits_for_a_source_that_nobody_here_knows() -> None:
    head = {"status": "open", "incarnation": "i", "tenant": "t", "deadline_ms": "5000"}
    first = Commit("board.created", "person:p", create=True, head={**head, "sources": '{"a":"1","stranger":"2"}'})
    board = Simulation([each("a", 0, 1)], first=first)
    board.put(page(1), "p1")
    board.drain()
    assert (board.board.status, board.started) == ("open", [("a", "l0/p1")])
    said = {reason.source: reason.reason for reason in why_board(board.board, board.sources, board.now)}
    assert "nobody here knows stranger" in said[""]
    assert "the board began with stranger@2, a source nobody knows here" in said["stranger"]
    board.now += 6000
    board.control()
    assert (board.board.status, outcome(board)["slug"]) == ("completed", "deadline")
