"""The real client over real HTTP: every way to fail that the server's script knows, and what must never leave."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from blackboard.errors import UsageError
from knowledge_sources.llm.address import address
from knowledge_sources.llm.calls import CallFailed, Reply, Request, Usage
from knowledge_sources.llm.failures import Seen
from knowledge_sources.llm.replies import LONGEST, Heard
from knowledge_sources.llm.transport import LARGEST, STREAM_ABOVE, AnthropicTransport
from tests.models import FAULTS, Fault, ModelServer, Settings, events, serving
from tests.models.faults import sent_elsewhere

KEY = "sk-ant-test-0123456789abcdef"
SECRET = "The patient Anna Weissenberg, insured as X-4711-99, was seen on Tuesday."


def question(**more: Any) -> Request:
    blocks = [
        {
            "type": "document",
            "title": "Page 1",
            "source": {"type": "text", "media_type": "text/plain", "data": SECRET},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "text", "text": "What is said here?"},
    ]
    body = {
        "max_tokens": 500,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": blocks}],
    }
    return Request("claude-haiku-5-5", {**body, **more}, "summary@1")


@pytest.fixture
async def transport(model_server: ModelServer) -> AsyncIterator[AnthropicTransport]:
    one = AnthropicTransport(model_server.url, KEY, timeout_s=0.3)
    yield one
    await one.close()


async def sent(transport: AnthropicTransport, *, stream: bool, deadline_s: float = 10) -> tuple[Reply, list[str]]:
    pieces: list[str] = []

    async def heard(piece: str) -> None:
        pieces.append(piece)

    return await transport.send(question(), deadline_s=deadline_s, on_delta=heard if stream else None), pieces


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer(model_server: ModelServer, transport: AnthropicTransport, stream: bool) -> None:
    reply, pieces = await sent(transport, stream=stream)
    call = model_server.calls[0]
    assert reply.text == f"I read: {SECRET} / What is said here?"
    assert "".join(pieces) == (reply.text if stream else "")
    assert (reply.stop_reason, reply.model) == ("end_turn", "claude-haiku-5-5")
    assert reply.usage == Usage(
        call.usage["input_tokens"], call.usage["output_tokens"], 0, call.usage["cache_creation_input_tokens"]
    )
    assert reply.usage.cache_write > 0
    assert reply.request_id == call.request_id
    assert reply.headers["anthropic-ratelimit-requests-limit"] == "4000"
    assert "date" in reply.headers
    assert call.streamed is stream
    assert (await sent(transport, stream=stream))[0].usage.cache_read == reply.usage.cache_write


async def test_a_long_answer_is_streamed_though_nobody_watches(
    model_server: ModelServer, transport: AnthropicTransport
) -> None:
    for most in (STREAM_ABOVE, STREAM_ABOVE + 1):
        await transport.send(question(max_tokens=most), deadline_s=10)
    assert [call.streamed for call in model_server.calls] == [False, True]


async def test_what_is_sent(
    model_server: ModelServer, transport: AnthropicTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-environment")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "environment-token")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nobody")
    monkeypatch.setenv(
        "ANTHROPIC_CUSTOM_HEADERS", "x-leak: 1\nauthorization: Bearer stolen\nAnthropic-Version: 1999-01-01"
    )
    asked = question()
    other = AnthropicTransport(model_server.url, KEY)
    await other.send(asked, deadline_s=10)
    await other.close()
    call = model_server.calls[0]
    assert {**asked.body, "model": asked.model} == dict(call.said)
    headers = dict(call.headers)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-version"] == "2026-10-21"
    assert set(headers) <= {
        "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "user-agent",
        "authorization", "x-api-key", "anthropic-version",
    }  # fmt: skip


async def test_no_key_is_no_header(model_server: ModelServer) -> None:
    keyless = AnthropicTransport(model_server.url, "")
    await keyless.send(question(), deadline_s=10)
    await keyless.close()
    assert model_server.calls[0].account == ""
    assert not {"authorization", "x-api-key"} & set(dict(model_server.calls[0].headers))


@pytest.mark.parametrize("read", ["authorization", "x-api-key"])
async def test_gateways_read_the_key_where_they_look_for_it(read: str) -> None:
    async with serving(Settings(keys=(KEY,), reads=frozenset({read}))) as server:
        good, bad = AnthropicTransport(server.url, f"{KEY}\n"), AnthropicTransport(server.url, "sk-other")
        assert (await good.send(question(), deadline_s=10)).text
        with pytest.raises(CallFailed) as caught:
            await bad.send(question(), deadline_s=10)
        assert caught.value.kind == "config"
        await good.close()
        await bad.close()


ROWS: dict[str, tuple[str, str]] = {
    "invalid": ("request", "no"),
    "too-long": ("request", "no"),
    "own-spend-limit": ("budget", "no"),
    "no-credit": ("budget", "no"),
    "bad-key": ("config", "no"),
    "billing": ("budget", "no"),
    "linked-spend-limit": ("budget", "no"),
    "forbidden": ("config", "no"),
    "no-model": ("config", "no"),
    "request-timeout": ("transient", "unknown"),
    "conflict": ("transient", "no"),
    "too-large": ("request", "no"),
    "unprocessable": ("request", "no"),
    "throttled": ("throttled", "no"),
    "throttled-1s": ("throttled", "no"),
    "throttled-1h": ("throttled", "no"),
    "enforced-spend-limit-reached": ("budget", "no"),
    "contract-spend-limit-reached": ("budget", "no"),
    "ramp-limit-exceeded": ("budget", "no"),
    "closed": ("transient", "unknown"),
    "internal": ("upstream-down", "no"),
    "internal-no-retry": ("upstream-down", "no"),
    "bad-gateway": ("upstream-down", "unknown"),
    "unavailable": ("upstream-down", "no"),
    "gateway-timeout": ("upstream-down", "unknown"),
    "overloaded": ("upstream-down", "no"),
    "may-retry": ("transient", "no"),
    "moved": ("config", "no"),
    "moved-for-good": ("config", "no"),
    "refuses": ("upstream-down", "unknown"),
    "cut-after-headers": ("upstream-down", "unknown"),
    "cut-midway": ("upstream-down", "unknown"),
    "hangs": ("upstream-down", "unknown"),
    "hangs-after-headers": ("upstream-down", "unknown"),
    "hangs-midway": ("upstream-down", "unknown"),
    "truncated": ("upstream-down", "unknown"),
    "midway-overloaded": ("upstream-down", "unknown"),
    "midway-api": ("upstream-down", "unknown"),
    "midway-timeout": ("upstream-down", "unknown"),
    "midway-rate-limit": ("throttled", "unknown"),
    "midway-invalid-request": ("request", "unknown"),
    "midway-spend-limit": ("budget", "unknown"),
    "midway-garbage": ("upstream-down", "unknown"),
    "max-tokens": ("output", "yes"),
    "refusal": ("output", "yes"),
    "no-stop-reason": ("upstream-down", "unknown"),
    "window-exceeded": ("request", "yes"),
    "paused": ("output", "yes"),
    "html": ("upstream-down", "unknown"),
    "not-json": ("upstream-down", "unknown"),
    "other-shape": ("upstream-down", "unknown"),
    "empty": ("upstream-down", "unknown"),
}
WORKS = {"slow", "invalid-answer", "no-rate-headers"}


def test_the_table_knows_every_fault() -> None:
    assert set(ROWS) | WORKS == set(FAULTS)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ROWS)
async def test_every_fault(
    model_server: ModelServer, transport: AnthropicTransport, caplog: pytest.LogCaptureFixture, name: str, stream: bool
) -> None:
    for logger in ("", "anthropic", "anthropic._base_client", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=logger or None)  # as ANTHROPIC_LOG=debug and worse would
    model_server.script(name)
    with pytest.raises(CallFailed) as caught:
        await sent(transport, stream=stream)
    failure, call, fault = caught.value, model_server.calls[0], FAULTS[name]
    kind, billed = ROWS[name]
    if fault.type and fault.status == 200 and not stream and fault.type != "garbage":
        billed = "unknown" if fault.type == "timeout_error" else "no"  # then it is an answer with an error's status
    assert (failure.kind, failure.billed) == (kind, billed)
    assert (failure.usage is not None) == (billed == "yes")
    assert failure.request_id == (call.request_id if call.status and failure.status is not None else "")
    assert failure.status == (call.status or None)
    if failure.status is not None:
        assert "anthropic-ratelimit-requests-remaining" in failure.headers
    asked = fault.headers.get("retry-after")
    assert failure.retry_after_s == (float(asked) if asked else None)
    if billed == "yes":
        assert failure.usage is not None
        assert failure.usage.output == call.usage["output_tokens"]
        assert failure.stop_reason == fault.stop_reason
    nothing_told(failure, caplog)
    assert len(model_server.calls) == 1, "nobody tried again"
    reply, _ = await sent(transport, stream=stream)
    assert reply.text, "and the transport is as good as before"


def nothing_told(failure: CallFailed, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the key nor the document is in the message, in a traceback, or in any log."""
    told = "".join(traceback.format_exception(failure)) + caplog.text + str(failure) + failure.hint
    for word in (KEY, KEY[-8:], "Weissenberg", "X-4711-99", "What is said here"):
        assert word not in told
    assert failure.__context__ is None
    assert failure.__cause__ is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", sorted(WORKS))
