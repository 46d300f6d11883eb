"""Where spans go: to the OpenTelemetry collector that the environment names, or to what was set up before us."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from blackboard import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

LAST_S = 3.0
"""For the last spans to be sent."""

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def open_traces(role: str, environ: Mapping[str, str] = os.environ) -> Iterator[TracerProvider | None]:
    """What spans are made by, until the block ends and the last of them were sent; None: nobody wants any.

    Wanted are they where an OTLP endpoint is set (https://opentelemetry.io/docs/specs/otel/protocol/exporter/) and the extra
    `otlp` is installed. `role`: this process's, for `service.name`, unless `OTEL_SERVICE_NAME` is set.
    """
    exporter = _exporter(environ) if _wanted(environ) else None
    if exporter is None:
        yield None
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = environ.get("OTEL_SERVICE_NAME") or f"blackboard-{role}"
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}), shutdown_on_exit=False
    )
    provider.add_span_processor(without_queries())
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider
    finally:
        _end(provider)


def _end(provider: Any) -> None:
    # A collector that is away is tried again and again: no process outlives its work for that.
    ending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    ending.start()
    ending.join(LAST_S)


def without_queries() -> Any:
    """A span processor that leaves of a request's query only the names of its parameters."""
    from urllib.parse import parse_qsl

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span, SpanProcessor

    class WithoutQueries(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            query = (span.attributes or {}).get("url.query")
            if isinstance(query, str):
                names = (name for name, _ in parse_qsl(query, keep_blank_values=True))
                span.set_attribute("url.query", "&".join(f"{name}=" for name in names))

    return WithoutQueries()


def _wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() not in ("otlp", ""):
        return False
    return any(environ.get(name) for name in ENDPOINTS)


def _exporter(environ: Mapping[str, str]) -> Any:
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("traces.off", reason=f"the protocol {protocol} is not spoken here", hint="use http/protobuf")
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log.warning(
            "traces.off", reason="the exporter is not installed", hint="pip install 'blackboard-analysis[otlp]'"
        )
        return None
    return OTLPSpanExporter()
