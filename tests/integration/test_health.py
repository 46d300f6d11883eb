"""Readiness check by check, metrics, and one line of the log for each request, through the doors that ask for them."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from structlog.testing import capture_logs

from blackboard.embedded import start_server
from controller.bootstrap import Service, open_service
from controller.http.aside import create_aside
from controller.http.server import make_server
from controller.settings import Settings
from tests.end_to_end.command import SCRIPT
from tests.fleet import until
from tests.integration.doors import QUICK, TEXT, count, lines, years
from tests.listening import listening

SOURCES = (lines, years, count)
Rows = dict[tuple[str, frozenset[tuple[str, str]]], float]


def rows(text: str) -> Rows:
    """Every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(found: Rows, name: str, **labels: str) -> float:
    """A sample's value."""
    return found[name, frozenset(labels.items())]


class Whole:
    """A service and a client of its door."""

    def __init__(self, service: Service, client: httpx2.AsyncClient) -> None:
        self.service, self.client = service, client

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """The status, and each check."""
        answer = await self.client.get("/readyz")
        return answer.status_code, answer.json()["checks"]

    async def metrics(self) -> Rows:
        """What Prometheus would be told."""
        answer = await self.client.get("/metrics")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        return rows(answer.text)

    async def done(self, text: str = TEXT) -> str:
        """A board that has ended."""
        submitted = await self.client.post("/v1/documents", json={"text": text})
        assert submitted.status_code == 202, submitted.text
        board = str(submitted.json()["id"])

        async def ended() -> bool:
            return (await self.client.get(f"/v1/boards/{board}")).json()["status"] != "open"

        await until(ended)
        return board


async def whole(url: str, data: Path, roles: str, **more: Any) -> AsyncIterator[Whole]:
    settings = Settings(redis_url=url, data_dir=data, **{**QUICK, **more})
    opening = open_service(settings, roles=frozenset(roles.split()), sources=SOURCES)
    async with opening as service, listening(service) as (_, client, _):
        yield Whole(service, client)


