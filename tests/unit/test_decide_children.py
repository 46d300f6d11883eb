"""Boards with children in the core: no board completes while a child is open, but at its deadline or when cancelled."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_graphs import LEVELS, Item, digest, random_sources
from simulation import CALM, ROUGH, RUNS, Odds, Simulation
from test_decide_random import fragile

from blackboard.contract import Contribution, Input, Source
from blackboard.entries import Commit, Put, Retract
from blackboard.levels import Child, Level
from controller.commands.telling import summary_of
from controller.kin import children_of, ended_child
from controller.why import why_board

SEEDS = st.integers(0, 1_000_000)
QUICK = settings(max_examples=RUNS or 40, deadline=None, suppress_health_check=list(HealthCheck))


class Opened(Level):
    """How many children an entry has."""

    count: int


class Gathered(Level):
    """What was known of the children."""

    text: str


class Told(Level):
    """What one child that has ended came to."""

    text: str


class Village:
    """Child boards, as far as their parent can tell: each open until it is ended."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.ended: dict[str, Child] = {}

    def sources(self, level: type[Item]) -> list[Source]:
        """One that opens children for each entry of a level, and those who read what came of them."""

        def opens(one: Item) -> list[Contribution[Any]]:
            base = one.text.split(":")[0]
            made: list[Contribution[Any]] = []
            for number in range(int(digest("opens", one.text), 16) % 3):
                board = f"0-{digest(one.text, number)}"
                child = Child(name=f"{base}.{number}", board=board, sha256=digest(one.text), size=1)
                made.append(Contribution(self.ended.get(board, child), name=child.name))
            return [*made, Contribution(Opened(count=len(made)), name=base)]

        def gathers(children: Sequence[Child]) -> list[Contribution[Gathered]]:
            return [Contribution(Gathered(text=summed(children)), name="all")]

        def tells(child: Child) -> list[Contribution[Told]]:
            return [Contribution(Told(text=child.status), name=child.name)]

        return [
            Source("opens", "1", opens, (Input("one", "each", (level,)),), (Child, Opened)),
            Source("gathers", "1", gathers, (Input("children", "all", (Child,)),), (Gathered,)),
            Source(
                "tells",
                "1",
                tells,
                (Input("child", "each", (Child,)),),
                (Told,),
                when=lambda child: child.status != "open",
            ),
        ]

    def end(self, parent: Simulation) -> bool:
        """One open child ends, and its end is written as the controller writes it. Whether there was one."""
        open_ = {key: child for key, (_, child) in children_of(parent.board).items() if child.status == "open"}
        if not open_ or parent.board.ended:
            return False
        key = self.rng.choice(sorted(open_))
        status = self.rng.choice(("completed", "failed", "cancelled"))
        said = {"reason": "so it went", "cost_usd": 0.5, "tokens": 7, "children": {"boards": 1, "wall_s": 2.0}}
        head = {"status": status, "created": "1000", "ended": "3000", "outcome": orjson.dumps(said).decode()}
        child = self.ended[open_[key].board] = ended_child(open_[key], head, "A title")
        header = parent.board.header(key)
        assert header is not None
        write = Put(key, orjson.dumps(child.model_dump(mode="json")), header.confidence, header.pinned)
        parent.commit(
            Commit(
                "contribution.committed",
                header.owner,
                activation=header.activation,
                writes=(write,),
                checks=((key, header.version),),
            )
        )
        return True


def summed(children: Sequence[Child]) -> str:
    """Children in a few words."""
    return digest(sorted((child.name, child.board, child.status) for child in children))


def unless_mine(source: Source, given: dict[str, Any]) -> str:
    """Sources of the random graph fail now and then."""
    return "" if source.name in ("opens", "gathers", "tells") else fragile(source, given)


