"""Answers as they are kept: they come back as they were, or not at all."""

from __future__ import annotations

import zlib
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from knowledge_sources.llm.calls import Reply, Usage
from knowledge_sources.llm.sealed import seal, unseal

KEY, OTHER = "0f" * 32, "f0" * 32
REPLIES = st.builds(
    Reply,
    st.text(),
    st.sampled_from(["end_turn", "stop_sequence", "tool_use"]),
    st.text(max_size=20),
    st.builds(Usage, *[st.integers(0, 10**9)] * 4),
    st.text(max_size=20),
)


@given(REPLIES, st.integers(0, 2**40))
def test_they_come_back(reply: Reply, made_ms: int) -> None:
    sealed = seal(KEY, reply, made_ms)
    assert unseal(KEY, sealed, now_ms=made_ms + 999, most_age_s=1) == (reply, made_ms)
    assert unseal(KEY, sealed, now_ms=made_ms + 1000, most_age_s=1) is None
    assert unseal(OTHER, sealed, now_ms=made_ms, most_age_s=1) is None


@given(REPLIES, st.data())
def test_no_damage_goes_unseen(reply: Reply, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, reply, 1000))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert unseal(KEY, bytes(sealed), now_ms=1000, most_age_s=1) is None
    assert unseal(KEY, bytes(sealed)[:at], now_ms=1000, most_age_s=1) is None


@given(st.binary(max_size=200))
def test_what_is_not_ours_is_none(data: bytes) -> None:
    assert unseal(KEY, data, now_ms=0, most_age_s=1) is None
    assert unseal(KEY, b"bba1" + data, now_ms=0, most_age_s=1) is None


def test_a_cut_answer_is_none() -> None:
    reply = Reply("half", "max_tokens", "model", Usage())
    assert unseal(KEY, seal(KEY, reply, 0), now_ms=0, most_age_s=1) is None
    assert unseal(KEY, seal(KEY, replace(reply, stop_reason="end_turn"), 0), now_ms=0, most_age_s=1) is not None


def test_text_is_compressed() -> None:
    reply = Reply("a sentence that comes again. " * 1000, "end_turn", "model", Usage())
    assert len(seal(KEY, reply, 0)) < 1000 < len(zlib.compress(reply.packed(), 0))
