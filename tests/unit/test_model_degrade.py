"""A question for a server that can do less says the same, and one for a server that can do all is left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.models import Excerpt, Pdf, Picture, Quoted, Task
from knowledge_sources.llm import prompting
from knowledge_sources.llm.calls import CallFailed, Request
from knowledge_sources.llm.degrade import IN_WORDS, degrade, json_of
from knowledge_sources.llm.ports import Capabilities

ALL = Capabilities()
NONE = Capabilities(
    schema_output=False, documents=False, pictures=False, caching=False, count_tokens=False, streaming=False
)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
PAGES = (Excerpt(1, "First page.\n```json\n{}\n```"), Excerpt(2, "Second page. </document>"))


def asked(*parts: Any, schema: Any = SCHEMA, question: str = "Find claims.") -> Request:
    return prompting.request("m", Task("claims", question), parts, PAGES, max_tokens=20_000, schema=schema)


def content(request: Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = request.body["messages"][-1]["content"]
    return found


def test_nothing_missing_nothing_changed() -> None:
    request = asked(Quoted("Claims", "one"), Picture(b"x"), Pdf(b"y"))
    assert degrade(request, ALL) is request


def test_a_schema_is_put_in_words() -> None:
    request = asked()
    plain = degrade(request, replace(ALL, schema_output=False))
    assert "output_config" not in plain.body
    assert content(plain)[:-1] == content(request)
    assert content(plain)[-1]["text"] == IN_WORDS + orjson.dumps(SCHEMA, option=orjson.OPT_SORT_KEYS).decode()
    effort = replace(
        request, body={**request.body, "output_config": {**request.body["output_config"], "effort": "low"}}
    )
    assert degrade(effort, replace(ALL, schema_output=False)).body["output_config"] == {"effort": "low"}
    bare = asked(schema=None)
    assert degrade(bare, replace(ALL, schema_output=False)) is bare


def test_a_repair_is_asked_in_its_last_turn() -> None:
    request = prompting.repaired(asked(), "no", "it is not JSON")
    plain = degrade(request, NONE)
    assert plain.repairs == request.repairs
    assert [turn["role"] for turn in plain.body["messages"]] == ["user", "assistant", "user"]
    assert content(plain)[-1]["text"].startswith(IN_WORDS)


def test_documents_stand_in_frames() -> None:
    plain = degrade(asked(Quoted("Claims", "one")), replace(ALL, documents=False))
    assert {block["type"] for block in content(plain)} == {"text"}
    assert [("cache_control" in block) for block in content(plain)] == [False, True, False, False]
    frame = content(plain)[1]["text"]
    mark = re.search(r"<(document-[0-9a-f]{16}) title=\"Page 2\">\n", frame)
    assert mark is not None
    assert frame.endswith(f"\nSecond page. </document>\n</{mark[1]}>")
    assert plain.shared_bytes == asked().shared_bytes


def test_without_a_cache_nothing_is_marked() -> None:
    plain = degrade(asked(), replace(ALL, caching=False))
    assert b"cache_control" not in plain.canonical
    assert plain.shared_bytes == 0
    assert prompting.prefix_of(plain) is None
    assert [{**block, "cache_control": None} for block in content(plain)] == [
        {**block, "cache_control": None} for block in content(asked())
    ]


def test_answers_of_servers_that_cannot_stream_are_short_enough_for_one_reply() -> None:
    assert degrade(asked(), replace(ALL, streaming=False)).max_tokens == 8192


@pytest.mark.parametrize("part", [Picture(b"x"), Pdf(b"y")])
def test_what_cannot_be_put_otherwise_is_refused(part: Picture | Pdf) -> None:
    with pytest.raises(CallFailed) as caught:
        degrade(asked(part), NONE)
    assert (caught.value.kind, caught.value.billed) == ("request", "no")


@given(question=st.text(min_size=1), other=st.text(min_size=1), title=st.text(), text=st.text())
def test_what_questions_share_stays_shared(question: str, other: str, title: str, text: str) -> None:
    part = Quoted(title, text)
    first, second = (degrade(asked(part, question=each), replace(NONE, caching=True)) for each in (question, other))
    assert content(first)[:2] == content(second)[:2]
    assert prompting.prefix_of(first) == prompting.prefix_of(second)
    assert degrade(first, replace(NONE, caching=True)) == first, "done once, done for good"


@given(text=st.text())
def test_no_text_ends_its_frame(text: str) -> None:
    (frame, *_) = content(degrade(prompting.request(
        "m", Task("t", "?"), [], [Excerpt(1, text)], max_tokens=5), replace(ALL, documents=False)))  # fmt: skip
    end = frame["text"].splitlines()[-1]
    assert frame["text"].count(end) == 2, "named before the text, and after it"


@pytest.mark.parametrize(("text", "found"), [
    ('{"a": 1}', '{"a": 1}'),
    (' {"a": 1}\n', '{"a": 1}'),
    ('```json\n{"a": 1}\n```', '{"a": 1}'),
    ('```\n[1]\n```\n', "[1]"),
    ('{"a": "```json\\n{}\\n```"}', '{"a": "```json\\n{}\\n```"}'),
])  # fmt: skip
def test_json_is_read_strictly(text: str, found: str) -> None:
    assert json_of(text) == found


@pytest.mark.parametrize(
    "text", ["", "hello", 'Here it is: {"a": 1}', '```json\n{"a": 1}\n``` done', '{"a": 1} {"b": 2}']
)
def test_what_has_to_be_searched_for_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not one JSON value"):
        json_of(text)
