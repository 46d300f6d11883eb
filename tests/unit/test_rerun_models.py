"""Sources that ask a model, run again on what their board recorded: no call, the same entries, and what is new is said."""

from __future__ import annotations

from dataclasses import replace

import orjson
from pydantic import BaseModel
from test_rerun import Word

from blackboard import All, Each, LanguageModel, ModelFailed, Page, Task, knowledge_source
from blackboard.blobs import Blobs
from blackboard.board import Board
from blackboard.contract import Source
from blackboard.events import from_json, to_json
from controller.bench import Bench, as_put
from controller.bootstrap.benches import open_rerun
from controller.rerun import Verdict
from knowledge_sources.llm.calls import Reply, Request, Usage
from knowledge_sources.llm.recorded import recorded_models
from knowledge_sources.llm.settings import ModelSettings

TASK = Task("colours", "Which colours are named?")


class Colours(BaseModel):
    """What is asked for."""

    found: list[str]


class Oracle:
    """`ports.Recordings` that know every answer: what the pages say, and how often they were asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def get(self, request: Request) -> Reply | None:
        self.asked += 1
        text = str(request.body["messages"][-1]["content"][0]["source"]["data"])
        said = {"found": sorted({word for word in text.split() if word in ("red", "green", "blue")})}
        return Reply(orjson.dumps(said).decode(), "end_turn", "oracle", Usage(10, 2))

    async def put(self, request: Request, reply: Reply) -> None:
        raise AssertionError("nothing is asked for")


@knowledge_source(cost="model", timeout=10)
async def colours(page: Each[Page], model: LanguageModel) -> list[Word]:
    """Colours on a page, as a model sees them."""
    said = await model.ask(Colours, TASK, document=[page])
    return [Word(page=page.number, text=text) for text in said.found]


async def analyzed(*sources: Source) -> tuple[Bench, Oracle]:
    oracle = Oracle()
    bench = Bench(models=recorded_models(oracle, ModelSettings()))
    pages = [Page(number=1, text="red and green"), Page(number=2, text="no colour"), Page(number=3, text="blue red")]
    await bench.start([as_put(f"page/{page.number:04d}", page) for page in pages])
    await bench.run(sources)
    assert not bench.failures
    return bench, oracle


async def again(bench: Bench, source: Source) -> list[Verdict]:
    records = [from_json(to_json(record)) for record in await bench.store.log(bench.id)]

    async def whole(board: Board, key: str) -> bytes:
        return board.values[key]

    async with open_rerun(source, records, whole, bench.store.blobs) as rerun:
        return sorted(await rerun.over(bench.id, records), key=lambda verdict: verdict.binding)


async def test_recorded_answers_come_to_the_same_without_a_call() -> None:
    bench, oracle = await analyzed(colours)
    log = await bench.store.log(bench.id)
    assert [record.type for record in log].count("llm.called") == oracle.asked == 3
    found = await again(bench, colours)
    assert [each.came for each in found] == ["same"] * 3
    assert oracle.asked == 3


async def test_other_code_on_the_same_answers_differs() -> None:
    async def other(page: Page, model: LanguageModel) -> list[Word]:
        return [each for each in await colours.function(page, model) if each.text != "red"]

    bench, _ = await analyzed(colours)
    first, second, third = await again(bench, replace(colours, function=other))
    assert (first.came, second.came, third.came) == ("differs", "same", "differs")
    assert [(each.key, each.kind) for each in first.changes] == [("word/0001.red", "lost")]


async def test_what_was_never_asked_is_said() -> None:
    async def other(page: Page, model: LanguageModel) -> list[Word]:
        task = TASK if page.number == 1 else Task("colours", "Which colours do you see?")
        try:
            said = await model.ask(Colours, task, document=[page])
        except ModelFailed:
            return await colours.function(page, model)  # type: ignore[no-any-return]
        return [Word(page=page.number, text=text) for text in said.found]

    bench, _ = await analyzed(colours)
    first, second, third = await again(bench, replace(colours, function=other))
    assert (first.came, second.came, third.came) == ("same", "unrecorded", "unrecorded")
    assert len(third.asked) == 1 and not third.changes, "what it falls back on was recorded"


async def test_a_source_beside_it_that_asks_nothing() -> None:
    @knowledge_source()
    def count(found: All[Word]) -> Word:
        return Word(page=9, text=str(len(found)))

    bench, _ = await analyzed(colours)
    await bench.put([as_put("word/0001.extra", Word(page=1, text="extra"))])
    await bench.run([colours, replace(count, outputs=(Word,), max_rounds=1)])
    assert {each.came for each in await again(bench, colours)} == {"same"}


async def test_answers_that_are_not_at_hand_are_said_to_be_so() -> None:
    bench, _ = await analyzed(colours)
    records = await bench.store.log(bench.id)

    async def whole(board: Board, key: str) -> bytes:
        return board.values[key]

    async with open_rerun(colours, records, whole, Blobs.at("memory://")) as rerun:
        found = await rerun.over(bench.id, records)
    assert {each.came for each in found} == {"unrecorded"}
    assert "not at hand" in found[0].reason
