"""Spans from a submission through its activations to the calls of models: one tree, and nothing of the document in it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from blackboard import Source
from blackboard.registry import find_sources
from controller.bootstrap import open_service
from controller.bootstrap.exporting import open_traces, without_queries
from controller.settings import Settings
from tests import models
from tests.integration.doors import QUICK, failing_years, lines
from tests.integration.guests import Open
from tests.listening import listening

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
CANARY = "Quetzalcoatlus"


class Collected:
    """Spans by what they are called."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(without_queries())
        self.provider.add_span_processor(SimpleSpanProcessor(self._kept))

    def named(self, start: str) -> list[ReadableSpan]:
        """Those whose name begins so."""
        return [span for span in self._kept.get_finished_spans() if span.name.startswith(start)]

    @property
    def text(self) -> str:
        """All of them, as an exporter would see them."""
        return "\n".join(span.to_json() for span in self._kept.get_finished_spans())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """A span's attributes."""
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> str:
    """Its parent's id."""
    return f"{span.parent.span_id:016x}" if span.parent is not None else ""


def own(span: ReadableSpan) -> str:
    """Its own id."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


async def traced(
    url: str, data: Path, sources: tuple[Source, ...], traces: TracerProvider | None, **options: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """How a board ended that was submitted with a trace of its own, and its head."""
    settings = Settings(redis_url=url, data_dir=data, **QUICK)
    async with open_service(settings, sources=sources, traces=traces) as service, listening(service) as (_, client, _):
        given = {"text": f"{CANARY} paid 5 EUR to Marlow Ltd on 3 March 2025.", **options}
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        board = (await client.post("/v1/documents", json=given, headers=headers)).json()["id"]
        ending = await Open(service, client).end(board)
        await client.get(f"/v1/boards?limit=5&cursor={CANARY}")
        assert (await client.get("/livez")).status_code == 200
        return ending, await service.store.head(board) or {}


async def test_a_board_is_one_tree_of_spans(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collected = Collected()
    # What the environment asks of the client must not put the conversation into its spans.
    monkeypatch.setenv("ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE", "content")
    async with models.serving() as server:
        monkeypatch.setenv("BLACKBOARD_MODEL_BASE_URL", server.url)
        monkeypatch.setenv("BLACKBOARD_MODEL_API_KEY", "sk-secret-of-the-provider")
        monkeypatch.setenv("BLACKBOARD_MODEL_NAMES", "claude-haiku-5-5")
        sources, _ = find_sources()
        ending, head = await traced(redis_url, tmp_path, sources, collected.provider, models="always")
        assert ending["status"] == "completed", ending
        assert not any(b"traceparent" in orjson.dumps(dict(call.headers)) for call in server.calls)
    (submission,) = collected.named("POST /v1/documents")
    assert parent(submission) == PARENT
    assert head["traceparent"] == f"00-{TRACE}-{own(submission)}-01"
    activations = {own(span): span for span in collected.named("activate ")}
    assert len(activations) > 4
    assert {parent(span) for span in activations.values()} == {own(submission)}
    for span in activations.values():
        said = attributes(span)
        assert said["blackboard.activation.outcome"] in ("done", "stale", "cancelled")
        assert said["blackboard.activation.attempt"] == 1
        assert said["gen_ai.conversation.id"] == said["blackboard.board.id"]
        assert span.name == f"activate {said['blackboard.source.name']}"
    calls = [span for span in collected.named("anthropic.messages.create") if parent(span) in activations]
    assert calls
    assert {span.context.trace_id for span in calls if span.context} == {int(TRACE, 16)}
    for span in calls:
        said = attributes(span)
        assert said["gen_ai.request.model"] == "claude-haiku-5-5"
        assert said["gen_ai.usage.output_tokens"] > 0
    assert CANARY not in collected.text
    assert "sk-secret" not in collected.text
    assert not collected.named("GET /livez")


async def test_a_failed_activation_says_so_and_nothing_more(redis_url: str, tmp_path: Path) -> None:
    collected = Collected()
    await traced(redis_url, tmp_path, (lines, failing_years), collected.provider)
    (failed,) = [span for span in collected.named("activate years") if attributes(span)]
    assert attributes(failed)["blackboard.activation.outcome"] == "failed"
    assert failed.status.status_code is StatusCode.ERROR
    assert not failed.events
    assert CANARY not in collected.text


async def test_without_a_collector_the_client_s_trace_is_kept_and_no_span_made(redis_url: str, tmp_path: Path) -> None:
    _, head = await traced(redis_url, tmp_path, (lines,), None)
    assert head["traceparent"] == f"00-{TRACE}-{PARENT}-01"


def test_spans_are_wanted_where_a_collector_is_set() -> None:
    for environ in (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_SERVICE_NAME": "mine"},
    ):
        with open_traces("api", environ) as provider:
            assert provider is None


@pytest.mark.long
async def test_a_process_without_a_collector_loads_no_sdk() -> None:
    program = (
        "import sys, controller.bootstrap, controller.worker, controller.commands.service\n"
        "from controller.bootstrap.exporting import open_traces\n"
        "with open_traces('worker', {}): pass\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'prometheus_client'))])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    said, _ = await process.communicate()
    assert said == b"[]\n"
