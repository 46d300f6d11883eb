"""A folder of recorded answers: the same comes back, the same bytes are written, what is damaged is said."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackboard.errors import UsageError
from knowledge_sources.llm.calls import Reply, Request, Usage
from knowledge_sources.llm.cassette import Cassette

BODY = {
    "max_tokens": 10,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "document", "title": "Page 1", "source": {"type": "text", "data": "x" * 5000}},
                {"type": "text", "text": "What colour is it?"},
            ],
        }
    ],
}
ASKED = Request("model", BODY, "colours@1")


def reply(text: str = "blue", stop_reason: str = "end_turn") -> Reply:
    return Reply(text, stop_reason, "model-1", Usage(1, 2, 3, 4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    text=st.one_of(
        st.text(),
        st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists).map(repr),
        st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.text()).map(json.dumps),
        st.dictionaries(st.text(), st.integers()).map(lambda value: json.dumps(value, indent=2)),
    )
)
async def test_any_text_comes_back(text: str, tmp_path: Path) -> None:
    cassette = Cassette(tmp_path, record=True)
    await cassette.put(ASKED, reply(text))
    assert await Cassette(tmp_path).get(ASKED) == reply(text)


async def test_a_person_can_read_it_and_the_same_answer_makes_the_same_bytes(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "new" / "folder", record=True)
    await cassette.put(ASKED, reply('{"colour":"blue"}'))
    (file,) = (tmp_path / "new" / "folder").iterdir()
    first = file.read_bytes()
    said = orjson.loads(first)
    assert file.name == f"{ASKED.digest}.json"
    assert said["json"] == {"colour": "blue"} and said["prompt"] == "colours@1"
    assert said["asked"] == ["[document: Page 1]", "What colour is it?"]
    assert first.count(b"\n") > 10 and first.endswith(b"}\n")
    again = Reply('{"colour":"blue"}', "end_turn", "model-1", Usage(1, 2, 3, 4), "another request", {"date": "now"})
    await cassette.put(ASKED, again)
    assert file.read_bytes() == first
    await cassette.put(ASKED, reply("two\nlines"))
    assert orjson.loads(file.read_bytes())["text"] == ["two", "lines"]


async def test_without_recording_it_is_only_read(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path / "none")
    await cassette.put(ASKED, reply())
    assert await cassette.get(ASKED) is None
    assert not (tmp_path / "none").exists()


async def test_only_whole_answers_are_recorded(tmp_path: Path) -> None:
    await Cassette(tmp_path, record=True).put(ASKED, reply("hal", "max_tokens"))
    assert not list(tmp_path.iterdir())


async def test_a_file_that_is_no_answer_to_the_question_is_said(tmp_path: Path) -> None:
    cassette = Cassette(tmp_path, record=True)
    await cassette.put(ASKED, reply())
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    other = Request("model", {**BODY, "max_tokens": 11})
    for path, data in (
        (file, b"{}"),
        (file, b"no json"),
        (file, good.replace(b"end_turn", b"max_tokens")),
        (tmp_path / f"{other.digest}.json", good),
    ):
        path.write_bytes(data)
        asked = other if path != file else ASKED
        with pytest.raises(UsageError, match="holds no recorded answer"):
            await cassette.get(asked)