async def test_what_is_odd_but_whole(
    model_server: ModelServer, transport: AnthropicTransport, name: str, stream: bool
) -> None:
    model_server.script(name)
    reply, _ = await sent(transport, stream=stream)
    assert reply.stop_reason == "end_turn"
    assert reply.text == (FAULTS[name].answer or f"I read: {SECRET} / What is said here?")
    assert bool(reply.request_id) == (name != "no-rate-headers")
    assert ("anthropic-ratelimit-requests-limit" in reply.headers) == (name != "no-rate-headers")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_document_is_never_posted_elsewhere(
    model_server: ModelServer, transport: AnthropicTransport, status: int, stream: bool
) -> None:
    async with serving() as elsewhere:
        model_server.script(sent_elsewhere(f"{elsewhere.url}/v1/messages", status))
        model_server.script_counts(sent_elsewhere(f"{elsewhere.url}/v1/messages/count_tokens", status))
        with pytest.raises(CallFailed) as caught:
            await sent(transport, stream=stream)
        with pytest.raises(CallFailed) as counted:
            await transport.count(question())
        assert caught.value.kind == counted.value.kind == "config"
        assert not elsewhere.calls
        assert not elsewhere.counts
        assert not elsewhere.others


async def test_a_server_that_repeats_the_question_is_not_repeated(
    model_server: ModelServer, transport: AnthropicTransport, caplog: pytest.LogCaptureFixture
) -> None:
    def repeats(body: Any) -> str:
        raise ValueError(f"cannot read {body} for {KEY}")

    model_server.answer = repeats
    with pytest.raises(CallFailed) as caught:
        await sent(transport, stream=False)
    assert caught.value.status == 500
    nothing_told(caught.value, caplog)


