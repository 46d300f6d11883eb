"""The server of the tests keeps to the wire format: what it says of itself must hold before anything is tested against it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from tests.models import FAULTS, Fault, ModelServer, Settings, serving
from tests.models.quota import Levels, Quota

HEADERS = {"authorization": "Bearer sk-test", "anthropic-version": "2026-10-21"}
CACHED = {"cache_control": {"type": "ephemeral"}}


def asked(*texts: str, **more: Any) -> dict[str, Any]:
    """A body that asks about texts; every one but the last ends a cached prefix."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    for block in blocks[:-1]:
        block.update(CACHED)
    return {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": blocks}], **more}


async def post(server: ModelServer, body: dict[str, Any], path: str = "/v1/messages") -> httpx2.Response:
    async with httpx2.AsyncClient(verify=False, base_url=server.url, headers=HEADERS, timeout=5) as client:
        return await client.post(path, json=body)


def events(text: str) -> list[dict[str, Any]]:
    found = [orjson.loads(one.partition("\ndata: ")[2]) for one in text.strip().split("\n\n")]
    assert [one.splitlines()[0] for one in text.strip().split("\n\n")] == [f"event: {one['type']}" for one in found]
    return found


async def test_a_message(model_server: ModelServer) -> None:
    response = await post(model_server, asked("What is this?"))
    said = response.json()
    assert (said["type"], said["role"], said["stop_reason"]) == ("message", "assistant", "end_turn")
    assert said["content"][0]["text"] == "I read: What is this?"
    assert said["usage"]["input_tokens"] == 4
    assert said["usage"]["output_tokens"] == 6
    assert response.headers["request-id"] == model_server.calls[0].request_id
    assert response.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert orjson.loads(model_server.calls[0].body) == asked("What is this?")
    assert model_server.calls[0].finished


async def test_a_stream_says_the_same_in_the_real_order(model_server: ModelServer) -> None:
    plain = (await post(model_server, asked("What is this thing?"))).json()
    found = events((await post(model_server, asked("What is this thing?", stream=True))).text)
    kinds = [one["type"] for one in found]
    assert kinds[:3] == ["message_start", "content_block_start", "ping"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[3:-3]) == {"content_block_delta"}
    assert "".join(one["delta"]["text"] for one in found[3:-3]) == plain["content"][0]["text"]
    assert found[0]["message"]["stop_reason"] is None
    assert found[-2]["delta"]["stop_reason"] == "end_turn"
    assert found[-2]["usage"]["output_tokens"] == plain["usage"]["output_tokens"]


async def test_a_schema_is_answered_with_a_value_of_it(model_server: ModelServer) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["claims", "kind"],
        "properties": {
            "claims": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Claim"}},
            "kind": {"enum": ["a", "b"]},
        },
        "$defs": {
            "Claim": {
                "type": "object", "additionalProperties": False, "required": ["page"],
                "properties": {"page": {"type": "integer", "minimum": 1}},
            }
        },
    }  # fmt: skip
    body = asked("Find claims.", output_config={"format": {"type": "json_schema", "schema": schema}})
    said = (await post(model_server, body)).json()
    assert orjson.loads(said["content"][0]["text"]) == {"claims": [{"page": 1}], "kind": "a"}


async def test_the_prompt_cache_lives_five_minutes_for_each_account() -> None:
    now = 1_000_000.0
    async with serving(clock=lambda: now) as server:

        async def used(body: dict[str, Any], key: str = "sk-test") -> tuple[int, int, int]:
            async with httpx2.AsyncClient(
                verify=False, headers={**HEADERS, "authorization": f"Bearer {key}"}
            ) as client:
                usage = (await client.post(f"{server.url}/v1/messages", json=body)).json()["usage"]
            return usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]

        first, second = asked("d" * 400, "question one"), asked("d" * 400, "question 2")
        assert await used(first) == (3, 100, 0)
        assert await used(second) == (3, 0, 100)
        assert await used(second, "sk-other") == (3, 100, 0)
        assert await used(asked("d" * 400, "e" * 40, "question")) == (2, 10, 100)
        now += 299
        assert await used(first) == (3, 0, 100)
        now += 299
        assert await used(first) == (3, 0, 100), "reading prolongs its life"
        now += 301
        assert await used(first) == (3, 100, 0)
        assert server.calls[0].prefix == server.calls[1].prefix != b""


async def test_tokens_are_counted_as_they_are_billed(model_server: ModelServer) -> None:
    body = asked("d" * 401, "What?", system="Be brief.")
    counted = {key: value for key, value in body.items() if key != "max_tokens"}
    count = (await post(model_server, counted, "/v1/messages/count_tokens")).json()["input_tokens"]
    usage = (await post(model_server, body)).json()["usage"]
    assert count == usage["input_tokens"] + usage["cache_creation_input_tokens"] == 101 + 2 + 3
    assert len(model_server.counts) == len(model_server.calls) == 1


async def test_a_long_answer_stops_at_max_tokens(model_server: ModelServer) -> None:
    said = (await post(model_server, asked("x" * 400, max_tokens=10))).json()
    assert said["stop_reason"] == "max_tokens"
    assert said["usage"]["output_tokens"] <= 10


