"""Models off, auto, always: who acts, whose result stays, what it comes to. Real decisions and runs, a board in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from blackboard import All, Bid, Contribution, Each, LanguageModel, Level, PermanentFailure, Source, knowledge_source
from blackboard.board import Board
from blackboard.entries import Activation, Commit, Header
from controller.bench import Bench, as_put
from controller.choice import begin_with
from controller.contests import find_contests
from controller.graph import compile_graph
from controller.modelwork import model_work
from controller.modes import FLOORS, floor_of, unheard
from controller.plan import Plan
from controller.policy import Policy, policy_of


class Sheet(Level):
    """A page, and how well anybody can do with it."""

    named_by = ("number",)
    number: int
    local: float
    model: float
    extra: int = 0


class Gist(Level):
    """What a page says: one entry, under the same name whoever made it."""

    named_by = ("number",)
    number: int
    by: str


class Digest(Level):
    """What was read of all gists, in key order."""

    read: tuple[str, ...]


class Echo(Level):
    """Of one gist."""

    of: str


class Clash(Level):
    """Something that models alone find."""

    pages: int


def may(quality: float) -> float:
    """Below 0: it fails."""
    if quality < 0:
        raise PermanentFailure("it cannot be done")
    return quality


@knowledge_source()
async def gist(sheet: Each[Sheet]) -> AsyncIterator[Contribution[Gist]]:
    """Local. Has more to say than the model, so that something is left over where that takes its place."""
    quality = may(sheet.local)
    yield Contribution(Gist(number=sheet.number, by="local"), quality)
    for number in range(sheet.extra):
        yield Contribution(Gist(number=sheet.number, by="local"), quality, name=f"{sheet.number:04d}.more-{number}")


@knowledge_source(default=False, cost="model", bid=lambda sheet: Bid(0.9, cost_usd=0.01))
async def gist_model(sheet: Each[Sheet], model: LanguageModel) -> Contribution[Gist]:
    """The model's."""
    assert model is MODEL
    return Contribution(Gist(number=sheet.number, by="model"), may(sheet.model))


@knowledge_source(default=False, cost="model")
async def clashes(sheets: All[Sheet], model: LanguageModel) -> Clash:
    """Has no rival."""
    return Clash(pages=len(sheets))


@knowledge_source()
async def digest(gists: All[Gist]) -> Digest:
    """Reads what stands."""
    return Digest(read=tuple(f"{each.number}:{each.by}" for each in gists))


@knowledge_source()
async def echo(gist: Each[Gist]) -> Echo:
    """Need not wait for all of them."""
    return Echo(of=f"{gist.number}:{gist.by}")


SOURCES = (gist, gist_model, clashes, digest)
MODEL: Any = object()


async def ran(policy: Policy, *sheets: Sheet, sources: tuple[Source, ...] = SOURCES) -> tuple[Board, Bench]:
    """A board with these pages, once nothing is left to do."""
    chosen = begin_with(sources, (), policy)
    bench = Bench(services={LanguageModel: MODEL})
    head = {
        "status": "open", "tenant": "bench", "incarnation": "x", "hold": "review", "priority": "interactive",
        "goal": "", "policy": policy.text(),
        "sources": orjson.dumps({name: source.version for name, source in chosen.items()}).decode(),
    }  # fmt: skip
    writes = tuple(as_put(f"sheet/{sheet.number:04d}", sheet) for sheet in sheets)
    await bench.open(Commit("board.created", "t", id="c", mode="person", create=True, head=head, writes=writes))
    await bench.run(list(chosen.values()))
    return await bench.board(), bench


def steps(board: Board) -> Counter[str]:
    runs = (Activation.parse(id, stored) for id, stored in board.agenda.items())
    return Counter(str(run.data["source"]) for run in runs if run.status == "done")


def stands(board: Board) -> dict[str, str]:
    """Live gists: key -> whose."""
    return {
        key: orjson.loads(board.values[key])["by"]
        for key, text in board.entries.items()
        if key.startswith("gist/") and Header.parse(text).live
    }


def read(board: Board) -> list[str]:
    (value,) = [orjson.loads(board.values[key]) for key in board.values if key.startswith("digest/")]
    return list(value["read"])


