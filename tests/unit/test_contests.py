"""Bids, strategies and budgets: who is awarded what, and what happens when it does not do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from simulated_graphs import LEVELS, Item, digest, random_sources, texts
from simulation import ROUGH, Simulation
from test_decide_random import QUICK, SEEDS, fragile
from test_decide_rules import board_of, each, outcome, whole

from blackboard.contract import Bid, Contribution, Input, Source
from blackboard.entries import Activation, Header, Put, level_of
from blackboard.errors import ContractError
from blackboard.models import LanguageModel
from controller.graph import compile_graph
from controller.policy import Policy, policy_of
from controller.why import why_board

MARKET = Policy(strategy={LEVELS[1].level: "market"})


def reader(name: str, bid: Any, *, sure: float = 1.0, **more: Any) -> Source:
    """Contributes one entry for each page, as sure as that."""

    def run(one: Item) -> list[Contribution[Item]]:
        return [Contribution(LEVELS[1](page=one.page, text=f"{name}:{one.text}"), sure, f"p{one.page}.{name}")]

    given = (Input("one", "each", (LEVELS[0],)),)
    return Source(name, "1", run, given, (LEVELS[1],), bid=bid, **more)


def bids(value: float, cost: float = 0.0, latency: float = 0.0) -> Any:
    return lambda: Bid(value, cost, latency)


def floor(of: float, **more: Any) -> Policy:
    return Policy(strategy={LEVELS[1].level: "market"}, floor={LEVELS[1].level: of}, **more)


def readers_of(board: Simulation) -> list[tuple[str, str]]:
    return [(source, binding.partition("/")[2]) for source, binding in board.started if source != "all"]


def latest(board: Simulation, source: str) -> Activation:
    return max((run for run in board.agenda() if run.data["source"] == source), key=lambda run: run.data["decided"])


def test_without_a_strategy_everybody_acts() -> None:
    board = board_of(reader("a", bids(0.9)), reader("b", bids(0.5)), whole("all", 1, 2), pages=1)
    board.drain()
    assert sorted(readers_of(board)) == [("a", "p1"), ("b", "p1")]


def test_the_best_utility_is_awarded_and_every_bid_is_in_the_log() -> None:
    slow = reader("slow", bids(0.95, latency=60))
    quick = reader("quick", bids(0.8, latency=1))
    board = board_of(slow, quick, whole("all", 1, 2), pages=2, policy=MARKET)
    board.drain()
    assert readers_of(board) == [("quick", "p1"), ("quick", "p2")]
    award = latest(board, "quick").data["award"]
    assert (award["level"], award["bid"], award["utility"]) == (LEVELS[1].level, [0.8, 0.0, 1], 0.79)
    assert award["losing"] == [{"source": "slow", "reason": "outbid", "bid": [0.95, 0.0, 60], "utility": 0.35}]
    assert outcome(board)["coverage"]["slow"] == {"board": "outbid"}
    assert board.board.status == "completed"


def test_prices_decide_what_time_and_money_are_worth() -> None:
    sources = [reader("slow", bids(0.95, latency=60)), reader("quick", bids(0.8, cost=0.1))]
    thrifty = Policy(strategy={LEVELS[1].level: "market"}, price={"usd": 10, "second": 0})
    board = board_of(*sources, pages=1, policy=thrifty)
    board.drain()
    assert readers_of(board) == [("slow", "p1")]


def test_what_falls_below_the_floor_is_given_to_the_next_and_both_results_stay() -> None:
    board = board_of(reader("a", bids(0.9), sure=0.4), reader("b", bids(0.6), sure=0.8), whole("all", 1, 2), pages=1,
                     policy=floor(0.7))  # fmt: skip
    board.drain()
    assert readers_of(board) == [("a", "p1"), ("b", "p1")]
    assert len(board.level(LEVELS[1].level)) == 2
    lost = {"source": "a", "reason": "its result stayed below the floor", "bid": [0.9, 0.0, 0.0], "utility": 0.9}
    assert latest(board, "b").data["award"]["losing"] == [lost]
    # Whoever waits for the level waits for both.
    assert board.started[-1] == ("all", "board")


def test_when_the_award_fails_the_next_is_asked() -> None:
    fails = lambda source, given: "broken" if source.name == "a" else ""  # noqa: E731
    board = board_of(reader("a", bids(0.9)), reader("b", bids(0.6)), reader("c", bids(0.3)), pages=1, policy=MARKET,
                     fails=fails)  # fmt: skip
    board.drain()
    assert readers_of(board) == [("a", "p1"), ("b", "p1")]
    assert board.board.status == "completed"
    assert [step["source"] for step in outcome(board)["degraded"]] == ["a"]


def test_an_order_stands_for_the_bids() -> None:
    order = Policy(strategy={LEVELS[1].level: ["b", "c"]})
    fails = lambda source, given: "broken" if source.name == "b" else ""  # noqa: E731
    board = board_of(reader("a", bids(0.9)), reader("b", None), reader("c", None), pages=1, policy=order, fails=fails)
    board.drain()
    assert readers_of(board) == [("b", "p1"), ("c", "p1")]


def test_an_order_waits_for_those_who_come_first() -> None:
    late = replace(
        reader("late", None), inputs=(Input("one", "each", (LEVELS[0],)), Input("slow", "all", (LEVELS[3],)))
    )
    late = replace(late, function=lambda one, slow: reader("late", None).function(one))
    slow = each("slow", 0, 3)
    order = Policy(strategy={LEVELS[1].level: ["late", "early"]})
    board = board_of(slow, late, reader("early", None), pages=1, policy=order)
    board.drain()
    assert [source for source, _ in board.started] == ["slow", "late"]


def test_a_bidder_that_keeps_falling_below_its_bid_is_left_out_for_a_while() -> None:
    boaster = reader("boaster", bids(0.95), sure=0.5, concurrency=1)
    modest = reader("modest", bids(0.7), sure=0.7, concurrency=1)
    board = board_of(boaster, modest, pages=16, policy=MARKET)
    board.drain()
    names = [source for source, _ in readers_of(board)]
    assert names[:3] == ["boaster"] * 3
    assert names[3:13] == ["modest"] * 10
    assert names[13] == "boaster", "it may try again"
    losing = [run.data["award"]["losing"][0] for run in board.agenda() if run.data["source"] == "modest"]
    assert all("left out for a while" in lost["reason"] for lost in losing)


@pytest.mark.parametrize("given", [lambda: 1 / 0, lambda: 0.9, lambda: Bid(1.5), lambda: Bid(0.5, float("nan"))])
def test_a_bid_that_cannot_be_had_fails_its_binding_alone(given: Any) -> None:
    board = board_of(reader("a", given), reader("b", bids(0.1)), pages=2, policy=MARKET)
    board.drain()
    assert {source for source, _ in readers_of(board)} == {"b"}
    assert "its bid raised" in outcome(board)["degraded"][0]["reason"]
    assert board.board.status == "completed"


def test_why_names_the_bids() -> None:
    board = board_of(reader("a", bids(0.9)), reader("b", bids(0.6)), pages=1, policy=MARKET)
    board.control()
    head = {**board.board.head, "policy": MARKET.text()}
    board.board.head.update(head)
    reasons = {reason.source: reason for reason in why_board(board.board, board.sources, board.now)}
    assert reasons["b"].state == "outbid"
    assert reasons["b"].reason == "a was awarded it: its bid is worth 0.900, this one 0.600"


def test_strategies_that_cannot_be_followed_are_refused() -> None:
    sources = [reader("a", bids(0.9)), reader("b", bids(0.6)), whole("all", 1, 2)]
    with pytest.raises(ContractError, match="does not compete"):
        compile_graph(sources, (), Policy(strategy={LEVELS[1].level: ["a", "all"]}))
    with pytest.raises(ContractError, match="no source has to do"):
        compile_graph(sources, (), Policy(strategy={"nothing": "market"}))
    with pytest.raises(ValueError, match="needs a strategy"):
        Policy(floor={LEVELS[1].level: 0.5})


def test_a_policy_is_kept_as_text_and_read_again() -> None:
    policy = floor(0.7, budget={"usd": 1.5}, price={"usd": 2})
    assert policy_of(policy.text()) == policy
    assert policy_of("{}") == policy_of("") == Policy()
    assert policy_of('{"invented":1}') == Policy()


# -- budgets -----------------------------------------------------------------------------------------------------------


def paying(board: Simulation, costs: dict[str, float]) -> None:
    """Work until nothing is left to do; what runs costs that much."""
    while board.control() or board.under_way:
        if id := next(iter(board.under_way), None):
            board.claim(id)
            board.workers[id].usd = costs.get(board.workers[id].source.name, 0.0)
            board.control()
            board.work(board.workers[id])


def test_at_the_cap_the_rest_is_left_out_and_named() -> None:
    paid = reader("paid", bids(0.9, cost=0.3), cost="paid")
    board = board_of(paid, each("free", 0, 2), whole("all", 1, 3), pages=5, policy=Policy(budget={"usd": 1.0}))
    paying(board, {"paid": 0.3})
    assert Counter(source for source, _ in board.started) == {"paid": 3, "free": 5, "all": 1}
    said = outcome(board)
    assert (board.board.status, said["slug"], said["partial"]) == ("completed", "budget", True)
    assert [step["binding"] for step in said["left_out"]] == ["l0/p4", "l0/p5"]
    assert "it would cost 0.3 USD, more than is left of the budget of 1 USD" in said["left_out"][0]["reason"]
    assert said["cost_usd"] == pytest.approx(0.9)


def test_the_cap_holds_whatever_is_under_way() -> None:
    paid = reader("paid", bids(0.9, cost=0.3), cost="paid")
    board = board_of(paid, pages=5, policy=Policy(budget={"usd": 1.0}))
    board.control()
    assert len(board.under_way) == 3, "what runs may use up the money: nothing more is started"


def test_under_a_budget_the_best_rating_per_cost_goes_first() -> None:
    dear = replace(reader("dear", lambda one: Bid(0.9, 0.5)), cost="paid")
    good = each("good", 0, 2, cost="paid", bid=lambda one: Bid(0.5 + one.page / 10, 0.1))
    board = board_of(dear, good, pages=4, policy=Policy(budget={"usd": 0.3}))
    paying(board, {"good": 0.1, "dear": 0.5})
    assert board.started == [("good", "l0/p4"), ("good", "l0/p3"), ("good", "l0/p2")]


def test_actual_costs_count_not_the_bids() -> None:
    paid = reader("paid", bids(0.9, cost=0.1), cost="paid", concurrency=1)
    board = board_of(paid, pages=5, policy=Policy(budget={"usd": 1.0}))
    paying(board, {"paid": 0.6})
    assert len(board.started) == 2
    assert outcome(board)["cost_usd"] == pytest.approx(1.2)


def test_a_budget_that_allows_nothing_is_a_failure_with_that_reason() -> None:
    board = board_of(reader("paid", bids(0.9, cost=3), cost="paid"), pages=1, policy=Policy(budget={"usd": 1.0}))
    board.drain()
    assert (board.board.status, outcome(board)["slug"]) == ("failed", "budget")


def test_the_seconds_of_a_budget_end_the_board_with_what_there_is() -> None:
    board = board_of(each("a", 0, 1), each("b", 1, 2), pages=1, policy=Policy(budget={"wall_s": 5}),
                     head={"deadline_ms": "5000"})  # fmt: skip
    board.control()
    board.claim(next(iter(board.under_way)))
    board.work(next(iter(board.workers.values())))
    board.now += 5001
    board.control()
    assert (board.board.status, outcome(board)["slug"]) == ("completed", "budget")
    assert outcome(board)["reason"].startswith("the budget's 5 seconds passed")


def test_tokens_are_a_budget_too() -> None:
    paid = reader("paid", bids(0.9), cost="paid", concurrency=1)
    board = board_of(paid, each("free", 0, 2), pages=3, policy=Policy(budget={"tokens": 150}))
    while board.control() or board.under_way:
        if id := next(iter(board.under_way), None):
            board.claim(id)
            board.workers[id].tokens = 100 if board.workers[id].source.name == "paid" else 0
            board.control()
            board.work(board.workers[id])
    assert Counter(source for source, _ in board.started) == {"paid": 2, "free": 3}
    said = outcome(board)
    assert (said["slug"], said["tokens"], len(said["left_out"])) == ("budget", 200, 1)
    assert said["left_out"][0]["reason"] == "the budget of 150 tokens is used up"


def test_what_child_boards_spend_counts_too() -> None:
    paid = reader("paid", bids(0.9, cost=0.3), cost="paid")
    board = board_of(paid, pages=2, policy=Policy(budget={"usd": 1.0}))
    child = {"board": "0-child", "name": "part", "sha256": "0" * 64, "size": 1, "status": "completed", "cost_usd": 0.8}
    board.person(Put("child/part", orjson.dumps(child)))
    paying(board, {"paid": 0.3})
    said = outcome(board)
    assert (board.started, said["slug"], said["cost_usd"]) == ([], "budget", 0.8)


# -- random graphs -----------------------------------------------------------------------------------------------------


def rivalled(seed: int) -> tuple[list[Source], Policy]:
    """A random graph in which sources have twins that bid against them, on some levels."""
    found, levels = [], set()
    for source in random_sources(seed, loops=seed % 2 == 0):
        level = source.outputs[0].level
        odd = int(digest(str(seed), source.name), 16)
        if source.is_loop or len(source.outputs) > 1 or odd % 3 == 0 or source.name.endswith("b"):
            found.append(source)
            continue
        levels.add(level)
        for twin in ("", "x", "y")[: 2 + odd % 2]:
            found.append(_bidder(source, twin))
    floors = {level: 0.5 for level in levels if int(digest(level, str(seed)), 16) % 2}
    order = {level: "market" if int(digest(str(seed), level), 16) % 4 else "opportunistic" for level in levels}
    strategy = {level: how for level, how in order.items() if how == "market"}
    return found, Policy(strategy=strategy, floor={level: f for level, f in floors.items() if level in strategy})


def _bidder(source: Source, twin: str) -> Source:
    def run(**given: Any) -> list[Contribution[Any]]:
        made = source.function(**given)
        return [
            replace(one, confidence=int(digest(source.name, twin, texts_of(given)), 16) % 100 / 100) for one in made
        ]

    def bid(**given: Any) -> Bid:
        number = int(digest("bid", source.name, twin, texts_of(given)), 16)
        if number % 50 == 0:
            raise RuntimeError("no bid today")
        return Bid(number % 100 / 100, 0.0, number % 7)

    return replace(source, name=source.name + twin, function=run, bid=bid)


def texts_of(given: dict[str, Any]) -> str:
    return texts({name: value for name, value in given.items() if not hasattr(value, "all")})


@QUICK
@given(SEEDS)
def test_contests_on_random_graphs_end_and_are_the_same_from_scratch(seed: int) -> None:
    sources, policy = rivalled(seed)
    try:
        board = Simulation(sources, seed=seed, odds=ROUGH if seed % 3 else replace(ROUGH, lag=0.0), policy=policy,
                           fails=fragile)  # fmt: skip
    except ContractError:
        return  # twins of sources that feed each other cannot compete
    for number in range(1, 4):
        board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    board.run()
    assert board.board.ended
    words = [orjson.loads(stored.split(b"|", 3)[3]) for stored in board.board.agenda.values()]
    numbers = Counter((data["award"]["level"], data["award"]["n"]) for data in words if "award" in data)
    assert board.late or not numbers or max(numbers.values()) == 1, "every award has a number of its own"


def modelled(seed: int) -> tuple[list[Source], Policy]:
    """The same, where the twins ask a model."""
    found, _ = rivalled(seed)
    asking = [
        replace(source, injected={"model": LanguageModel}, required=False)
        if source.name.endswith(("x", "y"))
        else source
        for source in found
    ]
    floors = {level.level: 0.6 for level in LEVELS[1:] if int(digest(level.level, str(seed)), 16) % 3 == 0}
    return asking, Policy(models="auto" if seed % 2 else "always", floor=floors)


@QUICK
@given(SEEDS)
def test_of_what_models_and_local_sources_made_one_result_stands_alone(seed: int) -> None:
    """On random graphs, with accidents: the same from scratch, it ends, and no binding's results stand side by side."""
    sources, policy = modelled(seed)
    try:
        board = Simulation(sources, seed=seed, odds=ROUGH if seed % 3 else replace(ROUGH, lag=0.0), policy=policy,
                           fails=fragile)  # fmt: skip
    except ContractError:
        return
    for number in range(1, 4):
        board.put(LEVELS[0](page=1 + number % 2, text=f"p{number}:x"), f"p{number}")
    board.run()
    assert board.board.ended
    if board.late:
        return
    contests = board.graph.contests
    stands: dict[tuple[str, str], set[str]] = {}
    for key, text in board.board.entries.items():
        header = Header.parse(text)
        made_by = board.board.activation(header.activation) if header.live else None
        if (
            made_by is not None
            and (contest := contests.get(header.owner)) is not None
            and level_of(key) == contest.level
        ):
            stands.setdefault((contest.level, str(made_by.data["binding"])), set()).add(header.owner)
    for (level, binding), owners in stands.items():
        rivals = {name for name, contest in contests.items() if contest.level == level and contest.mixed}
        assert len(owners) == 1 or not owners <= rivals, (level, binding, owners)