@pytest.mark.parametrize("wrong", [
    {"max_tokens": 0}, {"messages": []}, {"temprature": 1}, {"messages": [{"role": "system", "content": "x"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", **CACHED}] * 5}]},
    {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
])  # fmt: skip
async def test_what_is_no_request_is_refused(model_server: ModelServer, wrong: dict[str, Any]) -> None:
    response = await post(model_server, {**asked("x"), **wrong})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.json()["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.is_error])
async def test_every_error_is_sent_as_it_is_named(model_server: ModelServer, name: str) -> None:
    fault = FAULTS[name]
    model_server.script(name)
    response = await post(model_server, asked("x"))
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (fault.status, fault.type)
    assert error.get("details", {}).get("error_code", "") == fault.code
    assert all(response.headers[header] == value for header, value in fault.headers.items())
    assert (await post(model_server, asked("x"))).status_code == 200, "one fault, one call"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["refuses", "cut-after-headers", "cut-midway"])
async def test_connections_are_cut_where_it_says(model_server: ModelServer, name: str, stream: bool) -> None:
    model_server.script(name)
    got = b""
    async with httpx2.AsyncClient(verify=False, headers=HEADERS, timeout=5) as client:
        with pytest.raises(httpx2.HTTPError):
            body = asked("x" * 100, stream=stream)
            async with client.stream("POST", f"{model_server.url}/v1/messages", json=body) as response:
                assert name != "refuses"
                async for part in response.aiter_bytes():
                    got += part
    assert bool(got) == (name == "cut-midway")
    assert b"message_stop" not in got
    assert not model_server.calls[0].finished


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["hangs", "hangs-after-headers", "hangs-midway"])
async def test_it_hangs_until_the_client_goes(model_server: ModelServer, name: str, stream: bool) -> None:
    model_server.script(name)
    async with httpx2.AsyncClient(verify=False, headers=HEADERS, timeout=0.1) as client:
        with pytest.raises(httpx2.ReadTimeout):
            await client.post(f"{model_server.url}/v1/messages", json=asked("x" * 100, stream=stream))
    async with asyncio.timeout(5):
        while model_server.connections:
            await asyncio.sleep(0.005)


async def test_a_truncated_stream_ends_in_good_order(model_server: ModelServer) -> None:
    model_server.script("truncated", "midway-overloaded")
    kinds = [one["type"] for one in events((await post(model_server, asked("x" * 100, stream=True))).text)]
    assert kinds[0] == "message_start"
    assert "message_stop" not in kinds
    last = events((await post(model_server, asked("x" * 100, stream=True))).text)[-1]
    assert (last["type"], last["error"]["type"]) == ("error", "overloaded_error")


async def test_rate_limits_are_told_and_kept() -> None:
    async with serving(Settings(quota=Quota(requests=2, input=0, output=0))) as server:
        statuses = [(await post(server, asked("x"))).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = await post(server, asked("x"))
        assert 1 <= int(refused.headers["retry-after"]) <= 31
        assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert "anthropic-ratelimit-input-tokens-limit" not in refused.headers


def test_levels_refill_with_time() -> None:
    now = 0.0
    levels = Levels(Quota(requests=60, input=600, output=0), lambda: now)
    levels.take(requests=60, input=900)
    assert levels.wait_s(requests=1, input=100) == pytest.approx(40)
    now = 40.0
    assert levels.wait_s(requests=1, input=100) == 0
    assert levels.headers()["anthropic-ratelimit-requests-remaining"] == "40"
    assert levels.headers()["anthropic-ratelimit-requests-reset"] == "1970-01-01T00:01:00Z"


async def test_calls_can_be_held_and_counted(model_server: ModelServer) -> None:
    model_server.hold()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(post(model_server, asked("x"))) for _ in range(3)]
        while model_server.under_way < 3:
            await asyncio.sleep(0.005)
        assert not any(one.done() for one in asking)
        model_server.release()
    assert (model_server.most_under_way, model_server.under_way) == (3, 0)
    model_server.script("hangs-midway", "cut-midway", "html", "overloaded")
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(post(model_server, asked("x" * 100, stream=True)))
        while len(model_server.calls) < 4:
            await asyncio.sleep(0.005)
        with pytest.raises(httpx2.HTTPError):
            await post(model_server, asked("x"))
        assert [(await post(model_server, asked("x"))).status_code for _ in range(2)] == [200, 529]
        assert model_server.under_way == 1, "an answer that is being sent is under way"
        slow.cancel()
    async with asyncio.timeout(5):
        while model_server.under_way:
            await asyncio.sleep(0.005)


async def test_an_outage_lasts_until_it_ends(model_server: ModelServer) -> None:
    model_server.script(None)
    model_server.always(Fault(status=503, type="api_error"))
    assert [(await post(model_server, asked("x"))).status_code for _ in range(3)] == [200, 503, 503]
    model_server.always(None)
    assert (await post(model_server, asked("x"))).status_code == 200


async def test_it_runs_as_a_process_that_others_steer() -> None:
    command = [sys.executable, "-m", "tests.models", "--port", "0", "--requests", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    try:
        async with httpx2.AsyncClient(verify=False, base_url=url, headers=HEADERS) as client:
            await client.post("/_script", json=["overloaded", {"status": 418, "type": "api_error"}])
            statuses = [(await client.post("/v1/messages", json=asked("x"))).status_code for _ in range(3)]
            assert statuses == [529, 418, 200]
            await client.put("/_always", json="internal")
            assert (await client.post("/v1/messages", json=asked("x"))).status_code == 500
            assert [call["status"] for call in (await client.get("/_calls")).json()] == [529, 418, 200, 500]
            assert (await client.get("/_state")).json()["calls"] == 4
    finally:
        process.terminate()
        assert await process.wait() == 0
