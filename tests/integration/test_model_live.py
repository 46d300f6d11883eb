"""A few calls that any compatible server must answer well: our own here, a real one with `make test-live`.

What a server was found not to do is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest

from blackboard.models import Excerpt, Task
from knowledge_sources.llm import prompting
from knowledge_sources.llm.calls import FINISHED, CallFailed, Request
from knowledge_sources.llm.degrade import degrade, json_of
from knowledge_sources.llm.ports import Capabilities
from knowledge_sources.llm.probe import Prober
from knowledge_sources.llm.transport import AnthropicTransport
from tests.models.fixtures import ModelAt

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

PAGES = [Excerpt(1, "Invoice 4711 of Acme Ltd. Total: 120.00 EUR."), Excerpt(2, "Payable within 30 days.")]
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["total", "days"],
    "additionalProperties": False,
}


@pytest.fixture
async def transport(model_at: ModelAt) -> AsyncIterator[AnthropicTransport]:
    one = AnthropicTransport(model_at.base_url, model_at.api_key)
    yield one
    await one.close()


@pytest.fixture
async def can(model_at: ModelAt, transport: AnthropicTransport) -> Capabilities:
    return await Prober(transport, None).found(model_at.model)


def asked(model_at: ModelAt, can: Capabilities, *, schema: bool = False, max_tokens: int = 500) -> Request:
    task = Task("live", "What is the total, and within how many days is it payable?")
    whole = prompting.request(model_at.model, task, [], PAGES, max_tokens=max_tokens, schema=SCHEMA if schema else None)
    return degrade(whole, can)


async def test_an_answer(model_at: ModelAt, transport: AnthropicTransport, can: Capabilities) -> None:
    reply = await transport.send(asked(model_at, can), deadline_s=120)
    assert "120" in reply.text
    assert reply.stop_reason in FINISHED
    assert reply.usage.total_input > 10
    assert 0 < reply.usage.output <= 500


async def test_a_stream(model_at: ModelAt, transport: AnthropicTransport, can: Capabilities) -> None:
    if not can.streaming:
        pytest.skip(f"the server does not stream: {can.notes}")
    pieces: list[str] = []

    async def heard(piece: str) -> None:
        pieces.append(piece)

    reply = await transport.send(asked(model_at, can), deadline_s=120, on_delta=heard)
    assert "".join(pieces) == reply.text
    assert "120" in reply.text
    assert len(pieces) > 1


async def test_a_typed_answer(model_at: ModelAt, transport: AnthropicTransport, can: Capabilities) -> None:
    reply = await transport.send(asked(model_at, can, schema=True), deadline_s=120)
    said = orjson.loads(json_of(reply.text))
    assert set(said) == {"total", "days"}
    assert isinstance(said["days"], int)


async def test_a_count(model_at: ModelAt, transport: AnthropicTransport, can: Capabilities) -> None:
    question = asked(model_at, can)
    count = await transport.count(question)
    assert (count is not None) == can.count_tokens
    if count is not None:
        usage = (await transport.send(question, deadline_s=120)).usage
        assert abs(count - usage.total_input) <= 0.1 * usage.total_input + 10


async def test_an_answer_that_is_cut(model_at: ModelAt, transport: AnthropicTransport, can: Capabilities) -> None:
    with pytest.raises(CallFailed) as caught:
        await transport.send(asked(model_at, can, max_tokens=2), deadline_s=120)
    assert (caught.value.kind, caught.value.stop_reason) == ("output", "max_tokens")
    assert caught.value.usage is not None


async def test_a_question_that_is_none(model_at: ModelAt, transport: AnthropicTransport) -> None:
    wrong = {"max_tokens": 5, "messages": [{"role": "nobody", "content": "x"}]}
    with pytest.raises(CallFailed) as caught:
        await transport.send(Request(model_at.model, wrong), deadline_s=120)
    assert caught.value.kind in ("request", "upstream-down"), "some servers break on it"