@pytest.mark.parametrize("name", ["hangs", "hangs-after-headers", "hangs-midway", "slow"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_deadline_holds_for_all_of_a_call(model_server: ModelServer, name: str, stream: bool) -> None:
    patient = AnthropicTransport(model_server.url, KEY)
    model_server.script(name)
    with pytest.raises(CallFailed, match="no whole answer within") as caught:
        await sent(patient, stream=stream, deadline_s=0.2)
    assert (caught.value.kind, caught.value.billed) == ("upstream-down", "unknown")
    await all_gone(model_server, but=0)
    await patient.close()


async def test_a_cancelled_call_leaves_no_connection(model_server: ModelServer, transport: AnthropicTransport) -> None:
    for name in ("hangs", "hangs-midway"):
        for stream in (False, True):
            model_server.script(name)
            seen = len(model_server.calls)
            asking = asyncio.create_task(sent(transport, stream=stream))
            while len(model_server.calls) == seen:
                await asyncio.sleep(0.005)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await all_gone(model_server, but=0)


async def test_connections_are_used_again_and_none_leaks(
    model_server: ModelServer, transport: AnthropicTransport
) -> None:
    faults = [name for name in FAULTS if "hang" not in name and name != "slow"]
    for stream in (False, True):
        for name in faults:
            model_server.script(name)
            with suppress(CallFailed):
                await sent(transport, stream=stream)
    assert len(model_server.calls) == 2 * len(faults)
    await all_gone(model_server, but=1)
    await transport.close()
    await all_gone(model_server, but=0)


async def all_gone(server: ModelServer, *, but: int) -> None:
    async with asyncio.timeout(5):
        while server.connections > but:
            await asyncio.sleep(0.005)


async def test_a_full_pool_is_no_outage(model_server: ModelServer) -> None:
    narrow = AnthropicTransport(model_server.url, KEY, connections=1)
    narrow._client.timeout = httpx2.Timeout(10, pool=0.1)
    model_server.hold()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(narrow.send(question(), deadline_s=10))
        while not model_server.calls:
            await asyncio.sleep(0.005)
        with pytest.raises(CallFailed, match="every connection") as caught:
            await narrow.send(question(), deadline_s=10)
        model_server.release()
    assert (caught.value.kind, caught.value.billed, caught.value.retry_after_s) == ("throttled", "no", 1.0)
    assert first.done()
    await narrow.close()


async def test_nobody_there() -> None:
    async with serving() as server:
        url = server.url
    alone = AnthropicTransport(url, KEY)
    with pytest.raises(CallFailed, match="cannot be reached") as caught:
        await alone.send(question(), deadline_s=10)
    assert (caught.value.kind, caught.value.billed) == ("upstream-down", "no")
    await alone.close()


async def test_a_question_too_large_stays_here(model_server: ModelServer, transport: AnthropicTransport) -> None:
    with pytest.raises(CallFailed) as caught:
        await transport.send(question(system="x" * LARGEST), deadline_s=10)
    assert (caught.value.kind, caught.value.billed) == ("request", "no")
    assert not model_server.calls


async def test_a_question_that_is_none_stays_here(model_server: ModelServer, transport: AnthropicTransport) -> None:
    with pytest.raises(CallFailed) as caught:
        await transport.send(Request("m", {"max_tokens": 5}), deadline_s=10)
    assert (caught.value.kind, caught.value.billed) == ("request", "no")
    assert not model_server.calls


async def test_who_takes_the_pieces_may_fail(model_server: ModelServer, transport: AnthropicTransport) -> None:
    async def fails(piece: str) -> None:
        raise LookupError("no watcher")

    with pytest.raises(LookupError, match="no watcher"):
        await transport.send(question(), deadline_s=10, on_delta=fails)
    await all_gone(model_server, but=0)


async def test_an_answer_without_end_is_cut_short(model_server: ModelServer, transport: AnthropicTransport) -> None:
    model_server.script(Fault(body="x" * (4 * LONGEST + 1), content_type="text/html"))
    with pytest.raises(CallFailed, match="connection was lost") as caught:
        await sent(transport, stream=False)
    assert caught.value.kind == "upstream-down"
    heard = Heard(Seen(), "m")
    heard.event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x" * LONGEST}})
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
    with pytest.raises(CallFailed, match="no end"):
        heard.event(delta)


async def test_counts(model_server: ModelServer, transport: AnthropicTransport) -> None:
    asked = question(
        output_config={"format": {"type": "json_schema", "schema": {"type": "string"}}}, stop_sequences=["x"]
    )
    count = await transport.count(asked)
    usage = (await transport.send(asked, deadline_s=10)).usage
    assert count == usage.total_input
    model_server.script_counts("no-model", "throttled-1s", "html", "hangs", "cut-midway")
    assert await transport.count(asked) is None
    kinds = []
    for _ in range(4):
        with pytest.raises(CallFailed) as caught:
            await transport.count(asked)
        kinds.append(caught.value.kind)
    assert kinds == ["throttled", "upstream-down", "upstream-down", "upstream-down"]


@pytest.mark.parametrize(("given", "known"), [
    ("https://api.anthropic.com", "https://api.anthropic.com"),
    ("https://API.anthropic.com/", "https://api.anthropic.com"),
    (" http://127.0.0.1:11434/v1 ", "http://127.0.0.1:11434"),
    ("http://gateway/anthropic/v1/messages", "http://gateway/anthropic"),
])  # fmt: skip
def test_an_address_has_one_form(given: str, known: str) -> None:
    assert address(given) == known


@pytest.mark.parametrize("given", [
    "", "api.anthropic.com", "ftp://x", "http://", "http://user:secret@host", "https://host?key=secret", "http://host:no",
])  # fmt: skip
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(UsageError) as caught:
        AnthropicTransport(given, KEY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk ant", "sk-ünt", "sk\x00"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        AnthropicTransport("http://host", key)
    assert key not in str(caught.value)


async def test_a_stream_that_ends_anywhere_is_whole_or_fails(
    model_server: ModelServer, transport: AnthropicTransport
) -> None:
    model_server.answer = lambda body: "Où est passé l'été? ☃"
    pieces, _ = events.stream(events.Answer("msg_1", "m", model_server.answer({}), "end_turn", {"input_tokens": 5}, 9))
    whole = b"".join(pieces)
    said = whole.index(b"message_delta")
    ends = sorted({*range(0, len(whole), 11), *range(said - 8, len(whole)), *(at + 1 for at in snowmen(whole))})
    for end in ends:
        model_server.script(Fault(body=whole[:end], content_type="text/event-stream"))
        try:
            reply, heard = await sent(transport, stream=True)
        except CallFailed as failure:
            assert (failure.kind, failure.billed) == ("upstream-down", "unknown")
        else:
            assert end > said, "the reason to stop has come"
            assert reply.text == "".join(heard) == model_server.answer({})
            assert reply.usage == Usage(5, 9)
    assert reply.text


def snowmen(data: bytes) -> list[int]:
    """Where characters of several bytes begin."""
    return [at for at, byte in enumerate(data) if byte >= 0xC2]
