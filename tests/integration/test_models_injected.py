"""Documents that give orders, through the whole service and the real client, to a server whose model obeys them.

What is looked at is what the server received, byte for byte, and what stands on the board in the end.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from blackboard import Excerpt, Quoted, Task
from knowledge_sources.llm.prompting import RULES
from knowledge_sources.models import answers
from knowledge_sources.models.answers import Answer
from knowledge_sources.models.tasks import with_rules
from tests.integration.guests import Open
from tests.integration.test_models_service import serving, submitted
from tests.model_brains import Asked
from tests.models import Call, ModelServer
from tests.models.brain import answered, schema_in
from tests.obedient import SECRET, Obedient

FILES = sorted((Path(__file__).parents[1] / "injections").glob("*.txt"))
TASKS = ("mentions", "claims", "summary", "points", "whole", "facts", "contradictions", "revision")
KINDS = {kind.__name__: kind for kind in vars(answers).values() if isinstance(kind, type) and issubclass(kind, Answer)}
TAKEN = {"model", "max_tokens", "system", "messages", "output_config", "stream"}
"""What a request may hold: no tools, and nothing by which a server would fetch or remember something."""


def obeying(body: Mapping[str, Any]) -> str:
    """The obedient brain, at the wire."""
    if not is_question(body):
        return answered(body)
    said = Obedient()(_asked(body))
    return said if isinstance(said, str) else said.model_dump_json()  # type: ignore[union-attr]


def is_question(body: Mapping[str, Any]) -> bool:
    """Whether a source asks, and not somebody who tries out what the server can do."""
    return bool(body.get("system") == [{"type": "text", "text": RULES}])


def questions(server: ModelServer) -> list[Call]:
    """The calls in which sources asked."""
    return [call for call in server.calls if is_question(call.said)]


def _asked(body: Mapping[str, Any]) -> Asked:
    content = body["messages"][0]["content"]
    start = next(at for at, block in enumerate(content) if block["type"] == "text")
    tasks = {task.text: task for task in map(with_rules, TASKS)}
    document = tuple(
        Excerpt(int(block["title"].split()[1].strip(",")), block["source"]["data"]) for block in content[:start]
    )
    parts = [
        block["text"] if block["type"] == "text" else Quoted(block["title"], block["source"]["data"])
        for block in content[start + 1 :]
    ]
    schema = schema_in(body) or {}
    task: Task = tasks[content[start]["text"]]
    return Asked(task, tuple(parts), document, body["max_tokens"], KINDS.get(schema.get("title", "")))


def strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def places(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every place in a value."""
    if isinstance(value, Mapping):
        if {"page", "start", "end", "text"} <= value.keys():
            yield value
        for inner in value.values():
            yield from places(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from places(inner)


def check_sent(body: Mapping[str, Any], lines: set[str]) -> None:
    """Lines of the document are in document blocks of the user's turns, and nowhere else; nothing is to be fetched."""
    assert body.keys() <= TAKEN
    assert body["system"] == [{"type": "text", "text": RULES}]
    elsewhere: list[Any] = [{key: value for key, value in body.items() if key != "messages"}]
    for message in body["messages"]:
        for block in message["content"]:
            if block["type"] == "document":
                assert message["role"] == "user" and block["source"]["type"] == "text"
                assert block.keys() <= {"type", "source", "title", "cache_control"}
                elsewhere.append(block["title"])
            elif message["role"] == "user":
                assert block["type"] == "text"
                elsewhere.append(block["text"])
    ours = "\n".join(strings(elsewhere))
    assert not [line for line in lines if line in ours]


async def board_values(service: Open, board: str) -> dict[str, Any]:
    found = await service.service.store.projection(board)
    assert found is not None
    store = service.service.store
    return {key: orjson.loads(await store.resolve(value)) for key, value in found.values.items()}


@pytest.mark.parametrize("third", range(3))
async def test_orders_in_a_document_are_words_in_a_document(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch, third: int
) -> None:
    model_server.answer = obeying
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        for file in FILES[third::12]:
            text = file.read_bytes().decode()
            board = await submitted(service, text, models="always")
            ending = await service.end(board)
            assert ending["status"] == "completed", (file.stem, ending)
            values = await board_values(service, board)
            check_board(values)
            calls = questions(model_server)
            model_server.calls.clear()
            pages = {line.strip() for value in page_texts(values).values() for line in value.splitlines()}
            lines = {line for line in pages if len(line) > 12}
            for call in calls:
                check_sent(call.said, lines)
            assert {task.split("@")[0] for task in tasks_of(calls)} >= {"mentions", "claims", "summary"}
            assert len({call.prefix for call in calls if call.prefix}) <= 1
    assert not model_server.others


def tasks_of(calls: list[Call]) -> set[str]:
    return {_asked(call.said).name for call in calls if len(call.said["messages"]) == 1}


def page_texts(values: Mapping[str, Any]) -> dict[int, str]:
    return {value["number"]: value["text"] for key, value in values.items() if key.startswith("page/")}


def check_board(values: Mapping[str, Any]) -> None:
    texts = page_texts(values)
    by = {
        key: value for key, value in values.items() if key.split("/")[0] in ("mentions", "claim", "summary", "verdict")
    }
    assert by
    for key, value in by.items():
        for place in places(value):
            assert texts[place["page"]][place["start"] : place["end"]] == place["text"], key
        for item in value.get("items", ()):
            assert texts[value["page"]][item["start"] : item["end"]] == item["text"], key
        assert not any(SECRET in text for text in strings(value)), key
    assert base64.b64encode(SECRET.encode()).decode() not in str(values)


LETTER = "Orchard Homes Ltd wrote to Tomas Lind on 1 March 2024.\nThe rent is 1,150.00 EUR a month from then on.\f" + (
    "The deposit is 2,300.00 EUR. It is paid to Orchard Homes Ltd.\n"
)


def careful(body: Mapping[str, Any]) -> str:
    """A model that answers well, for the letter above."""
    if not is_question(body):
        return answered(body)
    asked = _asked(body)
    page = 2 if any(isinstance(part, str) and "page 2 " in part for part in asked.parts) else 1
    rent = {"page": 1, "text": "The rent is 1,150.00 EUR a month"}
    said: dict[str, Any] = {
        "mentions": {"items": [{"type": "organisation", "text": "Orchard Homes Ltd", "role": "party", "context": ""}]},
        "facts": {"items": [{"claim": 1, "label": "supported", "reason": "Page 1 sets the rent.", "evidence": [rent]}]},
        "contradictions": {"items": []},
    }
    if asked.name in said:
        return orjson.dumps(said[asked.name]).decode()
    if asked.name == "claims" and page == 2:
        return "The deposit is 2,300.00 EUR.\n> 2: The deposit is 2,300.00 EUR.\n"
    return "Orchard Homes Ltd sets a rent of 1,150.00 EUR.\n> 1: The rent is 1,150.00 EUR a month\n"


async def test_the_same_document_again_is_answered_without_a_call(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_server.answer = careful
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        first = await submitted(service, LETTER, models="always")
        ending = await service.end(first)
        assert ending["status"] == "completed" and not ending.get("degraded"), ending
        before = await board_values(service, first)
        asked = len(questions(model_server))
        assert asked == 9, "two pages' names and claims, summary, contradictions, two pages' facts and one sentence's"
        second = await submitted(service, LETTER, models="always")
        await service.end(second)
        assert len(questions(model_server)) == asked
        assert await board_values(service, second) == before
    check_board(before)
    assert before["summary/0001"]["text"] == "Orchard Homes Ltd sets a rent of 1,150.00 EUR."
    assert {key.split("/")[0] for key in before} >= {"mentions", "claim", "summary", "verdict", "report"}


async def test_where_the_local_sources_are_sure_no_model_is_asked_for_their_work(
    redis_url: str, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_server.answer = careful
    async with serving(redis_url, tmp_path, model_server, monkeypatch) as service:
        board = await submitted(service, LETTER, models={"mentions": "auto"})
        assert (await service.end(board))["status"] == "completed"
        assert not questions(model_server)
        board = await submitted(service, "xqzt " * 80 + "\f" + LETTER, models={"mentions": "auto"})
        assert (await service.end(board))["status"] == "completed"
        assert [_asked(call.said).name for call in questions(model_server)] == ["mentions"]