SURE = Sheet(number=1, local=0.9, model=0.95)
POOR = Sheet(number=2, local=0.3, model=0.8, extra=2)
HOPELESS = Sheet(number=3, local=0.3, model=0.2)
BROKEN = Sheet(number=4, local=-1, model=0.8)
REFUSED = Sheet(number=5, local=0.9, model=-1)
AUTO = Policy(models="auto")


async def test_off_is_without_models() -> None:
    assert list(begin_with(SOURCES)) == ["gist", "digest"]
    board, _ = await ran(Policy(), SURE, POOR)
    assert steps(board) == {"gist": 2, "digest": 1}


async def test_auto_asks_a_model_where_the_local_one_is_not_sure() -> None:
    board, _ = await ran(AUTO, SURE, POOR)
    assert steps(board) == {"gist": 2, "gist_model": 1, "digest": 1, "clashes": 1}
    # Of a page's results one stands, all of it and nothing else, and who reads them has seen no other.
    assert stands(board) == {"gist/0001": "local", "gist/0002.gist_model": "model"}
    assert read(board) == ["1:local", "2:model"]


async def test_nobody_works_on_a_result_that_may_yet_give_way() -> None:
    board, _ = await ran(AUTO, SURE, POOR, HOPELESS, sources=(gist, gist_model, echo))
    said = sorted(orjson.loads(board.values[key])["of"] for key in board.values if key.startswith("echo/"))
    assert said == ["1:local", "2:model", "3:local"]
    assert steps(board)["echo"] == 3, "once for each that stands"


async def test_auto_keeps_the_local_result_where_the_model_did_worse() -> None:
    board, _ = await ran(AUTO, HOPELESS)
    assert steps(board)["gist_model"] == 1
    assert stands(board) == {"gist/0003": "local"}
    assert read(board) == ["3:local"]


async def test_auto_asks_a_model_for_what_the_local_one_fails_at() -> None:
    board, _ = await ran(AUTO, BROKEN)
    assert stands(board) == {"gist/0004": "model"}


async def test_always_asks_the_model_first_and_falls_back() -> None:
    board, _ = await ran(Policy(models="always"), SURE, POOR, HOPELESS, REFUSED)
    assert steps(board) == {"gist": 1, "gist_model": 3, "digest": 1, "clashes": 1}
    assert read(board) == ["1:model", "2:model", "3:model", "5:local"]


async def test_modes_go_by_level() -> None:
    policy = Policy(models={"gist": "auto"})
    assert set(begin_with(SOURCES, (), policy)) == {"gist", "gist_model", "digest"}
    board, _ = await ran(Policy(models={"clash": "always"}), POOR)
    assert steps(board) == {"gist": 1, "digest": 1, "clashes": 1}


async def test_the_submissions_own_floor_and_strategy_win() -> None:
    board, _ = await ran(Policy(models="auto", floor={"gist": 0.2}), POOR)
    assert "gist_model" not in steps(board)
    board, _ = await ran(Policy(models="auto", floor={"gist": 0.99}), SURE)
    assert stands(board) == {"gist/0001.gist_model": "model"}
    board, _ = await ran(Policy(models="auto", strategy={"gist": ["gist_model", "gist"]}), SURE)
    assert stands(board) == {"gist/0001": "model"}
    board, _ = await ran(Policy(models="auto", strategy={"gist": "opportunistic"}), SURE)
    assert steps(board)["gist"] == steps(board)["gist_model"] == 1


async def test_it_says_what_models_did_and_what_was_avoided() -> None:
    board, _ = await ran(AUTO, SURE, POOR, REFUSED)
    plan = Plan.of(board, compile_graph(begin_with(SOURCES, (), AUTO).values(), (), AUTO))
    from controller.states import look

    look(plan)
    said = model_work(plan)
    assert said is not None
    assert (said["mode"], said["steps"]) == ("auto", {"clashes": 1, "gist_model": 1})
    assert said["avoided"] == {"steps": {"gist_model": 2}, "usd": 0.02}


