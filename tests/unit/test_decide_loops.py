"""Loop sources: a check refutes, a reviser rewrites, only the new text is checked again; rounds end and start over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from simulated_graphs import LEVELS, Item
from simulation import Simulation

from blackboard.contract import Contribution, Input, Source
from blackboard.entries import Commit, Retract
from controller.decide import decide_plan

DRAFT, TEXT, VERDICT, REPORT = LEVELS[:4]


def author() -> Source:
    """Writes one text from each draft."""

    def write(draft: Item) -> list[Contribution[Item]]:
        return [Contribution(TEXT(page=draft.page, text=draft.text), name=f"t{draft.page}")]

    return Source("author", "1", write, (Input("draft", "each", (DRAFT,)),), (TEXT,))


def check() -> Source:
    """Refutes texts with a `?`."""

    def judge(text: Item) -> list[Contribution[Item]]:
        said = "refuted" if "?" in text.text else "supported"
        return [Contribution(VERDICT(page=text.page, text=said), name=f"t{text.page}")]

    return Source("check", "1", judge, (Input("text", "each", (TEXT,)),), (VERDICT,))


def reviser(name: str = "reviser", *, removes: int = 1, rounds: int = 3, **more: Any) -> Source:
    """Takes `removes` question marks out of each refuted text."""

    def revise(texts: Sequence[Item], verdicts: Sequence[Item]) -> list[Contribution[Item]]:
        bad = {verdict.page for verdict in verdicts if verdict.text == "refuted"}
        return [
            Contribution(TEXT(page=text.page, text=text.text.replace("?", "", removes)), name=f"t{text.page}")
            for text in texts
            if text.page in bad
        ]

    inputs = (Input("texts", "all", (TEXT,)), Input("verdicts", "all", (VERDICT,)))
    when = lambda verdicts: any(verdict.text == "refuted" for verdict in verdicts)  # noqa: E731
    return Source(name, "1", revise, inputs, (TEXT,), revises=(TEXT,), max_rounds=rounds, when=when, **more)


def report() -> Source:
    """Reads what the loop comes to."""

    def tell(texts: Sequence[Item]) -> list[Contribution[Item]]:
        return [Contribution(REPORT(page=1, text=" ".join(text.text for text in texts)), name="report")]

    return Source("report", "1", tell, (Input("texts", "all", (TEXT,)),), (REPORT,))


def board_of(*drafts: str, revisers: Sequence[Source] = ()) -> Simulation:
    """A board held for review, with drafts."""
    sources = [author(), check(), report(), *(revisers or [reviser()])]
    board = Simulation(sources, head={"hold": "review"})
    for number, text in enumerate(drafts, 1):
        board.put(DRAFT(page=number, text=text), f"d{number}")
    return board


def told(board: Simulation) -> str:
    """What the report says."""
    return str(orjson.loads(board.board.values["l3/report"])["text"])


def test_only_what_was_rewritten_is_checked_again_and_the_report_waits_for_quiet() -> None:
    board = board_of("fine", "odd??")
    board.drain()
    assert told(board) == "fine odd"
    assert board.started.count(("report", "board")) == 1
    assert board.started.count(("check", "l1/t1")) == 1
    assert board.started.count(("check", "l1/t2")) == 3
    assert board.started.count(("reviser", "board")) == 2


def test_rounds_are_spent_and_start_over_when_a_draft_changes() -> None:
    board = board_of("odd?????")
    board.drain()
    assert told(board) == "odd??"
    assert board.states()["reviser"] == {"board": "spent"}
    board.put(DRAFT(page=1, text="new????"), "d1")
    board.drain()
    assert told(board) == "new?"
    assert board.started.count(("reviser", "board")) == 6


def test_the_author_does_not_overwrite_a_revision_of_the_same_text() -> None:
    board = board_of("odd?", "fine")
    board.drain()
    board.put(DRAFT(page=1, text="odd?"), "d1", pin=False)
    board.drain()
    assert told(board) == "odd fine"
    assert board.started.count(("author", "l0/d1")) == 2
    assert board.started.count(("reviser", "board")) == 1


def test_a_revised_text_goes_with_the_draft_it_came_from() -> None:
    board = board_of("odd?", "fine")
    board.drain()
    board.person(Retract("l0/d1"))
    board.drain()
    assert set(board.level("l1")) == {"l1/t2"}
    assert told(board) == "fine"


def test_what_an_earlier_round_revised_stays_when_a_later_one_has_nothing_to_add() -> None:
    board = board_of("one?", "two??")
    board.drain()
    assert told(board) == "one two"


def test_what_a_loop_source_adds_of_its_own_stays_until_its_rounds_start_over() -> None:
    def note(verdicts: Sequence[Item]) -> list[Contribution[Item]]:
        bad = [verdict.page for verdict in verdicts if verdict.text == "refuted"]
        return [Contribution(TEXT(page=9, text="note"), name=f"note{page}.{len(bad)}") for page in bad]

    inputs = (Input("verdicts", "all", (VERDICT,)),)
    noter = Source("noter", "1", note, inputs, (TEXT,), max_rounds=2)
    board = board_of("one?", revisers=[noter])
    board.drain()
    assert "l1/note1.1" in board.board.values
    board.put(DRAFT(page=1, text="one"), "d1")
    board.drain()
    assert "l1/note1.1" not in board.board.values, "what the first round no longer writes is retracted"


def test_a_pinned_text_is_not_revised() -> None:
    board = board_of("fine")
    board.drain()
    board.put(TEXT(page=1, text="mine?"), "t1")
    board.drain()
    assert orjson.loads(board.board.values["l1/t1"])["text"] == "mine?"
    assert orjson.loads(board.board.values["l1/t1~reviser"])["text"] == "mine"


def test_a_loop_activation_checks_the_revision() -> None:
    board = board_of("odd?")
    while not (decision := decide_plan(board.plan, board.now)).revision:
        board.enact(decision)
        for id in list(board.under_way):
            board.claim(id)
            board.work(board.workers[id])
    assert [step.activation.data["source"] for step in decision.activate] == ["reviser"]
    board.commit(Commit("board.changed", "person:p", head={"title": "a word in between"}))
    assert board.enact(decision).status == "conflict"


def test_two_revisers_of_one_text_come_to_an_end() -> None:
    board = board_of("odd????????", revisers=[reviser("first"), reviser("second")])
    board.drain()
    assert board.started.count(("first", "board")) <= 3
    assert board.started.count(("second", "board")) <= 3