def lived(seed: int, *, odds: Odds, head: dict[str, str] | None = None, fails: Any = unless_mine) -> Simulation:
    """A board with children from its beginning to its end."""
    rng = random.Random(seed)
    village = Village(seed)
    graph = random_sources(seed, loops=seed % 5 == 0)
    parent = Simulation(
        [*graph, *village.sources(rng.choice(LEVELS[:2]))], seed=seed, odds=odds, head=head or {}, fails=fails
    )
    for number in range(1, 4):
        parent.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    edits = 2 if "hold" in (head or {}) else 0
    for _ in range(6000):
        if parent.board.ended:
            return parent
        parent.step()
        if rng.random() < 0.02:
            village.end(parent)
        if edits and rng.random() < 0.02:
            edits -= 1
            name = f"p{rng.randint(1, 3)}"
            if rng.random() < 0.3:
                parent.person(Retract(f"l0/{name}"))
            else:
                parent.put(LEVELS[0](page=rng.randint(1, 3), text=f"{name}:{edits}"), name)
        if parent.board.ended or parent.under_way or parent.control():
            continue
        if waits := parent._until():
            parent.now = max(parent.now, waits)
        elif not village.end(parent):
            assert parent.board.ended or head, f"stuck: {parent.states()}"
            if not parent.board.ended:
                parent.commit(Commit("board.changed", "person:p", head={"approved": "person:p"}))
    raise AssertionError("no end")


def check_end(parent: Simulation) -> None:
    """What holds of every parent that completed by itself."""
    if parent.board.status != "completed":
        return
    children = [child for _, child in children_of(parent.board).values()]
    assert all(child.status != "open" for child in children), "it completed while a child was open"
    (gathered,) = (Gathered.model_validate_json(value) for value in parent.level("gathered").values())
    assert gathered.text == summed(children), "what was gathered is older than what became of a child"
    assert {key.partition("/")[2] for key in parent.level("told")} == {child.name for child in children}
    outcome = orjson.loads(parent.board.head["outcome"])
    account = outcome.get("children", {"completed": 0, "boards": 0, "cost_usd": 0.0, "tokens": 0, "wall_s": 0.0})
    count = len(children)
    assert account["completed"] == sum(child.status == "completed" for child in children)
    assert (account["boards"], account["cost_usd"], account["tokens"]) == (2 * count, 0.5 * count, 7 * count)
    assert (account["wall_s"], outcome["cost_usd"]) == (4.0 * count, 0.5 * count)
    degraded = {step["binding"] for step in outcome["degraded"] if step["source"] == "opens"}
    assert degraded == {f"child/{child.name}" for child in children if child.status != "completed"}


@QUICK
@given(SEEDS)
def test_no_board_completes_while_a_child_is_open(seed: int) -> None:
    check_end(lived(seed, odds=Odds(partial=0.3, crash=0.1, transient=0.1, zombie=0.3, batch=0.3, lag=0.1)))


@QUICK
@given(SEEDS, st.sampled_from(["opened", "gathered"]))
def test_whatever_the_goal_is(seed: int, goal: str) -> None:
    """A goal may be settled long before the children that were opened on the way; who reads them all runs once."""
    village = Village(seed)
    parent = Simulation(village.sources(LEVELS[0]), seed=seed, goal=[goal])
    for number in range(3):
        parent.put(LEVELS[0](page=1, text=f"p{number}:{seed}"), f"p{number}")
    count = 0
    while not parent.board.ended:
        parent.drain()
        if not parent.board.ended:
            assert village.end(parent), "it waits for nothing"
            count += 1
    assert parent.board.status == "completed"
    assert count == len(children_of(parent.board))
    assert sum(run.data["source"] == "gathers" for run in parent.finished) == (goal == "gathered")


@QUICK
@given(SEEDS)
def test_nor_while_people_change_what_children_were_opened_for(seed: int) -> None:
    check_end(lived(seed, odds=ROUGH, head={"hold": "review"}))