async def test_a_source_that_asks_a_model_does_not_act_where_models_are_off() -> None:
    """Should it have come onto the board some other way: by a version that came after it began, say."""
    bench = Bench(services={LanguageModel: MODEL})
    head = {
        "status": "open", "tenant": "t", "incarnation": "x", "hold": "review", "goal": "",
        "sources": orjson.dumps({"clashes": "1"}).decode(),
    }  # fmt: skip
    writes = (as_put("sheet/0001", SURE),)
    await bench.open(Commit("board.created", "t", id="c", mode="person", create=True, head=head, writes=writes))
    await bench.run([clashes])
    assert (await bench.board()).agenda == {}
    (reason,) = [each for each in await bench.why([clashes]) if each.source]
    assert (reason.state, reason.reason) == ("skipped", "it asks a language model, and models are off on this board")


@given(
    qualities=st.lists(st.tuples(st.floats(-0.3, 1), st.floats(-0.3, 1), st.integers(0, 2)), min_size=1, max_size=4),
    mode=st.sampled_from(["auto", "always"]),
    floor=st.sampled_from([None, 0.0, 0.5, 1.0]),
)
async def test_one_result_stands_for_each_page_and_it_is_the_best(
    qualities: list[tuple[float, float, int]], mode: Any, floor: float | None
) -> None:
    policy = Policy(models=mode, floor={} if floor is None else {"gist": floor})
    pages = [
        Sheet(number=n, local=round(local, 3), model=round(model, 3), extra=extra)
        for n, (local, model, extra) in enumerate(qualities, 1)
    ]
    board, bench = await ran(policy, *pages, sources=(gist, gist_model, digest))
    least = floor_of(policy, "gist")
    for page in pages:
        found = {by for key, by in stands(board).items() if key.startswith(f"gist/{page.number:04d}")}
        first, second = ("local", "model") if mode == "auto" else ("model", "local")
        made = {"local": page.local, "model": page.model}
        if made[first] >= max(least, 0):
            expected = {first}
        elif made[second] < 0:
            expected = {first} if made[first] >= 0 else set()
        elif made[first] < 0 or made[second] > made[first]:
            expected = {second}
        elif made[second] == made[first]:
            expected = {"local"} if mode == "auto" else found
        else:
            expected = {first}
        assert found == expected, page
    assert steps(board)["digest"] == 1, "who reads the results waits until it is clear which stay"
    # And it stays so: nothing is left to do.
    before = board.revision
    await bench.run(list(begin_with((gist, gist_model, digest), (), policy).values()))
    assert (await bench.board()).revision == before


def test_sources_apart_do_not_compete() -> None:
    contests = contests_of(AUTO)
    assert contests.keys() == {"gist", "gist_model"}
    assert contests["gist"].sources == ("gist", "gist_model")
    assert contests_of(Policy(models="always"))["gist"].sources == ("gist_model", "gist")
    assert contests_of(Policy()) == {}


def contests_of(policy: Policy) -> Mapping[str, Any]:
    sources = {source.name: source for source in SOURCES}
    contributors = {"gist": ("gist", "gist_model"), "clash": ("clashes",), "digest": ("digest",), "sheet": ()}
    return find_contests(sources, contributors, policy)


def test_floors_go_by_level() -> None:
    assert floor_of(AUTO, "reading") == FLOORS["reading"]
    assert floor_of(Policy(models="auto", floor={"reading": 0.1}), "reading") == 0.1
    assert floor_of(Policy(models="always"), "reading") == 0.0


def test_a_floor_needs_somebody_to_fall_back_to() -> None:
    with pytest.raises(ValidationError, match="needs a strategy"):
        Policy(floor={"gist": 0.5})
    with pytest.raises(ValidationError, match="needs a strategy"):
        Policy(floor={"gist": 0.5}, models={"summary": "auto"})
    assert policy_of(Policy(floor={"gist": 0.5}, models="auto").text()).models == "auto"
    assert policy_of(Policy(models={"gist": "always"}).text()).models == {"gist": "always"}
    assert "models" not in Policy().text()


def test_levels_that_nobody_asks_about_are_named() -> None:
    assert unheard(AUTO, SOURCES) == []
    ((pointer, words),) = unheard(Policy(models={"gist": "auto", "digest": "auto"}), SOURCES)
    assert (pointer, words) == (
        "/models/digest",
        "no source that asks a model contributes to it; there are clash, gist",
    )
