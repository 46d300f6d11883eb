"""A service at its most talkative says nothing that it was told in confidence, and is looked at from outside by a command."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from tests import models
from tests.conftest import free_port
from tests.end_to_end.command import Cli, Running
from tests.fleet import until

SECRETS = {
    "key": f"bb_first_{'5ec4e7' * 8}",
    "hook": f"whsec_{base64.b64encode(b'a webhook secret of thirty-two b').decode()}",
    "provider": "sk-ant-quagga-0123456789",
    "document": "Zorillasaurus",
    "query": "queryaardvark",
    "header": "headeraxolotl",
    "wrong": f"bb_wrong_{'badc0de' * 6}",
}


async def used(running: Running, url: str) -> list[str]:
    """Everything that this service answered, errors among it, but for what asks for the secret back."""
    said: list[str] = []
    bearer = {"Authorization": f"Bearer {SECRETS['key']}"}
    async with httpx2.AsyncClient(base_url=url, timeout=20) as client:

        async def ask(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
            answer = await client.request(method, path, headers=bearer | (headers or {}), **more)
            said.append(f"{answer.headers}\n{answer.text}")
            return answer

        text = f"{SECRETS['document']} paid 5 EUR to Marlow Ltd on 3 March 2025."
        submitted = await client.post("/v1/documents", json={"text": text, "models": "always"}, headers=bearer)
        assert submitted.status_code == 202, submitted.text
        board = submitted.json()["id"]

        async def ended() -> bool:
            return (await ask("GET", f"/v1/boards/{board}")).json()["status"] != "open"

        await until(ended)
        hook = {"url": "https://example.com/hook", "secret": SECRETS["hook"]}
        made = await client.post("/v1/webhooks", json=hook, headers=bearer)
        assert made.status_code == 201, made.text
        await ask("GET", "/v1/webhooks")
        broken = await ask("POST", "/v1/documents", content=b'{"text": "%s' % SECRETS["document"].encode(),
                           headers={"Content-Type": "application/json"})  # fmt: skip
        assert broken.status_code == 400
        assert (await ask("POST", "/v1/documents", json={"txt": SECRETS["document"]})).status_code == 422
        assert (await ask("GET", f"/v1/boards?cursor={SECRETS['query']}")).status_code == 400
        assert (await ask("GET", f"/v1/{SECRETS['query']}", headers={"X-Own": SECRETS["header"]})).status_code == 404
        refused = await ask("GET", "/v1/boards", headers={"Authorization": f"Bearer {SECRETS['wrong']}"})
        assert refused.status_code == 401
        assert (await client.get("/metrics")).status_code == 401
        metrics = (await ask("GET", "/metrics")).text
        assert re.search(
            r'^blackboard_llm_calls_total{model="claude-haiku-5-5",outcome="answered"} [1-9]', metrics, re.M
        )
        assert re.search(r'^blackboard_llm_breaker_state{model="claude-haiku-5-5",state="closed"} 1', metrics, re.M)
        assert re.search(r'^gen_ai_client_token_usage_count{.*gen_ai_token_type="output"} [1-9]', metrics, re.M)
        assert re.search(r"^blackboard_llm_cost_usd_total{.*} 0?\.?[0-9e.-]+", metrics, re.M)
        await ask("GET", "/readyz")
    assert running.process.poll() is None
    return said


@pytest.mark.long
async def test_nothing_told_in_confidence_is_said_again(tmp_path: Path) -> None:
    port = free_port()
    async with models.serving() as server:
        environment = {
            "BLACKBOARD_FIRST_KEY": SECRETS["key"],
            "BLACKBOARD_LOG_FORMAT": "json",
            "BLACKBOARD_MODEL_BASE_URL": server.url,
            "BLACKBOARD_MODEL_API_KEY": SECRETS["provider"],
            "BLACKBOARD_MODEL_NAMES": "claude-haiku-5-5",
            "BLACKBOARD_METRICS_PORT": str(port),
            "ANTHROPIC_LOG": "debug",
            "ANTHROPIC_API_KEY": SECRETS["provider"],
        }
        cli = Cli(tmp_path / "data", environment)
        unreachable = await asyncio.to_thread(cli, "health")
        assert unreachable.code == 3, unreachable
        with cli.running("--debug", "up", "--port", "0") as running:
            url = await asyncio.to_thread(lambda: running.url)
            said = await used(running, url)
            # The key of everybody is asked at the door; this port is for the machine's own.
            async with httpx2.AsyncClient() as client:
                said.append((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
            ready = await asyncio.to_thread(cli, "health", "--json")
            assert (ready.code, ready.json()["status"]) == (0, "ready"), ready
            assert (await asyncio.to_thread(cli, "health", "--live", "--url", url)).code == 0
            assert any(SECRETS["document"].encode() in call.body for call in server.calls)
            running.process.terminate()
            out, _ = await asyncio.to_thread(running.process.communicate)
        logged = running.log.read_text()
    for name, secret in SECRETS.items():
        assert secret not in out.decode(), name
        assert secret not in logged, name
        shown = "\n".join(said)
        if name in ("document",):
            # The board's own pages are the document's; counts and errors are not.
            shown = "\n".join(text for text in said if "problem+json" in text or "# HELP" in text)
        assert secret not in shown, name
    lines = [orjson.loads(line) for line in logged.splitlines() if line.startswith("{")]
    assert any(line["event"] == "log.refused" and line["setting"] == "ANTHROPIC_LOG" for line in lines)
    requests = [line for line in lines if line["event"] == "request" and line["level"] == "info"]
    assert {line["route"] for line in requests} >= {"/v1/documents", "/v1/boards/{board}", "/v1/webhooks", ""}
    assert all(line["request_id"] and line["ms"] >= 0 for line in requests)
    assert {line.get("key") for line in requests if line["route"] == "/v1/webhooks"} == {"first"}
