"""Whatever a server says, it is an answer that is whole or a failure with a kind, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.llm.calls import FINISHED, CallFailed, Usage
from knowledge_sources.llm.failures import Seen
from knowledge_sources.llm.replies import Heard, usage_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
STOPS = st.sampled_from(["end_turn", "stop_sequence", "tool_use", "max_tokens", "refusal", "pause_turn", "", "stop"])
BLOCK = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["text", "thinking"]) | JSON, "text": st.text(max_size=8) | JSON}
)
USAGE = st.dictionaries(
    st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
    st.integers(-1, 9) | JSON,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("message") | JSON, "content": st.lists(BLOCK, max_size=3) | JSON, "usage": USAGE | JSON,
        "stop_reason": STOPS | JSON, "model": st.just("m") | JSON,
    },
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from([
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop", "ping", "something_new",
    ]) | JSON},
    optional={
        "message": MESSAGE | JSON, "index": st.integers(-1, 2) | JSON, "content_block": BLOCK | JSON,
        "delta": st.fixed_dictionaries({}, optional={
            "type": st.just("text_delta") | JSON, "text": st.text(max_size=8) | JSON, "stop_reason": STOPS | JSON,
        }) | JSON,
        "usage": USAGE | JSON,
    },
)  # fmt: skip


def judged(heard: Heard, seen: Seen, says: Any) -> None:
    try:
        says()
        reply = heard.reply()
    except CallFailed as failure:
        assert failure.billed != "no"
        assert (failure.usage is not None) == (failure.billed == "yes")
        return
    assert reply.stop_reason in FINISHED
    assert reply.usage == seen.usage
    assert isinstance(reply.text, str)
    assert isinstance(reply.model, str)
    assert reply.model


@given(message=MESSAGE | JSON)
def test_any_message(message: Any) -> None:
    seen = Seen(status=200)
    heard = Heard(seen, "asked")
    judged(heard, seen, lambda: heard.message(message))


@given(events=st.lists(EVENT | JSON, max_size=8))
def test_any_stream(events: list[Any]) -> None:
    seen = Seen(status=200)
    heard = Heard(seen, "asked")
    judged(heard, seen, lambda: [heard.event(event) for event in events])


def test_thoughts_are_no_part_of_an_answer() -> None:
    seen = Seen(status=200)
    heard = Heard(seen, "asked")
    for event in (
        {"type": "message_start", "message": {"model": "m-1", "usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "A"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "B"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
    ):
        heard.event(event)
    reply = heard.reply()
    assert (reply.text, reply.model, reply.usage) == ("AB", "m-1", Usage(5, 7))


@pytest.mark.parametrize(("told", "usage", "cache"), [
    (None, None, False),
    ({}, None, False),
    ({"input_tokens": 3, "output_tokens": 2}, Usage(3, 2), False),
    ({"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 0}, Usage(3, 2), True),
    ({"input_tokens": 3, "output_tokens": True}, None, False),
    ({"input_tokens": -3, "output_tokens": 1}, None, False),
    ({"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": None}, Usage(3, 2), False),
    ({"cache_read_input_tokens": 4}, None, False),
])  # fmt: skip
def test_counts_are_looked_at(told: Any, usage: Usage | None, cache: bool) -> None:
    assert usage_of(told) == (usage, cache)


def test_later_counts_go_over_earlier_ones() -> None:
    first, _ = usage_of({"input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 20})
    assert usage_of({"output_tokens": 30}, first)[0] == Usage(10, 30, 0, 20)