@pytest.fixture
async def up(redis_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    async for found in whole(redis_url, tmp_path, "controller worker"):
        yield found


@pytest.fixture
async def alone(redis_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    async for found in whole(redis_url, tmp_path, "", queue_limit=1):
        yield found


async def test_a_whole_service_is_ready(up: Whole) -> None:
    status, checks = await up.ready()
    assert status == 200
    assert all(check["ok"] for check in checks.values())
    assert checks.keys() == {"storage", "server", "scripts", "blobs", "feed", "load", "controller", "workers", "worker"}
    assert checks["load"]["limit"] == 10_000
    assert "advisory" not in checks["controller"]


async def test_a_door_alone_is_ready_and_says_who_is_missing(alone: Whole) -> None:
    status, checks = await alone.ready()
    assert status == 200
    assert (checks["controller"]["ok"], checks["controller"]["advisory"]) == (False, True)
    assert checks["controller"]["unheld"] == list(range(16))
    assert (checks["workers"]["ok"], checks["workers"]["advisory"]) == (False, True)
    assert checks["workers"]["unserved"] == ["lines@1", "years@1", "count@1"]


async def asked(url: str) -> tuple[int | None, str]:
    """What `blackboard health` comes to, and what it says."""
    command = await asyncio.create_subprocess_exec(SCRIPT, "health", "--url", url, stderr=asyncio.subprocess.PIPE)
    _, said = await command.communicate()
    return command.returncode, said.decode()


async def test_a_server_that_would_lose_boards_is_told(up: Whole, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            status, checks = await up.ready()
            code, said = await asked(str(up.client.base_url))
        finally:
            await client.config_set("maxmemory-policy", "noeviction")
    assert (status, checks["server"]["ok"], checks["server"]["error"]) == (503, False, "server-unfit")
    assert code == 1
    assert "server failed: server-unfit" in said


async def test_scripts_that_the_server_forgot_are_loaded_again(up: Whole, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.script_flush()
        status, checks = await up.ready()
        assert (status, checks["scripts"]["ok"]) == (200, True)
        shas = [script.sha for _, scripts in up.service.steps._at for script in scripts]
        assert all(await client.script_exists(*shas))


async def test_too_much_that_waits_makes_a_door_unready(alone: Whole) -> None:
    from controller.queue import Wake

    await alone.service.queue.enqueue([Wake("lines", "1", "batch", "3-b", f"lines.{n}") for n in range(3)])

    async def overloaded() -> bool:
        status, checks = await alone.ready()
        return status == 503 and checks["load"].get("waiting") == 3

    await until(overloaded)
    found = await alone.metrics()
    assert one(found, "blackboard_queue_depth", source="lines", version="1", priority="batch") == 3
    assert one(found, "blackboard_queue_limit") == 1
    assert one(found, "blackboard_workers_wanted", source="lines") == 1
    assert one(found, "blackboard_workers_wanted", source="years") == 0


async def test_open_streams_are_counted(alone: Whole) -> None:
    board = (await alone.client.post("/v1/documents", json={"text": TEXT})).json()["id"]
    async with alone.client.stream("GET", f"/v1/boards/{board}/events") as answer:
        chunks: Any = answer.aiter_raw()
        await anext(chunks)
        assert one(await alone.metrics(), "blackboard_sse_clients") == 1

    async def gone() -> bool:
        return one(await alone.metrics(), "blackboard_sse_clients") == 0

    await until(gone)
    found = await alone.metrics()
    streamed = {
        "http_request_method": "GET",
        "http_route": "/v1/boards/{board}/events",
        "http_response_status_code": "200",
    }
    assert one(found, "http_server_request_duration_seconds_count", **streamed) == 1
    assert one(found, "http_server_request_duration_seconds_bucket", **streamed, le="1.0") == 1


async def test_what_happened_is_counted(up: Whole) -> None:
    board = await up.done()
    await up.client.get(f"/v1/boards/{board}")
    await up.client.get("/v1/boards/unknown")
    await up.client.get("/nothing/here")
    found = await up.metrics()
    assert one(found, "blackboard_activations_total", source="years", outcome="done") == 3
    assert one(found, "blackboard_activation_duration_seconds_count", source="years", outcome="done") == 3
    assert one(found, "blackboard_entry_writes_total", source="lines", outcome="written") == 3
    assert one(found, "blackboard_boards_total", outcome="created") == 1
    assert one(found, "blackboard_boards_total", outcome="completed") == 1
    assert one(found, "blackboard_board_duration_seconds_count", outcome="completed") == 1
    assert one(found, "blackboard_workers", source="years", version="1") == 1
    assert one(found, "blackboard_worker_slots", source="years") == 64
    assert one(found, "blackboard_activations_running", source="years") == 0
    assert one(found, "blackboard_controller_partitions") == 16
    assert one(found, "blackboard_storage_up") == 1
    route = {"http_request_method": "GET", "http_route": "/v1/boards/{board}"}
    assert one(found, "http_server_request_duration_seconds_count", **route, http_response_status_code="404") == 1
    assert one(found, "http_server_request_duration_seconds_count", **route, http_response_status_code="200") >= 1
    unknown = {"http_request_method": "GET", "http_route": "", "http_response_status_code": "404"}
    assert one(found, "http_server_request_duration_seconds_count", **unknown) == 1
    labels = {value for _, words in found for _, value in words}
    assert not any(board in value for value in labels)
    assert "default" not in labels


@asynccontextmanager
async def aside(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a process's health and metrics on a port of their own."""
    listens = asyncio.Event()
    server = make_server(create_aside(service, serves=False), port=0, ready=listens)
    running = asyncio.create_task(server.serve())
    await listens.wait()
    try:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            yield client
    finally:
        server.stop()
        await running


async def test_metrics_survive_a_server_that_is_away(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        server = await start_server(Path(directory))
        settings = Settings(redis_url=server.url, data_dir=tmp_path, **QUICK)
        async with open_service(settings, roles=frozenset(), sources=SOURCES) as service, aside(service) as client:
            await server.stop()
            samples = rows((await client.get("/metrics")).text)
            assert one(samples, "blackboard_storage_up") == 0
            assert one(samples, "blackboard_sse_clients") == 0
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["storage"]["error"]) == (503, "storage-unavailable")
            assert (await client.get("/livez")).status_code == 200


async def test_a_worker_tells_on_a_port_of_its_own(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(redis_url=redis_url, data_dir=tmp_path, **QUICK)
    roles = frozenset({"worker"})
    async with open_service(settings, roles=roles, sources=SOURCES) as service, aside(service) as client:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"]["load"]["advisory"]
        found = rows((await client.get("/metrics")).text)
        assert one(found, "blackboard_worker_slots", source="lines") == 64
        assert (await client.get("/v1/boards")).status_code == 404


async def test_one_line_for_each_request(up: Whole) -> None:
    with capture_logs() as said:
        answer = await up.client.get("/v1/boards/unknown?at=secret-word", headers={"X-Mine": "secret-word"})
        await up.client.get("/livez")
    (line,) = [each for each in said if each["event"] == "request" and each["log_level"] == "info"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/boards/{board}", answer.status_code)
    assert line["tenant"] == "default"
    assert line["ms"] > 0
    assert "secret-word" not in str(said)


async def test_the_page_for_operators_lists_every_metric(up: Whole) -> None:
    await up.done()
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text().partition("## Metrics")[2]
    listed = {
        row[1]: tuple(filter(None, row[2].split(", ")))
        for row in re.finditer(r"^\| `(\w+)` \| ([^|]*?) ?\|", page, re.M)
    }
    accept = "application/openmetrics-text;version=1.0.0"
    open_text = await up.client.get("/metrics", headers={"accept": accept})
    assert open_text.headers["content-type"].startswith("application/openmetrics-text")
    assert open_text.text.endswith("# EOF\n")
    answer = await up.client.get("/metrics")
    for family in text_string_to_metric_families(answer.text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}
        assert labels <= {tuple(sorted(listed[name]))}, name
    told = {
        family.name + "_total" * (family.type == "counter") for family in text_string_to_metric_families(answer.text)
    }
    assert listed.keys() - told == {"blackboard_llm_breaker_state"}, "there is no model here"


async def test_a_tenant_s_own_sources_are_counted_together(up: Whole) -> None:
    for name in ("zebra", "yak"):
        shape = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        declared = {
            "version": "1",
            "inputs": [{"parameter": "line", "kind": "each", "levels": ["line"]}],
            "outputs": [{"level": f"{name}_note", "schema": shape}],
        }
        put = await up.client.put(f"/v1/sources/{name}", json=declared)
        assert put.status_code in (200, 201), put.text
    submitted = await up.client.post("/v1/documents", json={"text": TEXT})
    assert submitted.status_code == 202, submitted.text

    async def waiting() -> bool:
        found = await up.metrics()
        name = frozenset({"source": "registered", "version": "", "priority": "interactive"}.items())
        return found.get(("blackboard_queue_depth", name)) == 6

    await until(waiting)
    claim = {"sources": ["zebra"], "worker": "w", "wait_s": 1}
    claimed = await up.client.post("/v1/activations/claim", json=claim)
    assert claimed.status_code == 200, claimed.text
    answer = await up.client.get("/metrics")
    assert one(rows(answer.text), "blackboard_activations_running", source="registered") == 1
    assert "zebra" not in answer.text
    assert "yak" not in answer.text