@QUICK
@given(SEEDS, st.booleans())
def test_but_at_its_deadline_or_when_cancelled(seed: int, cancelled: bool) -> None:
    """The children do not hold it then."""
    village = Village(seed)
    parent = Simulation([*village.sources(LEVELS[0])], seed=seed, odds=CALM, head={"deadline_ms": "9"})
    for number in range(3):
        parent.put(LEVELS[0](page=1, text=f"p{number}:{seed}"), f"p{number}")
    parent.drain()
    open_ = [child for _, child in children_of(parent.board).values() if child.status == "open"]
    assert parent.board.ended == (not open_)
    if not open_:
        return
    if cancelled:
        parent.commit(Commit("board.changed", "person:p", head={"cancel": "person:p"}))
    else:
        parent.now += 9
    parent.control()
    assert parent.board.status == ("cancelled" if cancelled else "completed")
    assert orjson.loads(parent.board.head["outcome"])["children"]["open"] == len(open_)


def small(**head: str) -> tuple[Village, Simulation]:
    """A parent with one open child and nothing left to do."""
    village = Village(1)
    parent = Simulation(village.sources(LEVELS[0]), head=head)
    text = next(f"p:{n}" for n in range(99) if int(digest("opens", f"p:{n}"), 16) % 3 == 1)
    parent.put(LEVELS[0](page=1, text=text), "p")
    parent.drain()
    return village, parent


def test_why_names_the_child_that_is_waited_for() -> None:
    village, parent = small()
    ((key, (_, child)),) = children_of(parent.board).items()
    board, *sources = why_board(parent.board, parent.sources, parent.now)
    assert key in board.reason
    waiting = next(reason for reason in sources if reason.source == "gathers")
    assert waiting.waits_for == (("child", (f"board {child.board}",)),)
    assert next(reason for reason in sources if reason.source == "tells").state == "skipped"
    assert village.end(parent)
    parent.drain()
    assert parent.board.status == "completed"


@pytest.mark.parametrize("change", ["retracted", "replaced"])
def test_an_open_child_whose_entry_goes_is_dropped(change: str) -> None:
    _, parent = small(hold="review")
    ((key, (header, child)),) = children_of(parent.board).items()
    if change == "retracted":
        parent.person(Retract("l0/p"))
        parent.drain()
        assert not parent.level("child")
        assert not parent.plan.children.open
    else:
        other = child.model_copy(update={"board": "0-other"})
        write = Put(key, orjson.dumps(other.model_dump()), header.confidence)
        parent.commit(Commit("contribution.committed", header.owner, activation=header.activation, writes=(write,)))
        parent.catch_up()
        assert [open_.board for open_ in parent.plan.children.open.values()] == ["0-other"]
    assert parent.plan.children.dropped == {child.board}


def test_what_ended_keeps_what_it_was_opened_with() -> None:
    child = Child(name="a", board="0-a", sha256="s", size=3, filename="a.pdf")
    assert ended_child(child, {"status": "open"}) is child
    said = {"reason": "x" * 900, "cost_usd": 1.5, "tokens": 3}
    head = {"status": "failed", "created": "1", "ended": "2501", "outcome": orjson.dumps(said).decode()}
    ended = ended_child(child, head, "t" * 900)
    assert (ended.status, len(ended.reason), len(ended.title)) == ("failed", 500, 200)
    assert (ended.boards, ended.cost_usd, ended.tokens, ended.wall_s) == (1, 1.5, 3, 2.5)
    assert (ended.filename, ended.size, ended.board) == ("a.pdf", 3, "0-a")


def test_the_command_line_shows_the_parts() -> None:
    village, parent = small()
    ((_, (_, child)),) = children_of(parent.board).items()
    assert ("part", f"{child.name} open {child.board}") in summary_of(parent.board, parent.board.revision)
    village.end(parent)
    assert any(word == "part" and said.endswith("A title") for word, said in summary_of(parent.board, 1))
